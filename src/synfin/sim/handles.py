"""Callbacks of a virtual loop, and those of them that wait for a time.

They are made at every turn, so they are plain compiled objects: they do what asyncio's handles do and are none of its
classes, as uvloop's are not. Two timers of the same moment keep their order.
"""

from __future__ import annotations

from asyncio import format_helpers
from contextvars import Context, copy_context
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any, Final

from mypy_extensions import i64

_MANY_CANCELLED: Final = 100  # of the timers in the heap, before those that are half of it or more are swept out


class SimHandle:
    """A callback, as asyncio.Handle."""

    def __init__(self, callback: Any, args: tuple[Any, ...], context: Context | None) -> None:
        self._callback: Any = callback
        self._args: Any = args
        self._context: Any = copy_context() if context is None else context
        self._cancelled: bool = False

    def __repr__(self) -> str:
        what = "cancelled" if self._cancelled else describe_call(self)
        return f"<{type(self).__name__} {what}>"

    def cancel(self) -> None:
        """It is not to run."""
        if not self._cancelled:
            self._cancelled = True
            self._callback = None
            self._args = None

    def cancelled(self) -> bool:
        """It will not run."""
        return self._cancelled

    def get_context(self) -> Any:
        """What it runs in."""
        return self._context


class SimTimer(SimHandle):
    """The same at a time, as asyncio.TimerHandle. timers: where it waits."""

    def __init__(
        self, when: float, callback: Any, args: tuple[Any, ...], context: Context | None, timers: Timers
    ) -> None:
        super().__init__(callback, args, context)
        self._when: float = when
        self._scheduled: bool = True
        self._timers = timers

    def when(self) -> float:
        """In the loop's time."""
        return self._when

    def cancel(self) -> None:
        """It is not to run."""
        if not self._cancelled:
            super().cancel()
            if self._scheduled:
                self._timers.note_cancelled()


class Timers:
    """Timers by their time, and by their order where that is the same."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, SimTimer]] = []
        self._serial: i64 = 0
        self._cancelled: i64 = 0  # of those in the heap

    def add(self, timer: SimTimer) -> None:
        """It is due some time."""
        self._serial += 1
        heappush(self._heap, (timer._when, self._serial, timer))

    def first(self) -> float:
        """When the next one is due that was not cancelled; inf: never."""
        heap = self._heap
        while heap:
            when, _, timer = heap[0]
            if not timer._cancelled:
                return when
            self.pop()
        return inf

    def pop(self) -> SimTimer:
        """The next one, cancelled or not; there has to be one."""
        timer = heappop(self._heap)[2]
        timer._scheduled = False
        if timer._cancelled:
            self._cancelled -= 1
        return timer

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
            heapify(self._heap)
            self._cancelled = 0


def describe_call(handle: Any) -> str:
    """What a callback is, and where it was written."""
    return str(format_helpers._format_callback_source(handle._callback, handle._args))
