"""Delivery-rate samples: how fast the path has carried what this connection sent. draft-ietf-ccwg-bbr 4.1.2.

A sample spans the time since the newest data that an ACK delivered was sent; it is marked when the writer had left the
path idle meanwhile. Names there: C.delivered, C.lost, C.delivered_time, C.first_send_time, C.app_limited.
"""

from __future__ import annotations

from mypy_extensions import i64, mypyc_attr

from synfin.tcp.congestion.base import AckSample
from synfin.tcp.scoreboard import Sent


@mypyc_attr(acyclic=True)
class Rate:
    """Of one connection, for life."""

    def __init__(self) -> None:
        self.delivered: i64 = 0  # bytes
        self.lost: i64 = 0  # bytes found lost
        self.delivered_at: i64 = 0
        self.first_sent_at: i64 = 0  # send time of the data delivered last
        self.app_limited: i64 = 0  # until so many bytes are delivered, samples prove nothing of the path; 0: they do
        # The last rate sampled, bytes a second; one that the writer limited counts only if it is higher, as in Linux.
        self.latest: float = 0.0
        self.latest_app_limited: bool = False

    def on_sent(self, record: Sent, in_flight: i64, now: i64) -> None:
        """A record goes out; in_flight: with it."""
        if in_flight <= record.end - record.start:
            self.first_sent_at = now
            self.delivered_at = now
        record.first_sent_at = self.first_sent_at
        record.delivered_at = self.delivered_at
        record.delivered = self.delivered
        record.lost = self.lost
        record.in_flight = in_flight
        record.app_limited = self.app_limited != 0

    def mark_app_limited(self, in_flight: i64) -> None:
        """The writer has nothing more to send although cwnd would let it go."""
        limited = self.delivered + in_flight
        self.app_limited = limited if limited > 0 else 1

    def on_ack(self, newest: Sent | None, newly: i64, min_rtt: i64, now: i64, sample: AckSample) -> None:
        """`newly` bytes were delivered, `newest` the last sent of them: fill the rate part of the sample."""
        sample.prior_delivered = -1
        sample.rate = 0.0
        sample.rate_delivered = 0
        sample.interval = 0
        sample.app_limited = False
        sample.tx_in_flight = 0
        sample.rate_lost = 0
        if newest is not None:
            self.delivered += newly
            self.delivered_at = now
            self._sample(newest, min_rtt, now, sample)
        sample.delivered = self.delivered
        if self.app_limited and self.delivered > self.app_limited:
            self.app_limited = 0

    def _sample(self, newest: Sent, min_rtt: i64, now: i64, sample: AckSample) -> None:
        sample.prior_delivered = newest.delivered
        sample.app_limited = newest.app_limited
        sample.tx_in_flight = newest.in_flight
        sample.rate_lost = self.lost - newest.lost
        send_elapsed = newest.sent_at - newest.first_sent_at
        ack_elapsed = now - newest.delivered_at
        if newest.sent_at > self.first_sent_at:
            self.first_sent_at = newest.sent_at
        interval = send_elapsed if send_elapsed > ack_elapsed else ack_elapsed
        sample.rate_delivered = self.delivered - newest.delivered
        # Shorter than the path can answer: a retransmission whose earlier transmission has arrived.
        if interval <= 0 or interval < min_rtt:
            return
        sample.interval = interval
        sample.rate = float(sample.rate_delivered) * 1000000.0 / float(interval)
        if not newest.app_limited or sample.rate >= self.latest:
            self.latest = sample.rate
            self.latest_app_limited = newest.app_limited
