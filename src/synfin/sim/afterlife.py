"""Code of a host that has crashed runs once more: it is cancelled, and its `finally` blocks run, as those of no dead
machine do. What they do there to what outlives the host is told, with its place, and prevented where that can be.

Prevented: the network, and files that would be written, removed or renamed. Only told: whom they wake, since asyncio's
own objects may be the director's. What they do to plain objects nobody sees.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final

from synfin.sim.life import Life, current_life, life_of
from synfin.sim.tasks import caller

_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES: Final = frozenset(
    "os.remove os.rename os.mkdir os.rmdir os.link os.symlink os.truncate os.chmod os.chown os.utime "
    "sqlite3.connect".split()
)
_installed: Final[list[bool]] = []


def guard_files() -> None:
    """From now on a dead host's code changes no file. An audit hook stays as long as the process: one is enough."""
    if not _installed:
        _installed.append(True)
        sys.addaudithook(_audit)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "open":
        if not isinstance(args[2], int) or not args[2] & _WRITES:
            return
    elif event not in _CHANGES:
        return
    life = current_life()
    if life is None or life.alive:
        return
    life.haunts(f"{'opens' if event == 'open' else event} {args[0]!r}{caller()}")
    raise OSError(errno.EIO, f"{life.name} has crashed")


def guarded(call_soon: Callable[..., Any]) -> Callable[..., Any]:
    """A loop's call_soon(), which tells of a dead host's code that wakes another's."""

    def call(callback: Any, *args: Any, context: Context | None = None) -> Any:
        life: Life | None = current_life()
        if life is not None and not life.alive and context is not None and life_of(context) is not life:
            place = caller()
            if place:  # else it is a task that has ended, which whoever awaits it hears of
                life.haunts(f"wakes {getattr(callback, '__self__', callback)!r}{place}")
        return call_soon(callback, *args, context=context)

    return call
