"""Whether a loop goes to sleep that will be woken at once: what Linux calls busy polling (net.core.busy_poll).

Between two that are near, each packet comes some ten microseconds after the one before it, and to be put to sleep and
woken takes longer than that. So, while waits are short, one after the other, the loop is kept turning: at each turn it
looks whether anything has come, for the host or for anyone else on it. A wait that is not over by then is slept
through, and so are those after it, until they have been short for a while: who has nothing to do sleeps, and so does
who waits for a far network. Who waits for somebody that needs this very processor has short waits while he sleeps, and
long ones while he looks: each look in vain doubles the number of short waits before the next.
"""

from __future__ import annotations

from typing import Any, Final

from mypy_extensions import i64

from synfin.links.beat import Beat

BUSY_POLL_US: Final = 50  # what is over by then is not slept through (what Linux's documentation recommends)
LONGEST_US: Final = 10_000
USUAL: Final = 16  # so many short waits one after the other, and the next is taken for short as well
MOST: Final = 1024  # of them, after looks in vain


def check_busy_poll(microseconds: object) -> None:
    """Raise TypeError or ValueError for what is no time to stay awake; 0 is none."""
    if isinstance(microseconds, bool) or not isinstance(microseconds, int):
        raise TypeError(f"busy_poll must be an int, in microseconds, not {type(microseconds).__name__}")
    if not 0 <= microseconds <= LONGEST_US:
        raise ValueError(f"busy_poll must be within 0 and {LONGEST_US} microseconds, not {microseconds}")


class Attention:
    """One for a host on a loop whose time is the machine's. short: microseconds that a wait may last."""

    def __init__(self, beat: Beat, short: i64) -> None:
        self._beat = beat
        self._short: i64 = short
        self._since: i64 = 0  # the host has had nothing to do
        self._waits: i64 = 0  # short ones, one after the other
        self._enough: i64 = USUAL  # of them to stay awake in the next
        self._turn: Any = None  # the handle of the next look
        self._look_call: Any = self._look

    @property
    def turning(self) -> bool:
        """Its own handle is among those that are about to run."""
        return self._turn is not None

    def came(self) -> None:
        """Something has come: the wait is over."""
        if self._beat.clock() - self._since < self._short:
            self._waits += 1
            if self._turn is not None:
                self._enough = USUAL  # it was worth it
        else:
            self._waits = 0

    def rests(self) -> None:
        """The host has done what there was to do, and waits from now on."""
        self._since = self._beat.clock()
        if self._waits >= self._enough and self._turn is None:
            self._turn = self._beat.soon(self._look_call)

    def _look(self) -> None:
        self._turn = None
        if self._beat.clock() - self._since < self._short:
            self._turn = self._beat.soon(self._look_call)
        else:
            self._waits = 0
            self._enough = min(2 * self._enough, MOST)

    def end(self) -> None:
        """Keep nobody awake any more."""
        self._waits = 0
        self._look_call = _nothing
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None


def _nothing() -> None:
    """What is looked for when the host has ended: nothing that would keep it in a circle."""
