"""The bytes a user has written and the peer has not acknowledged, by stream offset (the first data byte is 1).

Pieces are immutable and kept by reference; small writes are joined on entry, so that a burst is never made of crumbs.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from mypy_extensions import i64, mypyc_attr

from synfin.wire.pieces import Piece

JOIN_BELOW: Final = 4096  # a write that fits into the last piece up to this size is joined to it
COMPACT_AT: Final = 64
VIEW_FROM: Final = 4096  # a slice of at least so many bytes is a view, a smaller one a copy: which of the two is faster

# What an empty buffer shares with all others: lists of its own cost 140 bytes. Nothing is appended to these.
NO_PIECES: Final[list[bytes]] = []
NO_STARTS: Final[list[int]] = []


@mypyc_attr(acyclic=True)
class SendBuffer:
    """start <= every byte kept < end. An ACK of offset n releases all below n."""

    def __init__(self) -> None:
        self.start: i64 = 1  # offset of the first byte kept
        self.end: i64 = 1  # offset after the last byte written
        self._pieces: list[bytes] = NO_PIECES
        self._starts: list[int] = NO_STARTS  # offset of each piece's first byte
        self._head: i64 = 0  # pieces before this one are released

    def append(self, data: bytes) -> None:
        """Keep `data` by reference."""
        size: i64 = len(data)
        if size == 0:
            return
        if size < JOIN_BELOW and len(self._pieces) > self._head:
            last = self._pieces[-1]
            if len(last) + size <= JOIN_BELOW:
                self._pieces[-1] = last + data
                self.end += size
                return
        if self._pieces:
            self._pieces.append(data)
            self._starts.append(self.end)
        else:
            self._pieces = [data]
            self._starts = [self.end]
        self.end += size

    def release(self, offset: i64) -> None:
        """Forget all bytes below `offset`."""
        if self.start == self.end:
            return
        if offset > self.end:
            offset = self.end
        self.start = offset
        count: i64 = len(self._pieces)
        head = self._head
        while head < count and self._starts[head] + len(self._pieces[head]) <= offset:
            self._pieces[head] = b""
            head += 1
        if head == count:
            if count:
                self._pieces = NO_PIECES
                self._starts = NO_STARTS
            head = 0
        elif head >= COMPACT_AT and head * 2 >= count:
            del self._pieces[:head]
            del self._starts[:head]
            head = 0
        self._head = head

    def slice_into(self, offset: i64, length: i64, limit: i64, into: list[Piece]) -> i64:
        """Append to `into` at most `limit` pieces covering offset..offset+length; the number of bytes covered.

        Parts of a large piece are views of it: copying them was two fifths of all work when sending with offload.
        """
        starts = self._starts
        index = self._head
        if index + 1 < len(starts) and starts[index + 1] <= offset:  # else it begins in the first piece, as most do
            index = bisect_right(starts, offset, lo=index + 1) - 1
        skip: i64 = offset - starts[index]
        left = length
        while left > 0 and limit > 0:
            piece = self._pieces[index]
            size: i64 = len(piece) - skip
            if skip == 0 and size <= left:
                into.append(piece)
            else:
                if size > left:
                    size = left
                if size >= VIEW_FROM:
                    into.append(memoryview(piece)[skip : skip + size])
                else:
                    into.append(piece[skip : skip + size])
            left -= size
            limit -= 1
            skip = 0
            index += 1
        return length - left

    def truncate(self, offset: i64) -> None:
        """Forget all bytes from `offset` on."""
        if offset >= self.end:
            return
        if offset < self.start:
            offset = self.start
        while len(self._pieces) > self._head and self._starts[-1] >= offset:
            del self._pieces[-1]
            del self._starts[-1]
        if len(self._pieces) > self._head:
            keep: i64 = offset - self._starts[-1]
            last = self._pieces[-1]
            if keep < len(last):
                self._pieces[-1] = last[:keep]
        self.end = offset
        self.release(self.start)

    def clear(self) -> None:
        """Forget everything."""
        self.release(self.end)


NO_TEXT: Final = SendBuffer()  # of all connections whose user has written nothing yet; nothing is appended to it
