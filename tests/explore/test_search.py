"""Every order of the suite's scenarios, as far as the small bounds go; and what the search itself promises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from synfin.campaign.engine import Alone, Batch, Engine, EngineError
from synfin.campaign.program import HUNG, Json, Limits, Lost, Program
from synfin.explore import STARTS, Bounds, check_path, explore, report, runners
from synfin.explore.packets import absolute, relative
from synfin.explore.parts import Replay, reached_from_plain, reached_to_plain
from synfin.explore.search import walk
from synfin.explore.stage import Stage
from synfin.explore.world import BEGIN_US, TIMER, World
from synfin.scenario import Scenario


@pytest.mark.parametrize("name", STARTS)
def test_the_laws_hold_in_every_state_and_at_every_end(name: str) -> None:
    start = STARTS[name]
    found = explore(start.scenario, start.small)
    assert not found.failures, found.failures
    assert found.whole and found.ends


RECORDED = json.loads((Path(__file__).parent / "explored.json").read_text())


def test_what_is_recorded_is_the_suite_gone_through_wholly_by_its_large_bounds() -> None:
    assert [row["name"] for row in RECORDED] == list(STARTS)
    for row in RECORDED:
        bounds = Bounds(row["losses"], row["duplicates"], row["early_timers"])
        assert (bounds, row["whole"]) == (STARTS[row["name"]].large, True)


@pytest.mark.parametrize("name", ["nobody", "cookie-plain"])
def test_what_is_recorded_is_what_a_search_finds(name: str) -> None:
    [row] = [row for row in RECORDED if row["name"] == name]
    found = report.row(name, explore(STARTS[name].scenario, STARTS[name].large))
    assert {**found, "seconds": 0} == {**row, "seconds": 0}


def in_every_order(scenario: Scenario, bounds: Bounds) -> tuple[set[bytes], int]:
    """The same without anything that saves work: whole worlds, replayed, every action in every state. And the ends."""
    seen, layer, ends = {World(scenario, bounds).digest()}, [b""], 0
    while layer:
        further = []
        for path in layer:
            count = len(walk(scenario, bounds, path).actions())
            ends += not count
            for place in range(count):
                to = path + bytes((place,))
                digest = walk(scenario, bounds, to).digest()
                if digest not in seen:
                    seen.add(digest)
                    further.append(to)
        layer = further
    return seen, ends


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("nobody", Bounds(1, 1, 1)),
        ("open", Bounds(0, 0, 0)),
        ("in-turn", Bounds(1, 0, 0)),
        ("cookie", Bounds(1, 0, 0)),
        ("losses-sack", Bounds(0, 0, 0)),
        ("rst-exact", Bounds(0, 0, 0)),
    ],
)
def test_a_search_by_parts_finds_each_state_that_one_of_the_whole_does(name: str, bounds: Bounds) -> None:
    scenario = STARTS[name].scenario
    states, ends = in_every_order(scenario, bounds)
    found = explore(scenario, bounds)
    assert (found.states, found.ends) == (len(states), ends)


def test_an_early_timer_is_not_spent_for_what_is_lost_anyway() -> None:
    """The only states that are left out: those with a timer that was early because of what was lost later."""
    scenario, bounds = STARTS["nobody"].scenario, Bounds(1, 0, 1)
    states, ends = in_every_order(scenario, bounds)
    found = explore(scenario, bounds)
    assert found.ends == ends
    assert found.states <= len(states)


def test_an_engine_s_children_find_the_same_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "_FEW", 8)
    scenario, bounds = STARTS["cookie"].scenario, Bounds(1, 1, 0)
    here = explore(scenario, bounds)
    with Alone() as engine:
        there = explore(scenario, bounds, engine=engine)
    assert (here.states, here.ends, here.transitions) == (there.states, there.ends, there.transitions)


def test_a_child_that_gives_no_answer_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "_FEW", 0)
    with pytest.raises(EngineError, match="what a host does could not be found out: hung 5 s"):
        explore(STARTS["open"].scenario, Bounds(0, 0, 0), engine=Mute())


class Mute(Engine):
    """Its children hang."""

    def batches(self, program: Program, jobs: Iterator[Json | None], limits: Limits) -> Iterator[Batch]:
        yield [(job, Lost(HUNG, "5 s")) for job in jobs if job is not None]

    def close(self) -> None:
        pass


def test_what_is_told_of_a_host_comes_over_a_pipe_as_it_is() -> None:
    for name in STARTS:
        stage = Stage(STARTS[name].scenario)
        for number in range(2):
            reached = Replay(stage, number).reached()
            assert reached_from_plain(json.loads(json.dumps(reached_to_plain(reached)))) == reached


@pytest.mark.parametrize("ticks", [0, 1, 1 << 31, -5])
def test_a_packet_is_the_same_packet_at_another_time(ticks: int) -> None:
    world = World(STARTS["modern"].scenario, Bounds(0, 0, 0))
    (syn,) = world.flying
    at = world.now // 1000
    plain = relative(syn.packet, at)
    assert absolute(plain, at)[36:38] == b"\0\0", "it has no checksum"
    assert relative(absolute(plain, at + ticks), at + ticks) == plain
    assert (absolute(plain, at) == absolute(plain, at + ticks)) == (ticks == 0)


def test_who_may_lose_more_than_a_host_tries_again_expects_that_it_gives_up() -> None:
    scenario = replace(STARTS["in-turn"].scenario)
    hosts = tuple(
        replace(host, settings=replace(host.settings, retries=1, syn_retries=1, synack_retries=1))
        for host in scenario.hosts
    )
    found = explore(replace(scenario, hosts=hosts), Bounds(2, 0, 0))
    assert not found.failures and found.whole


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
