"""What becomes of a window that its writer does not fill: RFC 7661."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from synfin.tcp.congestion.base import FAST, NONE, UNLIMITED, AckSample
from synfin.tcp.congestion.cubic import Cubic
from synfin.tcp.congestion.newreno import NewReno
from synfin.tcp.congestion.validation import KEPT_US, Validated

MSS = 1000
RTT = 20_000
SECOND = 1_000_000
START = 1000 * SECOND

CONTROLS = pytest.mark.parametrize(("kind", "beta"), [(NewReno, 0.5), (Cubic, 0.7)])


def acks(
    made: Validated, now: int, segments: int, *, limited: bool = False, lost: int = 0, recovery: int = NONE
) -> None:
    """The ACK that ends a round trip in which so many segments were delivered. lost: of all time."""
    sample = AckSample()
    sample.now = now
    sample.srtt = sample.rtt = sample.min_rtt = RTT
    sample.acked = MSS
    sample.prior_in_flight = segments * MSS
    sample.rate_delivered = segments * MSS
    sample.prior_delivered = 0
    sample.total_lost = lost
    sample.recovery = recovery
    sample.cwnd_limited = limited
    made.on_ack(sample)


def used(kind: Callable[[int], Validated], segments: int = 100) -> Validated:
    """A window of so many segments, all of which were delivered in the last round trip."""
    made = kind(MSS)
    made.start(MSS, 10)
    made.cwnd = segments * MSS
    made.ssthresh = 20 * MSS
    acks(made, START, segments)
    assert made.cwnd == segments * MSS
    return made


@CONTROLS
def test_a_pause_of_minutes_leaves_the_window(kind: Callable[[int], Validated], beta: float) -> None:
    # RFC 7661 4.4
    made = used(kind)
    made.on_idle(START + KEPT_US - 1, 10)
    assert (made.cwnd, made.ssthresh) == (100 * MSS, 20 * MSS)


@CONTROLS
def test_each_five_minutes_of_a_pause_halve_it_down_to_the_initial_window(
    kind: Callable[[int], Validated], beta: float
) -> None:
    # RFC 7661 4.4.3
    made = used(kind)
    made.on_idle(START + KEPT_US, 10)
    assert (made.cwnd, made.ssthresh) == (50 * MSS, 75 * MSS)
    made.on_idle(START + 2 * KEPT_US - 1, 10)
    assert made.cwnd == 50 * MSS
    made.on_idle(START + 100 * KEPT_US, 10)
    assert (made.cwnd, made.ssthresh) == (10 * MSS, 75 * MSS)


@CONTROLS
def test_a_writer_that_needs_little_of_it_keeps_it_as_long_and_no_longer(
    kind: Callable[[int], Validated], beta: float
) -> None:
    made = used(kind)
    for now in range(START, START + KEPT_US, SECOND):
        acks(made, now, 10)
        assert made.cwnd == 100 * MSS
    acks(made, START + KEPT_US + 2 * SECOND, 10)
    assert (made.cwnd, made.ssthresh) == (50 * MSS, 75 * MSS)


@CONTROLS
def test_half_of_it_in_a_round_trip_proves_it_anew(kind: Callable[[int], Validated], beta: float) -> None:
    # RFC 7661 4.3
    made = used(kind)
    made.ssthresh = made.cwnd
    acks(made, START + KEPT_US - SECOND, 50)
    made.on_idle(START + KEPT_US, 10)
    assert made.cwnd == 100 * MSS


@CONTROLS
@pytest.mark.parametrize("in_flight", [10, 40])
def test_a_loss_is_answered_by_what_was_in_use_and_by_what_was_lost(
    kind: Callable[[int], Validated], beta: float, in_flight: int
) -> None:
    # RFC 7661 4.4.1
    made = used(kind)
    acks(made, START + 2 * SECOND, 30)
    made.on_loss(START + 2 * SECOND, in_flight * MSS)
    in_use = max(30, in_flight)
    assert made.ssthresh == int(in_use * MSS * beta)
    acks(made, START + 2 * SECOND, 1, lost=5 * MSS, recovery=FAST)
    acks(made, START + 2 * SECOND, 1, lost=8 * MSS, recovery=FAST)
    made.on_recovered(START + 2 * SECOND)
    assert made.cwnd == made.ssthresh == int((in_use - 8) * MSS * beta)


@CONTROLS
def test_however_much_was_lost_two_segments_stay(kind: Callable[[int], Validated], beta: float) -> None:
    made = used(kind)
    acks(made, START + 2 * SECOND, 10)
    made.on_loss(START + 2 * SECOND, 10 * MSS)
    acks(made, START + 2 * SECOND, 1, lost=90 * MSS, recovery=FAST)
    made.on_recovered(START + 2 * SECOND)
    assert made.cwnd == made.ssthresh == 2 * MSS


@CONTROLS
def test_a_window_that_is_used_is_reduced_as_ever(kind: Callable[[int], Validated], beta: float) -> None:
    made = used(kind)
    made.on_loss(START, 60 * MSS)
    acks(made, START, 1, lost=8 * MSS, recovery=FAST)
    made.on_recovered(START)
    assert made.cwnd == made.ssthresh == int(60 * MSS * beta)


@CONTROLS
def test_what_one_recovery_lost_is_not_held_against_the_next(kind: Callable[[int], Validated], beta: float) -> None:
    made = used(kind)
    acks(made, START + 2 * SECOND, 30)
    made.on_loss(START + 2 * SECOND, 30 * MSS)
    acks(made, START + 2 * SECOND, 1, lost=8 * MSS, recovery=FAST)
    made.on_recovered(START + 2 * SECOND)
    made.cwnd = 100 * MSS
    acks(made, START + 3 * SECOND, 30, lost=8 * MSS)
    made.on_loss(START + 3 * SECOND, 30 * MSS)
    acks(made, START + 3 * SECOND, 1, lost=10 * MSS, recovery=FAST)
    made.on_recovered(START + 3 * SECOND)
    assert made.cwnd == int(28 * MSS * beta)


@CONTROLS
def test_who_is_held_back_by_cwnd_alone_uses_it(kind: Callable[[int], Validated], beta: float) -> None:
    made = kind(MSS)
    made.start(MSS, 10)
    made.ssthresh = UNLIMITED
    acks(made, START, 1, limited=True)  # the first ACKs of a flight tell of little
    assert made.validated
    acks(made, START, 1)
    assert not made.validated


@CONTROLS
@pytest.mark.parametrize("answer", ["timeout", "mark"])
def test_a_timeout_and_a_mark_end_it_as_well(kind: Callable[[int], Validated], beta: float, answer: str) -> None:
    made = used(kind)
    acks(made, START + 2 * SECOND, 10)
    assert not made.validated
    if answer == "timeout":
        made.on_rto(START + 2 * SECOND, 10 * MSS, True)
    else:
        made.on_ecn(START + 2 * SECOND, 10 * MSS)
    assert made.validated and made.pipe_ack() == 0
