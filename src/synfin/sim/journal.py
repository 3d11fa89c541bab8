"""What happened in a run, step by step and packet by packet, so that two runs of a seed can be compared.

No address, hash or real time is in a line: two runs that do the same have the same lines.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, Final
from zlib import crc32

from synfin.sim.life import life_of
from synfin.sim.rules import SimPacket
from synfin.sim.tasks import task_of, where

_END: Final = "(it had ended)"
_GOES_ON: Final = " -> "
_OURS: Final = os.path.dirname(os.path.dirname(__file__))


class Journal:
    """lines: what happened so far. clock: virtual seconds since the beginning."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lines: list[str] = []
        self._clock = clock

    def step(self, handle: Any) -> Callable[[], None]:
        """A callback is about to run; call what this returns when it has."""
        life = life_of(handle._context)
        host = "the director" if life is None else life.name
        task = task_of(handle)
        if task is None:
            return partial(self._add, f"{host}: {_callback(handle._callback)}")
        what = f"{host}: {task.get_name()}: {where(task)}"
        return lambda: self._add(f"{what}{_GOES_ON}{'ended' if task.done() else where(task)}")

    def packet(self, packet: SimPacket) -> None:
        """One leaves; as a rule, which passes."""
        what = f"{packet.flags or 'no TCP'} seq {packet.seq} ack {packet.ack}, {packet.length} bytes"
        self._add(f"{packet.sender}{_GOES_ON}{packet.receiver}: {what}, CRC {crc32(packet.data):08x}")

    def outcome(self, error: BaseException | None) -> None:
        """The end."""
        self._add("the run ends" if error is None else f"the run ends by {type(error).__qualname__}")

    def _add(self, what: str) -> None:
        self.lines.append(f"{self._clock():.6f} {what}")


def _callback(callback: Any) -> str:
    while isinstance(callback, partial):
        callback = callback.func
    name = getattr(callback, "__qualname__", type(callback).__qualname__)
    code = getattr(callback, "__code__", None)
    return (
        name
        if code is None or code.co_filename.startswith(_OURS)
        else f"{name}, at {code.co_filename}:{code.co_firstlineno}"
    )


def first_difference(here: Sequence[str], again: Sequence[str]) -> str:
    """What two runs did differently at first, and where the program stood; "": nothing."""
    for number, (one, other) in enumerate(zip_longest(here, again, fillvalue=_END)):
        if one != other:
            lines = [f"  here:  {one}", f"  again: {other}"]
            before = _last_step(here[:number], one)
            if before:
                lines.append(f"  before: {before}")
            return "\n".join(lines)
    return ""


def _last_step(lines: Sequence[str], line: str) -> str:
    """From where to where the program of a line's host went last: what the line says was decided there."""
    host = line.partition(" ")[2].partition(_GOES_ON)[0].partition(":")[0]
    steps = (each for each in reversed(lines) if each.partition(" ")[2].startswith(f"{host}: ") and _GOES_ON in each)
    return next(steps, "")
