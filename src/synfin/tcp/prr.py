"""Proportional Rate Reduction: how much goes out on each ACK of fast recovery. RFC 9937 (which obsoletes RFC 6937).

It leads what is in flight to ssthresh by the end of recovery: proportionally from above, and from below by conserving
packets, or by one segment more on an ACK that moves SND.UNA and shows no further loss. It never writes cwnd.
"""

from __future__ import annotations

from mypy_extensions import i64, mypyc_attr


@mypyc_attr(acyclic=True)
class Prr:
    """One fast recovery. flight: RecoverFS, what could still be delivered when it began."""

    def __init__(self, flight: i64) -> None:
        self.allowance: i64 = 0  # SndCnt: bytes that may be sent now
        self._flight: i64 = flight if flight > 0 else 1
        self._delivered: i64 = 0  # prr_delivered
        self._out: i64 = 0  # prr_out

    def on_ack(self, delivered: i64, in_flight: i64, ssthresh: i64, mss: i64, safe: bool) -> None:
        """An ACK in recovery, the one that began it too. safe: SND.UNA moved, and nothing more was found lost."""
        if delivered <= 0:
            return
        self._delivered += delivered
        if in_flight > ssthresh:
            count = (self._delivered * ssthresh + self._flight - 1) // self._flight - self._out
        else:
            count = self._delivered - self._out
            if count < delivered:
                count = delivered
            if safe:
                count += mss
            if count > ssthresh - in_flight:
                count = ssthresh - in_flight
        if count < mss and self._out == 0:
            count = mss  # the fast retransmit itself
        self.allowance = count if count > 0 else 0

    def on_sent(self, size: i64) -> None:
        """Bytes went out."""
        self._out += size
        self.allowance -= size
        if self.allowance < 0:
            self.allowance = 0
