"""When in-order data is acknowledged. RFC 9293 3.8.6.3 counts full segments; here bytes, since a burst is many.

What is out of order, duplicate or unacceptable is acknowledged at once and not asked here (RFC 5681 4.2).
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

# An ACK for a whole window is one loss away from a timeout, so within one batch some go at once. RFC 5681 4.2's SHOULD,
# an ACK for at least every second full segment, holds across batches; within one this departs from it, since each ACK
# is a system call here and runs the peer.
SEGMENTS_AT_ONCE: Final = 16
BURSTS_AT_ONCE: Final = 256 * 1024  # bytes; a device that merges hands over up to 64 KiB at a time
QUICK: Final = 16  # segments after a gap that are acknowledged one by one, as in Linux
FIRST_ROUNDS: Final = 64 * 1024  # bytes of a connection in which every second segment is acknowledged at once


@mypyc_attr(acyclic=True)
class AckPolicy:
    """due: an ACK goes at the next poll. deadline: else it goes then; 0: nothing waits to be acknowledged."""

    def __init__(self, delay_us: i64) -> None:
        self.due: bool = False
        self.deadline: i64 = 0
        self._waiting: i64 = 0  # bytes taken in order since the last ACK
        self._full: i64 = 0  # what the peer calls a full segment, in bytes: the largest payload seen lately
        self._last: i64 = 0  # payload of the last segment
        self._quick: i64 = 0  # segments that are still acknowledged one by one
        self._first: i64 = FIRST_ROUNDS  # bytes left of the first rounds, in which the peer's cwnd is small
        self._delay_us: i64 = delay_us

    def on_gap(self) -> None:
        """Something is missing, or came twice since an ACK of ours was: the peer has slowed down, or is about to.

        What it sends then may be one segment, and its window opens only with the ACK: the delay would be a round trip
        more.
        """
        self._quick = QUICK

    def on_in_order(self, size: i64, segment: i64, push: bool, now: i64) -> bool:
        """`size` bytes arrived in order, in segments of `segment` bytes. True: an ACK goes at once, not with the batch.

        After PSH the peer has nothing more to say and may be waiting for us: the ACK goes at the poll that runs after
        the reader has run once, with the reader's answer if there is one. So no request, of whatever length, waits for
        the delayed-ACK timer.

        The peer's segments may shrink in mid-connection (a smaller path MTU), so two of one size in a row are full ones
        whatever was seen before, as Linux has it.
        """
        if segment > self._full or segment == self._last:
            self._full = segment
        self._last = segment
        self._waiting += size
        first = self._first > 0
        if first:
            self._first -= size
        if self._quick > 0:
            self._quick -= (size + segment - 1) // segment if segment > 0 else 1
            self.due = True
            return not push
        if self._waiting < 2 * self._full:
            if push:
                self.due = True
            elif self.deadline == 0:
                self.deadline = now + self._delay_us
            return False
        self.due = True
        if first:
            return not push
        at_once = BURSTS_AT_ONCE if size > segment else SEGMENTS_AT_ONCE * self._full
        return self._waiting >= at_once and not push

    def on_timer(self, now: i64) -> bool:
        """True: the ACK is late, and due. Perhaps since segments are not as full as they were: begin to learn anew."""
        if self.deadline == 0 or now < self.deadline:
            return False
        self.deadline = 0
        self.due = True
        self._full = self._last
        return True

    def on_ack_sent(self) -> None:
        """A segment carried RCV.NXT as it is now."""
        self.due = False
        self.deadline = 0
        self._waiting = 0
