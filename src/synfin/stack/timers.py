"""The stack's one timer queue: at most one entry that counts for each object, moved lazily.

A deadline that moves later (every ACK moves the retransmission timer) costs nothing: the old entry wakes us once and is
then filed anew. One that moves earlier gets a second entry, and the first is stale; so is that of an object that waits
for nothing any more. Stale entries are swept out before they outnumber the others: a keep-alive of two hours would keep
what has ended for as long, and a new entry of every delayed ACK with it.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final

from mypy_extensions import i64

from synfin.tcp.timer import Timed

SWEEP_ABOVE: Final = 64


class TimerQueue:
    """Objects by deadline."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timed]] = []
        self._serial: i64 = 0  # keeps entries of the same time in the order of filing, whatever their objects
        self._sweep_at: i64 = SWEEP_ABOVE

    def note(self, timed: Timed) -> None:
        """`timed.deadline` may have changed."""
        deadline = timed.deadline
        if deadline and (timed.queued_at == 0 or deadline < timed.queued_at):
            self._serial += 1
            timed.queued_at = deadline
            timed.ticket = self._serial
            heappush(self._heap, (deadline, self._serial, timed))
            if len(self._heap) > self._sweep_at:
                self._sweep()

    def _sweep(self) -> None:
        """Drop what is stale. The next time comes when the queue has doubled, so that an entry costs O(1) of it."""
        kept: list[tuple[int, int, Timed]] = []
        for entry in self._heap:
            timed = entry[2]
            if entry[1] == timed.ticket:
                if timed.deadline:
                    kept.append(entry)
                else:
                    timed.queued_at = 0
                    timed.ticket = 0
        heapify(kept)
        self._heap = kept
        self._sweep_at = 2 * len(kept) + SWEEP_ABOVE

    def next(self) -> i64:
        """When something may be due; 0: nothing is waited for. Entries that mean nothing any more are dropped."""
        heap = self._heap
        while heap:
            at, ticket, timed = heap[0]
            if ticket == timed.ticket and timed.deadline:
                return at
            heappop(heap)
            if ticket == timed.ticket:
                timed.queued_at = 0
                timed.ticket = 0
        return 0

    def due(self, now: i64) -> Timed | None:
        """One object whose deadline has come, taken out of the queue; None: no more."""
        while self._heap and self._heap[0][0] <= now:
            _, ticket, timed = heappop(self._heap)
            if ticket != timed.ticket:
                continue
            timed.queued_at = 0
            timed.ticket = 0
            if timed.deadline == 0:
                continue
            if timed.deadline <= now:
                return timed
            self.note(timed)
        return None

    def __len__(self) -> int:
        return len(self._heap)
