"""What a program saw, end by end, in words that are the same whoever carries its bytes.

Each end ("near", "far", "loop", ...) has a list of its own: within one end the order is the program's to rely on,
between two ends it is the network's. Data that come in one piece or in several are one entry.
"""

from __future__ import annotations

import asyncio
import errno
import zlib
from collections import defaultdict
from typing import Any

Seen = dict[str, list[str]]
SHOWN_BYTES = 40


def describe(value: object) -> str:
    """A value without what no program can rely on: an exception is its type and errno, long bytes are their length."""
    if isinstance(value, BaseException):
        number = getattr(value, "errno", None)
        code = f" {errno.errorcode.get(number, str(number))}" if isinstance(number, int) else ""
        return f"{type(value).__name__}{code}"
    if isinstance(value, (bytes, bytearray)):
        return repr(bytes(value)) if len(value) <= SHOWN_BYTES else f"{len(value)} bytes {zlib.crc32(value):08x}"
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(describe(one) for one in value) + ")"
    if isinstance(value, str):
        return value
    return repr(value)


class Log:
    """`until()` waits for what is noted: the programs' only way to wait for the other end."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str | bytearray]] = defaultdict(list)  # data are bytes until somebody looks
        self._waiting: list[tuple[str, str, asyncio.Future[None]]] = []

    def note(self, end: str, what: str, *details: object) -> None:
        """Write a line."""
        self._lines[end].append(" ".join([what, *map(describe, details)]))
        self._wake()

    def data(self, end: str, data: bytes) -> None:
        """Bytes that came; they are joined to those right before."""
        lines = self._lines[end]
        if not lines or isinstance(lines[-1], str):
            lines.append(bytearray())
        lines[-1] += data  # type: ignore[operator]
        self._wake()

    def has(self, end: str, what: str) -> bool:
        """A line of `end` begins with `what`."""
        return any((line if isinstance(line, str) else "data").startswith(what) for line in self._lines[end])

    async def until(self, end: str, what: str) -> None:
        """Until a line of `end` begins with `what`."""
        if self.has(end, what):
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((end, what, waiting))
        await waiting

    def _wake(self) -> None:
        for entry in list(self._waiting):
            end, what, waiting = entry
            if waiting.done() or self.has(end, what):
                self._waiting.remove(entry)
                if not waiting.done():
                    waiting.set_result(None)

    def seen(self) -> Seen:
        """All lines."""
        return {end: [_shown(line) for line in lines] for end, lines in sorted(self._lines.items()) if lines}


def _shown(line: str | bytearray) -> str:
    return line if isinstance(line, str) else f"data {describe(line)}"


def as_text(seen: Seen) -> list[str]:
    """For people, and for pytest's comparison: one line an entry."""
    return [f"{end}: {line}" for end, lines in seen.items() for line in lines]


def outcome(task: asyncio.Future[Any]) -> str:
    """How a task has ended."""
    if task.cancelled():
        return "CancelledError"
    error = task.exception()
    return describe(error) if error is not None else "returned"
