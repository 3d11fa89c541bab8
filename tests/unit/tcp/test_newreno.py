"""RFC 5681 by bytes acknowledged."""

from __future__ import annotations

import pytest

from synfin.tcp.congestion.base import FAST, LOSS, NONE, UNLIMITED, AckSample, CongestionControl
from synfin.tcp.congestion.newreno import NewReno

MSS = 1000


def control(cwnd: int, ssthresh: int = UNLIMITED) -> NewReno:
    """One in the middle of its life."""
    made = NewReno(MSS)
    made.cwnd = cwnd
    made.ssthresh = ssthresh
    return made


def acked(size: int, *, app_limited: bool = False, in_flight: int = 0, recovery: int = NONE) -> AckSample:
    """A sample of an ACK."""
    sample = AckSample()
    sample.acked = size
    sample.cwnd_limited = not app_limited
    sample.prior_in_flight = in_flight
    sample.recovery = recovery
    return sample


def test_slow_start_grows_by_what_is_acknowledged_but_not_beyond_ssthresh() -> None:
    made = control(10 * MSS, 12 * MSS)
    made.on_ack(acked(1500))
    assert made.cwnd == 11500
    made.on_ack(acked(64_000))
    assert made.cwnd == 12 * MSS


def test_one_ack_adds_eight_segments_in_slow_start_unless_what_it_lets_out_is_paced() -> None:
    # RFC 9406 4.3, L
    made = control(10 * MSS)
    made.paced = False
    made.on_ack(acked(64 * MSS))
    assert made.cwnd == 18 * MSS
    made.paced = True
    made.on_ack(acked(64 * MSS))
    assert made.cwnd == 82 * MSS


def test_after_a_timeout_without_sack_one_ack_adds_one_segment() -> None:
    # RFC 3465 2.3
    made = control(MSS, 30 * MSS)
    made.sack = False
    made.on_ack(acked(10 * MSS, recovery=LOSS))
    assert made.cwnd == 2 * MSS
    made.sack = True
    made.on_ack(acked(10 * MSS, recovery=LOSS))
    assert made.cwnd == 12 * MSS


@pytest.mark.parametrize("ssthresh", [10 * MSS, 30 * MSS])
def test_in_fast_recovery_the_window_stays(ssthresh: int) -> None:
    made = control(10 * MSS, ssthresh)
    for _ in range(30):
        made.on_ack(acked(MSS, recovery=FAST))
    assert made.cwnd == 10 * MSS


def test_what_the_ack_that_ends_fast_recovery_delivers_is_the_first_of_congestion_avoidance() -> None:
    # RFC 6582 3.2 step 3: that ACK leaves cwnd at ssthresh. RFC 5681 3.1: from there a window earns one segment.
    made = control(4 * MSS, 4 * MSS)
    for _ in range(3):
        made.on_ack(acked(3 * MSS, recovery=FAST))
    assert made.cwnd == 4 * MSS
    made.on_ack(acked(MSS))
    assert made.cwnd == 5 * MSS


def test_the_end_of_fast_recovery_counts_as_one_window_at_most() -> None:
    made = control(4 * MSS, 4 * MSS)
    made.on_ack(acked(20 * MSS, recovery=FAST))
    assert made.cwnd == 4 * MSS
    made.on_ack(acked(MSS))
    assert made.cwnd == 5 * MSS
    made.on_ack(acked(3 * MSS))
    assert made.cwnd == 5 * MSS
    made.on_ack(acked(MSS))
    assert made.cwnd == 6 * MSS


@pytest.mark.parametrize("why", ["no SACK", "the writer has no more", "marks"])
def test_the_end_of_fast_recovery_earns_nothing_where_it_proves_nothing(why: str) -> None:
    made = control(4 * MSS, 4 * MSS)
    made.sack = why != "no SACK"
    end = acked(4 * MSS, recovery=FAST, app_limited=why == "the writer has no more")
    end.ecn = MSS if why == "marks" else 0
    made.on_ack(end)
    made.on_ack(acked(MSS))
    assert made.cwnd == 4 * MSS


def test_above_ssthresh_one_ack_adds_at_most_one_segment() -> None:
    made = control(2 * MSS, 2 * MSS)
    for grown in (3, 4, 5):
        made.on_ack(acked(64 * MSS))
        assert made.cwnd == grown * MSS


def test_the_part_of_a_segment_that_halving_leaves_slows_no_growth() -> None:
    made = control(5 * MSS, 5 * MSS)
    made.on_loss(0, 5 * MSS)
    assert made.cwnd == 2500
    made.on_ack(acked(2 * MSS))  # all that such a window sends in a round trip
    assert made.cwnd == 3500


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


def test_a_mark_takes_a_fifth_and_the_window_may_fall_to_one_segment() -> None:
    # RFC 8511 3, RFC 3168 6.1.2
    made = control(20 * MSS, 10 * MSS)
    made.on_ecn(0, 20 * MSS)
    assert made.cwnd == made.ssthresh == 16 * MSS
    made.on_ecn(0, 2 * MSS)
    assert (made.cwnd, made.ssthresh) == (MSS, 2 * MSS)


def test_a_mark_in_slow_start_takes_as_much_as_a_loss() -> None:
    # RFC 8511 4: not recommended below ssthresh
    made = control(20 * MSS)
    made.on_ecn(0, 20 * MSS)
    assert made.cwnd == made.ssthresh == 10 * MSS


def test_what_a_mark_took_stays_taken_when_an_earlier_loss_turns_out_to_be_none() -> None:
    made = control(40 * MSS, 40 * MSS)
    made.on_loss(0, 40 * MSS)
    made.on_ecn(0, 20 * MSS)
    made.undo()
    assert made.cwnd == 16 * MSS


def test_unpaced_idleness_brings_the_initial_window_back_but_never_a_larger_one() -> None:
    # RFC 5681 4.1
    made = control(50 * MSS)
    made.paced = False
    made.on_idle(0, 10)
    assert made.cwnd == 10 * MSS
    made.cwnd = 3 * MSS
    made.on_idle(0, 10)
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


def test_a_control_that_takes_over_goes_on_with_the_windows_of_the_old() -> None:
    old = control(33 * MSS, 12 * MSS)
    old.mss, old.paced, old.sack = 700, False, False
    new = NewReno(MSS)
    new.take_over(old)
    assert (new.mss, new.cwnd, new.ssthresh, new.paced, new.sack) == (700, 33 * MSS, 12 * MSS, False, False)
