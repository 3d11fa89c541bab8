"""NewReno: slow start and congestion avoidance of RFC 5681, counting bytes (RFC 3465), for the recovery of RFC 6582."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.congestion.base import FAST, AckSample
from synfin.tcp.congestion.validation import Validated

BETA_LOSS: Final = 0.5  # RFC 5681 equation (4)
BETA_ECN: Final = 0.8  # RFC 8511 3: a mark comes from a queue that is kept short


class NewReno(Validated):
    """RFC 5681 by bytes acknowledged. Which data is lost, and when, the sender's loss detection decides."""

    name = "newreno"

    def __init__(self, mss: int) -> None:
        super().__init__(mss, BETA_LOSS)
        self._credit: i64 = 0  # bytes acknowledged towards the next MSS of growth, in congestion avoidance
        self._prior_cwnd: i64 = 0  # before the last reduction for a loss; 0: nothing to take back
        self._prior_ssthresh: i64 = 0

    def on_ack(self, sample: AckSample) -> None:
        """RFC 5681 3.1: in slow start by what is acknowledged (`countable`), above ssthresh one MSS a window.

        Not in fast recovery, not by an ACK that tells of marks (RFC 3168 6.1.2), and not by what a window that is not
        full brings (RFC 7661 1: it proves nothing).
        """
        self.note_use(sample)
        if sample.recovery == FAST:
            self._credit = self._first_credit(sample)
            return
        if sample.ecn > 0:
            return
        if self.cwnd < self.ssthresh:
            # Half full may still be catching up: cwnd has doubled since what is acknowledged now was sent.
            if not sample.cwnd_limited and sample.prior_in_flight * 2 < self.cwnd:
                return
            growth = self.countable(sample)
            room = self.ssthresh - self.cwnd
            self.cwnd += growth if growth < room else room
            return
        if not sample.cwnd_limited:
            return
        self._credit += sample.acked
        window = self._window()
        if self._credit >= window:
            self._credit -= window
            self.cwnd += self.mss

    def _first_credit(self, sample: AckSample) -> i64:
        """What congestion avoidance begins with, should this be the ACK that ends fast recovery, and so the last of it.

        It leaves cwnd at ssthresh (RFC 6582 3.2 step 3), but what it delivers counts as all that follows does, as in
        Linux: where a window is two or three segments, it is a large part of one. Without SACK the ACK also covers what
        had arrived long before.
        """
        if not self.sack or not sample.cwnd_limited or sample.ecn > 0:
            return 0
        window = self._window()
        return sample.acked if sample.acked < window else window

    def _window(self) -> i64:
        """Bytes that earn one MSS: cwnd without the part of a segment that halving leaves, which is never sent."""
        return self.cwnd // self.mss * self.mss

    def on_loss(self, now: int, in_flight: int) -> None:
        """RFC 5681 equation (4): half of what was in flight, at least two segments."""
        self._remember()
        self._reduce(self.answerable(in_flight), BETA_LOSS)
        self.cwnd = self.ssthresh

    def on_rto(self, now: int, in_flight: int, first: bool) -> None:
        """RFC 5681 3.1: ssthresh falls once for the same data, cwnd to the loss window of one segment."""
        if first:
            self._remember()
            self._reduce(in_flight, BETA_LOSS)
        self.cwnd = self.mss
        self._credit = 0
        self.exit(now)

    def on_ecn(self, now: int, in_flight: int) -> None:
        """RFC 8511: less is taken back than for a loss, but in slow start as much (4). cwnd may fall to one segment."""
        self._reduce(in_flight, BETA_LOSS if self.cwnd < self.ssthresh else BETA_ECN)
        # RFC 3168 6.1.2: a queue that two segments fill is told by marks, too.
        self.cwnd = self.ssthresh if in_flight > 2 * self.mss else self.mss
        self._prior_cwnd = 0  # a mark is no guess: there is nothing to undo
        self.exit(now)

    def undo(self) -> None:
        """Back to what was before the last reduction."""
        if self._prior_cwnd:
            self.cwnd = max(self.cwnd, self._prior_cwnd)
            self.ssthresh = self._prior_ssthresh
            self._prior_cwnd = 0

    def _reduce(self, in_flight: i64, beta: float) -> None:
        reduced = i64(float(in_flight) * beta)
        self.ssthresh = reduced if reduced > 2 * self.mss else 2 * self.mss
        self._credit = 0

    def _remember(self) -> None:
        self._prior_cwnd = self.cwnd
        self._prior_ssthresh = self.ssthresh
