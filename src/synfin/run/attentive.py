"""A selector that does not go to sleep where it would be woken at once.

Between a program and a server that is near, each packet comes some ten microseconds after the one before it, and to be
put to sleep and woken takes as long again. So, while waits are short, one after the other, it looks again and again. A
wait that is not over by then is slept through, and so are those after it, until they have been short for a while: who
has nothing to do sleeps, and so does who waits for a far network, or for somebody who needs this very processor.
"""

from __future__ import annotations

import selectors
import time
from typing import Final

SHORT: Final = 50e-6  # seconds: what is over by then is not slept through
USUAL: Final = 16  # so many short waits one after the other, and the next is taken for short as well


class AttentiveSelector(selectors.EpollSelector):
    """For an event loop: asyncio.SelectorEventLoop(AttentiveSelector())."""

    def __init__(self) -> None:
        super().__init__()
        self._short = 0  # waits one after the other

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As any selector's."""
        look = super().select
        if timeout is not None and timeout <= 0:
            return look(0)
        began = time.monotonic()
        if self._short < USUAL:
            ready = look(timeout)
            self._short = self._short + 1 if ready and time.monotonic() - began < SHORT else 0
            return ready
        while not (ready := look(0)):
            waited = time.monotonic() - began
            if waited > SHORT:
                self._short = 0
                return look(timeout if timeout is None else max(timeout - waited, 0))
        return ready
