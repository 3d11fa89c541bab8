"""Out-of-order data, until the hole before it is filled. RFC 9293 3.10.7.4 (seventh) keeps it; RFC 2018 reports it.

Runs of adjacent bytes, sorted, never touching each other: as many runs as there are holes. What came first stays.
Its memory is bounded by two limits: the window (no byte is kept outside it), and the cost of small pieces, which a
peer could otherwise make a hundred times larger than their bytes (scattered one-byte segments).
The pieces of all runs are in one dict, by the offset of their first byte: to put one before a run, after it or between
two of them moves no other, in whatever order a peer makes a run of thousands.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

from mypy_extensions import i64, mypyc_attr

from synfin.wire.pieces import Piece, cut, joined

# what insert() says
NEW: Final = 0  # kept, at least in part
KNOWN: Final = 1  # every byte of it was here already
NO_ROOM: Final = 2  # a limit forbids it; nothing was kept

REPORTED: Final = 4  # no SACK option has room for more blocks
# Bytes of memory besides the payload, as the allocator gives them (multiples of 16; tests/unit measures both).
PIECE_COST: Final = 144  # a bytes object, its offset, and their place in a dict
# What a segment adds when it joins runs, it adds in the places of runs that end: no less than a piece, then.
RUN_COST: Final = 144  # three int objects, a place in each of three lists that grow by an eighth
JOIN_BELOW: Final = 8192  # pieces up to this size together are one: five segments of Ethernet cost as much as one


@mypyc_attr(acyclic=True)
class Reassembly:
    """starts[i] <= run i < ends[i] < starts[i + 1]."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.memory: i64 = 0  # payload and overhead
        # Of the segment in hand, the first part that was here already, as insert() and take() found it; none if equal.
        # Runs never touch, so the first run that the segment meets holds all of that part (RFC 2883 4.2).
        self.known_start: i64 = 0
        self.known_end: i64 = 0
        self._lasts: list[int] = []  # where the last piece of each run begins
        self._pieces: dict[int, Piece] = {}
        self._recent: list[int] = []  # a byte in each of the runs that grew last, the latest first (RFC 2018 4)

    def insert(self, start: i64, data: Piece, max_runs: i64, max_memory: i64) -> i64:
        """Keep what of `data` is new: NEW, KNOWN or NO_ROOM."""
        end: i64 = start + len(data)
        index: i64 = bisect_left(self.ends, start)  # the first run that ends at or after start
        count: i64 = len(self.starts)
        self.known_start = self.known_end = 0
        if index == count or self.starts[index] > end:
            if count >= max_runs or self.memory + len(data) + PIECE_COST + RUN_COST > max_memory:
                return NO_ROOM
            self.starts.insert(index, start)
            self.ends.insert(index, end)
            self._lasts.insert(index, start)
            self._pieces[start] = data
            self.memory += len(data) + PIECE_COST + RUN_COST
            self._report_first(index)
            return NEW
        if self.starts[index] <= start and end <= self.ends[index]:
            self._report_first(index)
            self.known_start = start
            self.known_end = end
            return KNOWN
        if self.memory + len(data) + 2 * PIECE_COST > max_memory:
            return NO_ROOM
        self._compare(index, start, end)
        self._extend(index, start, data)
        self._report_first(index)
        return NEW

    def _compare(self, index: i64, start: i64, end: i64) -> None:
        """What of start..end was here already. The run at `index` is the first to touch it; the next may overlap."""
        if self.ends[index] == start:
            index += 1
            if index == len(self.starts) or self.starts[index] >= end:
                return
        first: i64 = self.starts[index]
        last: i64 = self.ends[index]
        self.known_start = first if first > start else start
        self.known_end = last if last < end else end

    def blocks(self, limit: i64) -> list[tuple[int, int]]:
        """What a SACK option tells: at most `limit` runs, the one that changed last first (RFC 2018 4)."""
        found: list[tuple[int, int]] = []
        for offset in self._recent:
            index = bisect_right(self.starts, offset) - 1
            if index >= 0 and offset < self.ends[index]:  # else it was taken
                found.append((self.starts[index], self.ends[index]))
                if len(found) >= limit:
                    break
        return found

    def _report_first(self, index: i64) -> None:
        """The run at `index` has changed: it is the first to be told of, and told of once."""
        start = self.starts[index]
        end = self.ends[index]
        self._recent = [start, *(offset for offset in self._recent if not start <= offset < end)][:REPORTED]

    def take(self, next_offset: i64, into: list[Piece]) -> i64:
        """Move all that continues from `next_offset` into `into`; the offset it reaches.

        What lies below `next_offset` has come in order meanwhile: it is known.
        """
        self.known_start = self.known_end = 0
        if self.starts and self.starts[0] < next_offset:
            self.known_start = self.starts[0]
            self.known_end = self.ends[0] if self.ends[0] < next_offset else next_offset
        taken: i64 = 0
        while taken < len(self.starts) and self.starts[taken] <= next_offset:
            at: i64 = self.starts[taken]
            end: i64 = self.ends[taken]
            while at < end:
                piece = self._pieces.pop(at)
                size: i64 = len(piece)
                if at >= next_offset:
                    into.append(piece)
                elif at + size > next_offset:
                    into.append(cut(piece, next_offset - at, size))
                at += size
                self.memory -= size + PIECE_COST
            if end > next_offset:
                next_offset = end
            self.memory -= RUN_COST
            taken += 1
        del self.starts[:taken]
        del self.ends[:taken]
        del self._lasts[:taken]
        return next_offset

    def _extend(self, index: i64, start: i64, data: Piece) -> None:
        """`data` touches or overlaps the run at `index`, and perhaps runs after it: make them one."""
        end: i64 = start + len(data)
        first: i64 = self.starts[index]
        tail: i64 = -1  # where the last piece of what is one so far begins
        at = start
        last = index
        if first <= start:
            at = self.ends[index]
            tail = self._lasts[index]
            last = index + 1
        else:
            first = start
        # Walk the runs that follow, filling the gaps before them from `data`.
        while last < len(self.starts) and self.starts[last] <= end:
            gap_end: i64 = self.starts[last]
            if gap_end > at:
                tail = self._keep(tail, at, cut(data, at - start, gap_end - start))
            tail = self._join(tail, gap_end, self._lasts[last])
            at = self.ends[last]
            last += 1
        if end > at:
            tail = self._keep(tail, at, cut(data, at - start, end - start) if at > start else data)
            at = end
        self.memory -= (last - index - 1) * RUN_COST
        self.starts[index:last] = [first]
        self.ends[index:last] = [at]
        self._lasts[index:last] = [tail]

    def _keep(self, tail: i64, at: i64, data: Piece) -> i64:
        """`data` follows the piece at `tail` (-1: none): as a part of it if both are small. The last piece then."""
        self.memory += len(data)
        if tail >= 0 and len(self._pieces[tail]) + len(data) <= JOIN_BELOW:
            self._pieces[tail] = joined([self._pieces[tail], data])
            return tail
        self._pieces[at] = data
        self.memory += PIECE_COST
        return at

    def _join(self, tail: i64, first: i64, last: i64) -> i64:
        """The run whose pieces begin at `first` and `last` follows the piece at `tail`. The last piece then."""
        if tail < 0 or len(self._pieces[tail]) + len(self._pieces[first]) > JOIN_BELOW:
            return last
        self._pieces[tail] = joined([self._pieces[tail], self._pieces.pop(first)])
        self.memory -= PIECE_COST
        return tail if last == first else last
