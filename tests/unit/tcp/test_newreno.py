"""RFC 5681 by bytes acknowledged."""

from __future__ import annotations

import pytest

from synfin.tcp.congestion.base import UNLIMITED, AckSample, CongestionControl
from synfin.tcp.congestion.newreno import NewReno

MSS = 1000


def control(cwnd: int, ssthresh: int = UNLIMITED) -> NewReno:
    """One in the middle of its life."""
    made = NewReno(MSS)
    made.cwnd = cwnd
    made.ssthresh = ssthresh
    return made


def acked(size: int, *, app_limited: bool = False, in_flight: int = 0) -> AckSample:
    """A sample of an ACK."""
    sample = AckSample()
    sample.acked = size
    sample.cwnd_limited = not app_limited
    sample.prior_in_flight = in_flight
    return sample


def test_slow_start_grows_by_what_is_acknowledged_but_not_beyond_ssthresh() -> None:
    made = control(10 * MSS, 12 * MSS)
    made.on_ack(acked(1500))
    assert made.cwnd == 11500
    made.on_ack(acked(64_000))
    assert made.cwnd == 12 * MSS


def test_congestion_avoidance_grows_one_mss_a_window_however_the_acks_come() -> None:
    one, many = control(10 * MSS, 10 * MSS), control(10 * MSS, 10 * MSS)
    one.on_ack(acked(10 * MSS))
    for _ in range(10):
        many.on_ack(acked(MSS))
    assert one.cwnd == many.cwnd == 11 * MSS


def test_an_unused_window_does_not_grow() -> None:
    made = control(10 * MSS)
    made.on_ack(acked(MSS, app_limited=True, in_flight=4 * MSS))
    assert made.cwnd == 10 * MSS
    made.on_ack(acked(MSS, app_limited=True, in_flight=5 * MSS))
    assert made.cwnd == 11 * MSS


def test_loss_halves_what_was_in_flight_but_leaves_two_segments() -> None:
    # RFC 5681 equation (4)
    made = control(20 * MSS)
    made.on_loss(0, 12 * MSS)
    assert made.cwnd == made.ssthresh == 6 * MSS
    made.on_loss(0, MSS)
    assert made.cwnd == made.ssthresh == 2 * MSS


def test_a_timeout_leaves_one_segment_and_lowers_ssthresh_once() -> None:
    # RFC 5681 3.1
    made = control(20 * MSS)
    made.on_rto(0, 20 * MSS, True)
    assert (made.cwnd, made.ssthresh) == (MSS, 10 * MSS)
    made.on_rto(0, MSS, False)
    assert (made.cwnd, made.ssthresh) == (MSS, 10 * MSS)


def test_idleness_brings_the_initial_window_back_but_never_a_larger_one() -> None:
    # RFC 5681 4.1
    made = control(50 * MSS)
    made.on_idle(10)
    assert made.cwnd == 10 * MSS
    made.cwnd = 3 * MSS
    made.on_idle(10)
    assert made.cwnd == 3 * MSS


def test_undo_takes_the_last_reduction_back_once() -> None:
    made = control(20 * MSS, 30 * MSS)
    made.on_loss(0, 20 * MSS)
    made.undo()
    assert (made.cwnd, made.ssthresh) == (20 * MSS, 30 * MSS)
    made.cwnd = 5 * MSS
    made.undo()
    assert made.cwnd == 5 * MSS


def test_the_base_class_alone_controls_nothing() -> None:
    base = CongestionControl(MSS)
    base.start(500, 4)
    assert base.cwnd == 2000
    with pytest.raises(NotImplementedError):
        base.on_ack(AckSample())
    with pytest.raises(NotImplementedError):
        base.on_loss(0, 0)
    with pytest.raises(NotImplementedError):
        base.on_rto(0, 0, True)


def test_a_users_own_control_may_be_an_interpreted_subclass() -> None:
    class Fixed(CongestionControl):
        name = "fixed"

        def on_ack(self, sample: AckSample) -> None:
            self.cwnd = 7 * self.mss

    made: CongestionControl = Fixed(MSS)
    made.on_ack(AckSample())
    assert made.cwnd == 7 * MSS
