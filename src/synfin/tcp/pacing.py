"""Pacing: what cwnd lets out is spread over the round trip, so that no queue on the way has to take it at once.

Credit grows with time at the pacing rate, and each burst is paid from it. A few segments' worth is saved up, so that
who sends what ACKs let out is not held back: the ACKs are the pace. A timer that comes late finds the credit of all the
time it missed, up to a bound. All connections wait for the same ticks: a stack is woken once for them, and may send
several bursts then. The rate is the congestion control's, or follows cwnd and the round trip as Linux has it.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from synfin.tcp.congestion.base import CongestionControl

TICK_US: Final = 1000
SHORT_RTT_US: Final = 1000  # paths as short as this have no queue worth sparing, and a tick would be a round trip
LATE_LEAST_US: Final = 2000  # how much of what a late timer missed is made good: a quarter of the round trip
LATE_MOST_US: Final = 10_000
AT_ONCE: Final = 10  # segments that a flight may begin with (RFC 6928)
SAVED: Final = 4  # segments that no queue is spared: RFC 5681 3.1 lets who knows nothing of the path begin with as many


def rate_of(congestion: CongestionControl, in_flight: i64, srtt: i64, most: float) -> float:
    """Bytes a second, 0.0: not paced. most: SO_MAX_PACING_RATE, 0.0: none."""
    rate: float = congestion.pacing_rate
    if rate == 0.0 and srtt > 0:
        cwnd: i64 = congestion.cwnd
        # Twice cwnd per round trip while it may still double, 1.2 times after (Linux: tcp_pacing_ss_ratio, _ca_ratio).
        gain = 2.0 if cwnd < congestion.ssthresh // 2 else 1.2
        rate = gain * float(cwnd if cwnd > in_flight else in_flight) * 1000000.0 / float(srtt)
    return most if 0.0 < most < rate else rate


@mypyc_attr(acyclic=True)
class Pacer:
    """Of one connection, from its first paced flight on. deadline: when it may send again; 0: it does not wait."""

    def __init__(self, now: i64) -> None:
        self.deadline: i64 = 0
        self._waiting: bool = False  # the last burst that wanted to go had to wait
        self._credit: float = 0.0  # bytes; below 0 the last burst is still being paid
        self._at: i64 = now  # when it was last counted

    def begin(self, segments_bytes: i64) -> None:
        """The first flight, or the first after a rest, begins with as much at once."""
        at_once = float(segments_bytes)
        if self._credit < at_once:
            self._credit = at_once

    def may_send(self, rate: float, min_rtt: i64, mss: i64, now: i64) -> bool:
        """One more burst may go now; else `deadline` says when."""
        elapsed = now - self._at
        if elapsed > 0:
            self._at = now
            most = float(SAVED * mss)
            if self._waiting:
                late = min_rtt // 4
                if late < LATE_LEAST_US:
                    late = LATE_LEAST_US
                if late > LATE_MOST_US:
                    late = LATE_MOST_US
                missed = rate * float(late) / 1000000.0
                if most < missed:
                    most = missed
            if self._credit < most:
                self._credit += rate * float(elapsed) / 1000000.0
                if self._credit > most:
                    self._credit = most
        if self._credit > 0.0:
            self.deadline = 0
            self._waiting = False
            return True
        self._waiting = True
        wait = int(-self._credit * 1000000.0 / rate) if rate > 0.0 else TICK_US
        self.deadline = ((now + wait) // TICK_US + 1) * TICK_US
        return False

    def on_sent(self, size: i64) -> None:
        """A burst of `size` bytes went out."""
        self._credit -= float(size)
