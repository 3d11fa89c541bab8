"""What a driver asks of a loop of asyncio's kind (see `links.beat`). A loop may bring its own, as `beat`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from mypy_extensions import i64

from synfin.links.beat import Beat


class LoopBeat(Beat):
    """Of any loop of asyncio's kind."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ready: Any = getattr(loop, "_ready", None)  # asyncio's own loops have it; others never seem alone
        # asyncio's own loops have no clock but this one; it is read several times for each packet
        plain = getattr(loop.time, "__func__", None) is asyncio.BaseEventLoop.time
        self._seconds: Any = time.monotonic if plain else loop.time
        self.real = plain
        self._call_soon: Any = loop.call_soon
        self._call_at: Any = loop.call_at

    def clock(self) -> i64:
        """Microseconds."""
        seconds: float = self._seconds()
        return int(seconds * 1_000_000)

    def soon(self, call: Any) -> Any:
        """Have it called at the next turn; its handle."""
        return self._call_soon(call)

    def at(self, deadline: i64, call: Any) -> Any:
        """Have it called then; its handle."""
        return self._call_at(deadline / 1_000_000, call)

    def is_alone(self, own: i64) -> bool:
        """Nothing is about to run but so many of the driver's own handles."""
        ready = self._ready
        return ready is not None and len(ready) <= own


def beat_of(loop: asyncio.AbstractEventLoop) -> Beat:
    """The loop's own, or one for any."""
    own = getattr(loop, "beat", None)
    return own if isinstance(own, Beat) else LoopBeat(loop)
