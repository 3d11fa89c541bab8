"""Packed records by key, standing in queues: what the SYN queue and TIME-WAIT are kept in.

A dict finds a record, a deque knows which was filed first. A dict alone knows it too, but not for long: what is deleted
at its front stays there as a dead entry, and whoever asks for the first walks over all of them.
A record that is dropped or filed anew leaves its place in its queue behind. A place holds the record itself, so that it
is stale when the table has another one under the key, or none. Stale places are swept out before they outnumber the
others: every operation costs O(1), amortized, and a place 16 bytes.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from mypy_extensions import i64

SWEEP_ABOVE: Final = 64


class RecordTable:
    """key -> record, each in one of `queues` queues. A record is a bytes object of its own, never filed twice."""

    def __init__(self, queues: int) -> None:
        self._records: dict[bytes, bytes] = {}
        self._queues: list[deque[bytes] | None] = [None] * queues  # key, record, key, record, ...; None: empty
        self._places: i64 = 0  # in all queues; one for each record, the others are stale

    def file(self, key: bytes, record: bytes, queue: i64 = 0) -> None:
        """Keep `record` at the end of a queue, in the place of what was filed under `key` before."""
        self._records.pop(key, None)  # so that table and queue hold one key object, not one each
        self._records[key] = record
        places = self._queues[queue]
        if places is None:
            places = deque()
            self._queues[queue] = places
        places.append(key)
        places.append(record)
        self._places += 1
        self._sweep()

    def get(self, key: bytes) -> bytes | None:
        """The record under `key`."""
        return self._records.get(key)

    def drop(self, key: bytes) -> None:
        """Forget the record under `key`. KeyError: there is none."""
        del self._records[key]
        self._sweep()

    def first(self, queue: i64 = 0) -> bytes:
        """The key of the record that was filed first in a queue; b"": it is empty."""
        places = self._queues[queue]
        if places is None:
            return b""
        while places:
            key = places[0]
            if self._records.get(key) is places[1]:
                return key
            places.popleft()
            places.popleft()
            self._places -= 1
        self._queues[queue] = None
        return b""

    def keys(self) -> list[bytes]:
        """Of all records, in the order in which they were filed."""
        return list(self._records)

    def clear(self) -> list[bytes]:
        """Forget all records; their keys."""
        keys = self.keys()
        self._records = {}
        for queue in range(len(self._queues)):
            self._queues[queue] = None
        self._places = 0
        return keys

    def places(self) -> int:
        """How many places the queues have, stale ones included."""
        return self._places

    def _sweep(self) -> None:
        """Drop stale places when there are many. What is left has to double before the next time, or to halve."""
        if self._places <= 2 * len(self._records) + SWEEP_ABOVE:
            return
        for queue in range(len(self._queues)):
            places = self._queues[queue]
            if places is None:
                continue
            kept: deque[bytes] = deque()
            while places:
                key = places.popleft()
                record = places.popleft()
                if self._records.get(key) is record:
                    kept.append(key)
                    kept.append(record)
            self._queues[queue] = kept if kept else None
        self._places = len(self._records)

    def __contains__(self, key: bytes) -> bool:
        return key in self._records

    def __len__(self) -> int:
        return len(self._records)
