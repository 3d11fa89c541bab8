"""What if two segments were enough? An old SYN, and an initial number that nobody confirms.

The two-way server is a stand-in: the real stack, to which the third segment is handed as soon as it has sent the
second. So it does what such a server would do: its own SYN,ACK is enough for it.
"""

from __future__ import annotations

from synfin.lab.experiment import Experiment, Finding, Parameter, Settings
from synfin.lab.world import MS, SECOND, World, forged, life, parsed, sent
from synfin.stack.stack import Stack
from synfin.tcp import errors
from synfin.tcp.config import Config
from synfin.wire.seq import seq_add
from synfin.wire.tcp_header import ACK, SYN

WHY = """
"The principal reason for the three-way handshake is to prevent old duplicate connection initiations from causing
confusion" (RFC 9293 3.5, figure 8). A server can't tell an old SYN from a new one; only the third segment, which
repeats the server's fresh number, shows that somebody at the other end means this connection, now. With two, the
server's number y is never confirmed, and its program is given a connection, and speaks, before that is known. A RST
may undo it afterwards if the other host is up and the RST arrives, but what the program did is done; and where no
RST comes the connection stays, as an established one that waits has no timer. A half-open entry expires.
"""
OLD_SYN = 5_000_000


def two_way(world: World) -> None:
    """Make the server one for which two segments are enough."""

    def second_is_enough(now: int, sender: Stack, packet: bytes) -> None:
        seg = parsed(packet)
        if sender is world.server and seg.flags == SYN | ACK:
            world.hide_packets = True  # this segment is on no wire
            world.server.receive(forged(ACK, seg.ack, seq_add(seg.seq, 1), port=seg.dst_port), now)
            world.hide_packets = False
            world.at_server(world.server, now)

    world.link.tap = second_is_enough


def old_syn(settings: Settings, two: bool, answers: bool) -> World:
    """A SYN of long ago arrives. answers: the client's host is up and can be heard."""
    world = World(settings.seed, server=plain())
    world.listen()
    if two:
        two_way(world)
    if not answers:
        world.lose(lambda host, seg: host == "client")
    world.at_server.text = b"220 welcome\r\n"
    world.server.receive(forged(SYN, OLD_SYN), world.now)
    world.advance(SECOND)
    return world


def plain() -> Config:
    """Without timestamps: the old SYN offers none either."""
    return Config(timestamps=False, retries=255)


def arrives_late(settings: Settings, finding: Finding) -> None:
    """An old SYN, and a server that has asked whether it is meant, or has not."""
    answers = bool(settings["client_answers"])

    world = old_syn(settings, False, answers)
    finding.draw("Three-way: an old SYN arrives, and is reset", world.events)
    finding.data["three_way"] = {"server": life(world.events, "server"), "accepted": len(world.at_server.connections)}
    finding.expect(
        "three-way: the client's RST ends it, and the server's program never hears of it",
        not world.at_server.connections and life(world.events, "server")[-1] == "LISTEN",
    )

    world = old_syn(settings, True, answers)
    finding.draw("Two-way: the same SYN; the program is given a connection and speaks", world.events)
    finding.data["two_way"] = {"server": life(world.events, "server"), "accepted": len(world.at_server.connections)}
    finding.expect(
        "two-way: the program is given a connection that nobody asked for", len(world.at_server.connections) == 1
    )


def nobody_answers(settings: Settings, finding: Finding) -> None:
    """The same where no RST comes."""
    ends = {}
    for two in (False, True):
        world = World(settings.seed, server=plain())
        world.listen()
        if two:
            two_way(world)
        world.lose(lambda host, seg: host == "client")  # the host is off, or a firewall stands before it
        world.server.receive(forged(SYN, OLD_SYN), world.now)
        world.advance(3600 * SECOND)
        census = world.server.census()
        ends[two] = census
        finding.data["two_way_silent" if two else "three_way_silent"] = {
            "connections": census["connections"],
            "half_open": census["half_open"],
        }
    finding.say("Where no RST comes, an hour later:")
    finding.say(f"  three-way: {ends[False]['half_open']} half-open entries, {ends[False]['connections']} connections")
    finding.say(f"  two-way:   {ends[True]['half_open']} half-open entries, {ends[True]['connections']} connections")
    finding.expect(
        "where no RST comes, the three-way server forgets within 63 s",
        ends[False]["half_open"] == ends[False]["connections"] == 0,
    )
    finding.expect("and the two-way server still holds the connection an hour later", ends[True]["connections"] == 1)


def second_is_lost(settings: Settings, finding: Finding) -> None:
    """The server's number y goes with the second segment."""
    world = World(settings.seed, server=plain(), client=Config(timestamps=False))
    world.listen()
    two_way(world)
    world.at_server.text = b"220 welcome\r\n"
    world.lose(lambda host, seg: host == "server" and seg.flags == SYN | ACK, 1)
    mine = world.connect()
    world.advance(1500 * MS)
    finding.draw("Two-way: the second segment is lost, and y with it", world.events)
    world.advance(200 * SECOND)
    finding.say("The client sends its SYN again until it gives up; the server has had a connection all the time.")
    unusable = [seg for _, host, seg in sent(world.events) if host == "server" and seg.payload]
    finding.data["y_unconfirmed"] = {"client": life(world.events, "client"), "unusable": len(unusable)}
    finding.expect(
        "two-way: data arrive before the client knows y, and it can't use them",
        len(unusable) > 0 and not world.at_client.text_of(mine),
    )
    finding.expect("and its connect fails, as y is never told again", mine.error == errors.TIMED_OUT)


def run(settings: Settings) -> Finding:
    """An old SYN, a silent peer and a lost second segment; each with three segments and with two."""
    finding = Finding()
    for part in (arrives_late, nobody_answers, second_is_lost):
        part(settings, finding)
    return finding


EXPERIMENT = Experiment(
    "two-way",
    "Would two segments not be enough to open a connection?",
    WHY,
    run,
    (Parameter("client_answers", 1, "1: the host that the old SYN names is up and answers; 0: it is silent", 0, 1),),
)
