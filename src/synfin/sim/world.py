"""What a program in the simulation sees instead of the machine's clock and randomness.

Covered: time.time, monotonic, perf_counter (and their _ns), time.sleep (moves the clock), the module `random`,
os.urandom, secrets, uuid. Code that imported one of these functions by name before the simulation began keeps the real
one; datetime.now() and TLS's own randomness are not covered (docs/simulation.md).
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from synfin.sim.loop import START, VirtualLoop

EPOCH: Final = 1_700_000_000.0  # time.time() at the beginning of every simulation


@contextmanager
def supplied(loop: VirtualLoop, seed: int) -> Iterator[None]:
    """While it lasts, the clock is the loop's and all randomness comes from the seed."""
    generator = random.Random(f"world {seed}")

    def urandom(size: int) -> bytes:
        return generator.randbytes(size)

    def wall() -> float:
        return EPOCH + loop.time() - START

    def ns(clock: Callable[[], float]) -> Callable[[], int]:
        return lambda: round(clock() * 1_000_000_000)

    changes: list[tuple[Any, str, Any]] = [
        (time, "time", wall),
        (time, "time_ns", ns(wall)),
        (time, "monotonic", loop.time),
        (time, "monotonic_ns", ns(loop.time)),
        (time, "perf_counter", loop.time),
        (time, "perf_counter_ns", ns(loop.time)),
        (time, "sleep", loop.jump),
        (os, "urandom", urandom),
        (random, "_urandom", urandom),
        # uuid1 takes time and node from the system unless it has no such functions.
        (uuid, "_generate_time_safe", None),
        (uuid, "_UuidCreate", None),
        (uuid, "_node", 0x02_00_00_00_00_01),
        (uuid, "_last_timestamp", None),
    ]
    state = random.getstate()
    saved = [(module, name, getattr(module, name)) for module, name, _ in changes if hasattr(module, name)]
    for module, name, value in changes:
        if hasattr(module, name):
            setattr(module, name, value)
    random.seed(f"random {seed}")
    try:
        yield
    finally:
        random.setstate(state)
        for module, name, value in saved:
            setattr(module, name, value)
