"""Every order: breadth first, by replay, each state once.

A state is a path, the places of the actions that lead to it; to go on from it, the path is walked again from the
beginning. Layer after layer, so the first path that breaks a law is a shortest one. A layer is spread over processes;
what is common to them is this table of hashes alone, which stays with whoever asked.

Reduction (sound for two hosts, and not used for more). Two actions that concern one host each, and use up no bound,
commute: what a host sends goes to the packets under way, which have no order, and no time passes. So after an action of
the second host, an action of the first that was possible before it is not tried: doing it first leads to the same
state. That other way exists: an action of the second host is always tried; and by induction over the length of paths
the state that the first host's action leads to from the state before has been found, whether it was tried there or not.
No state is missed, and none is found later: both orders have the same length.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from synfin.explore.laws import at_the_end, in_every_state
from synfin.explore.world import Action, Bounds, World
from synfin.scenario.model import Scenario

Path = bytes  # places in World.actions(), one after another

_CHUNK: Final = 64  # paths that a process takes at a time
_MANY: Final = 200  # a layer of fewer is not worth the way to other processes


@dataclass(frozen=True)
class Failure:
    """path: a shortest one to it; what: the law that it breaks."""

    path: Path
    what: str


@dataclass
class Explored:
    """What came of a search. states: different ones, ends among them; transitions: actions that were tried; depth: of
    the longest of all shortest paths; seconds: of all processors. whole: no limit stopped it."""

    scenario: Scenario
    bounds: Bounds
    states: int = 0
    ends: int = 0
    transitions: int = 0
    depth: int = 0
    seconds: float = 0.0
    whole: bool = True
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """A state as its parent's process found it: go: the places of the actions to be tried there."""

    path: Path
    digest: bytes
    go: bytes
    end: bool
    broken: str = ""


def explore(
    scenario: Scenario,
    bounds: Bounds | None = None,
    *,
    max_states: int = 0,
    workers: int = 1,
    max_failures: int = 1,
) -> Explored:
    """Go through every order. max_states: stop there (0: never). workers: processes; 1: this one alone.

    Raises ValueError for a scenario with more than 200 actions in one state.
    """
    bounds = bounds if bounds is not None else Bounds()
    result = Explored(scenario, bounds)
    began = sum(os.times()[:4])
    with _Workers(scenario, bounds, workers) as pool:
        first = _Expander(scenario, bounds).root()
        seen = {first.digest}
        layer = [first] if not first.broken else []
        _count(result, first)
        if first.broken:
            result.failures.append(Failure(first.path, first.broken))
        while layer and len(result.failures) < max_failures:
            nexts: list[Found] = []
            for found in pool.expand([(each.path, each.go) for each in layer]):
                result.transitions += 1
                if found.digest in seen:
                    continue
                seen.add(found.digest)
                _count(result, found)
                if found.broken:
                    result.failures.append(Failure(found.path, found.broken))
                elif found.go:
                    nexts.append(found)
                if len(result.failures) >= max_failures or (max_states and result.states >= max_states):
                    break
            if max_states and result.states >= max_states:
                result.whole = False
                break
            layer = nexts
    result.seconds = sum(os.times()[:4]) - began
    return result


def _count(result: Explored, found: Found) -> None:
    result.states += 1
    result.ends += found.end
    result.depth = max(result.depth, len(found.path))


class _Expander:
    """What a process knows: the scenario and the bounds."""

    def __init__(self, scenario: Scenario, bounds: Bounds) -> None:
        self._scenario = scenario
        self._bounds = bounds
        self._reduced = len(scenario.hosts) == 2

    def root(self) -> Found:
        """The state at the beginning."""
        world = World(self._scenario, self._bounds)
        return self._found(b"", world, world.actions(), [], None)

    def expand(self, path: Path, go: bytes) -> Iterator[Found]:
        """All that is tried in the state at the end of a path."""
        for place in go:
            world = walk(self._scenario, self._bounds, path)
            before = world.actions()
            action = before[place]
            further = path + bytes((place,))
            try:
                world.apply(action)
                actions = world.actions()
            except Exception as error:
                yield Found(further, b"broken" + further, b"", False, _text(error))
                continue
            yield self._found(further, world, actions, before, action)

    def _found(
        self,
        path: Path,
        world: World,
        actions: list[Action],
        before: list[Action],
        by: Action | None,
    ) -> Found:
        if len(actions) > 200:
            raise ValueError("more than 200 things can happen in one state: the scenario is too large to explore")
        digest = world.digest()
        broken = ""
        try:
            in_every_state(world)
            if not actions:
                at_the_end(world)
        except Exception as error:
            broken = _text(error)
        go = [place for place, action in enumerate(actions) if not self._done_before(action, before, by)]
        return Found(path, digest, bytes(go), not actions, broken)

    def _done_before(self, action: Action, before: list[Action], by: Action | None) -> bool:
        """It commutes with the action that led here, and is tried before that: see above."""
        return (
            self._reduced
            and by is not None
            and by.commutes()
            and action.commutes()
            and action.host < by.host
            and any(each.kind == action.kind and each.what == action.what for each in before)
        )


def walk(scenario: Scenario, bounds: Bounds, path: Path) -> World:
    """The state at the end of a path."""
    world = World(scenario, bounds)
    for place in path:
        world.apply(world.actions()[place])
    return world


def check_path(scenario: Scenario, bounds: Bounds, path: Path) -> None:
    """Walk a path that a search has found; raise Broken, or what a stack raises, where a law does not hold."""
    world = World(scenario, bounds)
    in_every_state(world)
    for place in path:
        actions = world.actions()
        if place >= len(actions):
            raise ValueError("the path leads elsewhere by now: what can happen on it is something else")
        world.apply(actions[place])
        in_every_state(world)
    if not world.actions():
        at_the_end(world)


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


# ---- processes ----


class _Process:
    """What a process was begun with."""

    expander: _Expander


def _begin(scenario: Scenario, bounds: Bounds) -> None:
    _Process.expander = _Expander(scenario, bounds)


def _expand(jobs: list[tuple[Path, bytes]]) -> list[Found]:
    return [found for path, go in jobs for found in _Process.expander.expand(path, go)]


class _Workers:
    """Processes that expand, made when a layer is worth it first."""

    def __init__(self, scenario: Scenario, bounds: Bounds, count: int) -> None:
        self._arguments = (scenario, bounds)
        self._count = count
        self._alone = _Expander(scenario, bounds)
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def expand(self, jobs: list[tuple[Path, bytes]]) -> Iterable[Found]:
        """What each leads to, in the order of the jobs."""
        if self._count <= 1 or len(jobs) < _MANY:
            for path, go in jobs:
                yield from self._alone.expand(path, go)
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._count,
                multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=self._arguments,
            )
        chunks = [jobs[at : at + _CHUNK] for at in range(0, len(jobs), _CHUNK)]
        for found in self._pool.map(_expand, chunks):
            yield from found
