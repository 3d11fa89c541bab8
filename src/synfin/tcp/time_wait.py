"""TIME-WAIT AND 2MSL. RFC 9293 3.6.1; reuse by RFC 6191 and MAY-2; hazards of RFC 1337.

After the close, a connection is a small packed record. It stays for two maximum segment lifetimes: one for our last ACK
to get lost and the peer's FIN to come again, so that the peer can be told again; and both so that every old duplicate
of this connection has left the network before its addresses and ports mean another one.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from mypy_extensions import i64, mypyc_attr

from synfin.wire.endian import read_i64_le
from synfin.wire.segment import Segment
from synfin.wire.seq import seq_add, seq_gt, seq_lt
from synfin.wire.tcp_header import ACK, FIN, RST, SYN

_RECORD: Final = Struct("<qIIIIHBB")  # 28 bytes packed; with its bytes object and its place in the table below 200

# verdicts
IGNORE: Final = 0
ACK_AGAIN: Final = 1  # an ACK, the timer goes on
RESTART: Final = 2  # the peer's FIN again: an ACK, and 2MSL from now
REUSE: Final = 3  # a SYN that may begin a new connection
CHALLENGE: Final = 4  # an ACK to what brings no text, rarely: two records that disagree must not talk for ever


@mypyc_attr(acyclic=True)
class TimeWait:
    """A record, unpacked."""

    def __init__(
        self, deadline: int, snd_nxt: int, rcv_nxt: int, ts_recent: int, ts_offset: int,
        window: int, timestamps: bool, tos: int = 0,
    ) -> None:  # fmt: skip
        self.deadline = deadline  # microseconds
        self.snd_nxt = snd_nxt  # wire numbers from here
        self.rcv_nxt = rcv_nxt
        self.ts_recent = ts_recent  # never too old to compare (RFC 7323 5.5, 24 days): 2MSL is at most 20 minutes
        self.ts_offset = ts_offset
        self.window = window  # the field, scaled as agreed
        self.timestamps = timestamps
        self.tos = tos

    def pack(self) -> bytes:
        """The record as the table keeps it."""
        return _RECORD.pack(
            self.deadline,
            self.snd_nxt,
            self.rcv_nxt,
            self.ts_recent,
            self.ts_offset,
            self.window,
            self.timestamps,
            self.tos,
        )


def unpack(record: bytes) -> TimeWait:
    """A record of the table."""
    deadline, snd_nxt, rcv_nxt, ts_recent, ts_offset, window, timestamps, tos = _RECORD.unpack(record)
    return TimeWait(deadline, snd_nxt, rcv_nxt, ts_recent, ts_offset, window, bool(timestamps), tos)


def deadline_of(record: bytes) -> i64:
    """When this record runs out, microseconds."""
    return read_i64_le(record, 0)


def judge(record: TimeWait, seg: Segment) -> i64:
    """What a segment for this 4-tuple leads to."""
    flags = seg.flags
    if flags & RST:
        return IGNORE  # RFC 1337 fix F1: a RST must not end TIME-WAIT early
    if flags & SYN:
        if flags & (ACK | FIN):
            return CHALLENGE  # RFC 5961 4: it begins nothing
        # RFC 6191: newer timestamp, or an equal one with a higher number; else RFC 9293 MAY-2: a higher number.
        if record.timestamps and seg.has_ts:
            newer = seq_gt(seg.ts_val, record.ts_recent)
            equal = seg.ts_val == record.ts_recent
            if newer or (equal and seq_gt(seg.seq, record.rcv_nxt)):
                return REUSE
            return CHALLENGE
        return REUSE if seq_gt(seg.seq, record.rcv_nxt) else CHALLENGE
    end = seq_add(seg.seq, len(seg.payload) + (1 if flags & FIN else 0))
    old = record.timestamps and seg.has_ts and seq_lt(seg.ts_val, record.ts_recent)
    if end == seg.seq:
        if not flags & ACK or (seg.seq == record.rcv_nxt and not old and not seq_gt(seg.ack, record.snd_nxt)):
            return IGNORE  # the peer's last ACK, or one that it has overtaken
        return CHALLENGE
    if old:
        return ACK_AGAIN  # PAWS (RFC 7323 5.3)
    if not flags & ACK:
        return IGNORE
    if flags & FIN and end == record.rcv_nxt and seg.ack == record.snd_nxt:
        return RESTART  # RFC 9293 3.10.7.4, eighth: the peer has missed our last ACK
    return ACK_AGAIN
