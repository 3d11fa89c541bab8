"""What a run has reached is told in numbers, and what to try next is chosen by what reached something new."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from synfin import sim
from synfin.sim import Network, lines
from synfin.sim.guide import MOST, Guide
from synfin.sim.plan import draw
from tests.conftest import ROOT
from tests.sim.programs import ask, echo, run_two

RUN = """
from synfin.sim import Network
from tests.sim.programs import ask, echo, run_two
network = Network(7, swarm=True, features=True)
run_two(network, echo, ask("server"), loss=0.1)
print(sorted(network.features))
"""


def test_features_are_the_same_in_every_process() -> None:
    said = set()
    for hashes in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=True)
        said.add(done.stdout)
    assert len(said) == 1
    assert said.pop().count(",") > 30


def test_what_goes_wrong_on_the_way_is_new() -> None:
    def reached(**link: object) -> frozenset[int]:
        network = Network(3)
        run_two(network, echo, ask("server"), **link)
        return network.features

    assert reached() == reached()
    assert reached(loss=0.3) - reached()


def test_a_point_is_new_when_it_is_passed_and_when_it_is_passed_often() -> None:
    async def main(times: int) -> None:
        for _ in range(times):
            sim.point("retried")

    def reached(times: int) -> frozenset[int]:
        network = Network()
        network.run(main(times))
        return network.features

    assert [len(reached(times) - reached(0)) for times in (1, 2, 3, 4)] == [1, 1, 1, 1]
    assert len(reached(1) | reached(2) | reached(3) | reached(4)) == len(reached(0)) + 3


def test_two_tasks_that_wait_at_once_are_new() -> None:
    """The same steps one after the other, and at the same time: each place was known, the two together were not."""

    async def step(event: asyncio.Event) -> None:
        await event.wait()

    async def other(event: asyncio.Event) -> None:
        await event.wait()

    async def main(together: bool) -> None:
        for run in ([step, other],) if together else ([step], [other]):
            event = asyncio.Event()
            tasks = [asyncio.create_task(each(event)) for each in run]
            await asyncio.sleep(1)
            event.set()
            await asyncio.gather(*tasks)

    def reached(together: bool) -> frozenset[int]:
        network = Network(features=True)
        network.run(main(together))
        return network.features

    assert reached(True) - reached(False)


def test_without_the_option_no_step_is_watched() -> None:
    network = Network()
    assert network.loop.on_step is None
    network.close()


def test_a_line_is_new_once_where_there_is_sys_monitoring() -> None:
    async def main(deep: bool) -> None:
        await asyncio.sleep(1)
        if deep:
            _deep()

    def reached(deep: bool) -> frozenset[int]:
        network = Network(features=True)
        network.run(main(deep))
        return network.features

    reached(False)
    assert bool(reached(True) - reached(False)) == lines.AVAILABLE == (sys.version_info >= (3, 12))


def _deep() -> int:
    return 1


def test_python_and_test_runners_are_not_under_test(tmp_path: Path) -> None:
    assert lines.is_under_test(str(tmp_path / "shop.py"))
    assert lines.is_under_test(__file__)
    assert not lines.is_under_test(asyncio.__file__)
    assert not lines.is_under_test(pytest.__file__)
    assert not lines.is_under_test(sim.__file__)
    assert not lines.is_under_test("<string>")


# ---- the guide ----


def campaign(guide: Guide, seeds: int = 300) -> list[dict[str, object]]:
    """As a campaign does; what is new is what a draw has of crashes that come often."""
    tried: list[dict[str, object]] = []
    seen: set[int] = set()
    for seed in range(seeds):
        settings = guide.settings("test", seed)
        tried.append(settings)
        plan = draw(str(settings.get("drawn_by", seed)), ["crash", "loss", "pause"], 60_000_000)
        reached = {knob.every.bit_length() for knob in plan if knob.kind == "crash"}
        guide.note("test", seed, settings, "passed", len(reached - seen))
        seen |= reached
    return tried


def test_a_guide_is_deterministic() -> None:
    assert campaign(Guide(1)) == campaign(Guide(1))
    assert campaign(Guide(1)) != campaign(Guide(2))


def test_a_guide_draws_afresh_and_changes_what_reached_something_new() -> None:
    tried = campaign(Guide(1))
    afresh = [settings for settings in tried if not settings]
    changed = [settings for settings in tried if settings]
    assert 100 < len(afresh) < 200
    lineages = {str(settings["drawn_by"]) for settings in changed}
    assert any("/" in lineage for lineage in lineages)
    for lineage in lineages:
        draw(lineage, ["crash"], 60_000_000)
    assert campaign(Guide(1), 1) == [{}]


def test_what_reached_nothing_new_is_not_kept() -> None:
    guide = Guide(1)
    for seed in range(100):
        assert guide.settings("test", seed) == {}
        guide.note("test", seed, {}, "failed", 0)


def test_a_guide_keeps_each_test_apart() -> None:
    guide = Guide(1)
    for seed in range(50):
        guide.note("one", seed, {}, "passed", 5)
    assert all(guide.settings("other", seed) == {} for seed in range(50))
    assert any(guide.settings("one", seed) for seed in range(50))


def test_a_guide_keeps_a_limited_number_of_draws() -> None:
    guide = Guide(1)
    for seed in range(3 * MOST):
        guide.note("test", seed, {}, "passed", 1 + seed % 7)
    assert len(guide._corpus["test"]) == MOST
