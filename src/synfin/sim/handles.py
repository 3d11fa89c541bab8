"""What a virtual loop has to run: callbacks, and timers in a heap of plain tuples.

asyncio's own handles ask for the loop's debug mode and compare themselves in Python, which is half of what a turn of
the loop costs; these do neither, and two timers of the same moment keep their order.
"""

from __future__ import annotations

import heapq
from asyncio import events
from contextvars import Context, copy_context
from math import inf
from typing import Any, Final

_MANY_CANCELLED: Final = 100  # of the timers in the heap, before those that are half of it or more are swept out


class SimHandle(events.Handle):
    """A callback."""

    __slots__ = ()

    def __init__(self, callback: Any, args: Any, loop: Any, context: Context | None) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class SimTimer(events.TimerHandle):
    """The same, at a time."""

    __slots__ = ()

    def __init__(self, when: float, callback: Any, args: Any, loop: Any, context: Context | None) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = False
        self._scheduled = True
        self._repr = None
        self._source_traceback = None


class Timers:
    """Timers by their time, and by their order where that is the same."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, SimTimer]] = []
        self._serial = 0
        self._cancelled = 0  # of those in the heap

    def add(self, timer: SimTimer) -> None:
        """It is due some time."""
        self._serial += 1
        heapq.heappush(self._heap, (timer._when, self._serial, timer))

    def first(self) -> float:
        """When the next one is due that was not cancelled; inf: never."""
        heap = self._heap
        while heap:
            when, _, timer = heap[0]
            if not timer._cancelled:
                return when
            self._drop()
        return inf

    def take(self, before: float) -> list[SimTimer]:
        """Those that are due before that time, in their order."""
        heap = self._heap
        taken = []
        while heap and heap[0][0] < before:
            timer = self._drop()
            if not timer._cancelled:
                taken.append(timer)
        return taken

    def waiting(self) -> list[SimTimer]:
        """All of them, in no order."""
        return [timer for _, _, timer in self._heap]

    def clear(self) -> None:
        """Forget all."""
        self._heap.clear()

    def note_cancelled(self) -> None:
        """One more of them was cancelled."""
        self._cancelled += 1
        if self._cancelled > _MANY_CANCELLED and 2 * self._cancelled > len(self._heap):
            self._heap = [entry for entry in self._heap if not entry[2]._cancelled]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def _drop(self) -> SimTimer:
        timer = heapq.heappop(self._heap)[2]
        timer._scheduled = False
        self._cancelled -= timer._cancelled
        return timer
