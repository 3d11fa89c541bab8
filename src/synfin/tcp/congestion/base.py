"""What every congestion control is: the owner of cwnd and ssthresh, told of each ACK by one reused object.

Bytes throughout, never segments: a burst of 64 KiB is one event (DESIGN, bursts). Interpreted subclasses are allowed.
Who finds losses, limits what is sent in recovery, and paces is not the control's concern: it hears of each ACK, in
recovery too, and of the beginning and end of each recovery.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

UNLIMITED: Final = 1 << 40  # "arbitrarily high" ssthresh (RFC 5681 3.1)
BURST_LIMIT: Final = 8  # L of RFC 9406 4.3, in segments: what one ACK may add to cwnd where nothing spreads the burst

# AckSample.recovery
NONE: Final = 0
FAST: Final = 1  # losses found by ACKs are being mended: PRR limits what is sent
LOSS: Final = 2  # after a retransmission timeout: slow start limits it


class AckSample:
    """What one ACK told. One object is reused: read it in on_ack(), keep none of it.

    The rate sample is that of draft-ietf-ccwg-bbr 4.1.2: over the time since the newest data that this ACK delivered
    was sent. Names there: RS.delivered (`rate_delivered`), RS.prior_delivered, RS.interval, RS.tx_in_flight.
    """

    def __init__(self) -> None:
        self.now: i64 = 0  # microseconds
        self.acked: i64 = 0  # bytes newly acknowledged, cumulatively or selectively
        self.lost: i64 = 0  # bytes newly found lost
        self.prior_in_flight: i64 = 0  # bytes in flight just before this ACK
        self.in_flight: i64 = 0  # and now
        self.delivered: i64 = 0  # bytes delivered over the life of the connection, with this ACK's
        self.total_lost: i64 = 0  # bytes found lost over the life of the connection
        self.recovery: i64 = NONE  # what goes on after this ACK
        self.rtt: i64 = 0  # microseconds; 0: this ACK gave no sample (Karn)
        self.srtt: i64 = 0  # smoothed; 0: none yet
        self.min_rtt: i64 = 0  # over the life of the connection; 0: none yet
        self.cwnd_limited: bool = False  # the data acknowledged, or sent meanwhile, was held back by cwnd alone
        self.ecn: i64 = 0  # bytes newly told to be marked; not 0: no reason to raise cwnd (RFC 3168 6.1.2)
        # the rate sample; prior_delivered -1: there is none
        self.prior_delivered: i64 = -1  # bytes delivered when the newest data delivered now was sent
        self.rate_delivered: i64 = 0  # bytes delivered since
        self.interval: i64 = 0  # microseconds in which they were; 0: too short to tell a rate
        self.rate: float = 0.0  # bytes a second; 0: unknown
        self.app_limited: bool = False  # the writer had no more when that data was sent: the rate may be too low
        self.tx_in_flight: i64 = 0  # bytes in flight once that data had been sent, with it
        self.rate_lost: i64 = 0  # bytes found lost since it was sent


@mypyc_attr(allow_interpreted_subclasses=True)
class CongestionControl:
    """Owns cwnd and ssthresh, in bytes. A subclass overrides on_ack, on_loss and on_rto, and what else it cares for.

    Arguments: times in microseconds, sizes in bytes.
    """

    name = "none"
    uses_prr = True  # False: cwnd alone limits what is sent in fast recovery (BBR)

    def __init__(self, mss: int) -> None:
        self.mss: i64 = mss
        self.cwnd: i64 = 10 * mss
        self.ssthresh: i64 = UNLIMITED
        self.pacing_rate: float = 0.0  # bytes a second; 0: whoever paces takes it from cwnd and the round trip
        # The sender sets these where they are not so, and may change them at any time.
        self.paced: bool = True  # what cwnd lets out is spread over the round trip
        self.sack: bool = True  # agreed on (RFC 2018): more than one loss in a round trip can be told

    def start(self, mss: int, segments: int) -> None:
        """The handshake is done: the segment size is known, the window is the initial one (RFC 6928)."""
        self.mss = mss
        self.cwnd = mss * segments

    def take_over(self, old: CongestionControl) -> None:
        """Go on where `old` left off: the control was exchanged in the middle of a connection."""
        self.mss = old.mss
        self.cwnd = old.cwnd
        self.ssthresh = old.ssthresh
        self.paced = old.paced
        self.sack = old.sack

    def countable(self, sample: AckSample) -> i64:
        """What of the bytes acknowledged one ACK may add to cwnd in slow start: all when paced, else 8 segments.

        RFC 3465 by RFC 9406's L: an ACK that covers much lets as much out in one burst, unless it is paced. After a
        timeout without SACK, an ACK also covers what had arrived long before: one segment (RFC 3465 2.3).
        """
        acked = sample.acked
        limit = self.mss
        if self.sack or sample.recovery != LOSS:
            if self.paced:
                return acked
            limit = BURST_LIMIT * self.mss
        return acked if acked < limit else limit

    def on_ack(self, sample: AckSample) -> None:
        """An ACK delivered something, or showed something to be lost; in recovery too (see sample.recovery)."""
        raise NotImplementedError

    def on_loss(self, now: int, in_flight: int) -> None:
        """Fast recovery begins, once per window of data: reduce ssthresh and cwnd."""
        raise NotImplementedError

    def on_rto(self, now: int, in_flight: int, first: bool) -> None:
        """The retransmission timer expired; `first` unless this is a repeated expiry for the same data."""
        raise NotImplementedError

    def on_ecn(self, now: int, in_flight: int) -> None:
        """The peer echoes a congestion mark (RFC 3168 6.1.2), told once per window of data."""
        self.on_loss(now, in_flight)

    def on_recovered(self, now: int) -> None:
        """All that was out when recovery began is acknowledged."""

    def on_packet_lost(self, size: int, tx_in_flight: int, lost: int, app_limited: bool) -> None:
        """`size` bytes of one transmission are lost.

        tx_in_flight: bytes in flight once it had been sent; lost: all that was found lost since, with it.
        """

    def on_transmit(self, now: int, in_flight: int, app_limited: bool) -> None:
        """Data is about to be sent. app_limited: the writer had left nothing to send for a while."""

    def on_idle(self, now: int, segments: int) -> None:
        """Nothing was sent for an RTO: the ACK clock is gone, restart from the initial window (RFC 5681 4.1).

        Up to three quarters of what the path had carried it may be fast, as in Linux.
        """
        restart = self.mss * segments
        if self.cwnd > restart:
            known = self.cwnd // 4 * 3
            if self.ssthresh < known:
                self.ssthresh = known
            self.cwnd = restart

    def undo(self) -> None:
        """The last reduction answered a loss that was none: take it back."""
