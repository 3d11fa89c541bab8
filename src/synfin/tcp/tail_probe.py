"""The tail-loss probe. RFC 8985 7: when an answer is overdue, one segment asks for the SACK that RACK needs.

The last segment of a flight has none behind it whose ACK could show its loss; without the probe it waits for the
retransmission timer, and all of cwnd with it.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

MAX_ACK_DELAY_US: Final = 200_000  # TLP.max_ack_delay: as Linux, whose delayed ACKs come within 200 ms
NO_RTT_US: Final = 1_000_000
# What an answer is granted beyond two round trips: TCP_TIMEOUT_MIN of Linux, two ticks of 4 ms. A peer that has lost
# its processor to another process answers a time slice later, and on a path of a millisecond that is no loss.
GRACE_US: Final = 8000


@mypyc_attr(acyclic=True)
class TailProbe:
    """Of one connection that has agreed on SACK, for life: what a probe has mended shows with the next flight."""

    def __init__(self) -> None:
        self.deadline: i64 = 0  # the PTO timer; 0: off
        self.due: bool = False  # the probe goes at the next poll
        self.end: i64 = -1  # TLP.end_seq: end of the probe that is out; -1: none is
        self.retransmission: bool = False  # TLP.is_retrans
        self.flight: i64 = 0  # FlightSize when it went out
        self._allowed: bool = True  # an RTT sample was taken since the last probe

    def arm(self, now: i64, srtt: i64, one_segment: bool, rto_deadline: i64) -> None:
        """TLP_calc_PTO(): new data went out, or an ACK moved SND.UNA."""
        if self.end >= 0 or not self._allowed:
            return
        wait = NO_RTT_US
        if srtt > 0:
            wait = 2 * srtt + (MAX_ACK_DELAY_US if one_segment else GRACE_US)
        self.deadline = now + wait
        if rto_deadline and self.deadline > rto_deadline:
            self.deadline = rto_deadline

    def on_rtt(self) -> None:
        """A round trip was measured: another probe may follow."""
        self._allowed = True

    def on_timer(self) -> None:
        """The answer is overdue."""
        self.deadline = 0
        self.due = True

    def sent(self, end: i64, flight: i64, retransmission: bool) -> None:
        """The probe went out: what waits for now is the retransmission timer, not another probe."""
        self.due = False
        self.deadline = 0
        self.end = end
        self.flight = flight
        self.retransmission = retransmission
        self._allowed = False

    def rest(self) -> None:
        """Nothing is in flight."""
        self.deadline = 0
        self.due = False

    def stop(self) -> None:
        """Recovery begins."""
        self.deadline = 0
        self.due = False
        self.end = -1

    def on_dsack(self, right: i64) -> None:
        """The peer got twice what ends at `right`: if that was the probe, nothing had been lost (7.4.2, case 1)."""
        if self.retransmission and right == self.end:
            self.end = -1

    def on_ack(self, ack: i64, duplicate: bool) -> bool:
        """TLP_process_ack(). True: the probe has mended a loss that nothing else shows, and cwnd must answer it.

        duplicate: the ACK moved nothing and reported nothing.
        """
        if self.end < 0 or ack < self.end:
            return False
        if not self.retransmission or (duplicate and ack == self.end):
            self.end = -1
        elif ack > self.end:
            self.end = -1
            return True
        return False
