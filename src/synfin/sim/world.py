"""What a program in the simulation sees instead of the machine's clocks, randomness, threads and network.

Supplied: clocks (`clocks`); the module `random` and generators made without a seed, os.urandom and getrandom, secrets,
uuid, ssl's random bytes; what waits in threads (`thread_calls`); the names that socket.getaddrinfo knows. What would
leave the simulation is an error (`escapes`). What is not covered is a list in docs/simulation.md.
"""

from __future__ import annotations

import os
import random
import socket
import ssl
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from synfin.sim.clocks import changes as clock_changes
from synfin.sim.clocks import wall_clock
from synfin.sim.escapes import changes as escape_changes
from synfin.sim.loop import VirtualLoop
from synfin.sim.names import Names
from synfin.sim.signals import changes as signal_changes
from synfin.sim.thread_calls import changes as thread_changes

_ABSENT: Final = object()


@contextmanager
def supplied(loop: VirtualLoop, names: Names, seed: int) -> Iterator[None]:
    """While it lasts, the clock is the loop's, all randomness is the seed's, and no names but these are known."""
    loop.threads.begin()
    state = random.getstate()
    random.seed(f"random {seed}")
    with wall_clock(loop):
        saved: list[tuple[Any, str, object]] = []
        for owner, name, value in _changes(loop, names, random.Random(f"world {seed}").randbytes):
            if hasattr(owner, name):  # which of them there are depends on Python's version
                saved.append((owner, name, vars(owner).get(name, _ABSENT)))
                setattr(owner, name, value)
        try:
            yield
        finally:
            loop.threads.close()
            for owner, name, value in saved:
                if value is _ABSENT:
                    delattr(owner, name)
                else:
                    setattr(owner, name, value)
            random.setstate(state)


def _changes(loop: VirtualLoop, names: Names, urandom: Callable[[int], bytes]) -> Iterator[tuple[Any, str, object]]:
    yield from clock_changes(loop)
    yield from thread_changes(loop.threads)
    yield from escape_changes(loop.threads)
    yield from signal_changes(loop.threads)
    yield from _chance(urandom)

    def gethostbyname(host: str) -> str:
        return str(names.look_up(host, 0, socket.AF_INET)[0][4][0])

    yield socket, "getaddrinfo", names.look_up
    yield socket, "gethostbyname", gethostbyname


def _chance(urandom: Callable[[int], bytes]) -> Iterator[tuple[Any, str, object]]:
    real_seed = random.Random.seed

    def seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
        """As Random.seed; what would come from the system comes from the simulation's seed."""
        real_seed(generator, int.from_bytes(urandom(32), "big") if a is None else a, version)

    yield os, "urandom", urandom
    yield os, "getrandom", lambda size, flags=0: urandom(size)
    yield random, "_urandom", urandom
    yield random.Random, "seed", seed
    yield ssl, "RAND_bytes", lambda num, /: urandom(num)
    yield ssl, "RAND_pseudo_bytes", lambda num, /: (urandom(num), True)

    # uuid1 takes time and node from the system unless it has no such functions; others count on from the last one made.
    for name in ("_generate_time_safe", "_UuidCreate", "_last_timestamp", "_last_timestamp_v6", "_last_timestamp_v7"):
        yield uuid, name, None
    yield uuid, "_last_counter_v7", 0
    yield uuid, "_node", 0x02_00_00_00_00_01
