"""What a program in the simulation sees instead of the machine's clock, randomness and network.

Supplied: time.time, monotonic, perf_counter (and their _ns), time.sleep (moves the clock), the module `random` and
generators made without a seed, os.urandom, secrets, uuid, and the names that socket.getaddrinfo knows. A kernel socket
that would connect, listen or send is an error. Code that imported one of these functions by name before the simulation
began keeps the real one; datetime.now() and TLS's own randomness are not covered (docs/simulation.md).
"""

from __future__ import annotations

import os
import random
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from synfin.sim.errors import SimulationEscape
from synfin.sim.loop import START, VirtualLoop
from synfin.sim.names import Names

EPOCH: Final = 1_700_000_000.0  # time.time() at the beginning of every simulation
_REACHES_OUT: Final = ("bind", "connect", "connect_ex", "listen", "sendmsg", "sendto")
_ABSENT: Final = object()


@contextmanager
def supplied(loop: VirtualLoop, names: Names, seed: int) -> Iterator[None]:
    """While it lasts, the clock is the loop's, all randomness is the seed's, and no names but these are known."""
    state = random.getstate()
    random.seed(f"random {seed}")
    saved: list[tuple[Any, str, object]] = []
    for owner, name, value in _changes(loop, names, random.Random(f"world {seed}").randbytes):
        if hasattr(owner, name):  # which of them there are depends on Python's version
            saved.append((owner, name, vars(owner).get(name, _ABSENT)))
            setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in saved:
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
        random.setstate(state)


def _changes(loop: VirtualLoop, names: Names, urandom: Callable[[int], bytes]) -> Iterator[tuple[Any, str, object]]:
    def wall() -> float:
        return EPOCH + loop.time() - START

    def ns(clock: Callable[[], float]) -> Callable[[], int]:
        return lambda: round(clock() * 1_000_000_000)

    for name, clock in (("time", wall), ("monotonic", loop.time), ("perf_counter", loop.time)):
        yield time, name, clock
        yield time, f"{name}_ns", ns(clock)
    yield time, "sleep", loop.jump

    real_seed = random.Random.seed

    def seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
        """As Random.seed; what would come from the system comes from the simulation's seed."""
        real_seed(generator, int.from_bytes(urandom(32), "big") if a is None else a, version)

    yield os, "urandom", urandom
    yield random, "_urandom", urandom
    yield random.Random, "seed", seed

    # uuid1 takes time and node from the system unless it has no such functions; others count on from the last one made.
    for name in ("_generate_time_safe", "_UuidCreate", "_last_timestamp", "_last_timestamp_v6", "_last_timestamp_v7"):
        yield uuid, name, None
    yield uuid, "_last_counter_v7", 0
    yield uuid, "_node", 0x02_00_00_00_00_01

    def gethostbyname(host: str) -> str:
        return str(names.look_up(host, 0, socket.AF_INET)[0][4][0])

    yield socket, "getaddrinfo", names.look_up
    yield socket, "gethostbyname", gethostbyname
    for name in _REACHES_OUT:
        yield socket.socket, name, _escape(name)


def _escape(name: str) -> Callable[..., Any]:
    def refuse(opened: socket.socket, *_: object) -> Any:
        opened.close()
        raise SimulationEscape(
            f"socket.{name}() would reach the real network; in a simulation only asyncio's calls reach its hosts"
        )

    return refuse
