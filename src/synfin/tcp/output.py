"""The only place where a segment is built. Everything a host sends passes through here, in order.

Replies (ACK, RST, SYN,ACK, echo) answer what came in and are bounded: when the link does not take them they are
dropped, as in any full queue. Data is pulled (`Stack.poll`) and needs no bound, nor does the RST that ends a
connection: it is the only one, and nothing else tells the peer when this host is gone.
"""

from __future__ import annotations

from mypy_extensions import i64

from synfin.tcp.counters import Counters
from synfin.wire.pieces import Piece
from synfin.wire.segment import Burst, Segment, build_head
from synfin.wire.seq import seq_add
from synfin.wire.tcp_header import ACK, FIN, RST, SYN


class Output:
    """packets: what waits for the next poll."""

    def __init__(self, counters: Counters, limit: int) -> None:
        self.packets: list[Burst] = []
        self._counters = counters
        self._limit: i64 = limit
        self._seg = Segment()  # reused

    def blank(self, key: bytes) -> Segment:
        """The reused segment, emptied, to be filled and given to reply() or data(): for whoever sends under `key`."""
        seg = self._seg
        seg.reset()
        seg.key = key
        return seg

    def has_no_room(self) -> bool:
        """A reply would be dropped; and is counted as dropped, so that it need not be made."""
        if len(self.packets) < self._limit:
            return False
        self._counters.OutDiscards += 1
        return True

    def reply(self, seg: Segment) -> bool:
        """Queue a segment without text; False: no room, dropped and counted."""
        if self.has_no_room():
            return False
        self._queue(seg)
        return True

    def last(self, seg: Segment) -> None:
        """Queue the RST with which a connection ends, room or not."""
        self._queue(seg)
        self._counters.OutRsts += 1

    def _queue(self, seg: Segment) -> None:
        self.packets.append(Burst(build_head(seg, 0, True), [], 0, 0, 20 if len(seg.key) == 12 else 40))
        self._counters.OutSegs += 1

    def data(self, seg: Segment, pieces: list[Piece], length: i64, gso_size: i64, ace: bool = False) -> None:
        """Queue a segment, or a burst of them, with text. ace: see Burst."""
        csum_start: i64 = 20 if len(seg.key) == 12 else 40
        self.packets.append(Burst(build_head(seg, length, True), pieces, length, gso_size, csum_start, ace))
        self._counters.OutSegs += (length + gso_size - 1) // gso_size if gso_size else 1

    def raw(self, packet: bytes) -> None:
        """Queue a whole packet that is not TCP."""
        if not self.has_no_room():
            self.packets.append(Burst(packet, [], 0))

    def reset_for(self, seg: Segment) -> None:
        """Answer a segment that belongs to nothing (RFC 9293 3.10.7.1); never a RST, lest two hosts reset for ever."""
        if seg.flags & RST:
            return
        key = seg.key
        seq = seg.seq
        length: i64 = len(seg.payload)
        flags = seg.flags
        ack = seg.ack
        out = self.blank(key)
        if flags & ACK:
            out.seq = ack
            out.flags = RST
        else:
            if flags & SYN:
                length += 1
            if flags & FIN:
                length += 1
            out.flags = RST | ACK
            out.ack = seq_add(seq, length)
        if self.reply(out):
            self._counters.OutRsts += 1

    def take(self) -> list[Burst]:
        """All that waits, in order."""
        packets = self.packets
        self.packets = []
        return packets
