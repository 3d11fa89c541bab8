"""The clocks of a simulation: all tell its loop's time, also to who had imported a wall clock by name before.

time-machine (MIT) replaces the wall clocks of datetime and time where C has them, so that nobody's reference escapes;
where it is not installed, datetime.now() and its kin are the machine's. The monotonic clocks are replaced by name.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from synfin.sim.loop import VirtualLoop
from synfin.sim.turns import START

EPOCH: Final = 1_700_000_000.0  # time.time() at the beginning of every simulation
_STANDING: Final = frozenset(
    getattr(time, f"CLOCK_{name}", None) for name in ("PROCESS_CPUTIME_ID", "THREAD_CPUTIME_ID", "PROF", "VIRTUAL")
)


def _wall_ns(loop: VirtualLoop) -> int:
    return round((EPOCH + loop.time() - START) * 1_000_000_000)


@contextmanager
def wall_clock(loop: VirtualLoop) -> Iterator[bool]:
    """While it lasts, the wall clocks in C are the loop's; False: time-machine is not there to do it."""
    journey = _journey()
    if journey is None:
        yield False
        return
    traveller: Any = journey.start()
    traveller.time_ns = lambda: _wall_ns(loop)
    try:
        yield True
    finally:
        journey.stop()


@cache
def _journey() -> Any:
    """One for all, which may be begun again and again; None: time-machine is not there."""
    try:
        from time_machine import travel
    except ImportError:
        return None
    return travel(0, tick=False)


def changes(loop: VirtualLoop) -> Iterator[tuple[Any, dict[str, object]]]:
    """What is replaced by name: owner, names and values. Computing takes no time: clocks of the CPU stand still."""
    real_gmtime, real_localtime, real_strftime, real_asctime = time.gmtime, time.localtime, time.strftime, time.asctime

    def wall() -> float:
        return EPOCH + loop.time() - START

    def ns(clock: Callable[[], float]) -> Callable[[], int]:
        return lambda: round(clock() * 1_000_000_000)

    def localtime(seconds: float | None = None, /) -> time.struct_time:
        return real_localtime(wall() if seconds is None else seconds)

    def clock_gettime(clock: int, /) -> float:
        if clock == time.CLOCK_REALTIME:
            return wall()
        return 0.0 if clock in _STANDING else loop.time()

    loop_ns = ns(loop.time)
    yield (
        time,
        {
            "time": wall,
            "time_ns": ns(wall),
            "monotonic": loop.time,
            "monotonic_ns": loop_ns,
            "perf_counter": loop.time,
            "perf_counter_ns": loop_ns,
            "process_time": float,
            "process_time_ns": int,
            "thread_time": float,
            "thread_time_ns": int,
            "localtime": localtime,
            "gmtime": lambda seconds=None, /: real_gmtime(wall() if seconds is None else seconds),
            "ctime": lambda seconds=None, /: real_asctime(localtime(seconds)),
            "asctime": lambda at=None, /: real_asctime(localtime() if at is None else at),
            "strftime": lambda form, at=None, /: real_strftime(form, localtime() if at is None else at),
            "clock_gettime": clock_gettime,
            "clock_gettime_ns": lambda clock, /: round(clock_gettime(clock) * 1_000_000_000),
        },
    )
    yield threading, {"_time": loop.time}  # monotonic(), taken by name
    yield queue, {"time": loop.time}
