"""A set of offsets, kept as disjoint intervals in order: what was sent, what was reported."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Intervals:
    """size: how many offsets are in it."""

    def __init__(self) -> None:
        self.size = 0
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> int:
        """Put start..end (exclusive) in. Returns how many offsets were not in it before."""
        if end <= start:
            return 0
        first = bisect_left(self._ends, start)  # the first that touches or follows
        last = bisect_right(self._starts, end)  # the one after the last that touches or precedes
        had = 0
        new_start, new_end = start, end
        if first < last:
            had = sum(min(self._ends[n], end) - max(self._starts[n], start) for n in range(first, last))
            new_start = min(start, self._starts[first])
            new_end = max(end, self._ends[last - 1])
        self._starts[first:last] = [new_start]
        self._ends[first:last] = [new_end]
        fresh = end - start - had
        self.size += fresh
        return fresh

    def misses(self, start: int, end: int) -> bool:
        """Is a part of start..end not in it?"""
        at = bisect_right(self._starts, start) - 1
        return at < 0 or self._ends[at] < end

    def drop_below(self, offset: int) -> None:
        """Take out all below."""
        whole = bisect_right(self._ends, offset)
        self.size -= sum(self._ends[n] - self._starts[n] for n in range(whole))
        del self._starts[:whole]
        del self._ends[:whole]
        if self._starts and self._starts[0] < offset:
            self.size -= offset - self._starts[0]
            self._starts[0] = offset
