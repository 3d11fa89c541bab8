"""What BBR believes of the path: rate, round trip, aggregation, and what congestion of late allows.

draft-ietf-ccwg-bbr 5.5, its names. The model takes samples and knows no states; the long-term bound of what may be in
flight is not here, since only probing moves it.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.congestion.base import UNLIMITED, AckSample
from synfin.tcp.congestion.windowed_max import WindowedMax

BETA: Final = 0.7
MIN_RTT_FILTER_LEN: Final = 10_000_000  # microseconds, as all times here
PROBE_RTT_INTERVAL: Final = 5_000_000
EXTRA_ACKED_FILTER_LEN: Final = 10  # round trips
FULL_BW_GROWTH: Final = 1.25
FULL_BW_ROUNDS: Final = 3

NO_BOUND: Final = 1e30  # an infinite rate, bytes a second
NO_RTT: Final = 1 << 48  # an infinite round trip


class Model:
    """Rates are bytes a second, volumes bytes."""

    def __init__(self) -> None:
        self.now: i64 = 0
        self.delivered: i64 = 0  # C.delivered
        # packet-timed round trips (5.5.1)
        self.round_count: i64 = 0
        self.round_start: bool = False  # this ACK begins one
        self.next_round_delivered: i64 = 0
        # what the path can carry (5.5.2): the largest rate of this cycle of probing and of the one before
        self.max_bw: float = 0.0
        self.bw: float = 0.0  # the smaller of max_bw and bw_shortterm
        self._bw_this_cycle: float = 0.0
        # how long a round trip takes (5.5.7)
        self.min_rtt: i64 = NO_RTT
        self.min_rtt_stamp: i64 = 0
        self.probe_rtt_min_delay: i64 = NO_RTT
        self.probe_rtt_min_stamp: i64 = 0
        self.probe_rtt_expired: bool = False
        # how much comes at once (5.5.9)
        self.extra_acked: i64 = 0
        self.extra_acked_interval_start: i64 = 0
        self.extra_acked_delivered: i64 = 0
        self._extra_acked_filter: WindowedMax = WindowedMax()
        # congestion of late (5.5.10): over one round trip, and the bounds that follow until the next probing
        self.bw_latest: float = 0.0
        self.inflight_latest: i64 = 0
        self.loss_round_delivered: i64 = 0
        self.loss_round_start: bool = False
        self.is_loss_in_round: bool = False
        self.bw_shortterm: float = NO_BOUND
        self.inflight_shortterm: i64 = UNLIMITED
        # is the pipe full? (5.3.1.2)
        self.full_bw: float = 0.0
        self.full_bw_count: i64 = 0
        self.full_bw_now: bool = False
        self.full_bw_reached: bool = False

    def start(self, sample: AckSample) -> None:
        """The first ACK: time begins, and a round trip may be known."""
        self.now = sample.now
        self.min_rtt = self.probe_rtt_min_delay = sample.srtt if sample.srtt > 0 else NO_RTT
        self.min_rtt_stamp = self.probe_rtt_min_stamp = sample.now
        self.extra_acked_interval_start = sample.now

    def bdp(self, bw: float) -> float:
        """What is in flight when a path of this rate is full and has no queue. min_rtt is known."""
        return bw * float(self.min_rtt) / 1000000.0

    # ---- an ACK, in this order ----

    def on_ack(self, sample: AckSample, app_limited: bool, tolerated: bool, cwnd: i64) -> None:
        """From UpdateLatestDeliverySignals to CheckFullBWReached (5.2.3). tolerated: losses now lower no bound."""
        self.now = sample.now
        self.delivered = sample.delivered
        self._update_latest_delivery_signals(sample)
        self._update_round(sample)
        self._update_max_bw(sample.rate, app_limited)
        if self.loss_round_start:
            if self.is_loss_in_round and not tolerated:
                self._lower_bounds(cwnd)
            self.is_loss_in_round = False
        self._update_ack_aggregation(sample.acked, cwnd)
        self._check_full_bw_reached(sample.rate, app_limited)

    def update_min_rtt(self, rtt: i64) -> None:
        """rtt 0: this ACK gave no sample."""
        now = self.now
        self.probe_rtt_expired = now > self.probe_rtt_min_stamp + PROBE_RTT_INTERVAL
        if rtt > 0 and (rtt < self.probe_rtt_min_delay or self.probe_rtt_expired):
            self.probe_rtt_min_delay = rtt
            self.probe_rtt_min_stamp = now
        if self.probe_rtt_min_delay < self.min_rtt or now > self.min_rtt_stamp + MIN_RTT_FILTER_LEN:
            self.min_rtt = self.probe_rtt_min_delay
            self.min_rtt_stamp = self.probe_rtt_min_stamp

    def end_ack(self, sample: AckSample) -> None:
        """AdvanceLatestDeliverySignals and BoundBWForModel."""
        if self.loss_round_start:
            self.bw_latest = sample.rate
            self.inflight_latest = sample.rate_delivered
        self.bound_bw()

    def bound_bw(self) -> None:
        """BoundBWForModel."""
        self.bw = self.max_bw if self.max_bw < self.bw_shortterm else self.bw_shortterm

    def _update_latest_delivery_signals(self, sample: AckSample) -> None:
        self.loss_round_start = False
        if sample.prior_delivered < 0:
            return
        if sample.rate > self.bw_latest:
            self.bw_latest = sample.rate
        if sample.rate_delivered > self.inflight_latest:
            self.inflight_latest = sample.rate_delivered
        if sample.prior_delivered >= self.loss_round_delivered:
            self.loss_round_delivered = sample.delivered
            self.loss_round_start = True

    def _update_round(self, sample: AckSample) -> None:
        self.round_start = sample.prior_delivered >= self.next_round_delivered
        if self.round_start:
            self.start_round()
            self.round_count += 1

    def start_round(self) -> None:
        """A packet-timed round trip begins now."""
        self.next_round_delivered = self.delivered

    def _update_max_bw(self, rate: float, app_limited: bool) -> None:
        # 5.5.4: a rate that the writer limited counts only if it proves the estimate too low.
        if rate <= 0.0 or (app_limited and rate < self.max_bw):
            return
        if rate > self._bw_this_cycle:
            self._bw_this_cycle = rate
            if rate > self.max_bw:
                self.max_bw = rate

    def advance_max_bw_filter(self) -> None:
        """A cycle of probing is over (5.5.6). One without a sample forgets nothing."""
        if self._bw_this_cycle > 0.0:
            self.max_bw = self._bw_this_cycle
            self._bw_this_cycle = 0.0

    def _update_ack_aggregation(self, acked: i64, cwnd: i64) -> None:
        """What was acknowledged beyond what the path's rate explains, over the last rounds."""
        expected = self.bw * float(self.now - self.extra_acked_interval_start) / 1000000.0
        if float(self.extra_acked_delivered) <= expected:
            self.extra_acked_delivered = 0
            self.extra_acked_interval_start = self.now
            expected = 0.0
        self.extra_acked_delivered += acked
        extra = float(self.extra_acked_delivered) - expected
        bounded = i64(extra) if extra < float(cwnd) else cwnd
        window: i64 = EXTRA_ACKED_FILTER_LEN if self.full_bw_reached else 1
        self.extra_acked = self._extra_acked_filter.update(bounded, self.round_count, window)

    # ---- is the pipe full? ----

    def reset_full_bw(self, full_bw: float) -> None:
        """Look for a plateau anew, above this rate."""
        self.full_bw = full_bw
        self.full_bw_count = 0
        self.full_bw_now = False

    def _check_full_bw_reached(self, rate: float, app_limited: bool) -> None:
        # As in Linux, any sample of a round may prove growth, not its first alone: that may be a retransmission's,
        # which tells little. One too short to tell a rate (4.1.2.3) is no sign of a plateau.
        if self.full_bw_now or app_limited or rate <= 0.0:
            return
        if rate >= self.full_bw * FULL_BW_GROWTH:
            self.reset_full_bw(rate)
            return
        if not self.round_start:
            return
        self.full_bw_count += 1
        if self.full_bw_count >= FULL_BW_ROUNDS:
            self.set_full()

    def set_full(self) -> None:
        """The path carries no more."""
        self.full_bw_now = True
        self.full_bw_reached = True

    # ---- congestion ----

    def note_congestion(self) -> bool:
        """Something was lost or marked; the round trip that answers it begins now. True: the first in it.

        Data sent before the ACK in hand has P.delivered of at most C.delivered as it was told last: hence one more.
        """
        first = not self.is_loss_in_round
        if first:
            self.loss_round_delivered = self.delivered + 1
        self.is_loss_in_round = True
        return first

    def reset_congestion_signals(self) -> None:
        """A phase begins whose losses are its own."""
        self.is_loss_in_round = False
        self.bw_latest = 0.0
        self.inflight_latest = 0

    def reset_short_term_model(self) -> None:
        """Forget what congestion has allowed: probe for what the path carries now."""
        self.bw_shortterm = NO_BOUND
        self.inflight_shortterm = UNLIMITED

    def _lower_bounds(self, cwnd: i64) -> None:
        """Once a round trip, down to what was delivered in it, but by no more than BETA."""
        if self.bw_shortterm == NO_BOUND:
            self.bw_shortterm = self.max_bw
        if self.inflight_shortterm == UNLIMITED:
            self.inflight_shortterm = cwnd
        bw = BETA * self.bw_shortterm
        self.bw_shortterm = self.bw_latest if self.bw_latest > bw else bw
        inflight = i64(BETA * float(self.inflight_shortterm))
        self.inflight_shortterm = self.inflight_latest if self.inflight_latest > inflight else inflight
