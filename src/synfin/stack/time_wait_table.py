"""The TIME-WAIT records of a stack, in order of deadline. RFC 9293 3.6.1.

Every record lives equally long, so order of arrival is order of deadline, and one queue holds them all.
Policy at the limit: the oldest record makes room (Linux instead refuses the newest); it is the nearest to its end.
"""

from __future__ import annotations

from mypy_extensions import i64

from synfin.tcp.counters import Counters
from synfin.tcp.record_table import RecordTable
from synfin.tcp.time_wait import TimeWait, deadline_of, unpack


class TimeWaitTable:
    """key -> packed record."""

    def __init__(self, counters: Counters, limit: int) -> None:
        self._records: RecordTable = RecordTable(1)
        self._counters = counters
        self._limit = limit

    def add(self, key: bytes, record: TimeWait) -> bytes:
        """File a record, or file it anew with a later deadline. Returns the key that had to make room, or b""."""
        oldest = b""
        if len(self._records) >= self._limit and key not in self._records:
            oldest = self._records.first()
            self._records.drop(oldest)
            self._counters.TCPTimeWaitOverflow += 1
        self._records.file(key, record.pack())
        return oldest

    def get(self, key: bytes) -> TimeWait | None:
        """The record under `key`."""
        record = self._records.get(key)
        return None if record is None else unpack(record)

    def remove(self, key: bytes) -> None:
        """The record is taken over by a new connection."""
        self._records.drop(key)

    def deadline(self) -> i64:
        """When the oldest record runs out; 0: there is none."""
        if not len(self._records):
            return 0
        record = self._records.get(self._records.first())
        return 0 if record is None else deadline_of(record)

    def expire(self, now: int) -> list[bytes]:
        """Remove what has run out; the keys."""
        gone: list[bytes] = []
        while True:
            key = self._records.first()
            record = self._records.get(key)
            if record is None or deadline_of(record) > now:
                break
            self._records.drop(key)
            gone.append(key)
        self._counters.TW += len(gone)
        return gone

    def clear(self) -> list[bytes]:
        """Forget all records; the keys."""
        return self._records.clear()

    def __contains__(self, key: bytes) -> bool:
        return key in self._records

    def __len__(self) -> int:
        return len(self._records)
