"""What every congestion control is: the owner of cwnd and ssthresh, told of each ACK by one reused object.

Bytes throughout, never segments: a burst of 64 KiB is one event (DESIGN, bursts). Interpreted subclasses are allowed.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

UNLIMITED: Final = 1 << 40  # "arbitrarily high" ssthresh (RFC 5681 3.1)


class AckSample:
    """What one ACK told. One object is reused: read it in on_ack(), keep none of it."""

    def __init__(self) -> None:
        self.now: i64 = 0  # microseconds
        self.acked: i64 = 0  # bytes newly acknowledged, cumulatively or selectively
        self.lost: i64 = 0  # bytes newly marked lost
        self.in_flight: i64 = 0  # bytes in flight just before this ACK
        self.delivered: i64 = 0  # bytes delivered over the life of the connection
        self.rate: i64 = 0  # delivery rate, bytes a second; 0 unknown
        self.rtt: i64 = 0  # microseconds; 0: this ACK gave no sample (Karn)
        self.app_limited: bool = False  # the acknowledged data was not held back by cwnd: it proves nothing of cwnd
        self.ecn: i64 = 0  # bytes the peer says were marked congestion-experienced


@mypyc_attr(allow_interpreted_subclasses=True)
class CongestionControl:
    """Owns cwnd and ssthresh, in bytes. A subclass overrides the five events."""

    name = "none"

    def __init__(self, mss: int) -> None:
        self.mss: i64 = mss
        self.cwnd: i64 = 10 * mss
        self.ssthresh: i64 = UNLIMITED

    def start(self, mss: int, segments: int) -> None:
        """The handshake is done: the segment size is known, the window is the initial one (RFC 6928)."""
        self.mss = mss
        self.cwnd = mss * segments

    def on_ack(self, sample: AckSample) -> None:
        """New data was acknowledged, outside of fast recovery."""
        raise NotImplementedError

    def on_loss(self, now: int, in_flight: int) -> None:
        """Loss found by fast retransmit, once per window of data: reduce ssthresh and cwnd."""
        raise NotImplementedError

    def on_rto(self, now: int, in_flight: int, first: bool) -> None:
        """The retransmission timer expired; `first` unless this is a repeated expiry for the same data."""
        raise NotImplementedError

    def on_idle(self, segments: int) -> None:
        """Nothing was sent for an RTO: the ACK clock is gone, restart from the initial window (RFC 5681 4.1)."""
        restart = self.mss * segments
        if self.cwnd > restart:
            self.cwnd = restart

    def undo(self) -> None:
        """The last reduction answered a loss that was none: take it back."""
