"""An event loop whose clock jumps to the next event: an hour of waiting costs nothing.

async-solipsism would fit but is under the GPL, looptime keeps a real selector underneath and cannot tell that nothing
will ever happen; so this is asyncio's own BaseEventLoop with turns of its own (`turns`), which wait by moving the
clock.

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
from typing import Any, TypeVar, TypeVarTuple, Unpack

from synfin.sim.errors import Deadlock, Livelock, SimulationEscape, TimeLimit
from synfin.sim.handles import describe_call
from synfin.sim.order import Order
from synfin.sim.tasks import SimFuture, SimTask, describe, describe_waiting, task_of, where
from synfin.sim.threads import Crew, ThreadEnds, Threads
from synfin.sim.turns import RESOLUTION, START, Turns

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


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
    _asyncgens: Any

    def __init__(self, order: Order | None = None) -> None:
        self.turns = self.beat = turns = Turns(self)
        super().__init__()
        self._ready = turns.ready
        # What is called most goes to the turns at once, and not through a method here.
        self.time = turns.time  # type: ignore[method-assign]
        self.call_soon = turns.call_soon  # type: ignore[method-assign, assignment]
        self.call_at = turns.call_at  # type: ignore[method-assign, assignment]
        self.call_later = turns.call_later  # type: ignore[method-assign, assignment]
        self.get_debug = turns.get_debug  # type: ignore[method-assign]
        self.create_future = partial(SimFuture, loop=self)  # type: ignore[method-assign]
        self.on_step: Callable[[asyncio.Task[Any]], None] | None = None
        self.deaf = False
        """What goes wrong is told to nobody: the program is over."""
        self._order: Order | None = None
        self.order = order
        self._serial = 0
        self.threads = Threads(self)
        turns.threads = self.threads.waiting
        self._crews: dict[Any, Crew] = {}  # by executor
        self._clock_resolution = RESOLUTION
        self._selector = _Nothing()
        self.set_task_factory(_make_task)

    @property
    def order(self) -> Order | None:
        """Of tasks that are ready at the same time."""
        return self._order

    @order.setter
    def order(self, order: Order | None) -> None:
        self._order = order
        self.turns.arrange = None if order is None else order.arrange

    def watch_steps(self, on_step: Callable[[asyncio.Task[Any]], None]) -> None:
        """Tell of each task that has gone on."""
        self.on_step = on_step
        self.turns.tells_runs = True

    # ---- time ----

    def jump(self, seconds: float) -> None:
        """Let time pass at once."""
        self.turns.move_to(self.time() + seconds)

    def move_to(self, when: float) -> None:
        """Let time pass until `when`, unless it has come already. Raises TimeLimit."""
        self.turns.move_to(when)

    def wind_up(self) -> None:
        """What is left to do is done without a limit of time, and in a moment of its own."""
        turns = self.turns
        turns.limit = inf
        turns.begin_moment()
        turns.witness = None
        turns.tells_runs = False
        self.on_step = None

    def pulse(self) -> object:
        """It changes as long as anything happens."""
        return self.turns.pulse(), self._serial

    # ---- turns ----

    def _run_once(self) -> None:
        """All turns until the loop is stopped: asyncio asks for one, and looks then whether it was."""
        self.turns.stopping = self._stopping
        self.turns.run()

    def stop(self) -> None:
        """As asyncio's."""
        super().stop()
        self.turns.stopping = True

    def set_debug(self, enabled: bool) -> None:
        """As asyncio's."""
        super().set_debug(enabled)
        self.turns.debug = self.turns.careful = enabled

    def check_call(self, callback: Any, method: str) -> None:
        """Raises what asyncio does for a callback that can't be scheduled."""
        self._check_closed()  # type: ignore[attr-defined]
        self._check_callback(callback, method)  # type: ignore[attr-defined]

    def look_after_threads(self) -> None:
        """At each turn, while any waits."""
        self.threads.look()

    def on_run(self, handle: Any) -> None:
        """A callback has run."""
        if self.on_step is not None and (task := task_of(handle)) is not None:
            self.on_step(task)

    def on_error(self, handle: Any, error: BaseException) -> None:
        """A callback has failed."""
        if self.deaf:
            return
        message = f"Exception in callback {describe_call(handle)}"
        self.call_exception_handler({"message": message, "exception": error, "handle": handle})

    def on_deadlock(self) -> BaseException:
        """Nothing is left that could happen."""
        waiting = describe_waiting(self, "nothing can ever happen any more, and these tasks wait:")
        return Deadlock(describe(waiting, self.threads.places()) if self.threads.waiting else waiting)

    def on_time_limit(self) -> BaseException:
        """The next event is beyond it."""
        limit = f"the limit of {self.turns.limit - START:g} s of virtual time is reached, and these tasks run:"
        return TimeLimit(describe_waiting(self, limit))

    def on_livelock(self) -> BaseException:
        """Who keeps the loop busy."""
        title = f"{self.turns.most} turns of the loop in one moment: at {self.time() - START:g} s these wait busily:"
        lines = []
        for handle in self._ready:
            task = task_of(handle)
            lines.append(describe_call(handle) if task is None else f"{task.get_name()}: {where(task)}")
        return Livelock(describe(title, dict.fromkeys(lines)))

    # ---- determinism ----

    def next_serial(self) -> int:
        """A number nobody else has."""
        self._serial += 1
        return self._serial

    def upcoming_serial(self) -> int:
        """The number that the next who asks will have."""
        return self._serial + 1

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

    # ---- what BaseEventLoop wants of its subclass ----

    def cancel_handles(self, wanted: Callable[[events.Handle], bool]) -> None:
        """Cancel all scheduled callbacks for which `wanted` says so.

        Tasks and what waits for a future are told anyway: nobody who is to hear of a cancellation is cut off from it.
        """
        for handle in [*self._ready, *self.turns.timers.waiting()]:
            if task_of(handle) is None and not (handle._args and isinstance(handle._args[0], asyncio.Future)):
                if not handle.cancelled() and wanted(handle):
                    handle.cancel()

    def has_asyncgens(self) -> bool:
        """Generators have begun that shutdown_asyncgens() ends."""
        return bool(self._asyncgens)

    def close(self) -> None:
        """As asyncio's."""
        super().close()
        self.turns.end()
        vars(self).pop("create_future", None)  # which knows this loop; asyncio's own is left

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def remove_reader(self, fd: Any) -> bool:
        """As asyncio's, of what is not watched: nothing is, here."""
        return False

    def remove_writer(self, fd: Any) -> bool:
        """As remove_reader."""
        return False

    def _escape(self, *_: Any, **__: Any) -> Any:
        raise SimulationEscape(
            "this call would reach the real network or another process; inside a simulation only its hosts exist"
        )


for _name in (
    "add_reader add_writer sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into "
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


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
    assert isinstance(loop, VirtualLoop)
    if options.get("name") is None:
        options["name"] = f"Task-{loop.upcoming_serial()}"  # asyncio counts through all loops of a process
    task: SimTask = SimTask(coro, loop=loop, **options)
    hash(task)  # which it has from now on
    if loop.order is not None:
        loop.order.name(task)
    loop.on_task(task, options.get("context"))
    return task
