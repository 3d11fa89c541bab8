"""The four-way close: both directions end on their own, and what that looks like in every order."""

from __future__ import annotations

from synfin.lab.experiment import Experiment, Finding, Parameter, Settings
from synfin.lab.world import MS, World, life, sent
from synfin.tcp.connection import Connection
from synfin.tcp.trace import TransitionEvent
from synfin.wire.tcp_header import FIN

WHY = """
A connection is two streams, and each side ends its own: FIN says "I will send no more", nothing about the other
direction (RFC 9293 3.6). So a close is FIN and ACK, twice. The middle two segments are one when the program that
hears the FIN closes at once, as ACK and FIN may share a segment; they must be two when it still has something to
send. Who sends the first FIN ends in TIME-WAIT; if both do, both end there, by way of CLOSING (RFC 9293 figure 13).
"""


def _world(settings: Settings) -> tuple[World, Connection, Connection]:
    world = World(settings.seed)
    world.listen()
    world.at_client.at_end = lambda connection, now: None
    mine, theirs = world.opened()
    world.events.clear()
    return world, mine, theirs


def _ended(finding: Finding, world: World, key: str, title: str) -> tuple[list[str], list[str], int]:
    """Draw it; the states of both sides, and how many segments there were."""
    finding.draw(title, world.third + world.events)
    client, server = life(world.events, "client"), life(world.events, "server")
    segments = sent(world.events)
    finding.data[key] = {"client": client, "server": server, "segments": len(segments)}
    return client, server, len(segments)


def four(settings: Settings, finding: Finding) -> None:
    """The server has something to do between the client's FIN and its own."""
    world, mine, theirs = _world(settings)
    world.at_server.at_end = lambda connection, now: None
    mine.shutdown(world.now)
    world.advance(settings["think_ms"] * MS)
    theirs.close(world.now)
    world.advance(100 * MS)
    client, server, count = _ended(finding, world, "four", "Four segments: the server closes a little later")
    finding.expect("four segments close it, when the server's FIN comes later than its ACK", count == 4)
    finding.expect(
        "the client: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT",
        client == ["ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"],
    )
    finding.expect(
        "the server: CLOSE-WAIT, LAST-ACK, CLOSED", server == ["ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"]
    )


def three(settings: Settings, finding: Finding) -> None:
    """The server closes as soon as it hears of the client's FIN."""
    world, mine, _ = _world(settings)
    mine.shutdown(world.now)
    world.advance(200 * MS)
    client, _, count = _ended(finding, world, "three", "Three segments: the server has no more to say")
    finding.expect("three segments close it, when the server closes at once", count == 3)
    arrivals = [event.at for event in world.events if isinstance(event, TransitionEvent) and event.host == "client"]
    finding.expect(
        "the client passes FIN-WAIT-2 and enters TIME-WAIT by the same segment",
        client[-2:] == ["FIN-WAIT-2", "TIME-WAIT"] and arrivals[-1] == arrivals[-2],
    )


def half_close(settings: Settings, finding: Finding) -> None:
    """The client has said all; the answer is still coming."""
    world, mine, theirs = _world(settings)
    answer = b"a" * settings["bytes"]

    def at_end(connection: Connection, now: int) -> None:
        connection.write(answer)
        connection.shutdown(now)

    world.at_server.at_end = at_end
    mine.write(b"question")
    mine.shutdown(world.now)
    world.advance(5000 * MS)
    client, server, _ = _ended(finding, world, "half_close", "Half-close: the answer comes after the client's FIN")
    finding.expect(
        f"all {len(answer)} bytes of the answer arrive after the client's FIN",
        len(answer) > 0 and world.at_client.text_of(mine) == answer,
    )
    finding.expect(
        "the client had heard nothing but ACKs when it ended its stream",
        client[1] == "FIN-WAIT-1" and server[-1] == "CLOSED" and theirs.error == 0,
    )


def simultaneous(settings: Settings, finding: Finding) -> None:
    """Both close in the same moment: the FINs cross."""
    world, mine, theirs = _world(settings)
    mine.close(world.now)
    theirs.close(world.now)
    world.advance(200 * MS)
    client, server, _ = _ended(finding, world, "simultaneous", "Simultaneous close: the FINs cross")
    fins = [host for _, host, seg in sent(world.events) if seg.flags & FIN]
    finding.expect(
        "each side sends one FIN, and both pass through CLOSING to TIME-WAIT",
        sorted(fins) == ["client", "server"]
        and client == server == ["ESTABLISHED", "FIN-WAIT-1", "CLOSING", "TIME-WAIT"],
    )


def run(settings: Settings) -> Finding:
    finding = Finding()
    for part in (four, three, half_close, simultaneous):
        part(settings, finding)
    return finding


EXPERIMENT = Experiment(
    "close",
    "Why do four segments close a connection that three have opened, and when are they three?",
    WHY,
    run,
    (
        Parameter("think_ms", 60, "how long the server takes to close; 0: it closes before the FIN has come", 0, 10000),
        Parameter("bytes", 20000, "the answer that comes after the client's FIN", 0, 1000000),
    ),
)
