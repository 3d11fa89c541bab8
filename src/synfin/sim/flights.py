"""Packets under way, by the time of their arrival, and in the order in which they left where that is the same."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final

from mypy_extensions import i64

from synfin.links.tunnel import Arrival
from synfin.sim.station import Station

Flight = tuple[int, int, Station, Arrival]
"""When it arrives in microseconds, which one it is, where, and what."""

NEVER: Final = -1
COMPACT_AT: Final = 64


class Flights:
    """Most arrive after all that left before them, and stand in a row; the others lie in a heap beside it."""

    def __init__(self) -> None:
        self.due: i64 = NEVER
        """When the next arrives."""
        self._row: list[Flight] = []
        self._gone: i64 = 0  # of the row
        self._heap: list[Flight] = []
        self._serial: i64 = 0

    def __len__(self) -> int:
        return len(self._row) - self._gone + len(self._heap)

    def put(self, arrives: i64, receiver: Station, arrival: Arrival) -> None:
        """It leaves now."""
        self._serial += 1
        row = self._row
        if not row or row[-1][0] <= arrives:
            row.append((arrives, self._serial, receiver, arrival))
        else:
            heappush(self._heap, (arrives, self._serial, receiver, arrival))
        if arrives < self.due or self.due == NEVER:
            self.due = arrives

    def next(self) -> Flight:
        """The next to arrive; there has to be one."""
        if self._is_beside():
            return self._heap[0]
        return self._row[self._gone]

    def pop(self) -> Flight:
        """The same; it has arrived."""
        if self._is_beside():
            flight = heappop(self._heap)
        else:
            row = self._row
            flight = row[self._gone]
            self._gone += 1
            if self._gone == len(row):
                row.clear()
                self._gone = 0
            elif self._gone >= COMPACT_AT and self._gone * 2 >= len(row):
                del row[: self._gone]
                self._gone = 0
        self.due = self.next()[0] if self._row or self._heap else NEVER
        return flight

    def _is_beside(self) -> bool:
        """The next is in the heap."""
        if not self._heap:
            return False
        if not self._row:
            return True
        beside, ahead = self._heap[0], self._row[self._gone]
        return beside[0] < ahead[0] or (beside[0] == ahead[0] and beside[1] < ahead[1])

    def arrivals(self) -> list[Arrival]:
        """All, in the order in which they will arrive."""
        return [arrival for _, _, _, arrival in sorted(self._row[self._gone :] + self._heap, key=_order)]

    def clear(self) -> None:
        """None of them arrives."""
        self._row.clear()
        self._gone = 0
        self._heap.clear()
        self.due = NEVER


def _order(flight: Flight) -> tuple[int, int]:
    return flight[0], flight[1]
