"""Threads of a simulation: real ones, of which one runs at a time, and which wait in virtual time.

A thread has the turn until it waits, for time or for something; then it gives the turn back to the loop, which hands it
over again when the time has come or the thing has happened. So threads are as deterministic as tasks: what happens
between two waits happens at once, and two that sleep three seconds do so in the same three seconds. When the loop's own
thread waits for others, which in asyncio stops the loop as well, they run in the meantime and nothing else does.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from _thread import allocate_lock, start_new_thread
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from itertools import count
from typing import Any, Final, Protocol, cast

from synfin.sim.errors import Deadlock
from synfin.sim.tasks import place

_OURS: Final = (os.path.dirname(__file__), threading.__file__)


class _Loop(Protocol):
    """What a loop must do for threads."""

    def time(self) -> float: ...

    def move_to(self, when: float) -> None: ...

    def thread_context(self) -> Context: ...

    def call_soon(self, callback: Any, *args: Any, context: Context | None) -> Any: ...

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None) -> Any: ...


class ThreadEnds(BaseException):
    """Raised in a thread that waits when its host or the simulation ends."""


class SimThread:
    """One thread. What it runs, whether it is done, and for what it waits."""

    def __init__(self, run: Callable[[], None], name: str, inner: Context, context: Context) -> None:
        self.name = name
        self.context = context  # of the turns that the loop gives it
        self.done = False
        self.ended = False  # no more turns: it unwinds at the next wait
        self.ready: Callable[[], bool] | None = None  # waits for this to be so
        self.until: float | None = None  # and not longer
        self.wait = 0  # the number of its waits: a turn that was meant for an earlier one is none
        self.turn = allocate_lock()
        self.turn.acquire()
        self.ident = 0
        self._run = run
        self._inner = inner  # what the thread itself sees

    def main(self) -> None:
        """What the real thread does once it has its first turn."""
        self.turn.acquire()
        self.ident = threading.get_ident()
        try:
            if not self.ended:
                self._inner.run(self._run)
        except ThreadEnds:
            pass
        except BaseException:
            if not self.ended:  # what a thread that is made to end fails by is nobody's
                raise
        finally:
            self.done = True

    def place(self) -> str:
        """Where it stands in the program."""
        frame = sys._current_frames().get(self.ident)
        while frame is not None and frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
            frame = frame.f_back
        return f"{self.name}: {'not begun' if frame is None else place(frame)}"


class Threads:
    """All threads of one simulation."""

    def __init__(self, loop: _Loop) -> None:
        self.waiting: list[SimThread] = []
        """Those that wait for something: the loop calls `look()` once a turn while there are any."""
        self._loop = loop
        self._all: dict[SimThread, None] = {}
        self._home = threading.get_ident()
        self._turn_back = allocate_lock()
        self._turn_back.acquire()
        self._running: SimThread | None = None
        self._apart = False
        self._over = False
        self._numbers = count(1)

    def here(self) -> bool:
        """The code that asks runs in the simulation: in the loop's thread, or in one of these."""
        if self._apart or self._over:
            return False
        ident = threading.get_ident()
        return ident == self._home or (self._running is not None and self._running.ident == ident)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What is called waits for a real thread."""
        self._apart = True
        try:
            yield
        finally:
            self._apart = False

    def begin(self) -> None:
        """The loop runs in this thread."""
        self._home = threading.get_ident()
        if not self._over and self not in _all_threads:
            _all_threads.append(self)

    def start(self, run: Callable[[], None], name: str = "") -> SimThread:
        """Run a function in a thread of its own, from the loop's next turn on."""
        thread, body = self.new(run, name or f"thread {next(self._numbers)}")
        start_new_thread(body, ())
        self.adopt(thread)
        return thread

    def new(self, run: Callable[[], None], name: str) -> tuple[SimThread, Callable[[], None]]:
        """A thread, and what a real one has to run; `adopt()` it once that has begun."""
        thread = SimThread(run, name, self._loop.thread_context(), copy_context())

        def body() -> None:
            try:
                thread.main()
            finally:
                self._turn_back.release()

        return thread, body

    def adopt(self, thread: SimThread) -> None:
        """It gets its first turn at the loop's next."""
        self._all[thread] = None
        self._loop.call_soon(self._wake, thread, 0, context=thread.context)

    # ---- waiting ----

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass. In the loop's own thread nothing else happens meanwhile."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        until = self._loop.time() + seconds
        if self._running is None:
            self._loop.move_to(until)
        else:
            self._give_turn_back(self._running, None, until)

    def wait(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until `ready()`, which is asked until it says so once; False: the time is over."""
        if ready():
            return True
        if timeout is not None and timeout <= 0:
            return False
        until = None if timeout is None else self._loop.time() + timeout
        if self._running is None:
            return self._let_others_run(ready, until)
        return self._give_turn_back(self._running, ready, until)

    def look(self) -> None:
        """Who waits for something that has happened gets a turn."""
        for thread in tuple(self.waiting):
            assert thread.ready is not None
            if thread.ready():
                self._found(thread)
                self._loop.call_soon(self._wake, thread, thread.wait, context=thread.context)

    def _found(self, thread: SimThread) -> None:
        self.waiting.remove(thread)
        thread.ready = None

    def _give_turn_back(self, thread: SimThread, ready: Callable[[], bool] | None, until: float | None) -> bool:
        """Called in the thread."""
        if thread.ended:
            raise ThreadEnds
        thread.wait += 1
        thread.ready, thread.until = ready, until
        if ready is not None:
            self.waiting.append(thread)
        if until is not None:
            self._loop.call_at(until, self._wake, thread, thread.wait, context=thread.context)
        self._turn_back.release()
        thread.turn.acquire()
        if thread.ended:
            raise ThreadEnds
        return thread.ready is None

    def _wake(self, thread: SimThread, wait: int) -> None:
        """Its turn, unless it has gone on since. Called by the loop."""
        if not thread.done and thread.wait == wait:
            self._hand_over(thread)

    def _hand_over(self, thread: SimThread) -> None:
        if thread in self.waiting:  # in vain: the time is over, or all ends
            self.waiting.remove(thread)
        thread.until = None
        self._running = thread
        thread.turn.release()
        self._turn_back.acquire()
        self._running = None
        if thread.done:
            del self._all[thread]

    def _let_others_run(self, ready: Callable[[], bool], until: float | None) -> bool:
        """The loop's own thread waits: threads go on, and time passes, but no task and no packet moves."""
        while not ready():
            thread = next((one for one in self._all if self._may_run(one)), None)
            if thread is not None:
                if thread.ready is not None:
                    self._found(thread)
                self._hand_over(thread)
                continue
            ends = [one.until for one in self._all if one.until is not None]
            if until is not None:
                ends.append(until)
            if not ends:
                lines = "\n".join(f"  {line}" for line in ["the loop's own thread", *self.places()])
                raise Deadlock(f"the loop's thread waits, so that nothing can ever happen any more:\n{lines}")
            self._loop.move_to(min(ends))
            if until is not None and self._loop.time() >= until:
                return ready()
        return True

    def _may_run(self, thread: SimThread) -> bool:
        if thread.wait == 0:
            return True
        if thread.ready is not None and thread.ready():
            return True
        return thread.until is not None and thread.until <= self._loop.time()

    # ---- the end ----

    def close(self) -> None:
        """The simulation is over: a lock that was made in it, and lives on, is one like all others."""
        self._over = True
        self._loop = cast(_Loop, None)  # nobody waits here any more
        if self in _all_threads:
            _all_threads.remove(self)

    def places(self) -> list[str]:
        """Where each of them stands."""
        return [thread.place() for thread in self._all]

    def end(self, owned: Callable[[Context], bool]) -> None:
        """Those of them unwind now: what waits is interrupted, and may not wait again."""
        for thread in [one for one in self._all if owned(one.context)]:
            thread.ended = True
            if thread is not self._running:
                self._hand_over(thread)
            elif threading.get_ident() == self._home:  # it did not give back the turn: the loop was interrupted
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(ThreadEnds))


_all_threads: Final[list[Threads]] = []  # of the simulations that are under way


def is_inside() -> bool:
    """The code that asks runs in a simulation."""
    return any(threads.here() for threads in _all_threads)


class Crew:
    """The threads of an executor: so many jobs go on at a time, the others wait for their turn."""

    def __init__(self, threads: Threads, size: int) -> None:
        self._threads = threads
        self._idle = size
        self._jobs: deque[Callable[[], None]] = deque()

    def do(self, job: Callable[[], None]) -> None:
        """Some time."""
        self._jobs.append(job)
        if self._idle:
            self._idle -= 1
            self._threads.start(self._work)

    def _work(self) -> None:
        try:
            while self._jobs:
                self._jobs.popleft()()
        finally:
            self._idle += 1
