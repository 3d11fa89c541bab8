"""The calls of `threading` and `time` that wait or begin a thread, as a simulation carries them out.

Locks, conditions and what is built of them (events, queues, semaphores, barriers, concurrent.futures) wait in virtual
time. Code in threads that are not of the simulation, a debugger's for one, gets the real thing. What waits in C by
itself does not know: a lock made before the simulation began, `queue.SimpleQueue` taken by name before.
"""

from __future__ import annotations

import queue
import threading
import time
from _thread import allocate_lock
from collections.abc import Callable, Iterator
from typing import Any

from synfin.sim.threads import SimThread, ThreadEnds, Threads


class _Lock:
    """A lock made in a simulation."""

    def __init__(self, real: Any, threads: Threads) -> None:
        self._real = real
        self._threads = threads

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As threading's."""
        if not blocking or not self._threads.here():
            return bool(self._real.acquire(blocking, timeout))
        return self._threads.wait(lambda: bool(self._real.acquire(False)), None if timeout < 0 else timeout)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self._real.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def changes(threads: Threads) -> Iterator[tuple[Any, dict[str, object]]]:
    """What is to be replaced: owner, names and values."""
    real_sleep = time.sleep

    def lock() -> Any:
        return _Lock(allocate_lock(), threads)

    def rlock() -> Any:
        made: Any = threading._RLock()
        made._block = lock()
        return made

    def sleep(seconds: float) -> None:
        (threads.sleep if threads.here() else real_sleep)(seconds)

    yield time, {"sleep": sleep}
    yield threading, {"Lock": lock, "RLock": rlock}
    yield queue, {"SimpleQueue": queue._PySimpleQueue}  # type: ignore[attr-defined]
    yield threading.Condition, {"wait": _condition_wait(threads)}
    yield threading.Thread, _thread_methods(threads)


def _condition_wait(threads: Threads) -> Callable[..., bool]:
    real_wait = threading.Condition.wait

    def wait(condition: Any, timeout: float | None = None) -> bool:
        if not threads.here():
            return real_wait(condition, timeout)
        if not condition._is_owned():
            raise RuntimeError("cannot wait on un-acquired lock")
        waiter = allocate_lock()
        waiter.acquire()
        condition._waiters.append(waiter)
        saved = condition._release_save()
        notified = False
        try:
            notified = threads.wait(lambda: waiter.acquire(False), timeout)
            return notified
        finally:
            condition._acquire_restore(saved)
            if not notified and waiter in condition._waiters:
                condition._waiters.remove(waiter)

    return wait


def _thread_methods(threads: Threads) -> dict[str, object]:
    real_start, real_join, real_is_alive = threading.Thread.start, threading.Thread.join, threading.Thread.is_alive
    known: dict[threading.Thread, SimThread] = {}

    def start(thread: Any) -> None:
        if not threads.here() or thread in known:
            real_start(thread)
            return
        program = thread.run

        def run() -> None:
            try:
                program()
            except (SystemExit, ThreadEnds):
                pass
            except BaseException:
                thread._invoke_excepthook(thread)

        made, body = threads.new(run, thread.name)
        thread.run = body
        with threads.apart():
            real_start(thread)
        known[thread] = made
        threads.adopt(made)

    def join(thread: Any, timeout: float | None = None) -> None:
        made = known.get(thread)
        if made is not None and threads.here() and thread is not threading.current_thread():
            if not threads.wait(lambda: made.done, timeout if timeout is None else max(timeout, 0)):
                return
        with threads.apart():
            real_join(thread, timeout)

    def is_alive(thread: Any) -> bool:
        made = known.get(thread)
        return real_is_alive(thread) if made is None else not made.done

    return {"start": start, "join": join, "is_alive": is_alive}
