"""Tasks and futures of a simulation, and where a task stands.

Their hashes are sequential, so that sets of them (asyncio.wait) have the same order in every run.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType
from typing import Any, Final

_ASYNCIO: Final = os.path.dirname(asyncio.__file__)
_SYNFIN: Final = os.path.dirname(os.path.dirname(__file__))


class SimTask(asyncio.Task):  # type: ignore[type-arg]
    """A task with a sequential hash, from when it is first asked for: by asyncio, which registers it."""

    label = ""  # its name where the order of tasks is chance's, the same in another run
    step = 0  # how often it was ready, there
    _serial = 0

    def __hash__(self) -> int:
        if not self._serial:
            loop: Any = self.get_loop()
            self._serial = loop.next_serial()
        return self._serial


class SimFuture(asyncio.Future):  # type: ignore[type-arg]
    """A future with a sequential hash, from when it is first asked for: few ever are."""

    _serial = 0

    def __hash__(self) -> int:
        if not self._serial:
            loop: Any = self.get_loop()
            self._serial = loop.next_serial()
        return self._serial


def task_of(handle: Any) -> asyncio.Task[Any] | None:
    """The task whose next step the callback is."""
    task = getattr(handle._callback, "__self__", None)
    return task if isinstance(task, asyncio.Task) else None


def describe_waiting(loop: asyncio.AbstractEventLoop, title: str) -> str:
    """Where each task waits, under the title."""
    tasks = sorted(asyncio.all_tasks(loop), key=hash)
    return describe(title, [f"{task.get_name()}: {where(task)}" for task in tasks])


def describe(title: str, lines: Iterable[str]) -> str:
    """The lines below their title."""
    indented = [f"  {line}" for line in lines] or ["  (none: the future that is run belongs to nobody)"]
    return "\n".join([title, *indented])


def where(task: asyncio.Task[Any]) -> str:
    """The outermost frame's name of a task, and where it stands."""
    coro: Any = task.get_coro()
    name = getattr(coro, "__qualname__", repr(coro))
    frame = innermost(task)
    return name if frame is None else f"{name}, at {place(frame)}"


def innermost(task: asyncio.Task[Any]) -> FrameType | None:
    """The frame in which a task waits, outside of asyncio and synfin where there is one."""
    coro: Any = task.get_coro()
    frame: FrameType | None = None
    while coro is not None:
        inner = getattr(coro, "cr_frame", None) or getattr(coro, "gi_frame", None) or getattr(coro, "ag_frame", None)
        if inner is not None and (frame is None or not inner.f_code.co_filename.startswith((_ASYNCIO, _SYNFIN))):
            frame = inner
        coro = getattr(coro, "cr_await", None) or getattr(coro, "gi_yieldfrom", None)
    return frame


def caller() -> str:
    """Where the program is that has led here, outside of asyncio and of this package: ", at ..."; "": nowhere."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "_run_once":
        if not frame.f_code.co_filename.startswith((_ASYNCIO, _SYNFIN)):
            return f", at {place(frame)}"
        frame = frame.f_back
    return ""


def abandon(task: asyncio.Task[Any]) -> None:
    """Close what a task runs, without a word; for one that will not be cancelled."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    with suppress(RuntimeError):  # it does not let itself be closed either
        coro: Any = task.get_coro()
        coro.close()


def place(frame: FrameType) -> str:
    """File, line and function."""
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
