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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any, Final

from synfin.sim.bound import changes as socket_changes
from synfin.sim.clocks import changes as clock_changes
from synfin.sim.clocks import wall_clock
from synfin.sim.escapes import changes as escape_changes
from synfin.sim.loop import VirtualLoop
from synfin.sim.names import Names
from synfin.sim.signals import changes as signal_changes
from synfin.sim.thread_calls import changes as thread_changes

_ABSENT: Final = object()
# uuid1 takes time and node from the system unless it has no such functions; others count on from the last one made.
_OF_UUID: Final[dict[str, object]] = {
    "_generate_time_safe": None,
    "_UuidCreate": None,
    "_last_timestamp": None,
    "_last_timestamp_v6": None,
    "_last_timestamp_v7": None,
    "_last_counter_v7": 0,
    "_node": 0x02_00_00_00_00_01,
}
_Random: Final = random.Random
_Change = tuple[Any, dict[str, object]]
"""Owner, names and values."""


@contextmanager
def supplied(loop: VirtualLoop, names: Names, seed: int) -> Iterator[None]:
    """While it lasts, the clock is the loop's, all randomness is the seed's, and no names but these are known."""
    loop.threads.begin()
    state = random.getstate()
    random.seed(f"random {seed}")
    with wall_clock(loop):
        undo = _change(_changes(loop, names, _randbytes(f"world {seed}")))
        try:
            yield
        finally:
            loop.threads.close()
            undo()
            random.setstate(state)


def _randbytes(seed: str) -> Callable[[int], bytes]:
    """n -> n random bytes, of a generator that is made when the first are wanted: most programs never ask."""
    made: list[random.Random] = []

    def randbytes(size: int) -> bytes:
        if not made:
            made.append(_Random(seed))
        return made[0].randbytes(size)

    return randbytes


def _change(changes: Iterable[_Change]) -> Callable[[], None]:
    """Do it, as far as there is such a thing in this version of Python; call what this returns to undo it.

    A module is changed by its dict, all names at once: every test pays for this.
    """
    before: list[tuple[dict[str, object], dict[str, object]]] = []
    of_classes: list[tuple[Any, str, object]] = []
    together: dict[Any, dict[str, object]] = {}
    for owner, wanted in changes:  # which look at what there is, and see none of it changed
        together[owner] = together[owner] | wanted if owner in together else wanted
    for owner, wanted in together.items():
        if isinstance(owner, ModuleType):
            there = vars(owner)
            try:
                saved = dict(zip(wanted, map(there.__getitem__, wanted), strict=True))
            except KeyError:
                saved = {name: there[name] for name in wanted if name in there}
                wanted = {name: wanted[name] for name in saved}
            there.update(wanted)
            before.append((there, saved))
            continue
        for name, value in wanted.items():
            if hasattr(owner, name):
                of_classes.append((owner, name, vars(owner).get(name, _ABSENT)))
                setattr(owner, name, value)

    def undo() -> None:
        for there, saved in before:
            there.update(saved)
        for owner, name, value in reversed(of_classes):
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)

    return undo


def _changes(loop: VirtualLoop, names: Names, urandom: Callable[[int], bytes]) -> Iterator[_Change]:
    yield from clock_changes(loop)
    yield from thread_changes(loop.threads)
    yield from escape_changes()
    yield from socket_changes()
    yield from signal_changes(loop.threads)
    yield from _chance(urandom)

    def gethostbyname(host: str) -> str:
        return str(names.look_up(host, 0, socket.AF_INET)[0][4][0])

    yield socket, {"getaddrinfo": names.look_up, "gethostbyname": gethostbyname}


@cache
def _of_uuid() -> dict[str, object]:
    """What this version of Python has of it."""
    return {name: value for name, value in _OF_UUID.items() if hasattr(uuid, name)}


def _chance(urandom: Callable[[int], bytes]) -> Iterator[_Change]:
    real_seed = random.Random.seed

    def seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
        """As Random.seed; what would come from the system comes from the simulation's seed."""
        real_seed(generator, int.from_bytes(urandom(32), "big") if a is None else a, version)

    yield os, {"urandom": urandom, "getrandom": lambda size, flags=0: urandom(size)}
    yield random, {"_urandom": urandom}
    yield random.Random, {"seed": seed}
    yield ssl, {"RAND_bytes": lambda num, /: urandom(num), "RAND_pseudo_bytes": lambda num, /: (urandom(num), True)}
    yield uuid, _of_uuid()
