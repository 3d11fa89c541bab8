"""When in-order data is acknowledged. RFC 9293 3.8.6.3 counts full segments; here bytes, since a burst is many.

What is out of order, duplicate or unacceptable is acknowledged at once and not asked here (RFC 5681 4.2).
"""

from __future__ import annotations

from mypy_extensions import i64


class AckPolicy:
    """due: an ACK goes at the next poll. deadline: else it goes then; 0: nothing waits to be acknowledged."""

    def __init__(self, delay_us: i64) -> None:
        self.due: bool = False
        self.deadline: i64 = 0
        self._waiting: i64 = 0  # bytes taken in order since the last ACK
        self._largest: i64 = 0  # the largest segment payload seen: what the peer calls a full segment
        self._delay_us: i64 = delay_us

    def on_in_order(self, size: i64, segment: i64, push: bool, now: i64) -> None:
        """`size` bytes arrived in order, in segments of `segment` bytes.

        After PSH the peer has nothing more to say and may be waiting for us: the ACK goes at the poll that runs after
        the reader has run once, with the reader's answer if there is one. So no request, of whatever length, waits for
        the delayed-ACK timer.
        """
        if segment > self._largest:
            self._largest = segment
        self._waiting += size
        if push or self._waiting >= 2 * self._largest:
            self.due = True
        elif self.deadline == 0:
            self.deadline = now + self._delay_us

    def on_ack_sent(self) -> None:
        """A segment carried RCV.NXT as it is now."""
        self.due = False
        self.deadline = 0
        self._waiting = 0
