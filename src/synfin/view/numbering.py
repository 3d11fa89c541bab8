"""True numbers -> relative ones, as a reader follows a connection: the ISN is 0, the first data byte is 1.

Each end's ISN is learnt from its SYN; where the trace begins later, the first number seen becomes 1. A SYN with another
ISN on a connection that had one starts at 0 too, but the old numbers stay in force until that SYN is acknowledged: an
old duplicate or a crashed host's SYN must not renumber the connection that it disturbs.
"""

from __future__ import annotations

from synfin.view.events import Fields
from synfin.wire.seq import MASK32, unwrap
from synfin.wire.tcp_header import ACK, FIN, PSH, RST, SYN


class Packet:
    """A segment or burst with its numbers in the connection, and what is special about it."""

    __slots__ = (
        "ack",
        "count",
        "end",
        "fields",
        "first_of_kind",
        "flags",
        "length",
        "plain",
        "received_at",
        "refs",
        "remark",
        "renumbers",
        "sender",
        "sent_at",
        "seq",
        "source",
        "state",
        "window",
        "window_matters",
    )

    def __init__(self, fields: Fields, sender: int, sent_at: int, source: int) -> None:
        self.fields = fields
        self.sender = sender  # 0: the left end, 1: the right end
        self.sent_at = sent_at  # or seen, where only one end has a trace
        self.received_at = sent_at
        self.source = source  # segments of one burst have the same
        self.seq = 0
        self.end = 0  # the offset after it
        self.ack = 0
        self.flags = fields.flags
        self.length = fields.length
        self.count = fields.segments
        self.window = fields.window  # bytes
        self.window_matters = False
        self.plain = False  # data in order or an ACK, like thousands of others
        self.first_of_kind = False
        self.renumbers = False  # with it a new incarnation begins
        self.refs: tuple[str, ...] = ()  # what its segments are called, if they have names
        self.remark = ""
        self.state = ""  # the untraced peer's state, if it changed with this packet


class Line:
    """The numbers of what one end sends."""

    def __init__(self) -> None:
        self.isn = -1
        self.other_isn = -1  # of a SYN that may begin a new incarnation
        self.top = 0  # the highest offset sent, plus one
        self.fin_end = -1
        self.acked = -1  # the highest ACK this end has sent
        self.scale = -1
        self.window_shut = False
        self._syns = 0  # which kinds of SYN were sent: 1 SYN, 2 SYN,ACK

    def _restart(self, isn: int) -> None:
        self.isn = isn
        self.other_isn = -1
        self.top = 1
        self.fin_end = -1
        self.acked = -1
        self.window_shut = False

    def place_syn(self, packet: Packet) -> None:
        """A SYN begins the numbers of its side, or begins them anew."""
        fields = packet.fields
        kind = 2 if fields.flags & ACK else 1
        if self.isn < 0 or (fields.flags & ACK and fields.seq != self.isn):
            packet.renumbers = self.isn >= 0
            self._restart(fields.seq)
            self._syns = 0
        elif fields.seq != self.isn:
            if fields.seq == self.other_isn:
                packet.remark = "repeated"
            else:
                packet.remark = "new ISN"
            self.other_isn = fields.seq
            return
        if self._syns & kind:
            packet.remark = "repeated"
        self._syns |= kind
        self.top = max(self.top, 1 + packet.length)

    def accept_other_isn(self, ack: int) -> bool:
        """The other end acknowledges up to `ack`: is that the SYN with the other ISN?"""
        if self.other_isn < 0 or (ack - self.other_isn) & MASK32 != 1:
            return False
        self._restart(self.other_isn)
        self._syns = 1
        return True


class Numbering:
    """Both directions of one connection."""

    def __init__(self) -> None:
        self.lines = (Line(), Line())

    def place(self, packet: Packet, certain: bool) -> None:
        """Fill in the packet's numbers and what follows from them.

        `certain`: the sender itself has a trace, so a number seen before is a retransmission and not a late arrival.
        """
        fields = packet.fields
        mine = self.lines[packet.sender]
        other = self.lines[1 - packet.sender]
        flags = fields.flags
        if fields.trouble and not flags and not fields.seq:
            return
        if flags & ACK:
            if other.accept_other_isn(fields.ack):
                packet.renumbers = True
            elif other.isn < 0 and not flags & RST:
                other.isn = (fields.ack - 1) & MASK32
                other.top = 1
            packet.ack = unwrap(fields.ack, other.isn, other.top) if other.isn >= 0 else fields.ack
        if flags & SYN:
            mine.place_syn(packet)
            packet.end = fields.space
        else:
            self._place_plain(packet, mine, certain)
        self._place_window(packet, mine, other)
        if flags & ACK and not flags & RST:
            if mine.acked < packet.ack:
                packet.first_of_kind = mine.acked < 1 or mine.acked < other.fin_end <= packet.ack
                mine.acked = packet.ack
        packet.plain = (
            flags & ~PSH == ACK
            and not packet.remark
            and not packet.first_of_kind
            and not packet.window_matters
            and not fields.trouble
        )

    def _place_plain(self, packet: Packet, mine: Line, certain: bool) -> None:
        fields = packet.fields
        if mine.isn < 0:
            if fields.flags & RST:  # RFC 9293 3.10.7.1: a RST from nowhere has SEQ 0, or the ACK it answers
                packet.end = packet.seq
                return
            mine.isn = (fields.seq - 1) & MASK32
            mine.top = 1
        packet.seq = unwrap(fields.seq, mine.isn, mine.top)
        packet.end = packet.seq + fields.space
        if fields.flags & RST:
            return
        if fields.space and packet.seq < mine.top:
            packet.remark = "repeated" if certain else "repeated or late"
            if packet.length <= 1 and packet.end == mine.top and not fields.flags & FIN and packet.length:
                packet.remark = "probe"
        elif not fields.space and packet.seq == mine.top - 1 and mine.top > 1:
            packet.remark = "probe"
        elif fields.space and packet.seq > mine.top:
            packet.remark = f"{packet.seq - mine.top:,} bytes missing before"
        mine.top = max(mine.top, packet.end)
        if fields.flags & FIN:
            mine.fin_end = packet.end

    @staticmethod
    def _place_window(packet: Packet, mine: Line, other: Line) -> None:
        fields = packet.fields
        if fields.flags & SYN:
            mine.scale = fields.options.wscale
            packet.window_matters = True
        elif not fields.flags & RST:
            if mine.scale >= 0 and other.scale >= 0:
                packet.window = fields.window << min(mine.scale, 14)  # RFC 7323 2.3
            packet.window_matters = mine.window_shut or fields.window == 0
            mine.window_shut = fields.window == 0
