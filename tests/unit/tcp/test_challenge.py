"""The stack's budget of challenge ACKs tells nobody how many others got (CVE-2016-5696)."""

from __future__ import annotations

from collections import Counter

from synfin.tcp.challenge import ChallengeBudget

SECOND = 1_000_000


def drain(budget: ChallengeBudget, now: int) -> int:
    """All that can be had at `now`."""
    count = 0
    while budget.take(now):
        count += 1
    return count


def test_the_budget_of_a_second_is_between_a_half_and_one_and_a_half_of_the_limit() -> None:
    budget = ChallengeBudget(bytes(range(32)), 100)
    given = [drain(budget, second * SECOND) for second in range(5000)]
    assert (min(given), max(given)) == (50, 150)
    assert abs(sum(given) / len(given) - 100) < 2
    # uniform: what one challenge less would mean is drowned
    assert max(Counter(given).values()) < 3 * len(given) / 101


def test_what_is_left_of_one_second_is_not_there_in_the_next() -> None:
    budget = ChallengeBudget(bytes(range(32)), 100)
    assert budget.take(0)
    assert drain(budget, SECOND) == budget.budget(1)
    assert not budget.take(2 * SECOND - 1)


def test_one_second_tells_nothing_of_the_next_or_of_another_stack() -> None:
    one, other = ChallengeBudget(bytes(range(32)), 1000), ChallengeBudget(bytes(32), 1000)
    pairs = [(one.budget(second), one.budget(second + 1), other.budget(second)) for second in range(2000)]
    for place in (1, 2):
        covariance = sum((pair[0] - 1000) * (pair[place] - 1000) for pair in pairs) / len(pairs)
        assert abs(covariance) < 5 * (1001**2 / 12) / len(pairs) ** 0.5


def test_even_a_limit_of_one_lets_an_honest_peer_be_answered() -> None:
    budget = ChallengeBudget(bytes(range(32)), 1)
    assert {drain(budget, second * SECOND) for second in range(50)} == {1, 2}
