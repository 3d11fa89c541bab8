"""Out-of-order data, until the hole before it is filled. RFC 9293 3.10.7.4 (seventh) keeps it; RFC 2018 reports it.

Runs of adjacent bytes, sorted, never touching each other: as many runs as there are holes. What came first stays.
Its memory is bounded by two limits: the window (no byte is kept outside it), and the cost of small pieces, which a
peer could otherwise make a hundred times larger than their bytes (scattered one-byte segments).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

from mypy_extensions import i64

# what insert() says
NEW: Final = 0  # kept, at least in part
KNOWN: Final = 1  # every byte of it was here already
NO_ROOM: Final = 2  # a limit forbids it; nothing was kept

REPORTED: Final = 4  # no SACK option has room for more blocks
# Bytes of memory besides the payload, as the allocator gives them (multiples of 16; tests/unit measures both).
PIECE_COST: Final = 64  # a bytes object and its place in the run's list
RUN_COST: Final = 160  # that list, two int objects, a place in each of three lists that grow by an eighth
JOIN_BELOW: Final = 2048


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
        self._runs: list[list[bytes]] = []
        self._recent: list[int] = []  # a byte in each of the runs that grew last, the latest first (RFC 2018 4)

    def insert(self, start: i64, data: bytes, max_runs: i64, max_memory: i64) -> i64:
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
            self._runs.insert(index, [data])
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

    def take(self, next_offset: i64, into: list[bytes]) -> i64:
        """Move all that continues from `next_offset` into `into`; the offset it reaches.

        What lies below `next_offset` has come in order meanwhile: it is known.
        """
        self.known_start = self.known_end = 0
        if self.starts and self.starts[0] < next_offset:
            self.known_start = self.starts[0]
            self.known_end = self.ends[0] if self.ends[0] < next_offset else next_offset
        while self.starts and self.starts[0] <= next_offset:
            end: i64 = self.ends[0]
            skip: i64 = next_offset - self.starts[0]
            for piece in self._runs[0]:
                size: i64 = len(piece)
                self.memory -= size + PIECE_COST
                if skip >= size:
                    skip -= size
                    continue
                into.append(piece[skip:] if skip else piece)
                skip = 0
            if end > next_offset:
                next_offset = end
            del self.starts[0]
            del self.ends[0]
            del self._runs[0]
            self.memory -= RUN_COST
        return next_offset

    def _extend(self, index: i64, start: i64, data: bytes) -> None:
        """`data` touches or overlaps the run at `index`, and perhaps runs after it: make them one."""
        end: i64 = start + len(data)
        pieces: list[bytes] = []
        first: i64 = self.starts[index]
        at = start
        if first <= start:
            pieces = self._runs[index]
            at = self.ends[index]
            last = index + 1
        else:
            first = start
            last = index
        # Walk the runs that follow, filling the gaps before them from `data`.
        while last < len(self.starts) and self.starts[last] <= end:
            gap_end: i64 = self.starts[last]
            if gap_end > at:
                self._keep(pieces, data[at - start : gap_end - start])
            pieces.extend(self._runs[last])
            at = self.ends[last]
            last += 1
        if end > at:
            self._keep(pieces, data[at - start :] if at > start else data)
            at = end
        self.memory -= (last - index - 1) * RUN_COST
        del self.starts[index:last]
        del self.ends[index:last]
        del self._runs[index:last]
        self.starts.insert(index, first)
        self.ends.insert(index, at)
        self._runs.insert(index, pieces)

    def _keep(self, pieces: list[bytes], data: bytes) -> None:
        self.memory += len(data)
        if pieces and len(pieces[-1]) + len(data) <= JOIN_BELOW:
            pieces[-1] += data
            return
        pieces.append(data)
        self.memory += PIECE_COST
