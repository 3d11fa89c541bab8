"""An event loop whose clock jumps to the next event: an hour of waiting costs nothing.

async-solipsism would fit but is under the GPL, looptime keeps a real selector underneath and cannot tell that nothing
will ever happen; so this is asyncio's own BaseEventLoop with a selector that waits by moving the clock.

Determinism: tasks and futures have sequential hashes (sets of them iterate by hash), executors run inline, and with a
seed the order of ready tasks is shuffled, to find races. Callbacks that are no tasks keep their order, as asyncio
promises.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from asyncio import base_events, events
from collections.abc import Callable
from contextvars import Context
from math import inf
from types import FrameType
from typing import Any, TypeVar, TypeVarTuple, Unpack

from synfin.sim.errors import Deadlock, SimulationEscape, TimeLimit

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

START = 1_000_000.0  # loop.time() at the beginning; far from 0, so that nobody takes 0 for a time


class SimTask(asyncio.Task):  # type: ignore[type-arg]
    """A task with a sequential hash."""

    def __init__(self, coro: Any, *, loop: VirtualLoop, **options: Any) -> None:
        self._serial = loop.next_serial()
        if options.get("name") is None:
            options["name"] = f"Task-{self._serial}"  # asyncio counts through all loops of a process
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self._serial


class SimFuture(asyncio.Future):  # type: ignore[type-arg]
    """A future with a sequential hash."""

    def __init__(self, *, loop: VirtualLoop) -> None:
        self._serial = loop.next_serial()
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._serial


class _Handle(events.Handle):
    """A callback that its host's being paused holds back."""

    __slots__ = ()

    def _run(self) -> None:
        holds = self._loop.holds  # type: ignore[attr-defined]
        if not holds or not any(hold(self) for hold in holds):
            super()._run()


class _TimerHandle(events.TimerHandle):
    """The same, at a time."""

    __slots__ = ()

    def _run(self) -> None:
        holds = self._loop.holds  # type: ignore[attr-defined]
        if not holds or not any(hold(self) for hold in holds):
            super()._run()


class _Selector:
    """Waits by moving the clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        """Called by asyncio before each round, with the time until the next timer. Packets are what it finds."""
        loop = self._loop
        arrival = loop.next_arrival()
        if arrival is not None and (timeout is None or arrival <= loop.time() + timeout):
            loop.move_to(arrival)
            found = [arrival]
        else:
            found = []
            if timeout is None:
                raise Deadlock(describe_waiting(loop, "nothing can ever happen any more, and these tasks wait:"))
            if timeout > 0:
                loop.jump(timeout)
        loop.shuffle_ready()
        return found

    def get_map(self) -> dict[int, Any]:
        """There are no descriptors."""
        return {}

    def close(self) -> None:
        """Nothing to close."""


class VirtualLoop(base_events.BaseEventLoop):
    """time() is virtual. shuffle: a seed, or None for asyncio's own order."""

    def __init__(self, shuffle: int | None = None) -> None:
        super().__init__()
        self._now = START
        self.now_us = 0
        """Microseconds since the beginning, as packets count them."""
        self._serial = 0
        self._clock_resolution = 1e-6
        self._selector = _Selector(self)
        self._shuffle = None if shuffle is None else random.Random(shuffle)
        self.holds: list[Callable[[events.Handle], bool]] = []
        """Asked before each callback runs: True if it was taken, to be run later by `release()`."""
        self.limit = inf
        """The time() that is not passed."""
        self.set_task_factory(_make_task)

    # ---- time ----

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let time pass at once."""
        self.move_to(self._now + seconds)

    def move_to(self, when: float) -> None:
        """Let time pass until `when`, unless it has come already. Raises TimeLimit."""
        if when > self.limit:
            limit = f"the limit of {self.limit - START:g} s of virtual time is reached, and these tasks run:"
            raise TimeLimit(describe_waiting(self, limit))
        if when > self._now:
            self._now = when
            self.now_us = round((when - START) * 1_000_000)

    def is_idle_until(self, when: float) -> bool:
        """Nothing but what comes from outside can happen before `when`."""
        if self._ready:  # type: ignore[attr-defined]
            return False
        timers: list[events.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return not timers or timers[0].when() >= when

    def next_arrival(self) -> float | None:
        """When the next packet arrives; for subclasses."""
        return None

    def arrive(self) -> None:
        """Deliver the packets that are due; for subclasses."""

    # ---- determinism ----

    def next_serial(self) -> int:
        """A number nobody else has."""
        self._serial += 1
        return self._serial

    def create_future(self) -> asyncio.Future[Any]:
        """With a sequential hash."""
        return SimFuture(loop=self)

    def shuffle_ready(self) -> None:
        """With a seed: exchange the places of the tasks that are ready to run."""
        if self._shuffle is None:
            return
        ready: Any = self._ready  # type: ignore[attr-defined]
        places = [place for place, handle in enumerate(ready) if _task_of(handle) is not None]
        if len(places) > 1:
            handles = [ready[place] for place in places]
            self._shuffle.shuffle(handles)
            for place, handle in zip(places, handles, strict=True):
                ready[place] = handle

    def on_task(self, task: asyncio.Task[Any], context: Context | None) -> None:
        """A task begins; for subclasses."""

    def run_in_executor(self, executor: Any, func: Callable[[Unpack[_Ts]], _T], *args: *_Ts) -> asyncio.Future[_T]:
        """Inline: there are no threads in a simulation."""
        future: asyncio.Future[_T] = self.create_future()
        try:
            future.set_result(func(*args))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            future.set_exception(error)
        return future

    # ---- what BaseEventLoop wants of its subclass ----

    def _call_soon(self, callback: Any, args: Any, context: Context | None) -> events.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_at(
        self, when: float, callback: Callable[[Unpack[_Ts]], object], *args: *_Ts, context: Context | None = None
    ) -> events.TimerHandle:
        """As asyncio's."""
        self._check_closed()  # type: ignore[attr-defined]
        timer = _TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def release(self, handles: list[events.Handle]) -> None:
        """Run callbacks that a hold had taken."""
        self._ready.extend(handles)  # type: ignore[attr-defined]

    def cancel_handles(self, wanted: Callable[[events.Handle], bool]) -> None:
        """Cancel all scheduled callbacks for which `wanted` says so.

        Tasks and what waits for a future are told anyway: nobody who is to hear of a cancellation is cut off from it.
        """
        for handle in [*self._ready, *self._scheduled]:  # type: ignore[attr-defined]
            if _task_of(handle) is None and not (handle._args and isinstance(handle._args[0], asyncio.Future)):
                if not handle.cancelled() and wanted(handle):
                    handle.cancel()

    def _process_events(self, event_list: list[Any]) -> None:
        if event_list:
            self.arrive()

    def _write_to_self(self) -> None:
        pass

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[_Ts]], object], *args: *_Ts, context: Context | None = None
    ) -> events.Handle:
        """The same as call_soon: there is only this thread."""
        return self.call_soon(callback, *args, context=context)

    def _escape(self, *_: Any, **__: Any) -> Any:
        raise SimulationEscape(
            "this call would reach the real network or another process; inside a simulation only its hosts exist"
        )


for _name in (
    "add_reader remove_reader add_writer remove_writer sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into "
    "sock_sendall sock_sendto sock_accept sock_connect sock_sendfile create_connection create_server "
    "create_datagram_endpoint create_unix_connection create_unix_server connect_accepted_socket connect_read_pipe "
    "connect_write_pipe subprocess_shell subprocess_exec add_signal_handler"
).split():
    setattr(VirtualLoop, _name, VirtualLoop._escape)


def _task_of(handle: Any) -> asyncio.Task[Any] | None:
    """The task whose next step the callback is."""
    task = getattr(handle._callback, "__self__", None)
    return task if isinstance(task, asyncio.Task) else None


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
    assert isinstance(loop, VirtualLoop)
    task = SimTask(coro, loop=loop, **options)
    loop.on_task(task, options.get("context"))
    return task


def describe_waiting(loop: asyncio.AbstractEventLoop, title: str) -> str:
    """Where each task waits, under the title."""
    lines = [title]
    lines += [f"  {task.get_name()}: {_where(task)}" for task in sorted(asyncio.all_tasks(loop), key=hash)]
    if len(lines) == 1:
        lines.append("  (none: the future that is run belongs to nobody)")
    return "\n".join(lines)


def _where(task: asyncio.Task[Any]) -> str:
    """The innermost frame that a task stands in, with the outermost one's name."""
    coro: Any = task.get_coro()
    name = getattr(coro, "__qualname__", repr(coro))
    frame: FrameType | None = None
    while coro is not None:
        inner = getattr(coro, "cr_frame", None) or getattr(coro, "gi_frame", None) or getattr(coro, "ag_frame", None)
        if inner is not None:
            frame = inner
        coro = getattr(coro, "cr_await", None) or getattr(coro, "gi_yieldfrom", None)
    if frame is None:
        return name
    return f"{name}, at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
