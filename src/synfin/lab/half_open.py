"""Half-open connections: one side crashes and comes back, and the other one does not know."""

from __future__ import annotations

from synfin.lab.experiment import Experiment, Finding, Parameter, Settings
from synfin.lab.world import SECOND, World, life, sent
from synfin.tcp import errors
from synfin.tcp.connection import Connection
from synfin.tcp.states import ESTABLISHED
from synfin.wire.tcp_header import RST

WHY = """
A connection is nothing but the memory of its two ends. If one end forgets, the other learns of it only by a segment:
its own data are answered by RST (RFC 9293 figure 10), or the restarted side's SYN on the same ports is answered by
an ACK of the old connection, which that side resets before it tries again (RFC 9293 figure 9; the ACK is RFC 5961's
challenge). Who is silent learns nothing, and must not give up: silence is no failure. Keep-alive is a question asked
into the silence; it is off unless the program asks for it (RFC 9293 3.8.4).
"""
DAY = 86400 * SECOND


def _until_told(world: World, survivor: Connection) -> None:
    """Until its program hears of it; a day at most."""
    world.link.run(lambda: survivor.error != 0, world.now + DAY)


def survivor_sends(settings: Settings, finding: Finding) -> None:
    """The server crashes; the client's next data finds out."""
    world = World(settings.seed)
    world.listen()
    mine, _ = world.opened()
    world.events.clear()
    world.crash("server")
    world.listen()
    mine.write(b"are you there?")
    world.advance(SECOND)
    finding.draw("The server has crashed and come back; the client sends (RFC 9293 figure 10)", world.events)
    finding.data["survivor_sends"] = {"client": life(world.events, "client"), "error": mine.error}
    finding.expect(
        "data to a host that forgot are answered by RST, and the sender's program is told", mine.error == errors.RESET
    )


def crashed_side_returns(settings: Settings, finding: Finding) -> None:
    """The client crashes and connects again from the same port, into a connection that the server still has."""
    world = World(settings.seed)
    world.listen()
    _, old = world.opened()
    world.events.clear()
    world.crash("client")
    again = world.connect()
    world.advance(5 * SECOND)
    finding.draw("The client has crashed and connects again from the same port (RFC 9293 figure 9)", world.events)
    finding.data["crashed_side_returns"] = {"server_error": old.error, "client_state": int(again.state)}
    finding.expect("the old connection ends by the RST that its own challenge ACK provoked", old.error == errors.RESET)
    finding.expect("the SYN that is sent again then opens the new one", again.state == ESTABLISHED)


def silence(settings: Settings, finding: Finding) -> None:
    """The server crashes and neither side says anything."""
    for keepalive in (False, True):
        world = World(settings.seed)
        world.listen()
        mine, _ = world.opened()
        idle = settings["keepalive_s"] * SECOND
        if keepalive:
            mine.set_keepalive(idle, 75 * SECOND, 9, world.now)
        world.events.clear()
        world.crash("server")
        began = world.now
        _until_told(world, mine)
        after = (world.now - began) / SECOND if mine.error else -1.0
        name = "keepalive" if keepalive else "silence"
        finding.data[name] = {"error": mine.error, "found_out_after_s": after}
        if keepalive:
            finding.draw(f"Keep-alive after {settings['keepalive_s']} s of silence", world.events)
            finding.expect(
                "with keep-alive the survivor finds out after one idle time",
                mine.error == errors.RESET and abs(after - settings["keepalive_s"]) < 1,
            )
        else:
            finding.say("Without keep-alive, and with nothing to send, the client is still ESTABLISHED a day later.")
            finding.expect(
                "without it a silent survivor is still ESTABLISHED a day later",
                mine.error == 0 and mine.state == ESTABLISHED,
            )


def nobody_answers(settings: Settings, finding: Finding) -> None:
    """The server never comes back: probes are not even answered by RST."""
    world = World(settings.seed)
    world.listen()
    mine, _ = world.opened()
    mine.set_keepalive(max(1, settings["keepalive_s"]) * SECOND, 75 * SECOND, 9, world.now)
    world.events.clear()
    began = world.now
    world.lose(lambda host, seg: host == "server" or not seg.flags & RST)
    _until_told(world, mine)
    after = (world.now - began) / SECOND
    finding.data["nobody_answers"] = {"error": mine.error, "found_out_after_s": after}
    finding.say(f"Where nobody answers at all, nine probes 75 s apart go out: given up after {after:.0f} s.")
    finding.expect(
        "where nobody answers, the survivor gives up after its last probe",
        mine.error == errors.TIMED_OUT and len(sent(world.events)) >= 9,
    )


def run(settings: Settings) -> Finding:
    finding = Finding()
    for part in (survivor_sends, crashed_side_returns, silence, nobody_answers):
        part(settings, finding)
    return finding


EXPERIMENT = Experiment(
    "half-open",
    "One side crashes and comes back. How does the other one find out?",
    WHY,
    run,
    (Parameter("keepalive_s", 7200, "idle seconds before a keep-alive probe; 0: none", 0, 80000),),
)
