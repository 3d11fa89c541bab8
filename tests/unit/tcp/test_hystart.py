"""HyStart++ by RFC 9406, and where a round brings fewer samples than it reckons with."""

from __future__ import annotations

from synfin.tcp.congestion.base import AckSample
from synfin.tcp.congestion.hystart import HyStart

MS = 1000
GROWTH = 4000
SLOW = GROWTH // 4  # in CSS


class Rounds:
    """Feeds rounds of ACKs: what is sent on one ACK of a round is acknowledged in the next."""

    def __init__(self) -> None:
        self.hystart = HyStart()
        self.delivered = 0

    def round(self, *rtts: int) -> list[int]:
        """One ACK for each round trip (0: no sample). How much of GROWTH each adds."""
        began = self.delivered
        grown = []
        for rtt in rtts:
            sample = AckSample()
            self.delivered += 1000
            sample.prior_delivered, sample.delivered, sample.rtt = began, self.delivered, rtt
            grown.append(self.hystart.on_ack(sample, GROWTH))
        return grown


def test_a_round_trip_that_stays_lets_slow_start_go_on() -> None:
    rounds = Rounds()
    for _ in range(20):
        assert rounds.round(*[20 * MS + 3999] * 10) == [GROWTH] * 10
    assert not rounds.hystart.done


def test_growth_is_quartered_from_the_eighth_sample_of_a_round_whose_least_round_trip_is_longer_by_a_threshold() -> (
    None
):
    # RFC 9406 4.2: at least 4 ms, at most 16, an eighth between
    for rtt, threshold in ((10 * MS, 4 * MS), (80 * MS, 10 * MS), (400 * MS, 16 * MS)):
        rounds = Rounds()
        rounds.round(*[rtt] * 10)
        assert rounds.round(*[rtt + threshold - 1] * 10) == [GROWTH] * 10
        longer = Rounds()
        longer.round(*[rtt] * 10)
        assert longer.round(*[rtt + threshold] * 10) == [GROWTH] * 7 + [SLOW] * 3


def test_the_least_of_a_round_decides_not_the_last() -> None:
    rounds = Rounds()
    rounds.round(*[20 * MS] * 10)
    assert rounds.round(20 * MS, *[50 * MS] * 9) == [GROWTH] * 10


def test_a_round_with_three_samples_is_judged_when_it_has_ended() -> None:
    rounds = Rounds()
    rounds.round(20 * MS, 20 * MS, 20 * MS)
    assert rounds.round(30 * MS, 30 * MS, 30 * MS) == [GROWTH] * 3
    assert rounds.round(30 * MS, 30 * MS, 30 * MS) == [SLOW] * 3


def test_a_round_without_a_sample_is_passed_over() -> None:
    rounds = Rounds()
    rounds.round(20 * MS, 20 * MS)
    rounds.round(0, 0)
    rounds.round(30 * MS, 30 * MS)
    assert rounds.round(30 * MS) == [SLOW]


def test_delay_that_lasts_five_rounds_ends_slow_start() -> None:
    # the round in whose middle CSS began is one of them
    rounds = Rounds()
    rounds.round(*[20 * MS] * 10)
    for _ in range(5):
        assert rounds.round(*[30 * MS] * 10)[-1] == SLOW
        assert not rounds.hystart.done
    rounds.round(30 * MS)
    assert rounds.hystart.done


def test_a_round_trip_below_the_baseline_resumes_slow_start_at_once() -> None:
    rounds = Rounds()
    rounds.round(*[20 * MS] * 10)
    rounds.round(*[30 * MS] * 10)
    assert rounds.round(30 * MS, 30 * MS - 1, 30 * MS) == [SLOW, GROWTH, GROWTH]
    # and it is measured anew from there
    for _ in range(8):
        rounds.round(*[31 * MS] * 10)
    assert not rounds.hystart.done
    assert rounds.round(*[40 * MS] * 10) == [GROWTH] * 7 + [SLOW] * 3


def test_css_that_was_left_and_entered_again_lasts_five_rounds_again() -> None:
    rounds = Rounds()
    rounds.round(*[20 * MS] * 8)
    rounds.round(*[30 * MS] * 8)
    rounds.round(*[30 * MS] * 8)
    rounds.round(*[20 * MS] * 8)
    for _ in range(5):
        rounds.round(*[30 * MS] * 8)
        assert not rounds.hystart.done
    rounds.round(30 * MS)
    assert rounds.hystart.done


def test_without_rate_samples_there_are_no_rounds() -> None:
    hystart = HyStart()
    sample = AckSample()
    for rtt in range(1000, 100_000, 1000):
        sample.rtt = rtt
        assert hystart.on_ack(sample, GROWTH) == GROWTH
