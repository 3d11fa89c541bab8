"""Every order of the suite's scenarios, as far as the small bounds go; and what the search itself promises."""

from __future__ import annotations

import pytest

from synfin.explore import STARTS, Bounds, check_path, explore
from synfin.explore import search as search_module
from synfin.explore.search import walk
from synfin.explore.world import BEGIN_US, TIMER, World


@pytest.mark.parametrize("name", STARTS)
def test_the_laws_hold_in_every_state_and_at_every_end(name: str) -> None:
    start = STARTS[name]
    found = explore(start.scenario, start.small)
    assert not found.failures, found.failures
    assert found.whole and found.ends


def test_the_reduction_loses_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = STARTS["losses-sack"].scenario
    bounds = Bounds(0, 0, 0)
    reduced = explore(scenario, bounds)
    monkeypatch.setattr(search_module._Expander, "_done_before", lambda *_: False)
    whole = explore(scenario, bounds)
    assert (reduced.states, reduced.ends, reduced.depth) == (whole.states, whole.ends, whole.depth)
    assert reduced.transitions < whole.transitions


def test_two_processes_find_the_same_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "_MANY", 8)
    start = STARTS["in-turn"]
    alone = explore(start.scenario, Bounds(1, 0, 0))
    both = explore(start.scenario, Bounds(1, 0, 0), workers=2)
    assert (alone.states, alone.ends, alone.transitions) == (both.states, both.ends, both.transitions)


def test_a_path_leads_to_the_same_state_each_time() -> None:
    scenario, bounds = STARTS["open"].scenario, Bounds(1, 1, 1)
    path = b""
    while actions := walk(scenario, bounds, path).actions():
        path += bytes((len(actions) // 2,))
    assert walk(scenario, bounds, path).plain() == walk(scenario, bounds, path).plain()
    check_path(scenario, bounds, path)


@pytest.mark.parametrize("name", ["open", "modern", "at-once"])
def test_what_time_it_is_makes_no_difference(name: str) -> None:
    bounds = Bounds(1, 1, 1)
    one, other = World(STARTS[name].scenario, bounds), World(STARTS[name].scenario, bounds, begin=BEGIN_US + 7_000_000)
    turn = 0
    while actions := one.actions():
        turn += 1
        place = turn * 5 % len(actions)
        one.apply(actions[place])
        other.apply(other.actions()[place])
        assert one.plain() == other.plain()
    assert other.now == one.now + 7_000_000


def test_a_timer_fires_early_only_as_often_as_the_bounds_say() -> None:
    scenario = STARTS["open"].scenario
    assert not any("timer" in each.kind for each in walk(scenario, Bounds(0, 0, 0), b"").actions())
    world = walk(scenario, Bounds(0, 0, 1), b"")
    early = next(each for each in world.actions() if each.kind == "early timer")
    world.apply(early)
    assert not any(each.kind in ("early timer", TIMER) for each in world.actions())


@pytest.mark.parametrize("wrong", [-1, 21, True, "1", 1.0])
def test_bounds_are_small_numbers(wrong: object) -> None:
    with pytest.raises(ValueError, match="losses is a number from 0 to 20"):
        Bounds(losses=wrong)  # type: ignore[arg-type]
