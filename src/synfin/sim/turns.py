"""The turns of a virtual loop: its clock, what is ready, what is due, and what comes from outside.

It is what every callback of a simulation passes, and compiled; asyncio's half of the loop, which is not, is `loop`.
Rule for the next editor: nothing here knows a task, a host or a network, and what is rare is the loop's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import Context
from math import inf
from typing import Any, Final, Protocol

from mypy_extensions import i64, mypyc_attr

from synfin.links.beat import Beat
from synfin.sim.handles import SimHandle, SimTimer, Timers

START: Final = 1_000_000.0  # time() at the beginning; far from 0, so that nobody takes 0 for a time
RESOLUTION: Final = 1e-6  # what is due so soon is due now
MOMENT: Final = 1e-3  # seconds
TURNS: Final = 200_000  # in one moment: a program that needs more waits busily

Hook = Callable[[Any], Callable[[], None]]
"""Told of a handle that is to run; what it returns is called when that has run."""


class Owner(Protocol):
    """The loop: what it does about what is rare."""

    def check_call(self, callback: Any, method: str) -> None: ...

    def look_after_threads(self) -> None: ...

    def on_error(self, handle: Any, error: BaseException) -> None: ...

    def on_run(self, handle: Any) -> None: ...

    def on_deadlock(self) -> BaseException: ...

    def on_time_limit(self) -> BaseException: ...

    def on_livelock(self) -> BaseException: ...


@mypyc_attr(allow_interpreted_subclasses=True)
class Outside:
    """What comes from outside of a loop: nothing, or what a subclass brings."""

    def arrive(self, turns: Turns) -> None:
        """Bring what is due, and set `turns.arrival` to when the next comes."""
        turns.arrival = inf


class _Closed:
    """Who owns the turns of a loop that is closed."""

    def check_call(self, callback: Any, method: str) -> None:
        """As asyncio has it."""
        raise RuntimeError("Event loop is closed")


class Turns(Beat):
    """owner: the loop."""

    def __init__(self, owner: Owner) -> None:
        self.now: float = START
        self.now_us: i64 = 0  # microseconds since the beginning, as packets count them
        self.arrival: float = inf
        """The time() at which the next thing comes from `outside`."""
        self.outside: Outside = Outside()
        self.limit: float = inf
        """The time() that is not passed."""
        self.most: int = TURNS
        """How many turns may pass in one moment."""
        self.ready: deque[Any] = deque()
        self.timers: Timers = Timers()
        self.stopping: bool = False
        """This turn is the last."""
        self.debug: bool = False
        self.careful: bool = False
        """The loop is to be asked about each call before it is scheduled: it is closed, or in debug mode."""
        self.threads: list[Any] = []  # those that wait for something: they are looked after at each turn
        self.holds: list[Callable[[Any], bool]] = []
        """Asked before each callback runs: True if it was taken, to be run later by `release()`."""
        self.arrange: Callable[[Any], None] | None = None
        """Gives what is ready another order."""
        self.journal: Hook | None = None
        self.witness: Hook | None = None
        """As `journal`, and of arrivals too (None); what it returns may raise, which ends the run."""
        self.tells_runs: bool = False
        """The loop is to be told of each callback that has run."""
        self._owner: Any = owner
        self._moment: float = START  # when it began
        self._turn: int = 0  # of this moment

    def end(self) -> None:
        """The loop is closed: it is let go, with all that it has asked to be called."""
        self.careful = True
        self.timers.clear()
        self.holds.clear()
        self.outside = Outside()
        self.arrange = self.journal = self.witness = None
        self._owner = _Closed()

    # ---- time ----

    def time(self) -> float:
        """Virtual seconds."""
        return self.now

    def move_to(self, when: float) -> None:
        """Let time pass until `when`, unless it has come already. Raises TimeLimit."""
        if when > self.now:
            if when > self.limit:
                raise self._owner.on_time_limit()
            self.now = when
            self.now_us = int((when - START) * 1000000.0 + 0.5)
            if when - self._moment >= MOMENT:
                self._moment = when
                self._turn = 0

    def begin_moment(self) -> None:
        """As many turns may pass from now on as in a new moment."""
        self._turn = 0

    def pulse(self) -> object:
        """It changes as long as anything happens."""
        return self._turn, self.now_us

    def is_idle_until(self, when: float) -> bool:
        """Nothing but what comes from outside can happen before `when`."""
        return not self.ready and self.timers.first() >= when and self.witness is None

    # ---- what a driver asks ----

    def clock(self) -> i64:
        """Microseconds of time()."""
        return i64(self.now * 1000000.0)

    def soon(self, call: Any) -> Any:
        """As call_soon."""
        return self.call_soon(call)

    def at(self, deadline: i64, call: Any) -> Any:
        """As call_at."""
        return self.call_at(float(deadline) / 1000000.0, call)

    def is_alone(self, own: i64) -> bool:
        """Nothing is ready but so many of the driver's own handles."""
        return len(self.ready) <= own

    # ---- what is to run ----

    def get_debug(self) -> bool:
        """As asyncio's: each future asks."""
        return self.debug

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> SimHandle:
        """As asyncio's."""
        if self.careful:
            self._owner.check_call(callback, "call_soon")
        handle = SimHandle(callback, args, context)
        self.ready.append(handle)
        return handle

    def call_at(self, when: float | None, callback: Any, *args: Any, context: Context | None = None) -> SimTimer:
        """As asyncio's."""
        if when is None:
            raise TypeError("when cannot be None")
        if self.careful:
            self._owner.check_call(callback, "call_at")
        timer = SimTimer(when, callback, args, context, self.timers)
        self.timers.add(timer)
        return timer

    def call_later(self, delay: float | None, callback: Any, *args: Any, context: Context | None = None) -> SimTimer:
        """As asyncio's."""
        if delay is None:
            raise TypeError("delay must not be None")
        if self.careful:
            self._owner.check_call(callback, "call_later")
        timer = SimTimer(self.now + delay, callback, args, context, self.timers)
        self.timers.add(timer)
        return timer

    def release(self, handles: list[Any]) -> None:
        """Run callbacks that a hold had taken."""
        self.ready.extend(handles)

    # ---- turns ----

    def run(self) -> None:
        """Turn after turn, until one ends in which the loop was stopped."""
        while True:
            self._prepare()
            for _ in range(len(self.ready)):
                handle: SimHandle = self.ready.popleft()
                if not handle._cancelled:
                    self._run(handle)
            if self.stopping:
                return

    def _prepare(self) -> None:
        """What arrives now, or next if nothing is ready; then what is due joins what is ready."""
        ready = self.ready
        self._turn += 1
        if self.threads:
            self._owner.look_after_threads()
        if ready or self.stopping:
            if self.arrange is not None:
                self.arrange(ready)
            if self.arrival <= self.now:
                self._arrive()
        else:
            due = self.timers.first()
            if self.arrival <= due:
                if self.arrival == inf:
                    raise self._owner.on_deadlock()
                self.move_to(self.arrival)
                self._arrive()
            else:
                self.move_to(due)
        before = self.now + RESOLUTION
        timers = self.timers
        while timers.first() < before:
            ready.append(timers.pop())
        if self._turn > self.most:
            raise self._owner.on_livelock()

    def _arrive(self) -> None:
        """Something has come, under the eyes of a witness."""
        if self.witness is None:
            self.outside.arrive(self)
        else:
            has_run = self.witness(None)
            self.outside.arrive(self)
            has_run()

    def _run(self, handle: SimHandle) -> None:
        if self.holds and self._is_held(handle):
            return
        has_run = None if self.journal is None else self.journal(handle)
        judge = None if self.witness is None else self.witness(handle)
        try:
            args = handle._args
            if not args:
                handle._context.run(handle._callback)
            elif len(args) == 1:
                handle._context.run(handle._callback, args[0])
            else:
                handle._context.run(handle._callback, *args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._owner.on_error(handle, error)
        if has_run is not None:
            has_run()
        if self.tells_runs:
            self._owner.on_run(handle)
        if judge is not None:
            judge()

    def _is_held(self, handle: SimHandle) -> bool:
        return any(hold(handle) for hold in self.holds)
