"""What the segments of one connection say: numbers, window, timestamps, SACK blocks. RFC 9293 3.1, RFC 7323, RFC 2018.

Functions over the parts of a connection; `output` builds and queues what they fill.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.chunk import Chunk
from synfin.tcp.counters import Counters
from synfin.tcp.receiver import Receiver
from synfin.tcp.syn_options import TIMESTAMP_BYTES
from synfin.tcp.timestamps import Timestamps
from synfin.wire.segment import Segment
from synfin.wire.seq import wrap
from synfin.wire.tcp_header import ACK, FIN, PSH

SACK_BLOCKS: Final = 4  # so many fit into 40 bytes of options (RFC 2018 3)
SACK_BLOCKS_WITH_TS: Final = 3
SACK_HEADER: Final = 4  # kind and length, and two bytes that align them
SACK_BLOCK: Final = 8
ALL_OPTIONS: Final = 40  # bytes of options, in a segment without text


def fill(
    seg: Segment,
    iss: i64,
    irs: i64,
    offset: i64,
    flags: i64,
    mss: i64,
    receiver: Receiver,
    stamps: Timestamps,
    now: i64,
) -> None:
    """What every segment after the SYN carries: where we are in both directions."""
    seg.seq = wrap(offset, iss)
    seg.ack = wrap(receiver.rcv_nxt, irs)
    seg.flags = flags
    seg.window = receiver.window_field(mss)
    if stamps.enabled:
        seg.has_ts = True
        seg.ts_val = stamps.value(now)
        seg.ts_ecr = stamps.recent
        stamps.last_ack_sent = receiver.rcv_nxt
    receiver.acks.on_ack_sent()


def fill_sack(seg: Segment, irs: i64, room: i64, receiver: Receiver, counters: Counters) -> None:
    """SACK blocks in `room` bytes: what came twice, and what waits behind holes (RFC 2018 4).

    In a full text segment they would take the place of text (RFC 6691). Nothing is lost by it, since each segment that
    changes what there is to tell is answered by an ACK of its own.
    """
    limit: i64 = SACK_BLOCKS_WITH_TS if seg.has_ts else SACK_BLOCKS
    fitting = (room - SACK_HEADER) // SACK_BLOCK
    if fitting < limit:
        limit = fitting
    if limit <= 0:
        return
    blocks = receiver.sack_blocks(limit)
    if blocks is None:
        return
    left, right = blocks[0]
    if right <= receiver.rcv_nxt:
        counters.TCPDSACKOldSent += 1
    elif len(blocks) > 1 and blocks[1][0] <= left and right <= blocks[1][1]:
        counters.TCPDSACKOfoSent += 1
    seg.sack = [(wrap(left, irs), wrap(right, irs)) for left, right in blocks]


def option_room(seg: Segment, room: i64) -> i64:
    """What timestamps and SACK leave of the 40 bytes of options, and at most `room` beside text."""
    left: i64 = ALL_OPTIONS
    if seg.has_ts:
        left -= TIMESTAMP_BYTES
    if seg.sack is not None:
        blocks = SACK_HEADER + SACK_BLOCK * len(seg.sack)
        left -= blocks
        room -= blocks
    return left if left < room else room


def flags_of(chunk: Chunk) -> i64:
    """The flags of a segment with text."""
    flags: i64 = ACK
    if chunk.push:
        flags |= PSH
    if chunk.fin:
        flags |= FIN
    return flags
