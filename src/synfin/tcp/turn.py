"""A place in the two queues of a stack: who may have something to send, and who has something for its user.

Here stand the marks only, so that the queues (`environment`) need not know what a connection is.
"""

from __future__ import annotations

from synfin.tcp.timer import Timed


class Turn(Timed):
    """Something that waits for its turn, at most once in each queue."""

    def __init__(self) -> None:
        super().__init__()
        self.active: bool = False  # stands in Environment.active
        self.waiting: bool = False  # stands in Environment.ready
