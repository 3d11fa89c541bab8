"""Pacing: bursts paid by time, late timers made good within a bound, ticks shared by all."""

from __future__ import annotations

import pytest

from synfin.tcp.congestion.newreno import NewReno
from synfin.tcp.pacing import LATE_LEAST_US, LATE_MOST_US, SAVED, TICK_US, Pacer, rate_of

MSS = 1000
RATE = 1_000_000.0  # bytes a second: a segment a millisecond
RTT = 20_000


def control(cwnd: int, ssthresh: int) -> NewReno:
    made = NewReno(MSS)
    made.cwnd, made.ssthresh = cwnd, ssthresh
    return made


@pytest.mark.parametrize(
    ("cwnd", "ssthresh", "in_flight", "most", "expected"),
    [
        (10 * MSS, 100 * MSS, 0, 0.0, 20 * MSS * 50.0),  # slow start: twice cwnd a round trip
        (60 * MSS, 100 * MSS, 0, 0.0, 72 * MSS * 50.0),
        (10 * MSS, 5 * MSS, 20 * MSS, 0.0, 24 * MSS * 50.0),  # more is out than cwnd: it must be possible to go on
        (10 * MSS, 100 * MSS, 0, 5000.0, 5000.0),
    ],
)
def test_the_rate_follows_cwnd_and_the_round_trip(
    cwnd: int, ssthresh: int, in_flight: int, most: float, expected: float
) -> None:
    assert rate_of(control(cwnd, ssthresh), in_flight, RTT, most) == expected


def test_the_rate_of_a_control_that_has_one_is_taken_and_none_is_known_without_a_round_trip() -> None:
    made = control(10 * MSS, 5 * MSS)
    assert rate_of(made, 0, 0, 0.0) == 0.0
    made.pacing_rate = 777.0
    assert rate_of(made, 0, 0, 0.0) == 777.0
    assert rate_of(made, 0, 0, 700.0) == 700.0


def sends(pacer: Pacer, now: int, burst: int = 2 * MSS) -> int:
    """Bytes that may go at `now`."""
    sent = 0
    while pacer.may_send(RATE, RTT, MSS, now):
        pacer.on_sent(burst)
        sent += burst
    return sent


def test_over_time_the_rate_is_kept_to_a_burst_whenever_the_timer_comes() -> None:
    pacer = Pacer(0)
    now, sent = 0, 0
    while now < 1_000_000:
        sent += sends(pacer, now)
        assert pacer.deadline > now
        now = pacer.deadline + 1200  # asyncio turns 1.1 ms into 2.2
    assert abs(sent - now * RATE / 1_000_000) <= 2 * 2 * MSS


def test_what_a_late_timer_missed_goes_at_once_up_to_a_quarter_of_the_round_trip() -> None:
    pacer = Pacer(0)
    assert sends(pacer, 0) == 0 and pacer.deadline == TICK_US
    assert sends(pacer, 1_000_000) == 6 * MSS  # 5 ms at the rate, and the burst that was begun
    assert sends(pacer, 1_000_000) == 0
    for rtt, most in ((1500, LATE_LEAST_US), (1_000_000, LATE_MOST_US)):
        pacer = Pacer(0)
        assert sends(pacer, 0) == 0
        sent = 0
        while pacer.may_send(RATE, rtt, MSS, 1_000_000):
            pacer.on_sent(MSS)
            sent += MSS
        assert sent == max(most * RATE / 1_000_000, SAVED * MSS)


def test_who_did_not_wait_for_the_pace_has_saved_four_segments_up_and_no_more() -> None:
    pacer = Pacer(0)
    assert sends(pacer, 1_000_000) == SAVED * MSS


def test_what_acks_let_out_two_segments_at_a_time_goes_with_them_though_some_come_close_together() -> None:
    # at the rate of a pair every two milliseconds pairs of ACKs come close together, as after a loss
    pacer = Pacer(0)
    for now in (10_000, 10_100, 16_000, 16_100, 18_000, 24_000):
        assert pacer.may_send(RATE, RTT, MSS, now), now
        pacer.on_sent(2 * MSS)


def test_a_flight_begins_with_its_first_window_at_once() -> None:
    pacer = Pacer(0)
    pacer.begin(10 * MSS)
    assert sends(pacer, 0) == 10 * MSS


def test_all_wait_for_the_same_ticks() -> None:
    first, second = Pacer(0), Pacer(300)
    first.on_sent(4 * MSS + 517)
    second.on_sent(5 * MSS - 400)
    assert not first.may_send(RATE, RTT, MSS, 100) and not second.may_send(RATE, RTT, MSS, 301)
    assert first.deadline == second.deadline and first.deadline % TICK_US == 0
