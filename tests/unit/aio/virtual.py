"""An event loop with virtual time: when nothing is ready, the clock jumps to the next timer. And what runs tests on it.

A Host's clock is its loop's, so an hour costs nothing and every run is the same. A loop that waits for what will never
happen is a deadlock, and is reported as one.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Never sleeps where a timer is known: it moves the loop's clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.wakes = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.wakes += 1
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is not None:
            self.now += timeout
            return ready
        raise RuntimeError("deadlock: no timer, nothing ready, and somebody waits")


class VirtualLoop(asyncio.SelectorEventLoop):
    """`wakes` counts the loop's turns; `reported` holds what came to the exception handler."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-6
        self.reported: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.reported.append(context))

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """At once, in this thread: another thread would live in real time."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as problem:
            future.set_exception(problem)
        return future

    @property
    def wakes(self) -> int:
        return self._jumping.wakes


class LoopWithoutReaders(VirtualLoop):
    """What Windows' proactor loop is to a link: one that can watch no descriptor."""

    def add_reader(self, *_: object) -> None:
        raise NotImplementedError

    def add_writer(self, *_: object) -> None:
        raise NotImplementedError

    def remove_reader(self, *_: object) -> bool:
        raise NotImplementedError

    def remove_writer(self, *_: object) -> bool:
        raise NotImplementedError


def run(main: Coroutine[Any, Any, T], loop_factory: Callable[[], VirtualLoop] = VirtualLoop) -> T:
    """Run `main` in virtual time. At its end no task is left, and nothing reported that `reported()` did not take."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        result = runner.run(main)
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        assert not left, left
        assert not loop.reported, loop.reported
        return result


def reported() -> list[dict[str, Any]]:
    """Take what the running loop's exception handler was told."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    taken = loop.reported
    loop.reported = []
    return taken


async def settle(seconds: float = 5.0) -> None:
    """Let everything under way come to rest."""
    await asyncio.sleep(seconds)
