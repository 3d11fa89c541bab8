"""A packet under way as it is at any time: its timestamps as differences to the clock, its checksum left out."""

from __future__ import annotations

from typing import Final

from synfin.tcp.timestamps import MASK
from synfin.wire.ip import IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.segment import Segment, parse_untrusted
from synfin.wire.tcp_header import ACK

PROTO_TCP: Final = 6
_CHECKSUM: Final = 16  # where it stands in a TCP header
_KIND_AND_SIZE: Final = b"\x08\x0a"


def relative(packet: bytes, tick: int) -> bytes:
    """What `absolute` makes the packet of again, at this tick or another. tick: of the clock of milliseconds."""
    ip = IpHeader()
    parse_ip(packet, ip)
    if ip.protocol != PROTO_TCP:
        return packet
    at = int(ip.header_len) + _CHECKSUM
    return shifted(packet[:at] + b"\0\0" + packet[at + 2 :], -tick)


def absolute(packet: bytes, tick: int) -> bytes:
    """The packet at a tick. It has no checksum."""
    return shifted(packet, tick)


def shifted(packet: bytes, ticks: int) -> bytes:
    """The same packet with its timestamps so much later; an echo that is none (without ACK) stays as it is."""
    ip, seg = IpHeader(), Segment()
    parse_ip(packet, ip)
    if ip.protocol != PROTO_TCP:
        return packet
    parse_untrusted(packet, ip, seg, True, 0)
    if not seg.has_ts:
        return packet
    val, ecr = int(seg.ts_val), int(seg.ts_ecr)
    mark = _KIND_AND_SIZE + val.to_bytes(4, "big") + ecr.to_bytes(4, "big")
    at = packet.index(mark, int(ip.header_len))
    if seg.flags & ACK:
        ecr = (ecr + ticks) & MASK
    stamps = _KIND_AND_SIZE + ((val + ticks) & MASK).to_bytes(4, "big") + ecr.to_bytes(4, "big")
    return packet[:at] + stamps + packet[at + len(stamps) :]
