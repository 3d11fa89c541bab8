"""HyStart++: leaving the first slow start when the round trip grows, before the queue overflows. RFC 9406.

It measures and decides; cwnd and ssthresh are its owner's. Rounds are packet-timed: one ends with the first ACK of data
that was sent after it began.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from synfin.tcp.congestion.base import AckSample

# RFC 9406 4.3
MIN_RTT_THRESH: Final = 4000  # microseconds
MAX_RTT_THRESH: Final = 16000
MIN_RTT_DIVISOR: Final = 8
N_RTT_SAMPLE: Final = 8
CSS_GROWTH_DIVISOR: Final = 4
CSS_ROUNDS: Final = 5

INFINITY: Final = 1 << 62


@mypyc_attr(acyclic=True)
class HyStart:
    """One slow start from an unknown ssthresh.

    The minimum of a round only falls with more samples. So that it has risen can be said once there are enough of them
    (N_RTT_SAMPLE), or, since bursts and merged ACKs may bring three a round, when the round has ended and there will
    be no more. That it has fallen below the baseline of CSS is certain with the first sample.
    """

    def __init__(self) -> None:
        self.done: bool = False  # the delay has stayed: congestion avoidance begins, with ssthresh at cwnd
        self._css: bool = False  # conservative slow start: the delay has risen, is it still there?
        self._css_rounds: i64 = 0  # rounds that have ended in it
        self._css_baseline: i64 = INFINITY  # cssBaselineMinRtt
        self._round_end: i64 = 0  # C.delivered of draft-ietf-ccwg-bbr when this round began
        self._last: i64 = INFINITY  # lastRoundMinRTT
        self._current: i64 = INFINITY  # currentRoundMinRTT
        self._samples: i64 = 0  # rttSampleCount

    def on_ack(self, sample: AckSample, growth: i64) -> i64:
        """How much of `growth`, what slow start would add to cwnd, is to be added. Look at `done` after."""
        if sample.prior_delivered >= self._round_end:
            self._end_round()
            self._round_end = sample.delivered
        rtt = sample.rtt
        if rtt > 0:
            self._samples += 1
            if rtt < self._current:
                self._current = rtt
            if self._css:
                if self._current < self._css_baseline:  # the exit was spurious: go on as before
                    self._css = False
                    self._css_baseline = INFINITY
            elif self._samples >= N_RTT_SAMPLE:
                self._look_for_delay()
        return growth // CSS_GROWTH_DIVISOR if self._css else growth

    def _end_round(self) -> None:
        if self._css:
            self._css_rounds += 1  # one that it began in the middle of counts, too
            if self._css_rounds >= CSS_ROUNDS:
                self.done = True
        elif self._samples < N_RTT_SAMPLE:
            self._look_for_delay()
        if self._samples:
            self._last = self._current
        self._current = INFINITY
        self._samples = 0

    def _look_for_delay(self) -> None:
        last = self._last
        if last == INFINITY or self._current == INFINITY:
            return
        threshold = last // MIN_RTT_DIVISOR
        if threshold > MAX_RTT_THRESH:
            threshold = MAX_RTT_THRESH
        if threshold < MIN_RTT_THRESH:
            threshold = MIN_RTT_THRESH
        if self._current >= last + threshold:
            self._css = True
            self._css_rounds = 0
            self._css_baseline = self._current
