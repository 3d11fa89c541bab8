"""UDP datagrams (RFC 768; over IPv6 RFC 8200 8.1): ports, length, checksum, nothing else."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.wire.checksum import complement, fold, ones_sum, pseudo_sum, span_sum
from synfin.wire.endian import BytesWriter, put_u16, read_u16
from synfin.wire.errors import ChecksumError, WireError
from synfin.wire.ip import PROTO_UDP, IpHeader, build_ipv4, build_ipv6
from synfin.wire.key import key_dst, key_src

HEADER_LEN: Final = 8


class Datagram:
    """key: src | dst | src_port | dst_port, as of a TCP segment."""

    def __init__(self, key: bytes, payload: bytes) -> None:
        self.key: bytes = key
        self.payload: bytes = payload


def parse_untrusted(packet: bytes, ip: IpHeader, checksum_ok: bool) -> Datagram:
    """The datagram that `ip` found in `packet`. Raises ChecksumError or WireError."""
    start = ip.header_len
    end = ip.total_len
    if end - start < HEADER_LEN:
        raise WireError("too short for a UDP header")
    length = read_u16(packet, start + 4)
    if length < HEADER_LEN or start + length > end:
        raise WireError("UDP length outside the packet")
    key = key_of(packet, ip)
    if read_u16(packet, start + 6) == 0:
        if ip.version == 6:
            raise ChecksumError("UDP over IPv6 without a checksum")  # RFC 8200 8.1
    elif not checksum_ok:
        total = pseudo_sum(key[:-4], PROTO_UDP, length) + span_sum(packet, start, start + length)
        if fold(total) != 0xFFFF:
            raise ChecksumError("UDP checksum")
    return Datagram(key, packet[start + HEADER_LEN : start + length])


def key_of(packet: bytes, ip: IpHeader) -> bytes:
    """The key (see wire.key) of the datagram that `ip` found in `packet`."""
    start = ip.header_len
    return (packet[12:20] if ip.version == 4 else packet[8:40]) + packet[start : start + 4]


def build(key: bytes, payload: bytes) -> bytes:
    """A whole packet under `key`. Raises ValueError for more than 64 KiB."""
    length: i64 = HEADER_LEN + len(payload)
    if length > 0xFFFF - 20:
        raise ValueError(f"a UDP datagram of {length} bytes")
    src = key_src(key)
    dst = key_dst(key)
    total = pseudo_sum(src + dst, PROTO_UDP, length) + ones_sum(key[-4:]) + length + ones_sum(payload)
    check = complement(total)
    if check == 0:
        check = 0xFFFF  # RFC 768: zero means that there is no checksum
    writer = BytesWriter()
    writer.write(key[-4:])
    put_u16(writer, length)
    put_u16(writer, check)
    if len(src) == 4:
        # IPv4 allows fragmentation of what is not TCP; here nothing is ever larger than the MTU.
        head = build_ipv4(src, dst, PROTO_UDP, length)
    else:
        head = build_ipv6(src, dst, PROTO_UDP, length)
    return head + writer.getvalue() + payload
