"""A place in the two queues of a stack: who may have something to send, and who has something for its user.

It owns the marks and the events, so that the queues (`environment`) need not know what a connection is.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.timer import Timed

# events for the user; taken and cleared by Turn.take_events()
CONNECTED: Final = 1
READABLE: Final = 2
EOF: Final = 4  # the peer's FIN was reached: after what is ready, nothing more
WRITABLE: Final = 8  # acknowledged bytes made room, and `want_writable` asked to be told
FAILED: Final = 16  # `error` says why
GONE: Final = 32  # the protocol part has ended: CLOSED or TIME-WAIT


class Turn(Timed):
    """Something that waits for its turn, at most once in each queue."""

    def __init__(self) -> None:
        super().__init__()
        self._events: i64 = 0
        self.active: bool = False  # stands in Environment.active
        self.waiting: bool = False  # stands in Environment.ready

    def take_events(self) -> int:
        """What happened since the last call, as a mask; the caller has been served."""
        events = self._events
        self._events = 0
        self.waiting = False
        return events
