"""CUBIC's window against the equations of RFC 9438, to a segment."""

from __future__ import annotations

import random

import pytest

from synfin.tcp.congestion.base import FAST, LOSS, NONE, UNLIMITED, AckSample, CongestionControl
from synfin.tcp.congestion.cubic import Cubic
from synfin.tcp.congestion.newreno import NewReno
from tests.unit.tcp.path_model import Path

MSS = 1000
SECOND = 1_000_000
C, BETA = 0.4, 0.7
ALPHA = 3 * (1 - BETA) / (1 + BETA)


def control(cwnd: int, ssthresh: int = UNLIMITED) -> Cubic:
    """One in the middle of its life; sizes in segments."""
    made = Cubic(MSS)
    made.cwnd = cwnd * MSS
    made.ssthresh = ssthresh if ssthresh == UNLIMITED else ssthresh * MSS
    return made


def acked(
    now: int, size: int, *, rtt: int = 100_000, limited: bool = True, recovery: int = NONE, rounds: int = -1
) -> AckSample:
    """A sample of an ACK. rounds: prior_delivered and delivered, for HyStart++."""
    sample = AckSample()
    sample.now, sample.acked, sample.cwnd_limited, sample.recovery = now, size, limited, recovery
    sample.rtt = sample.srtt = sample.min_rtt = rtt
    sample.prior_delivered, sample.delivered = rounds, rounds + size
    return sample


def window_by_the_rfc(cwnd_epoch: float, w_max: float, cwnd_prior: float, rtt: float, rounds: int) -> list[float]:
    """cwnd in segments after each round trip of a full window, by figures 1 to 4 with one ACK for each segment."""
    k = ((w_max - cwnd_epoch) / C) ** (1 / 3)
    cwnd = w_est = cwnd_epoch
    told = []
    for turn in range(rounds):
        acks = int(cwnd)
        for number in range(acks):
            t = turn * rtt + rtt * number / acks
            w_est += (ALPHA if w_est < cwnd_prior else 1) / cwnd
            if C * (t - k) ** 3 + w_max < w_est:
                cwnd = max(cwnd, w_est)
            else:
                target = min(max(C * (t + rtt - k) ** 3 + w_max, cwnd), 1.5 * cwnd)
                cwnd += (target - cwnd) / cwnd
        told.append(cwnd)
    return told


def drive(made: Cubic, rtt: float, rounds: int, merge: int = 1, begin: int = 0) -> list[float]:
    """A full window a round trip, an ACK for each `merge` segments; cwnd in segments after each."""
    told = []
    for turn in range(rounds):
        window = int(made.cwnd) // MSS
        for number in range(0, window, merge):
            now = begin + round((turn * rtt + rtt * number / window) * SECOND)
            made.on_ack(acked(now, min(merge, window - number) * MSS, rtt=round(rtt * SECOND)))
        told.append(made.cwnd / MSS)
    return told


@pytest.mark.parametrize("rtt", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("w_max", [50, 200, 1000])
def test_the_window_follows_the_cubic_function_to_a_segment(rtt: float, w_max: int) -> None:
    made = control(w_max, w_max)
    made.on_loss(0, w_max * MSS)
    assert made.cwnd == made.ssthresh == round(w_max * BETA) * MSS
    rounds = min(int(12 / rtt), 150)
    expected = window_by_the_rfc(w_max * BETA, w_max, w_max, rtt, rounds)
    assert drive(made, rtt, rounds) == pytest.approx(expected, abs=1)


def test_the_window_is_back_at_w_max_after_k_seconds() -> None:
    # figure 2
    made = control(1000, 1000)
    made.on_loss(0, 1000 * MSS)
    k = (1000 * (1 - BETA) / C) ** (1 / 3)
    told = drive(made, 0.1, int(k / 0.1) + 1)
    assert told[int(k / 0.1) - 1] == pytest.approx(1000, abs=1)
    assert told[int(k / 0.1 / 2)] == pytest.approx(1000 - 300 / 8, abs=4)  # concave: half the time, an eighth below


def test_merged_acks_grow_the_window_as_single_ones_do() -> None:
    one, many = control(200, 200), control(200, 200)
    for made in (one, many):
        made.on_loss(0, 200 * MSS)
    assert drive(many, 0.1, 60, merge=44) == pytest.approx(drive(one, 0.1, 60), rel=0.02)


def test_with_a_short_round_trip_the_window_is_reno_friendly() -> None:
    # 4.3: alpha segments a round trip up to the old window, then one
    made = control(100, 100)
    made.on_loss(0, 100 * MSS)
    told = drive(made, 0.001, 100)
    assert told[49] - 70 == pytest.approx(50 * ALPHA, abs=1)
    below = next(place for place, cwnd in enumerate(told) if cwnd >= 100)
    assert told[below + 20] - told[below] == pytest.approx(20, abs=1)


def test_it_grows_by_no_more_than_half_a_round_trip() -> None:
    # 4.2: target is at most 1.5 cwnd
    made = control(10, 10)
    drive(made, 0.1, 1)
    before = made.cwnd
    made.on_ack(acked(1000 * SECOND, before))
    assert made.cwnd == before * 3 // 2


def test_a_window_that_did_not_reach_the_old_one_leaves_room_for_others() -> None:
    # 4.7: W_max becomes 0.85 cwnd
    made = control(100, 100)
    made.on_loss(0, 100 * MSS)
    made.on_loss(0, 70 * MSS)
    assert made.cwnd == 49 * MSS
    expected = window_by_the_rfc(49, 70 * 0.85, 70, 0.1, 40)
    assert drive(made, 0.1, 40) == pytest.approx(expected, abs=1)


def test_a_loss_leaves_two_segments() -> None:
    made = control(2, 2)
    made.on_loss(0, MSS)
    assert made.cwnd == made.ssthresh == 2 * MSS


def test_in_fast_recovery_the_window_stays() -> None:
    made = control(100, 100)
    made.on_loss(0, 100 * MSS)
    for now in range(0, 10 * SECOND, 1000):
        made.on_ack(acked(now, MSS, recovery=FAST))
    assert made.cwnd == 70 * MSS


def test_after_a_timeout_the_window_is_one_segment_and_the_next_stage_begins_at_its_own_top() -> None:
    # 4.8: slow start to 0.7 of the flight, then K is 0
    made = control(100, 100)
    made.on_rto(0, 100 * MSS, True)
    assert (made.cwnd, made.ssthresh) == (MSS, 70 * MSS)
    made.on_rto(0, MSS, False)
    assert (made.cwnd, made.ssthresh) == (MSS, 70 * MSS)
    while made.cwnd < made.ssthresh:
        made.on_ack(acked(SECOND, int(made.cwnd), recovery=LOSS))
    expected = window_by_the_rfc(70, 70, 100, 0.1, 30)
    assert drive(made, 0.1, 30, begin=SECOND) == pytest.approx(expected, abs=1)


def test_time_in_which_the_writer_does_not_fill_the_window_does_not_count() -> None:
    # 4.2, 5.8
    busy, lazy = control(200, 200), control(200, 200)
    for made in (busy, lazy):
        made.on_loss(0, 200 * MSS)
    before = drive(busy, 0.1, 20)
    assert drive(lazy, 0.1, 20) == before
    for now in range(2 * SECOND, 12 * SECOND, 10_000):
        lazy.on_ack(acked(now, MSS, limited=False))
    assert lazy.cwnd == busy.cwnd
    assert drive(lazy, 0.1, 20, begin=12 * SECOND) == pytest.approx(drive(busy, 0.1, 20, begin=2 * SECOND), abs=1)


def test_a_pause_does_not_count() -> None:
    busy, lazy = control(200, 200), control(200, 200)
    for made in (busy, lazy):
        made.on_loss(0, 200 * MSS)
        drive(made, 0.1, 20)
    lazy.on_transmit(12 * SECOND, 0, True)
    assert drive(lazy, 0.1, 20, begin=12 * SECOND) == pytest.approx(drive(busy, 0.1, 20, begin=2 * SECOND), abs=1)


def test_undo_brings_window_and_stage_back() -> None:
    # 4.9.2
    spurious, spared = control(200, 200), control(200, 200)
    for made in (spurious, spared):
        made.on_loss(0, 200 * MSS)
        drive(made, 0.1, 30)
    spurious.on_loss(3 * SECOND, int(spurious.cwnd))
    assert spurious.cwnd < spared.cwnd
    spurious.undo()
    assert (spurious.cwnd, spurious.ssthresh) == (spared.cwnd, spared.ssthresh)
    assert drive(spurious, 0.1, 30, begin=3 * SECOND) == pytest.approx(drive(spared, 0.1, 30, begin=3 * SECOND), abs=1)
    spurious.undo()  # once
    assert spurious.cwnd > spared.cwnd - MSS


def test_undo_of_a_timeout_brings_the_window_back() -> None:
    made = control(200, 100)
    made.on_rto(0, 200 * MSS, True)
    made.on_rto(0, MSS, False)
    made.undo()
    assert (made.cwnd, made.ssthresh) == (200 * MSS, 100 * MSS)


def test_undo_that_comes_when_the_window_has_outgrown_the_old_one_changes_nothing() -> None:
    made = control(20, 20)
    made.on_loss(0, 20 * MSS)
    drive(made, 0.1, 100)
    grown = made.cwnd
    assert grown > 20 * MSS
    made.undo()
    assert made.cwnd == grown


def test_a_mark_takes_less_than_a_loss_and_is_not_undone() -> None:
    # RFC 8511 3.1, RFC 9438 4.6
    made = control(100, 50)
    made.on_loss(0, 100 * MSS)
    made.on_ecn(0, 70 * MSS)
    assert made.cwnd == made.ssthresh == 70 * MSS * 85 // 100
    made.undo()
    assert made.cwnd == 70 * MSS * 85 // 100
    made.on_ecn(0, MSS)
    assert (made.cwnd, made.ssthresh) == (MSS, 2 * MSS)


def test_a_mark_in_slow_start_takes_as_much_as_a_loss() -> None:
    made = control(100)
    made.on_ecn(0, 100 * MSS)
    assert made.cwnd == made.ssthresh == 70 * MSS


def test_slow_start_ends_where_the_round_trip_grows_without_a_loss() -> None:
    # 4.10 with RFC 9406
    made = control(10)
    delivered, now, rtt = 0, 0, 20_000
    for turn in range(12):
        began = delivered
        window = int(made.cwnd)
        for _ in range(window // MSS):
            now += rtt * MSS // window
            sample = acked(now, MSS, rtt=rtt, rounds=began)
            delivered += MSS
            sample.delivered = delivered
            made.on_ack(sample)
        rtt = 20_000 if turn < 4 else 30_000
    assert made.ssthresh < UNLIMITED
    # 320 segments when the delay rises, seven ACKs until that is sure, then a quarter a round
    assert made.ssthresh == pytest.approx(327 * MSS * 1.25**5, rel=0.02)
    # W_max is unknown: the stage begins at its top
    expected = window_by_the_rfc(made.cwnd / MSS, made.cwnd / MSS, 0, 0.1, 20)
    made._epoch = -1
    assert drive(made, 0.1, 20, begin=100 * SECOND) == pytest.approx(expected, abs=1)


def test_unpaced_idleness_brings_the_initial_window_back_and_slow_start_up_to_what_was_known() -> None:
    # RFC 5681 4.1
    made = control(100, 40)
    made.paced = False
    made.on_idle(0, 10)
    assert (made.cwnd, made.ssthresh) == (10 * MSS, 75 * MSS)


def test_it_fills_a_path_of_100_mbit_and_20_ms() -> None:
    made = Cubic(MSS)
    path = Path(made, rate=12.5e6, rtt=20_000, queue=250_000)
    path.run(10 * SECOND)
    assert path.delivered > 0.95 * 12.5e6 * 10
    assert path.drops < 0.005 * path.sent


@pytest.mark.parametrize("ssthresh", [UNLIMITED, 5])
def test_an_ack_that_tells_of_marks_does_not_raise_cwnd(ssthresh: int) -> None:
    # RFC 3168 6.1.2
    made = control(10, ssthresh)
    for number in range(100):
        sample = acked(number * 10_000, 2 * MSS)
        sample.ecn = MSS
        made.on_ack(sample)
    assert made.cwnd == 10 * MSS


# ---- losses by chance, on a path without a queue ----

ROUND_US = 20_000


def mean_window(made: CongestionControl, loss: float, rounds: int) -> float:
    """Segments a round trip, each lost by chance, a loss of any number of them told once."""
    draw = random.Random(1)
    sent = 0
    for turn in range(rounds):
        window = max(made.cwnd // MSS, 1)
        sent += window
        if draw.random() > (1 - loss) ** window:
            made.on_loss(turn * ROUND_US, window * MSS)
        else:
            made.on_ack(acked(turn * ROUND_US, window * MSS, rtt=ROUND_US))
    return sent / rounds


def mean_window_by_the_rfc(loss: float, rounds: int, beyond: float) -> float:
    """The same by RFC 9438 4.3. beyond: alpha from where the window was before the loss: 1; in RFC 8312 ALPHA."""
    draw = random.Random(1)
    sent = 0
    cwnd = prior = 10.0
    for _ in range(rounds):
        window = int(cwnd)
        sent += window
        if draw.random() > (1 - loss) ** window:
            prior, cwnd = cwnd, max(window * BETA, 2.0)
        else:
            cwnd += (ALPHA if cwnd < prior else beyond) * window / cwnd
    return sent / rounds


@pytest.mark.parametrize("loss", [0.01, 0.03])
def test_random_losses_leave_the_window_of_the_reno_friendly_region_and_no_more(loss: float) -> None:
    # an eighth above what RFC 8312 left, and Linux leaves: alpha is 1 beyond the window before the loss
    made = control(10, 1)
    mean = mean_window(made, loss, 8_000)
    assert mean == pytest.approx(mean_window_by_the_rfc(loss, 8_000, 1.0), rel=0.03)
    assert 1.1 < mean / mean_window_by_the_rfc(loss, 8_000, ALPHA) < 1.2
    reno = NewReno(MSS)
    reno.ssthresh = MSS
    assert mean < 1.15 * mean_window(reno, loss, 8_000)
