"""RFC 6298, number by number."""

from __future__ import annotations

from synfin.tcp.rto import Rto


def rto(minimum: int = 1000, maximum: int = 120_000_000) -> Rto:
    """One with an initial value of a second."""
    return Rto(1_000_000, minimum, maximum)


def test_before_any_sample_it_is_the_initial_value() -> None:
    # RFC 6298 2.1
    assert rto().rto == 1_000_000


def test_the_first_sample_sets_srtt_to_r_and_rttvar_to_its_half() -> None:
    # RFC 6298 2.2
    timer = rto()
    timer.sample(100_000, 0)
    assert (timer.srtt, timer.rttvar, timer.rto) == (100_000, 50_000, 300_000)


def test_later_samples_use_an_eighth_and_a_quarter_and_rttvar_before_srtt() -> None:
    # RFC 6298 2.3
    timer = rto()
    timer.sample(100_000, 0)
    timer.sample(140_000, 0)
    assert timer.rttvar == 50_000 - 12_500 + 10_000
    assert timer.srtt == 105_000
    assert timer.rto == 105_000 + 4 * 47_500


def test_a_steady_rtt_keeps_at_least_the_clocks_granularity() -> None:
    timer = rto()
    for _ in range(200):
        timer.sample(50_000, 0)
    assert timer.rto == 51_000


def test_it_stays_between_its_limits() -> None:
    # RFC 6298 2.4, 2.5
    timer = rto(minimum=200_000, maximum=60_000_000)
    timer.sample(1000, 0)
    assert timer.rto == 200_000
    timer.sample(500_000_000, 0)
    assert timer.rto == 60_000_000


def test_back_off_doubles_up_to_the_maximum_and_a_sample_ends_it() -> None:
    # RFC 6298 5.5
    timer = rto(minimum=200_000, maximum=1_000_000)
    timer.sample(10_000, 0)
    seen = []
    for _ in range(4):
        timer.back_off()
        seen.append(timer.rto)
    assert seen == [400_000, 800_000, 1_000_000, 1_000_000]
    timer.sample(10_000, 0)
    assert timer.rto == 200_000


def test_a_sample_of_0_counts_as_a_microsecond() -> None:
    timer = rto()
    timer.sample(0, 0)
    assert timer.srtt == 1


def test_restart_sets_it_by_rule() -> None:
    # RFC 6298 5.7
    timer = rto()
    timer.restart(3_000_000)
    assert timer.rto == 3_000_000
