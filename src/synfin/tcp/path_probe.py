"""What the path of one connection carries, found without ICMP. RFC 4821; where that is silent, RFC 8899.

Two questions, and both are put by sending one segment that is larger than the others:
- Is there a black hole (RFC 4821 7.7)? Full-size segments vanish and none arrives: all goes on in small ones at once,
  and one of the size in doubt is sent each round trip, ordinary but for being watched. If it arrives, all was well.
- What is the largest size that passes (7.3)? A probe of new data; the range is cut until it is narrower than STEP.
A lost segment says little on a path that loses. It is taken for too big only when the loss that smaller segments show
makes it unlikely that chance has taken all that were tried.

It exists while something is in doubt, searched for, or to be tried again when ten minutes are over. Sizes are bytes of
payload in a segment. It knows no windows: whether a probe can go now, `sender` finds out.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.scoreboard import SACKED, Sent

# Config.path_mtu_probing
OFF: Final = "off"
BLACK_HOLE: Final = "black-hole"
ALWAYS: Final = "always"

AGE_US: Final = 600_000_000  # RFC 1191 6.3, RFC 4821 7.3: ten minutes; Linux: mtu_expires
STEP: Final = 32  # a range narrower than this is not worth another probe
LARGE: Final = 1200  # payload that more than one path does not carry
R1: Final = 3  # RFC 1122 4.2.3.5: timeouts in a row after which the path is doubted even for smaller ones
VANISHED: Final = 3  # so many large segments were lost, and none arrived: a black hole is suspected
SURE: Final = 0.00025  # a black hole: chance is less likely than this to have taken all segments in doubt
LIKELY: Final = 0.01  # a probe: it is one of several, and wrong for ten minutes at worst
TIMEOUT_REST: Final = 5  # RFC 4821 7.6.3: a probe whose loss cost a timeout makes the next wait so much longer

# Tcb.path_news: what those who know of all connections to a host are to be told or asked
ASKED: Final = 1  # what have others found?
FOUND: Final = 2  # this size passes, and larger ones did not
ECN_ANSWERED: Final = 4  # a SYN that asks for ECN has been
ECN_UNANSWERED: Final = 8  # none of those that asked, but the one that did not

# what on_ack() says, in one mask with what sender and loss_recovery say
PATH_RAISED: Final = 1 << 16  # a probe has arrived: larger segments from now on
PATH_TOO_BIG: Final = 1 << 17  # a probe was lost, and its size given up
PATH_HOLE: Final = 1 << 18  # it is certain that larger segments vanish
PATH_CLEAR: Final = 1 << 19  # full-size segments do arrive: nothing was wrong


class PathProbe:
    """low: passes, as far as known, and is what is sent; high: nothing larger is tried; top: what peer and link allow.

    narrow: passes even where most does not; floor: no smaller size is ever tried.
    """

    def __init__(self, low: i64, top: i64, narrow: i64, floor: i64) -> None:
        self.low: i64 = low
        self.high: i64 = top
        self.top: i64 = top
        self.doubted: i64 = 0  # the size that seems to vanish; 0: none
        self.record: Sent | None = None  # the probe that is out
        self.excused: i64 = 0  # bytes of a lost probe that wait to be sent again: no sign of congestion
        self.in_recovery: bool = False  # a hole was found, and what it has swallowed goes again: it is searched by that
        self.floor: i64 = floor
        self._narrow: i64 = narrow
        self._end: i64 = 0  # of the last probe
        self._start: i64 = 0
        self._size: i64 = 0
        self._failures: i64 = 0  # of that size
        self._arrived: i64 = 0  # segments that were no probes, and what became of them
        self._lost: i64 = 0
        self._before: i64 = low  # what was sent before the doubt
        self._seen: bool = False  # a segment of the size in doubt has arrived
        self._jump: bool = True  # `high` itself is tried first
        self._rest: i64 = 0  # times the interval that the next probe waits, from when it is asked for next
        self._not_before: i64 = 0

    # ---- what to try ----

    def doubt(self, size: i64, base: i64) -> None:
        """Segments of `size` seem to vanish: smaller ones go until it is known, of `base` if that is one."""
        self._before = self.low
        self.doubted = size if size < self.low else self.low
        self.low = base if base < self.low else self._smaller()
        self.record = None
        self.excused = 0
        self._failures = self._arrived = self._lost = 0
        self._seen = False
        self._rest = 0
        self._not_before = 0

    def settle(self, low: i64, high: i64, now: i64) -> None:
        """A router, or another connection to the same host, has found this range. A narrow one is kept for long."""
        self.low = low
        self.high = high
        self.doubted = 0
        self.record = None
        self.excused = 0
        self._failures = 0
        self._jump = False
        self._rest = 0
        self._not_before = now
        self._finish(now)

    def limit(self, top: i64) -> None:
        """Link, peer and user allow `top` from now on."""
        if self.high == self.top or self.high > top:
            self.high = top
        self.top = top
        if self.low > top:
            self.low = top
        if self._before > top:
            self._before = top
        if self.doubted > top:
            self.doubted = 0

    def cap(self, size: i64) -> None:
        """A router says of a probe that no more than `size` passes: that is tried next."""
        if size < self.high:
            self.high = size
            self.doubted = 0
            self._failures = 0
            self._rest = 0
            self._jump = True

    def next_size(self, interval: i64, now: i64) -> i64:
        """The size that may be tried now; 0: none. interval: from one loss by congestion to the next, as estimated."""
        if self.record is not None:
            return 0
        if self._rest:
            self._not_before = now + self._rest * interval
            self._rest = 0
        if now < self._not_before:
            return 0
        if self.doubted:
            return self.doubted if self._arrived else 0
        if self.high - self.low < STEP:
            if self.high == self.top and self.high == self.low:
                return 0
            self.high = self.top  # ten minutes are over: the path may have changed
            self._jump = True
        if self._jump:
            return self.high
        # Less than half, and no more than twice as much: what fails costs more than what succeeds (RFC 4821 7.3).
        step = (self.high - self.low) // 4
        if step > self.low:
            step = self.low
        size = self.low + (step if step > STEP else STEP)
        return size if size < self.high else self.high

    def sent(self, record: Sent, size: i64) -> None:
        """A probe of `size` went out, which `record` stands for."""
        self.record = record
        self._start = record.start
        self._end = record.end
        if size != self._size:
            self._size = size
            self._failures = 0

    # ---- what became of it ----

    def on_lost(self, record: Sent, single: bool, alone: bool) -> bool:
        """A record was found to be lost; single: no other at the same time. True: this is no sign of congestion.

        alone: nothing else in flight is known to be lost, and no recovery goes on (RFC 4821 7.6.2). The suppressed
        response makes the next probe wait for as long as congestion would let it; in a recovery nothing is suppressed.
        """
        size = record.end - record.start
        if record is not self.record:
            if record.segment <= self.low:
                self._lost += (size + self.low - 1) // self.low
            return False
        self.record = None
        if single:  # else it is inconclusive (7.6.4)
            self._failures += 1
        if alone:
            self.excused = size
            self._rest = 1
        return alone

    def covered(self, record: Sent | None) -> bool:
        """It was lost as a probe, and goes in small segments now: nobody shall wait for it twice."""
        return record is not None and self._start <= record.start < self._end

    def on_resent(self, start: i64, size: i64) -> None:
        """Lost data goes out again."""
        if self._start <= start < self._end:
            self.excused = self.excused - size if self.excused > size else 0

    def on_delivered(self, size: i64, largest: i64) -> None:
        """An ACK delivered `size` bytes; `largest`: of their segments."""
        if self.doubted and largest >= self.doubted:
            self._seen = True
        segments = size // self.low
        self._arrived += segments if segments else 1

    def on_timeout(self, una: i64, tries: i64) -> None:
        """The retransmission timer expired, for the `tries`th time in a row."""
        if self.record is not None:
            if self._start == una:
                self._failures += 1
            self.record = None
            if self.doubted == 0:
                self._rest = TIMEOUT_REST
        self.excused = 0
        self.in_recovery = False
        # RFC 4821 7.7: halved on successive timeouts; below what nearly every path carries only on every second, since
        # most of what swallows packets that small swallows all.
        if self.doubted and tries > 1 and (self.low > self._narrow or tries % 2 == 0):
            self.low = self._smaller()

    def _smaller(self) -> i64:
        """Where not even `low` passes."""
        if self.low > self._narrow:
            return self._narrow
        half = self.low // 2
        return half if half > self.floor else self.floor

    def on_ack(self, una: i64, now: i64) -> i64:
        """All that an ACK told was noted: what follows from it. `low` may be another now."""
        record = self.record
        if self._seen or (record is not None and (record.state == SACKED or una >= self._end)):
            return self._on_arrival(now)
        if self._failures == 0:
            return 0
        if self.doubted:
            if not self._is_improbable(SURE):
                return 0
            self.high = self.doubted - 1
            self.doubted = 0
            self._jump = False
            self._failures = 0
            self.in_recovery = True
            return PATH_HOLE
        if not self._is_improbable(LIKELY):
            return 0
        self.high = self._size - 1
        self._jump = False
        self._failures = 0
        self._finish(now)
        return PATH_TOO_BIG

    def _on_arrival(self, now: i64) -> i64:
        self.record = None
        self._failures = 0
        self._jump = False
        if self.doubted:
            self.low = self._before
            self.doubted = 0
            self._seen = False
            if self.high < self.low:
                self.high = self.low
            self._finish(now)
            return PATH_CLEAR
        self.low = self._size
        self._finish(now)
        return PATH_RAISED

    def _finish(self, now: i64) -> None:
        if self.high - self.low < STEP:
            self._not_before = now + AGE_US

    def _is_improbable(self, level: float) -> bool:
        """At the loss that smaller segments show (Laplace's rule), so many in a row are lost less often than that."""
        loss = (float(self._lost) + 1.0) / (float(self._arrived + self._lost) + 2.0)
        return bool(loss ** float(self._failures) < level)

    def is_over(self) -> bool:
        """All that link and peer allow passes: nothing is left to find out."""
        return self.doubted == 0 and self.record is None and self.low >= self.top
