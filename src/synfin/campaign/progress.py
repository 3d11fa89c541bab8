"""How far a campaign is: one line that is written over at a terminal, a line from time to time elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TextIO

from synfin.campaign.campaign import Status

_OFTEN: Final = 0.2  # seconds, at a terminal
_SELDOM: Final = 10.0


class Progress:
    """`watch` and `say` of a Campaign, for people."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._over = out.isatty()
        self._next = 0.0
        self._width = 0

    def watch(self, status: Status) -> None:
        """How far it is."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (_OFTEN if self._over else _SELDOM)
        line = in_words(status)
        if self._over:
            self._out.write(f"\r{line:<{self._width}}")
            self._width = len(line)
        else:
            self._out.write(f"{line}\n")
        self._out.flush()

    def say(self, text: str) -> None:
        """What a user should know, in a line of its own."""
        self.clear()
        self._out.write(f"{text}\n")
        self._out.flush()

    def clear(self) -> None:
        """Leave the line empty."""
        if self._width:
            self._out.write(f"\r{'':<{self._width}}\r")
            self._width = 0


def in_words(status: Status) -> str:
    """One line."""
    total = "" if status.total is None else f" of {max(status.done, status.total - status.known):,}"
    rate = status.done / max(status.seconds, 1e-3)
    parts = [f"{status.done:,}{total} seeds, {rate:,.0f} a second", counted(status.failures, "distinct failure")]
    if status.flaky:
        parts.append(f"{status.flaky} flaky")
    if status.features:
        parts.append(f"{status.features:,} features")
    if status.left is not None:
        parts.append(f"{duration(status.left)} left")
    return "; ".join(parts)


def counted(number: int, what: str) -> str:
    """ "1 failure", "2 failures"."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(0.25), duration(75), duration(29_000)
    ('0.2 s', '1 min 15 s', '8 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
