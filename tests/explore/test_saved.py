"""A path of a search as a scenario: its run has the same packets at the same times, and each of its parts says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synfin.explore import STARTS, Bounds
from synfin.explore.saved import NotSaved, as_scenario
from synfin.explore.search import Explored, Failure
from synfin.explore.world import DELIVER, DUPLICATE, FORGE, LOSE, STEP, World
from synfin.scenario import Scenario, from_json, run, to_json
from synfin.scenario.model import MAX_TIME_US

BOUNDS = Bounds(2, 1, 0)


def some_path(scenario: Scenario, bounds: Bounds, stride: int) -> bytes:
    """One of the many, the same each time."""
    world, path = World(scenario, bounds), b""
    while (actions := world.actions()) and len(path) < 60:
        place = (len(path) + 1) * stride % len(actions)
        path += bytes((place,))
        world.apply(actions[place])
    return path


def walked(scenario: Scenario, bounds: Bounds, wanted: list[str]) -> bytes:
    """The path of the first actions of these kinds."""
    world, path = World(scenario, bounds), b""
    for kind in wanted:
        place = next(place for place, each in enumerate(world.actions()) if each.kind == kind)
        path += bytes((place,))
        world.apply(world.actions()[place])
    return path


def saved(scenario: Scenario, path: bytes, bounds: Bounds = BOUNDS) -> Scenario:
    return as_scenario(Explored(scenario, bounds), Failure(path, "Broken: a law"))


@pytest.mark.parametrize("name", STARTS)
def test_an_order_of_events_happens_once_more_when_it_is_run_as_a_scenario(name: str) -> None:
    for stride in (3, 5, 7):
        found = saved(STARTS[name].scenario, some_path(STARTS[name].scenario, BOUNDS, stride))
        assert from_json(to_json(found)) == found
        assert found.about.endswith("Broken: a law")
        assert not run(found).remarks


def test_what_is_lost_arrives_twice_is_chosen_and_is_forged_stands_in_it_with_its_time() -> None:
    scenario = STARTS["rst-inside"].scenario
    path = walked(scenario, BOUNDS, [DUPLICATE, DELIVER, LOSE, DELIVER, STEP, DELIVER, FORGE])
    found = saved(scenario, path)
    syn, lost, answer, *_ = found.fates
    assert (syn.do, syn.by_us, syn.again_us) == ("delay", 1000, 2000)
    assert lost.do == "drop"
    assert (answer.do, answer.by_us, answer.again_us) == ("delay", 2000, 0)
    assert next(step.at_us for step in found.steps if step.do == "close") == 5000
    assert [each.at_us for each in found.forged] == [7000]
    assert found.until_us == 7000
    assert run(found).segments[0].arrived_us == [1000, 2000]


def test_what_has_not_happened_on_a_path_does_not_happen_in_its_scenario() -> None:
    scenario = STARTS["rst-inside"].scenario
    found = saved(scenario, b"")
    assert not found.forged
    assert [fate.by_us for fate in found.fates] == [MAX_TIME_US]
    assert [outcome.result for outcome in run(found).outcomes if outcome.host == "A"] == [
        "waiting",
        "waiting",
        "waiting",
    ]


def test_a_scenario_that_goes_elsewhere_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = STARTS["in-turn"].scenario
    path = walked(scenario, BOUNDS, [DELIVER, DELIVER])
    monkeypatch.setattr("synfin.explore.saved.run", lambda wanted: run(replace(wanted, fates=())))
    with pytest.raises(NotSaved, match="no scenario leads this way"):
        saved(scenario, path)
