"""The TIME-WAIT records of a stack, in order of deadline. RFC 9293 3.6.1.

Every record lives equally long, so order of arrival is order of deadline, and a dict is both the table and the queue.
Policy at the limit: the oldest record makes room (Linux instead refuses the newest); it is the nearest to its end.
"""

from __future__ import annotations

from synfin.tcp.counters import Counters
from synfin.tcp.time_wait import TimeWait, deadline_of, unpack


class TimeWaitTable:
    """key -> packed record."""

    def __init__(self, counters: Counters, limit: int) -> None:
        self._records: dict[bytes, bytes] = {}
        self._counters = counters
        self._limit = limit

    def add(self, key: bytes, record: TimeWait) -> bytes:
        """File a record, or file it anew with a later deadline. Returns the key that had to make room, or b""."""
        oldest = b""
        self._records.pop(key, None)
        if len(self._records) >= self._limit:
            oldest = next(iter(self._records))
            del self._records[oldest]
            self._counters.TCPTimeWaitOverflow += 1
        self._records[key] = record.pack()
        return oldest

    def get(self, key: bytes) -> TimeWait | None:
        """The record under `key`."""
        record = self._records.get(key)
        return None if record is None else unpack(record)

    def remove(self, key: bytes) -> None:
        """The record is taken over by a new connection."""
        del self._records[key]

    def deadline(self) -> int:
        """When the oldest record runs out; 0: there is none."""
        for record in self._records.values():
            return deadline_of(record)
        return 0

    def expire(self, now: int) -> list[bytes]:
        """Remove what has run out; the keys."""
        gone: list[bytes] = []
        for key, record in self._records.items():
            if deadline_of(record) > now:
                break
            gone.append(key)
        for key in gone:
            del self._records[key]
        self._counters.TW += len(gone)
        return gone

    def clear(self) -> list[bytes]:
        """Forget all records; the keys."""
        gone = list(self._records)
        self._records.clear()
        return gone

    def __contains__(self, key: bytes) -> bool:
        return key in self._records

    def __len__(self) -> int:
        return len(self._records)
