"""The stack's one timer queue: at most one live entry for each object, moved lazily.

A deadline that moves later (every ACK moves the retransmission timer) costs nothing: the old entry wakes us once and is
then filed anew. One that moves earlier gets a second entry; the first finds nothing due.
"""

from __future__ import annotations

from heapq import heappop, heappush

from mypy_extensions import i64

from synfin.tcp.timer import Timed


class TimerQueue:
    """Objects by deadline."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timed]] = []
        self._serial: int = 0  # keeps entries of the same time in the order of filing, whatever their objects

    def note(self, timed: Timed) -> None:
        """`timed.deadline` may have changed."""
        deadline = timed.deadline
        if deadline and (timed.queued_at == 0 or deadline < timed.queued_at):
            timed.queued_at = deadline
            self._serial += 1
            heappush(self._heap, (deadline, self._serial, timed))

    def next(self) -> int | None:
        """When something may be due; None: nothing is waited for. Entries that mean nothing any more are dropped."""
        heap = self._heap
        while heap:
            at, _, timed = heap[0]
            if at == timed.queued_at and timed.deadline:
                return at
            heappop(heap)
            if at == timed.queued_at:
                timed.queued_at = 0
        return None

    def due(self, now: i64) -> Timed | None:
        """One object whose deadline has come, taken out of the queue; None: no more."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, timed = heappop(heap)
            if at != timed.queued_at:
                continue
            timed.queued_at = 0
            if timed.deadline == 0:
                continue
            if timed.deadline <= now:
                return timed
            self.note(timed)
        return None

    def __len__(self) -> int:
        return len(self._heap)
