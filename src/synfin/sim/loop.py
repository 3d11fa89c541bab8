"""An event loop whose clock jumps to the next event: an hour of waiting costs nothing.

async-solipsism would fit but is under the GPL, looptime keeps a real selector underneath and cannot tell that nothing
will ever happen; so this is asyncio's own BaseEventLoop with turns of its own, which wait by moving the clock.

Determinism: tasks and futures have sequential hashes (sets of them iterate by hash), executors run inline, and with a
seed the order of ready tasks is shuffled, to find races. Callbacks that are no tasks keep their order, as asyncio
promises.
"""

from __future__ import annotations

import asyncio
import random
from asyncio import base_events, events
from collections import deque
from collections.abc import Callable
from contextvars import Context
from math import inf
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

from synfin.sim.errors import Deadlock, Livelock, SimulationEscape, TimeLimit
from synfin.sim.handles import SimHandle, SimTimer, Timers
from synfin.sim.tasks import SimFuture, SimTask, describe, describe_waiting, task_of, where

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

START: Final = 1_000_000.0  # loop.time() at the beginning; far from 0, so that nobody takes 0 for a time
RESOLUTION: Final = 1e-6  # what is due so soon is due now
TURNS: Final = 200_000  # of the loop in one moment: a program that needs more waits busily
MOMENT: Final = 1e-3  # seconds


class _Nothing:
    """The selector that BaseEventLoop closes; there are no descriptors to select from."""

    def get_map(self) -> dict[int, Any]:
        """For debuggers of asyncio programs."""
        return {}

    def close(self) -> None:
        """Nothing to close."""


class VirtualLoop(base_events.BaseEventLoop):
    """time() is virtual. shuffle: a seed, or None for asyncio's own order."""

    _ready: deque[Any]
    _closed: bool
    _debug: bool
    _stopping: bool

    def __init__(self, shuffle: int | None = None) -> None:
        super().__init__()
        self._now = START
        self.now_us = 0
        """Microseconds since the beginning, as packets count them."""
        self.arrival = inf
        """The time() of the next arrival of packets, as whoever carries them says; they are fetched by `arrive()`."""
        self.limit = inf
        """The time() that is not passed."""
        self.turns = TURNS
        """How many turns may pass in one moment."""
        self.holds: list[Callable[[events.Handle], bool]] = []
        """Asked before each callback runs: True if it was taken, to be run later by `release()`."""
        self._serial = 0
        self._moment = START  # when it began
        self._turn = 0  # of this moment
        self._timers = Timers()
        self._clock_resolution = RESOLUTION
        self._selector = _Nothing()
        self._shuffle = None if shuffle is None else random.Random(shuffle)
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
        if when > self._now:
            if when > self.limit:
                limit = f"the limit of {self.limit - START:g} s of virtual time is reached, and these tasks run:"
                raise TimeLimit(describe_waiting(self, limit))
            self._now = when
            self.now_us = round((when - START) * 1_000_000)
            if when - self._moment >= MOMENT:
                self._moment = when
                self._turn = 0

    def wind_up(self) -> None:
        """What is left to do is done without a limit of time, and in a moment of its own."""
        self.limit = inf
        self._turn = 0

    def is_idle_until(self, when: float) -> bool:
        """Nothing but what comes from outside can happen before `when`."""
        return not self._ready and self._timers.first() >= when

    def arrive(self) -> None:
        """Deliver the packets that are due; for subclasses."""

    # ---- turns ----

    def _run_once(self) -> None:
        """One turn: what arrives now, or next if nothing is ready; then what is due; then all that is ready so far."""
        ready = self._ready
        self._turn += 1
        if ready or self._stopping:
            if self._shuffle is not None:
                self._shuffle_ready(self._shuffle)
            if self.arrival <= self._now:
                self.arrive()
        else:
            due = self._timers.first()
            if self.arrival <= due:
                if self.arrival == inf:
                    raise Deadlock(describe_waiting(self, "nothing can ever happen any more, and these tasks wait:"))
                self.move_to(self.arrival)
                self.arrive()
            else:
                self.move_to(due)
        ready.extend(self._timers.take(self._now + RESOLUTION))
        if self._turn > self.turns:
            raise Livelock(self._describe_turns())
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled or (self.holds and any(hold(handle) for hold in self.holds)):
                continue
            try:
                handle._context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._report(handle, error)

    def _report(self, handle: Any, error: BaseException) -> None:
        """A callback has failed."""
        message = f"Exception in callback {_describe_handle(handle)}"
        self.call_exception_handler({"message": message, "exception": error, "handle": handle})

    def _describe_turns(self) -> str:
        """Who keeps the loop busy."""
        title = f"{self.turns} turns of the loop in one moment: at {self._now - START:g} s these wait busily:"
        lines = []
        for handle in self._ready:
            task = task_of(handle)
            lines.append(_describe_handle(handle) if task is None else f"{task.get_name()}: {where(task)}")
        return describe(title, dict.fromkeys(lines))

    # ---- determinism ----

    def next_serial(self) -> int:
        """A number nobody else has."""
        self._serial += 1
        return self._serial

    def create_future(self) -> asyncio.Future[Any]:
        """With a sequential hash."""
        return SimFuture(loop=self)

    def _shuffle_ready(self, chance: random.Random) -> None:
        """Exchange the places of the tasks that are ready to run."""
        ready = self._ready
        places = [place for place, handle in enumerate(ready) if task_of(handle) is not None]
        if len(places) > 1:
            handles = [ready[place] for place in places]
            chance.shuffle(handles)
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

    # ---- what BaseEventLoop wants of its subclass, and what it does slowly ----

    def call_soon(
        self, callback: Callable[[Unpack[_Ts]], object], *args: *_Ts, context: Context | None = None
    ) -> events.Handle:
        """As asyncio's."""
        if self._closed:
            self._check_closed()  # type: ignore[attr-defined]
        if self._debug:
            self._check_callback(callback, "call_soon")  # type: ignore[attr-defined]
        handle = SimHandle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[[Unpack[_Ts]], object], *args: *_Ts, context: Context | None = None
    ) -> events.TimerHandle:
        """As asyncio's."""
        if when is None:
            raise TypeError("when cannot be None")
        if self._closed:
            self._check_closed()  # type: ignore[attr-defined]
        if self._debug:
            self._check_callback(callback, "call_at")  # type: ignore[attr-defined]
        timer = SimTimer(when, callback, args, self, context)
        self._timers.add(timer)
        return timer

    def call_later(
        self, delay: float, callback: Callable[[Unpack[_Ts]], object], *args: *_Ts, context: Context | None = None
    ) -> events.TimerHandle:
        """As asyncio's."""
        if delay is None:
            raise TypeError("delay must not be None")
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        if handle._scheduled:  # type: ignore[attr-defined]
            self._timers.note_cancelled()

    def release(self, handles: list[events.Handle]) -> None:
        """Run callbacks that a hold had taken."""
        self._ready.extend(handles)

    def cancel_handles(self, wanted: Callable[[events.Handle], bool]) -> None:
        """Cancel all scheduled callbacks for which `wanted` says so.

        Tasks and what waits for a future are told anyway: nobody who is to hear of a cancellation is cut off from it.
        """
        for handle in [*self._ready, *self._timers.waiting()]:
            if task_of(handle) is None and not (handle._args and isinstance(handle._args[0], asyncio.Future)):
                if not handle.cancelled() and wanted(handle):
                    handle.cancel()

    def close(self) -> None:
        """As asyncio's."""
        super().close()
        self._timers.clear()

    def _process_events(self, event_list: list[Any]) -> None:
        pass

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


def _describe_handle(handle: Any) -> str:
    """What a callback is, and where it was written."""
    return str(events.format_helpers._format_callback_source(handle._callback, handle._args))  # type: ignore[attr-defined]


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
    assert isinstance(loop, VirtualLoop)
    task = SimTask(coro, loop=loop, **options)
    loop.on_task(task, options.get("context"))
    return task
