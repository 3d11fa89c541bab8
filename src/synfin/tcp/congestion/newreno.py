"""NewReno: slow start and congestion avoidance of RFC 5681, counting bytes (RFC 3465), for the recovery of RFC 6582."""

from __future__ import annotations

from mypy_extensions import i64

from synfin.tcp.congestion.base import FAST, AckSample, CongestionControl


class NewReno(CongestionControl):
    """RFC 5681 by bytes acknowledged. Which data is lost, and when, `recovery` decides."""

    name = "newreno"

    def __init__(self, mss: int) -> None:
        super().__init__(mss)
        self._credit: i64 = 0  # bytes acknowledged towards the next MSS of growth, in congestion avoidance
        self._prior_cwnd: i64 = 0
        self._prior_ssthresh: i64 = 0

    def on_ack(self, sample: AckSample) -> None:
        """RFC 5681 3.1: exponential below ssthresh, one MSS a window above."""
        if sample.recovery == FAST:
            return
        if self.cwnd < self.ssthresh:
            # A window that the sender does not fill says nothing about the path; half full may still be catching up.
            if not sample.cwnd_limited and sample.prior_in_flight * 2 < self.cwnd:
                return
            growth = sample.acked
            if self.cwnd + growth > self.ssthresh:
                growth = self.ssthresh - self.cwnd
            self.cwnd += growth
            return
        if not sample.cwnd_limited:
            return
        self._credit += sample.acked
        if self._credit >= self.cwnd:
            self._credit -= self.cwnd
            self.cwnd += self.mss

    def on_loss(self, now: int, in_flight: int) -> None:
        """RFC 5681 equation (4): half of what was in flight, at least two segments."""
        self._remember()
        self.ssthresh = self._half(in_flight)
        self.cwnd = self.ssthresh
        self._credit = 0

    def on_rto(self, now: int, in_flight: int, first: bool) -> None:
        """RFC 5681 3.1: ssthresh falls once for the same data, cwnd to the loss window of one segment."""
        if first:
            self._remember()
            self.ssthresh = self._half(in_flight)
        self.cwnd = self.mss
        self._credit = 0

    def undo(self) -> None:
        """Back to what was before the last reduction."""
        if self._prior_cwnd:
            self.cwnd = max(self.cwnd, self._prior_cwnd)
            self.ssthresh = self._prior_ssthresh
            self._prior_cwnd = 0

    def _half(self, in_flight: i64) -> i64:
        half = in_flight // 2
        return half if half > 2 * self.mss else 2 * self.mss

    def _remember(self) -> None:
        self._prior_cwnd = self.cwnd
        self._prior_ssthresh = self.ssthresh
