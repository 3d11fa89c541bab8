"""What does not pass every check changes nothing: no timer, window, timestamp or number, in any state.

Whoever does not see the connection's packets can neither keep it alive nor move it. An answer may go out; the limits of
such answers and the counters are all that remembers it.
"""

from __future__ import annotations

import contextlib
import io
import random
from collections import deque
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.wire import icmp
from synfin.wire.segment import Segment, build
from synfin.wire.tcp_header import ACK, FIN, PSH, RST, SYN, URG
from tests.trace.scene import HOST_ISN, MS, SECOND, Stage, plain
from tests.trace.state_table import COLUMNS
from tests.trace.test_states import Play, enter

WINDOW = 65535
HALF = 1 << 31
CONNECTIONS = [state for state in COLUMNS if state not in ("CLOSED", "LISTEN", "SYN-RCVD", "TIME-WAIT")]
SYNCHRONIZED = [state for state in CONNECTIONS if not state.startswith("SYN-")]
# Counters, limits of answers, what is reused for each packet, and what waits to be sent.
FORGETFUL = {
    "Counters",
    "Answers",
    "ChallengeBudget",
    "IcmpLimits",
    "Output",
    "Segment",
    "IpHeader",
    "Chunk",
    "AckSample",
}
LIMITERS = {"_answered_at"}


def state_of(thing: object, path: str, found: dict[str, object], seen: set[int]) -> dict[str, object]:
    """All that `thing` holds, by the path to it."""
    if thing is None or isinstance(thing, bool | int | float | str | bytes):
        found[path] = thing
        return found
    if id(thing) in seen:
        return found
    seen.add(id(thing))
    if isinstance(thing, set | bytearray):
        found[path] = bytes(thing) if isinstance(thing, bytearray) else set(thing)
        return found
    if isinstance(thing, list | tuple | deque):
        found[path] = len(thing)
        for place, part in enumerate(thing):
            state_of(part, f"{path}[{place}]", found, seen)
        return found
    if isinstance(thing, dict):
        found[path] = len(thing)
        for key, part in thing.items():
            state_of(part, f"{path}[{key!r}]", found, seen)
        return found
    kind = type(thing)
    if not kind.__module__.startswith("synfin") or kind.__name__ in FORGETFUL:
        return found
    names = set(getattr(thing, "__dict__", ()))
    for name in dir(kind):  # compiled classes have no __dict__
        if isinstance(getattr(kind, name), GetSetDescriptorType | MemberDescriptorType) and not name.startswith("__"):
            names.add(name)
    for name in names - LIMITERS:
        state_of(getattr(thing, name), f"{path}.{name}", found, seen)
    return found


def staged(state: str, options: bool) -> Play:
    """A connection with something of everything that its state has. options: timestamps and SACK are agreed on."""
    scene = Stage()(plain(timestamps=options))
    scene.peer.timestamps = options
    sends = scene.peer.sends

    def permits(flags: int, data: int = 0, **more: Any) -> None:
        sends(flags, data, sack_ok=options and flags & SYN != 0, **more)

    scene.peer.sends = permits  # type: ignore[assignment]
    play = Play(scene)
    enter(play, state)
    host, peer = play.host, play.peer
    connection = host._connection
    if connection is not None and state in CONNECTIONS:
        connection.set_keepalive(7200 * SECOND, 75 * SECOND, 9, scene.now)
    if state in ("ESTABLISHED", "CLOSE-WAIT"):
        host.writes(3000)
    if state in ("ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2"):
        peer.sends(ACK, 50, seq=play.n + 500, ack=play.a)
        peer.seq -= 550
    play.quiet()
    scene.tick(MS)
    return play


class Blind:
    """Segments that no honest peer sends, and that no state may act on."""

    def __init__(self, draw: random.Random, play: Play, state: str, options: bool) -> None:
        self.draw = draw
        self.play = play
        self.state = state
        self.options = options

    def packet(self) -> bytes:
        ways = [self.outside]
        if self.state in ("LISTEN", "CLOSED"):
            ways = [self.nowhere]
        elif self.state == "SYN-SENT":
            ways = [self.of_no_syn]
        else:
            ways += [self.by_its_ack, self.rst_in_the_window]
        if self.state in SYNCHRONIZED:
            ways.append(self.syn)
        if self.options and self.state != "SYN-SENT" and self.state not in ("LISTEN", "CLOSED"):
            ways.append(self.by_its_timestamp)
        if self.state in CONNECTIONS:
            ways.append(self.icmp_error)
        return self.draw.choice(ways)()

    def build(self, flags: int, seq: int, ack: int, ts_val: int | None = None) -> bytes:
        draw, peer = self.draw, self.play.peer
        seg = Segment()
        seg.key = peer.key
        seg.flags = flags
        seg.seq = peer.wire(seq)
        seg.ack = (HOST_ISN + ack) & 0xFFFFFFFF
        seg.window = draw.choice((0, 1, 1000, 65535))
        seg.payload = draw.randbytes(draw.choice((0, 0, 1, 100)))
        if ts_val is not None:
            seg.has_ts, seg.ts_val, seg.ts_ecr = True, ts_val & 0xFFFFFFFF, draw.randrange(1 << 32)
        if draw.random() < 0.3:
            seg.sack = [((HOST_ISN + 1) & 0xFFFFFFFF, (HOST_ISN + 2000) & 0xFFFFFFFF)]
        return build(seg)

    def any_ack(self) -> int:
        return self.draw.choice((self.play.h, self.play.a, self.draw.randrange(1 << 32)))

    def any_stamp(self) -> int | None:
        return self.draw.choice((None, self.play.peer.ts_now(), self.draw.randrange(1 << 32)))

    def text_flags(self) -> int:
        return self.draw.choice((ACK, ACK | PSH, ACK | FIN, ACK | PSH | URG, ACK | FIN | PSH))

    def nowhere(self) -> bytes:
        flags = self.draw.choice((0, ACK, FIN | ACK, RST, RST | ACK, SYN | ACK, PSH | ACK, FIN))
        return self.build(flags, self.draw.randrange(1 << 32), self.draw.randrange(1 << 32), self.any_stamp())

    def of_no_syn(self) -> bytes:
        """In SYN-SENT: an ACK of something else than our SYN, or neither SYN nor a RST that acknowledges it."""
        if self.draw.random() < 0.5:
            ack = self.draw.choice((0, 2, 3 + self.draw.randrange((1 << 32) - 4)))
            flags = self.draw.choice((ACK, RST | ACK, SYN | ACK, FIN | ACK, ACK | PSH))
            return self.build(flags, self.draw.randrange(1 << 32), ack, self.any_stamp())
        flags = self.draw.choice((RST, ACK, FIN, 0, FIN | ACK))
        return self.build(flags, self.draw.randrange(1 << 32), 1, self.any_stamp())

    def outside(self) -> bytes:
        """Its numbers are not in the window."""
        flags = self.draw.choice((0, RST, RST | ACK, FIN, self.text_flags()))
        at = self.draw.choice((WINDOW + 2, WINDOW + 2 + self.draw.randrange(HALF - WINDOW - 200), -1000, -HALF + 1000))
        return self.build(flags, self.play.n + at, self.any_ack(), self.any_stamp())

    def by_its_ack(self) -> bytes:
        """Where the peer stands, but it acknowledges what was never sent, or what was long ago."""
        ack = self.play.h + 2 + self.draw.randrange(HALF - 100_000)
        if self.draw.random() < 0.5:
            ack = self.play.a - WINDOW - 2 - self.draw.randrange(HALF - 100_000)
        stamp = self.play.peer.ts_now() if self.options else None
        seq = self.play.n
        flags = self.text_flags()
        packet = self.build(flags, seq, ack, stamp)
        if self.state == "TIME-WAIT" and flags & FIN:  # the peer's FIN again, by its number
            packet = self.build(FIN | ACK, seq - 1, ack, stamp)
        return packet

    def by_its_timestamp(self) -> bytes:
        """Where the peer stands, but older than what was heard of it (RFC 7323 5.3)."""
        old = self.play.peer.ts_now() - 1000 - self.draw.randrange(HALF - 2000)
        return self.build(self.text_flags(), self.play.n, self.play.h, old)

    def rst_in_the_window(self) -> bytes:
        return self.build(RST, self.play.n + 1 + self.draw.randrange(WINDOW), 0)

    def syn(self) -> bytes:
        flags = self.draw.choice((SYN, SYN | ACK, SYN | FIN, SYN | FIN | ACK))
        stamp = self.play.peer.ts_now() if self.options else None
        return self.build(flags, self.play.n + self.draw.randrange(1 << 32), self.any_ack(), stamp)

    def icmp_error(self) -> bytes:
        """It quotes a number that is not in flight (RFC 5927 4.1)."""
        play = self.play
        quoted = Segment()
        local = play.scene.address_of(play.peer)
        quoted.key = play.peer.key[4:8] + play.peer.key[:4] + play.peer.key[10:12] + play.peer.key[8:10]
        quoted.seq = (HOST_ISN + play.h + self.draw.randrange(HALF - 10)) & 0xFFFFFFFF
        quoted.payload = bytes(1400)
        code = self.draw.choice((1, 3, 4))
        return icmp.build_error(4, 3, code, play.peer.address, local, build(quoted), 600)


@pytest.mark.parametrize("options", [False, True])
@pytest.mark.parametrize("state", COLUMNS)
@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_a_segment_that_fails_a_check_changes_nothing(state: str, options: bool, seed: int) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        play = staged(state, options)
        scene = play.scene
        blind = Blind(random.Random(seed), play, state, options)
        before = state_of(scene.stack, "stack", {}, set())
        for _ in range(10):
            scene.stack.receive(blind.packet(), scene.now)
            play.quiet()
    after = state_of(scene.stack, "stack", {}, set())
    assert len(before) > 50
    changed = {path: (before.get(path), after.get(path)) for path in {**before, **after}}
    assert {path: pair for path, pair in changed.items() if pair[0] != pair[1]} == {}
    assert play.state() == state.partition(",")[0]
