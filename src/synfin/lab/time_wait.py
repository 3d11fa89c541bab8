"""TIME-WAIT: the last ACK is lost, or an old segment is late; with 2MSL and without."""

from __future__ import annotations

import errno

from synfin.lab.experiment import Experiment, Finding, Parameter, Settings
from synfin.lab.world import MS, SECOND, World, life, parsed, sent
from synfin.tcp.config import Config
from synfin.tcp.states import TIME_WAIT
from synfin.wire.segment import Segment
from synfin.wire.tcp_header import ACK, FIN, RST, SYN

WHY = """
Who closes first sends the last ACK, and nobody acknowledges an ACK. So it waits two maximum segment lifetimes: one
for that ACK to get lost and the peer's FIN to come again, so that it can be answered; and both so that every old
segment of this connection is gone before the same addresses and ports mean another one (RFC 9293 3.6.1). Each FIN
that comes again restarts the wait (RFC 9293 3.10.7.4). Without it the peer hears RST where it expects an ACK, and a
late segment can fall into the next connection: a fast one outruns the ISN clock, which counts 250,000 numbers a
second. Linux waits 60 s in all, the standard two times two minutes; what shortens it safely are timestamps, with
which a late segment is known by its age (RFC 6191, RFC 7323 5).
"""


def _last_ack_lost(settings: Settings, finding: Finding, msl_us: int, key: str) -> World:
    world = World(settings.seed, client=Config(msl_us=msl_us))
    world.listen()
    mine, _ = world.opened()
    world.events.clear()
    world.lose(lambda host, seg: host == "client" and seg.flags == ACK and mine.state == TIME_WAIT, 1)
    mine.shutdown(world.now)
    world.advance(3 * SECOND)
    finding.data[key] = {
        "server": life(world.events, "server"),
        "resets": sum(1 for _, _, seg in sent(world.events) if seg.flags & RST),
        "fins_of_server": sum(1 for _, host, seg in sent(world.events) if host == "server" and seg.flags & FIN),
    }
    return world


def _late_segment(settings: Settings, finding: Finding, msl_us: int, key: str) -> World:
    """A fast connection ends, another begins on the same ports, and one of the first one's segments is late."""
    plain = {"timestamps": False, "receive_buffer": 65535, "receive_buffer_max": 65535, "window_scale": False}
    config = Config(msl_us=msl_us, **plain)  # type: ignore[arg-type]
    world = World(settings.seed, client=config, server=Config(**plain), delay_us=MS)  # type: ignore[arg-type]
    world.listen()
    world.at_client.text = b"A" * 200_000
    mine = world.connect()

    def is_data(host: str, seg: Segment) -> bool:
        return host == "client" and (seg.seq - mine.iss) & 0xFFFFFFFF > 40_000 and len(seg.payload) > 1000

    world.hold(is_data)
    world.advance(50 * MS)
    mine.shutdown(world.now)
    world.advance(20 * MS)
    begin = len(world.events)
    refused = ""
    try:
        again = world.connect()
    except OSError as error:
        refused = errno.errorcode.get(error.errno or 0, str(error))  # its words are the C library's
        world.release(world.server)
    else:
        # As much text as makes the next number that the server expects one of the late segment's.
        world.at_client.text = b"B" * ((parsed(world.held[0]).seq - again.iss) % (1 << 32) + 500)
        world.advance(200 * MS)
        world.release(world.server)
        world.advance(200 * MS)
        again.shutdown(world.now)
    world.advance(SECOND)
    received = world.at_server.text_of(world.at_server.last())
    finding.data[key] = {
        "refused": refused,
        "connections": len(world.at_server.connections),
        "old_bytes_received": received.count(b"A") if len(world.at_server.connections) > 1 else 0,
    }
    del world.events[:begin]
    return world


def run(settings: Settings) -> Finding:
    """The last ACK lost, and a late segment; each with 2MSL and without."""
    finding = Finding()
    msl_us = settings["msl_ms"] * MS
    world = _last_ack_lost(settings, finding, msl_us, "last_ack_lost")
    finding.draw(f"The last ACK is lost; the client waits 2MSL = {2 * msl_us / SECOND:g} s", world.third + world.events)
    found = finding.data["last_ack_lost"]
    finding.expect(
        "with 2MSL the FIN comes again, is acknowledged again, and the server closes without a RST",
        found["resets"] == 0 and found["fins_of_server"] == 2 and found["server"][-1] == "CLOSED",
    )

    world = _last_ack_lost(settings, finding, 0, "without")
    finding.draw("The same, and the client does not wait", world.third + world.events)
    found = finding.data["without"]
    finding.expect("without it the server's second FIN gets a RST", found["resets"] == 1)

    world = _late_segment(settings, finding, msl_us, "late_segment")
    found = finding.data["late_segment"]
    finding.say(f"With 2MSL, connecting again from the same port at once: {found['refused'] or 'it could be had'}.")
    finding.expect("with 2MSL no second connection can have these ports yet", found["connections"] == 1)

    world = _late_segment(settings, finding, 0, "late_segment_without")
    finding.draw("Without it: a second connection on the same ports, and a late segment of the first", world.events)
    found = finding.data["late_segment_without"]
    finding.say(f"The second connection's stream has {found['old_bytes_received']} bytes of the first one in it.")
    finding.expect(
        "without it the late segment is taken for data of the second connection", found["old_bytes_received"] > 0
    )
    finding.expect(
        "the second connection was opened by a SYN as usual", any(seg.flags == SYN for _, _, seg in sent(world.events))
    )
    return finding


EXPERIMENT = Experiment(
    "time-wait",
    "Why does the side that closes first wait for two segment lifetimes?",
    WHY,
    run,
    (Parameter("msl_ms", 30000, "maximum segment lifetime; TIME-WAIT lasts twice this", 0, 600000),),
)
