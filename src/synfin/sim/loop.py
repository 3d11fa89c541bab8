"""An event loop whose clock jumps to the next event: an hour of waiting costs nothing.

async-solipsism would fit but is under the GPL, looptime keeps a real selector underneath and cannot tell that nothing
will ever happen; so this is asyncio's own BaseEventLoop with turns of its own, which wait by moving the clock.

Determinism: tasks and futures have sequential hashes (sets of them iterate by hash), threads take turns, and with a
seed the order of ready tasks is shuffled, to find races. Callbacks that are no tasks keep their order, as asyncio
promises.
"""

from __future__ import annotations

import asyncio
from asyncio import base_events, events
from collections import deque
from collections.abc import Callable
from contextvars import Context
from functools import partial
from math import inf
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

from synfin.sim.errors import Deadlock, Livelock, SimulationEscape, TimeLimit
from synfin.sim.handles import SimHandle, SimTimer, Timers
from synfin.sim.order import Order
from synfin.sim.tasks import SimFuture, SimTask, describe, describe_waiting, task_of, where
from synfin.sim.threads import Crew, ThreadEnds, Threads

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
    """time() is virtual. order: of tasks that are ready at the same time; None: asyncio's own."""

    _ready: deque[Any]
    _closed: bool
    _debug: bool
    _stopping: bool

    def __init__(self, order: Order | None = None) -> None:
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
        self.order = order
        self.journal: Callable[[events.Handle], Callable[[], None]] | None = None
        """Told of each callback that is to run; what it returns is called when that has run."""
        self.witness: Callable[[events.Handle | None], Callable[[], None]] | None = None
        """The same, and of arrivals too (None); what that returns may raise, which ends the run."""
        self.on_step: Callable[[asyncio.Task[Any]], None] | None = None
        """Told of each task that has gone on."""
        self._serial = 0
        self._moment = START  # when it began
        self._turn = 0  # of this moment
        self._timers = Timers()
        self.threads = Threads(self)
        self._crews: dict[Any, Crew] = {}  # by executor
        self._clock_resolution = RESOLUTION
        self._selector = _Nothing()
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
        self.witness = None
        self.on_step = None

    def pulse(self) -> object:
        """It changes as long as anything happens."""
        return self._turn, self.now_us, self._serial

    def is_idle_until(self, when: float) -> bool:
        """Nothing but what comes from outside can happen before `when`."""
        return not self._ready and self._timers.first() >= when and self.witness is None

    def arrive(self) -> None:
        """Deliver the packets that are due; for subclasses."""

    def _arrive(self) -> None:
        """Packets are due, under the eyes of a witness."""
        witness = self.witness
        if witness is None:
            self.arrive()
        else:
            has_run = witness(None)
            self.arrive()
            has_run()

    # ---- turns ----

    def _run_once(self) -> None:
        """One turn: what arrives now, or next if nothing is ready; then what is due; then all that is ready so far."""
        ready = self._ready
        self._turn += 1
        if self.threads.waiting:
            self.threads.look()
        if ready or self._stopping:
            if self.order is not None:
                self.order.arrange(ready)
            if self.arrival <= self._now:
                self._arrive()
        else:
            due = self._timers.first()
            if self.arrival <= due:
                if self.arrival == inf:
                    waiting = describe_waiting(self, "nothing can ever happen any more, and these tasks wait:")
                    raise Deadlock(describe(waiting, self.threads.places()) if self.threads.waiting else waiting)
                self.move_to(self.arrival)
                self._arrive()
            else:
                self.move_to(due)
        ready.extend(self._timers.take(self._now + RESOLUTION))
        if self._turn > self.turns:
            raise Livelock(self._describe_turns())
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled or (self.holds and any(hold(handle) for hold in self.holds)):
                continue
            has_run = None if self.journal is None else self.journal(handle)
            judge = None if self.witness is None else self.witness(handle)
            try:
                handle._context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._report(handle, error)
            if has_run is not None:
                has_run()
            if self.on_step is not None and (task := task_of(handle)) is not None:
                self.on_step(task)
            if judge is not None:
                judge()

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

    def on_task(self, task: asyncio.Task[Any], context: Context | None) -> None:
        """A task begins; for subclasses."""

    # ---- threads ----

    def thread_context(self) -> Context:
        """What a new thread sees; for subclasses."""
        return Context()

    def on_death(self) -> None:
        """A host has crashed; for subclasses."""

    def run_in_executor(self, executor: Any, func: Callable[[Unpack[_Ts]], _T], *args: *_Ts) -> asyncio.Future[_T]:
        """In a thread of the simulation, of which an executor has as many as it was made for; the default one, any."""
        if self._closed:
            self._check_closed()  # type: ignore[attr-defined]
        future: asyncio.Future[_T] = self.create_future()
        job = partial(_do, future, func, args)
        size = getattr(executor, "_max_workers", None)
        if size is None:
            self.threads.start(job)
        else:
            crew = self._crews.get(executor)
            if crew is None:
                crew = self._crews[executor] = Crew(self.threads, size)
            crew.do(job)
        return future

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[_Ts]], object], *args: *_Ts, context: Context | None = None
    ) -> events.Handle:
        """The same as call_soon, for threads of the simulation; what others do is not of its time."""
        if not self.threads.here():
            raise SimulationEscape("a thread that the simulation has not begun calls call_soon_threadsafe()")
        return self.call_soon(callback, *args, context=context)

    def run_forever(self) -> None:
        """As asyncio's."""
        self.threads.begin()
        super().run_forever()

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

    def _escape(self, *_: Any, **__: Any) -> Any:
        raise SimulationEscape(
            "this call would reach the real network or another process; inside a simulation only its hosts exist"
        )


for _name in (
    "add_reader remove_reader add_writer remove_writer sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into "
    "sock_sendall sock_sendto sock_accept sock_connect sock_sendfile create_connection create_server "
    "create_datagram_endpoint create_unix_connection create_unix_server connect_accepted_socket connect_read_pipe "
    "connect_write_pipe subprocess_shell subprocess_exec"
).split():
    setattr(VirtualLoop, _name, VirtualLoop._escape)


def _do(future: asyncio.Future[Any], func: Callable[..., Any], args: Any) -> None:
    """The job of a thread: its result is the future's."""
    try:
        result = func(*args)
    except ThreadEnds:
        raise
    except BaseException as error:
        if not future.done():
            unfit = isinstance(error, StopIteration)  # which a future does not take
            future.set_exception(RuntimeError(f"{error!r} in a thread") if unfit else error)
    else:
        if not future.done():
            future.set_result(result)


def _describe_handle(handle: Any) -> str:
    """What a callback is, and where it was written."""
    return str(events.format_helpers._format_callback_source(handle._callback, handle._args))  # type: ignore[attr-defined]


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
    assert isinstance(loop, VirtualLoop)
    task = SimTask(coro, loop=loop, **options)
    if loop.order is not None:
        loop.order.name(task)
    loop.on_task(task, options.get("context"))
    return task
