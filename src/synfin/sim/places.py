"""Where tasks wait, from where they came there, and where others wait at the same time: as numbers.

A number is a CRC of a text, never a hash: the same in every process.
"""

from __future__ import annotations

import os
from types import CodeType
from typing import Any, Final
from zlib import crc32

from synfin.sim.tasks import innermost

_PRIME: Final = 16777619  # FNV's
_MASK: Final = (1 << 32) - 1


def number(text: str) -> int:
    """What stands for a text."""
    return crc32(text.encode())


class Places:
    """Where tasks wait. found: numbers of what was seen."""

    def __init__(self) -> None:
        self.found: set[int] = set()
        self._stands: dict[Any, int] = {}  # by task
        self._crowd: dict[int, int] = {}  # how many tasks stand at a place
        self._numbers: dict[tuple[CodeType, int], int] = {}

    def on_step(self, task: Any) -> None:
        """A task has run until here."""
        before = self._stands.pop(task, 0)
        if before:
            self._leave(before)
        if task.done():
            self.found.add(_pair(before, 1))
            return
        frame = innermost(task)
        if frame is None:
            return
        at = frame.f_code, frame.f_lineno
        here = self._numbers.get(at)
        if here is None:
            code = frame.f_code
            here = number(f"{os.path.basename(code.co_filename)} {code.co_qualname} {frame.f_lineno}")
            self._numbers[at] = here
        self._stands[task] = here
        self._crowd[here] = crowd = self._crowd.get(here, 0) + 1
        found = self.found
        found.add(_pair(before, here))
        found.add(_pair(here, crowd.bit_length()))
        for other in self._crowd:
            found.add(_pair(min(here, other), max(here, other)) ^ _PRIME)

    def _leave(self, place: int) -> None:
        left = self._crowd[place] - 1
        if left:
            self._crowd[place] = left
        else:
            del self._crowd[place]


def _pair(one: int, other: int) -> int:
    return (one * _PRIME ^ other) & _MASK
