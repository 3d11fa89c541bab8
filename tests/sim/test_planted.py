"""Eight planted bugs: none shows without faults, each shows under a swarm, again by the same seed, and shrinks."""

from __future__ import annotations

import pytest

from bench.planted import BUGS, HORIZON
from bench.seeds_needed import interval, run
from synfin.sim import Network
from synfin.sim.shrink import Parts, Search

FOUND_BY = {
    "lost_update": 38,
    "double_delivery": 1,
    "split_brain": 0,
    "leaked_connection": 0,
    "half_open_reader": 0,
    "reordered": 1,
    "lost_wakeup": 21,
    "deadlock": 2,
}


def fails(bug: str, network: Network) -> bool:
    program, hosts = BUGS[bug]
    for name in hosts:
        network.host(name)
    network.loop.set_exception_handler(lambda *_: None)
    try:
        network.run(program(network))
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize("bug", BUGS)
def test_no_planted_bug_shows_without_faults(bug: str) -> None:
    assert not fails(bug, Network(keep_events=0))


@pytest.mark.parametrize("bug", BUGS)
def test_a_swarm_finds_each_planted_bug_and_its_seed_finds_it_again(bug: str) -> None:
    for _ in range(2):
        assert fails(bug, Network(FOUND_BY[bug], swarm=True, swarm_until=HORIZON, keep_events=0))


@pytest.mark.parametrize("bug", ["split_brain", "leaked_connection"])
def test_what_a_swarm_found_shrinks_to_a_few(bug: str) -> None:
    seed = FOUND_BY[bug]
    made = Network(seed, swarm=True, swarm_until=HORIZON, keep_faults=True)
    assert fails(bug, made)

    def again(parts: Parts) -> bool:
        only = Network(
            seed,
            swarm=True,
            swarm_until=HORIZON,
            only_faults=dict(parts.faults),
            only_swaps=[swap for swap, _ in parts.swaps],
            only_episodes=parts.episodes,
            keep_events=0,
        )
        return fails(bug, only)

    found = Parts(list(made.faults.items()), list(made.swaps.items()), made.episodes)
    search = Search(found, again, 500)
    assert search.again()
    search.run()
    assert len(search.best) < min(12, len(found))


def test_a_run_of_the_measurement_is_what_its_seed_says() -> None:
    assert run("leaked_connection", 7, False)[0] is False
    assert run("leaked_connection", 7, True, features=True) == run("leaked_connection", 7, True, features=True)


def test_the_interval_of_thirty_goes_from_the_tenth_to_the_twenty_first() -> None:
    assert interval(range(1, 31)) == (16, 10, 21)
