"""RFC 7323 timestamps: what to echo, PAWS, and the RTT that an echo tells.

TS.Recent is a 32-bit wire number: it lives less long than the 64-bit offsets, so it expires (RFC 7323 5.5).
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

MASK: Final = 0xFFFFFFFF
HALF: Final = 0x80000000
TICK_US: Final = 1000
OUTDATED_US: Final = 24 * 86400 * 1000000  # RFC 7323 5.5: after 24 idle days the sign bit of TSval means nothing


def ts_clock(now: i64, offset: i64) -> i64:
    """Our timestamp clock: one tick a millisecond (RFC 7323 5.4), started at this connection's own offset."""
    return (now // TICK_US + offset) & MASK


@mypyc_attr(acyclic=True)
class Timestamps:
    """TS.Recent and Last.ACK.sent of one connection."""

    def __init__(self, enabled: bool, offset: i64, recent: i64, now: i64) -> None:
        self.enabled: bool = enabled
        self.offset: i64 = offset  # keyed by the 4-tuple
        self.recent: i64 = recent  # TSval to echo in TSecr
        self.recent_at: i64 = now  # when it was taken
        self.last_ack_sent: i64 = 1  # receive offset
        self.stamped: i64 = -1  # TSval of a SYN cookie: its low bits are no time, so its echo tells no RTT

    def is_old(self, ts_val: i64, now: i64) -> bool:
        """PAWS (RFC 7323 5.3 R1): the segment is from before TS.Recent, unless TS.Recent is itself outdated."""
        return self._behind(ts_val) and not self._outdated(now)

    def update(self, ts_val: i64, seq: i64, now: i64) -> None:
        """RFC 7323 4.3 (2): only a segment at the left edge sets TS.Recent, so that a delayed ACK's RTT counts."""
        if seq <= self.last_ack_sent and (not self._behind(ts_val) or self._outdated(now)):
            self.recent = ts_val
            self.recent_at = now

    def _behind(self, ts_val: i64) -> bool:
        return ((ts_val - self.recent) & MASK) >= HALF

    def _outdated(self, now: i64) -> bool:
        return now - self.recent_at >= OUTDATED_US

    def value(self, now: i64) -> i64:
        """TSval for a segment sent now."""
        return ts_clock(now, self.offset)

    def echo_tick(self, ts_ecr: i64, now: i64) -> i64:
        """When the segment that `ts_ecr` echoes was sent, in ticks of `now` (RFC 7323 4.1); -1: it can't be ours."""
        if ts_ecr == self.stamped:
            return -1
        return echo_tick(ts_ecr, self.offset, now)


def echo_tick(ts_ecr: i64, offset: i64, now: i64) -> i64:
    """When a segment with the timestamp `ts_ecr` was sent by a clock of that offset, in ticks of `now`; -1: never."""
    ticks = (ts_clock(now, offset) - ts_ecr) & MASK
    if ticks >= HALF or ticks > now // TICK_US:
        return -1
    return now // TICK_US - ticks


def rtt_us(echo_tick: i64, now: i64) -> i64:
    """The RTT that an echo tells, at least one tick; -1: none."""
    if echo_tick < 0:
        return -1
    ticks = now // TICK_US - echo_tick
    if ticks <= 0:
        return TICK_US
    return ticks * TICK_US


def sent_by(echo_tick: i64) -> i64:
    """The last microsecond of that tick; -1: unknown."""
    if echo_tick < 0:
        return -1
    return (echo_tick + 1) * TICK_US - 1
