"""THE SYN QUEUE: the half-open entries of one listener, 31 bytes packed each. RFC 9293 3.10.7.2 and 3.8.3.

One queue for each retry number. All that stand in one of them wait equally long, so order of arrival is order of
deadline, and the first to be due is the first of one of the queues.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from mypy_extensions import i64

from synfin.tcp.record_table import RecordTable
from synfin.tcp.syn_options import Negotiated
from synfin.wire.endian import read_i64_le

_RECORD: Final = Struct("<qIBIIIHBBBB")  # with 33 of its bytes object one of 64; a byte more would take 16
_SCALE: Final = 0x0F  # shift counts end at 14 (RFC 7323 2.3)
_TIMESTAMPS: Final = 0x10
_SACK: Final = 0x20
_SCALING: Final = 0x40
_ANSWERED: Final = 0x80


class HalfOpen:
    """An entry, unpacked: all that SYN-RCVD has to remember."""

    def __init__(
        self, deadline: int, sent_at: int, irs: int, iss: int, ts_recent: int, agreed: Negotiated,
        retry: int = 0, answered: bool = False,
    ) -> None:  # fmt: skip
        self.deadline = deadline  # when the SYN,ACK goes again, µs
        self.sent_at = sent_at  # when it first went
        self.irs = irs
        self.iss = iss
        self.ts_recent = ts_recent
        self.agreed = agreed
        self.retry = retry  # how often the SYN,ACK has gone again by the timer
        self.answered = answered  # ... and for a SYN that came again, instead

    def pack(self) -> bytes:
        """The entry as the queue keeps it."""
        agreed = self.agreed
        waited = self.deadline - self.sent_at  # at most 255 retries of an hour: 40 bits
        flags = (
            (_TIMESTAMPS if agreed.timestamps else 0)
            | (_SACK if agreed.sack else 0)
            | (_SCALING if agreed.scaling else 0)
            | (_ANSWERED if self.answered else 0)
        )
        return _RECORD.pack(
            self.deadline,
            waited & 0xFFFFFFFF,
            waited >> 32,
            self.irs,
            self.iss,
            self.ts_recent,
            agreed.peer_mss,
            agreed.snd_wscale | flags,
            self.retry,
            agreed.ecn,
            agreed.rcv_wscale,
        )


def unpack(record: bytes) -> HalfOpen:
    """An entry of the queue."""
    deadline, low, high, irs, iss, ts_recent, mss, bits, retry, ecn, rcv_wscale = _RECORD.unpack(record)
    agreed = Negotiated(
        mss,
        bits & _SCALING != 0,
        bits & _SCALE,
        rcv_wscale,
        bits & _TIMESTAMPS != 0,
        bits & _SACK != 0,
        ecn,
    )
    return HalfOpen(deadline, deadline - (high << 32 | low), irs, iss, ts_recent, agreed, retry, bits & _ANSWERED != 0)


def deadline_of(record: bytes) -> i64:
    """When the SYN,ACK of this entry goes again, µs."""
    return read_i64_le(record, 0)


class SynQueue:
    """key -> entry. retries: how often the timer sends a SYN,ACK again."""

    def __init__(self, retries: int) -> None:
        self.retries: int = retries
        self._entries: RecordTable = RecordTable(retries + 1)

    def get(self, key: bytes) -> HalfOpen | None:
        """The entry under `key`."""
        record = self._entries.get(key)
        return None if record is None else unpack(record)

    def file(self, key: bytes, entry: HalfOpen) -> None:
        """Keep an entry, or keep it as it is now; its deadline is later than that of all with its retry number."""
        self._entries.file(key, entry.pack(), entry.retry)

    def drop(self, key: bytes) -> None:
        """Forget the entry under `key`. KeyError: there is none."""
        self._entries.drop(key)

    def due(self, retry: int, now: i64) -> bytes:
        """The key of an entry with this retry number whose deadline has come; b"": none has."""
        key = self._entries.first(retry)
        record = self._entries.get(key)
        return key if record is not None and deadline_of(record) <= now else b""

    def deadline(self) -> i64:
        """When the next entry is due; 0: there is none."""
        earliest: i64 = 0
        if len(self._entries):
            for retry in range(self.retries + 1):
                record = self._entries.get(self._entries.first(retry))
                if record is not None:
                    due = deadline_of(record)
                    if earliest == 0 or due < earliest:
                        earliest = due
        return earliest

    def keys(self) -> list[bytes]:
        """Of all entries, in the order in which their SYN,ACK was last due."""
        return self._entries.keys()

    def __contains__(self, key: bytes) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)
