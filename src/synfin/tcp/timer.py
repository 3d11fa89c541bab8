"""What the stack's one timer queue can hold: something with one deadline.

Whoever waits for the peer has a deadline; whoever waits for its own user has none (DESIGN, timers).
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

# Whoever waits for what others on the path have overtaken waits so much longer: clocks wake late, at both ends, and on
# a path of microseconds it is late by that alone. As TCP_TIMEOUT_MIN in Linux, which is two ticks, here of 1 ms.
TIMER_GRACE_US: Final = 2000


def earlier(a: i64, b: i64) -> i64:
    """The earlier of two deadlines; 0 is none."""
    if a == 0:
        return b
    if b == 0 or a < b:
        return a
    return b


class Timed:
    """deadline: when on_timer() wants to be called, microseconds, 0 for never. The rest are notes of the queue."""

    def __init__(self) -> None:
        self.deadline: i64 = 0
        self.queued_at: i64 = 0  # time of the one entry that counts for this object in the timer queue, 0: none
        self.ticket: i64 = 0  # which entry that is

    def on_timer(self, now: i64) -> None:
        """Do all that is due at `now`, and set `deadline` anew."""
        raise NotImplementedError
