"""The retransmission timeout of RFC 6298: SRTT, RTTVAR, exponential back-off, Karn's rule.

Karn: the caller gives samples only from data sent once, or from a timestamp echo (RFC 6298 3). The backed-off value
stays until the next such sample.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

GRANULARITY_US: Final = 1000
MIN_RTT_AGE_US: Final = 300_000_000  # Linux: tcp_min_rtt_wlen; a path may have become longer for good


@mypyc_attr(acyclic=True)
class Rto:
    """All times in microseconds."""

    def __init__(self, initial_us: i64, min_us: i64, max_us: i64) -> None:
        self.srtt: i64 = 0  # 0: no sample yet
        self.rttvar: i64 = 0
        self.min_rtt: i64 = 0  # of the last five minutes
        self._min_rtt_at: i64 = 0
        self.rto: i64 = initial_us
        self._min: i64 = min_us
        self._max: i64 = max_us

    def sample(self, rtt: i64, now: i64) -> None:
        """RFC 6298 2.2 and 2.3, alpha 1/8, beta 1/4."""
        if rtt < 1:
            rtt = 1
        if self.srtt == 0:
            self.srtt = rtt
            self.rttvar = rtt // 2
        else:
            error = self.srtt - rtt
            if error < 0:
                error = -error
            self.rttvar += (error - self.rttvar) // 4
            self.srtt += (rtt - self.srtt) // 8
            if self.srtt < 1:
                self.srtt = 1
        if rtt <= self.min_rtt or self.min_rtt == 0 or now - self._min_rtt_at > MIN_RTT_AGE_US:
            self.min_rtt = rtt
            self._min_rtt_at = now
        self.forgive()

    def forgive(self) -> None:
        """The value that the samples give, whatever back-off there was (RFC 4015 3.2)."""
        if self.srtt:
            self.rto = self.base()

    def base(self) -> i64:
        """What the samples give, without back-off; without a sample, the value as it is."""
        if self.srtt == 0:
            return self.rto
        spread = 4 * self.rttvar
        if spread < GRANULARITY_US:
            spread = GRANULARITY_US
        rto = self.srtt + spread
        if rto < self._min:
            rto = self._min
        return rto if rto < self._max else self._max

    def back_off(self) -> None:
        """RFC 6298 5.5: the timer doubles, up to the maximum."""
        doubled = self.rto * 2
        self.rto = doubled if doubled < self._max else self._max

    def further(self, count: i64) -> i64:
        """How long so many timeouts take that follow this one, each twice as long."""
        rto = self.rto
        total: i64 = 0
        for _ in range(count):
            rto = rto * 2 if rto * 2 < self._max else self._max
            total += rto
        return total

    def undo_back_off(self) -> None:
        """One doubling less, never below what the samples give (RFC 6069 4)."""
        base = self.base()
        self.rto = self.rto // 2 if self.rto // 2 > base else base

    def wait_at_least(self, rto_us: i64) -> None:
        """Until the next sample: what other connections to the same host have needed (RFC 9040; tcp_init_metrics)."""
        if self.rto < rto_us:
            self.rto = rto_us if rto_us < self._max else self._max

    def restart(self, rto_us: i64) -> None:
        """Set the value by rule, not by sample: RFC 6298 5.7, after a SYN that had to be sent again."""
        self.rto = rto_us
