"""The order in which tasks run that are ready at the same time: chance exchanges them, or a list of swaps does.

A swap names two steps of two tasks, in words that mean the same in another run: so a failure that depends on the order
can be made again by the few swaps that matter.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from synfin.sim.tasks import SimTask, task_of, where

Swap = tuple[str, int, str, int]
"""The n-th step of a task, and that of another: they exchange places."""


class Order(ABC):
    """Asked at each turn of the loop."""

    def __init__(self) -> None:
        self.swaps: dict[Swap, str] = {}
        """What was exchanged, as far as it is kept, and where the two tasks stood."""
        self._named: dict[str, int] = {}

    def name(self, task: SimTask) -> None:
        """A task begins."""
        what = getattr(task.get_coro(), "__qualname__", "task").replace("<locals>.", "")
        number = self._named.get(what, 0)
        self._named[what] = number + 1
        task.label = f"{what} #{number + 1}" if number else what

    def replaced(self, swaps: Iterable[Swap]) -> Order:
        """Just these swaps from now on, of the same tasks."""
        order = BySwaps(swaps)
        order._named = self._named
        return order

    def arrange(self, ready: Any) -> None:
        """Exchange the places of tasks in the queue; callbacks that are none keep theirs, as asyncio promises."""
        places: list[int] = []
        tasks: list[SimTask] = []
        for at, handle in enumerate(ready):
            task = task_of(handle)
            if isinstance(task, SimTask):
                task.step += 1
                places.append(at)
                tasks.append(task)
        if len(places) > 1:
            handles = [ready[place] for place in places]
            self._exchange(handles, tasks)
            for place, handle in zip(places, handles, strict=True):
                ready[place] = handle

    @abstractmethod
    def _exchange(self, handles: list[Any], tasks: list[SimTask]) -> None:
        """Give them another order, both lists the same."""


class ByChance(Order):
    """The seed decides. keep: remember in `swaps` what it did."""

    def __init__(self, seed: int, keep: bool = False) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self._keep = keep

    def _exchange(self, handles: list[Any], tasks: list[SimTask]) -> None:
        for at in range(len(handles) - 1, 0, -1):  # Fisher and Yates
            other = self._random.randrange(at + 1)
            if other == at:
                continue
            handles[at], handles[other] = handles[other], handles[at]
            one, two = tasks[at], tasks[other]
            tasks[at], tasks[other] = two, one
            if self._keep:
                self.swaps[one.label, one.step, two.label, two.step] = f"{where(one)}; {where(two)}"


class BySwaps(Order):
    """Just these, in their order."""

    def __init__(self, swaps: Iterable[Swap] | Mapping[Swap, str]) -> None:
        super().__init__()
        self._wanted: dict[tuple[str, int], list[tuple[int, tuple[str, int]]]] = {}
        for number, (one, step, other, its) in enumerate(swaps):
            self._wanted.setdefault((one, step), []).append((number, (other, its)))

    def _exchange(self, handles: list[Any], tasks: list[SimTask]) -> None:
        at = {(task.label, task.step): place for place, task in enumerate(tasks)}
        due = [(number, one, other) for one in at for number, other in self._wanted.get(one, ()) if other in at]
        for _, one, other in sorted(due):
            handles[at[one]], handles[at[other]] = handles[at[other]], handles[at[one]]
            at[one], at[other] = at[other], at[one]
