"""A packet under way: to whom, since when, and what of its bytes counts when two states are compared."""

from __future__ import annotations

from typing import Final

from synfin.tcp.timestamps import MASK, TICK_US
from synfin.wire.ip import IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.segment import Segment, parse_untrusted
from synfin.wire.tcp_header import ACK

PROTO_TCP: Final = 6


class Flying:
    """to: number of the host. sent_at: the stacks' time; nothing lives longer than an MSL (RFC 9293 3.4.1)."""

    __slots__ = ("_plain", "packet", "sent_at", "to")

    def __init__(self, packet: bytes, to: int, sent_at: int) -> None:
        self.packet = packet
        self.to = to
        self.sent_at = sent_at
        self._plain: tuple[object, ...] | None = None

    def same(self, other: Flying) -> bool:
        """Nobody could tell the two apart."""
        return self.packet == other.packet and self.sent_at == other.sent_at and self.to == other.to

    def plain(self, now: int) -> tuple[object, ...]:
        """What it is, at any time: its timestamps as differences to the clock, its age."""
        if self._plain is None:
            self._plain = read(self.packet)
        head, val, ecr = self._plain
        tick = now // TICK_US
        return (
            self.to,
            head,
            (val - tick) & MASK if isinstance(val, int) else 0,
            (ecr - tick) & MASK if isinstance(ecr, int) else 0,
            self.sent_at - now,
        )


def read(packet: bytes) -> tuple[object, ...]:
    """All of a TCP packet but its checksums, with its timestamps apart: (bytes, TSval, TSecr)."""
    ip = IpHeader()
    parse_ip(packet, ip)
    if ip.protocol != PROTO_TCP:
        return packet, None, None
    seg = Segment()
    parse_untrusted(packet, ip, seg, True, 0)
    begin = ip.header_len
    head = packet[:begin] + packet[begin : begin + 16] + packet[begin + 18 :]
    if not seg.has_ts:
        return head, None, None
    val = int(seg.ts_val)
    ecr = int(seg.ts_ecr) if seg.flags & ACK else None
    mark = val.to_bytes(4, "big") + int(seg.ts_ecr).to_bytes(4, "big")
    return head.replace(b"\x08\x0a" + mark, b"\x08\x0a", 1), val, ecr
