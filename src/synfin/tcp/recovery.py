"""When fast recovery begins and ends, and how much may go out meanwhile: RFC 6582 and RFC 6675 with PRR (RFC 6937).

It counts duplicate ACKs; what SACK blocks prove lost, the scoreboard finds. It never writes cwnd: that is the
congestion control's.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.scoreboard import DUP_THRESHOLD

NONE: Final = 0
FAST: Final = 1  # fast recovery: PRR caps what is sent
LOSS: Final = 2  # after a retransmission timeout: slow start caps it


class Recovery:
    """phase: NONE, FAST or LOSS, until SND.UNA reaches `point`."""

    def __init__(self) -> None:
        self.phase: i64 = NONE
        self.point: i64 = 0  # RFC 6582 "recover": SND.NXT when recovery began; no fast retransmit again below it
        self.dup_acks: i64 = 0
        self.dup_bytes: i64 = 0  # what duplicate ACKs say has left the network, one segment each
        self._delivered: i64 = 0  # prr_delivered
        self._out: i64 = 0  # prr_out
        self._flight: i64 = 0  # RecoverFS
        self._allowance: i64 = 0  # sndcnt

    def on_duplicate(self, una: i64, mss: i64, in_flight: i64) -> bool:
        """One more duplicate ACK. True: fast retransmit now (RFC 6582 3.2 step 2)."""
        self.dup_acks += 1
        if self.dup_bytes + mss <= in_flight:
            self.dup_bytes += mss
        return self.phase == NONE and self.dup_acks == DUP_THRESHOLD and una > self.point

    def on_sacked(self) -> bool:
        """One more ACK that reports data behind a hole. True: so many that the hole is a loss (RFC 6675 5, step 1)."""
        self.dup_acks += 1
        return self.phase == NONE and self.dup_acks == DUP_THRESHOLD

    def enter_fast(self, next_offset: i64, in_flight: i64) -> None:
        """Fast recovery begins."""
        self.phase = FAST
        self.point = next_offset
        self._flight = in_flight if in_flight > 0 else 1
        self._delivered = 0
        self._out = 0
        self._allowance = 0

    def enter_loss(self, next_offset: i64) -> None:
        """The retransmission timer expired: later duplicate ACKs answer what is sent now (RFC 6582 4.2)."""
        self.phase = LOSS
        self.point = next_offset
        self.dup_acks = 0
        self.dup_bytes = 0

    def on_progress(self, una: i64, acked: i64) -> bool:
        """SND.UNA moved. True: this was a partial ACK in fast recovery, so the data at `una` is lost too."""
        self.dup_acks = 0
        self.dup_bytes = self.dup_bytes - acked if self.dup_bytes > acked else 0
        if self.phase == NONE:
            return False
        if una >= self.point:
            self.phase = NONE
            self.dup_bytes = 0
            return False
        return self.phase == FAST

    def on_delivered(self, delivered: i64, pipe: i64, ssthresh: i64, mss: i64) -> None:
        """PRR: how much this ACK lets out (RFC 6937 3; the slow-start bound where pipe is below ssthresh)."""
        self._delivered += delivered
        if pipe > ssthresh:
            allowed = (self._delivered * ssthresh + self._flight - 1) // self._flight - self._out
        else:
            limit = self._delivered - self._out
            if limit < delivered:
                limit = delivered
            limit += mss
            allowed = ssthresh - pipe
            if allowed > limit:
                allowed = limit
        self._allowance = allowed if allowed > 0 else 0

    def allow_one(self, mss: i64) -> None:
        """The fast retransmit itself always goes out."""
        if self._allowance < mss:
            self._allowance = mss

    def allowance(self) -> i64:
        """Bytes that may be sent now, in fast recovery."""
        return self._allowance

    def on_sent(self, size: i64) -> None:
        """Bytes went out during fast recovery."""
        self._out += size
        self._allowance = self._allowance - size if self._allowance > size else 0
