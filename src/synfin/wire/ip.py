"""IP headers: IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200).

Fragments are refused with an exception of their own: TCP sends with path MTU discovery, so the stack only counts them.
"""

from typing import Final

from mypy_extensions import i64

from synfin.wire.checksum import complement, ones_sum, span_sum
from synfin.wire.endian import BytesWriter, put_u16, put_u32, read_i64_be, read_u16
from synfin.wire.errors import ChecksumError, WireError

PROTO_ICMP: Final = 1
PROTO_TCP: Final = 6
PROTO_UDP: Final = 17
PROTO_ICMPV6: Final = 58

ECN: Final = 3  # the lower two bits of the traffic class (RFC 3168 5)
NOT_ECT: Final = 0
ECT_1: Final = 1
ECT_0: Final = 2
CE: Final = 3  # congestion experienced

_HOP_BY_HOP: Final = 0
_ROUTING: Final = 43
_FRAGMENT: Final = 44
_DESTINATION: Final = 60
_MAX_EXTENSIONS: Final = 8


class FragmentError(WireError):
    """An IP fragment. synfin does not reassemble."""


class IpHeader:
    """What the layers above need to know of one IP header; one object is reused for all packets."""

    def __init__(self) -> None:
        self.version: i64 = 4
        self.start: i64 = 0  # where it begins in the bytes that were read
        self.header_len: i64 = 20  # from start to the payload: IPv4 options and IPv6 extension headers are behind
        self.total_len: i64 = 20  # from start to the end of the payload; header_len <= total_len <= what was read
        self.protocol: i64 = PROTO_TCP  # of the payload
        self.ttl: i64 = 64  # or hop limit
        self.traffic_class: i64 = 0  # or TOS: DSCP in the upper six bits, ECN in the lower two
        self.dont_fragment: bool = True  # IPv6: always


def parse_untrusted(packet: bytes, into: IpHeader, start: i64 = 0, apart: i64 = 0) -> None:
    """Read the IP header at `start` of `packet` into `into`, every field of it. apart: bytes that lie elsewhere.

    Bytes beyond the length that the header states are link padding and are ignored. Raises FragmentError,
    ChecksumError (IPv4 header) or WireError.
    """
    size: i64 = len(packet) - start
    if start < 0 or size < 20:
        raise WireError("too short for an IP header")
    word = read_i64_be(packet, start)
    version = (word >> 60) & 0xF
    if version == 4:
        header_len = (word >> 54) & 0x3C
        total_len = (word >> 32) & 0xFFFF
        if header_len < 20 or header_len > total_len or total_len > size + apart:
            raise WireError("IPv4 lengths do not fit the packet")
        if header_len > size or span_sum(packet, start, start + header_len) != 0xFFFF:
            raise ChecksumError("IPv4 header checksum")
        if word & 0x3FFF != 0:  # RFC 791 3.1: more fragments, or an offset
            raise FragmentError("IPv4 fragment")
        into.version = 4
        into.start = start
        into.header_len = header_len
        into.total_len = total_len
        into.protocol = packet[start + 9]
        into.ttl = packet[start + 8]
        into.traffic_class = (word >> 48) & 0xFF
        into.dont_fragment = word & 0x4000 != 0
    elif version == 6:
        total_len = 40 + ((word >> 16) & 0xFFFF)
        if size < 40 or total_len > size + apart:
            raise WireError("IPv6 payload length does not fit the packet")
        into.version = 6
        into.start = start
        into.header_len = 40
        into.total_len = total_len
        into.protocol = (word >> 8) & 0xFF
        into.ttl = word & 0xFF
        into.traffic_class = (word >> 52) & 0xFF
        into.dont_fragment = True
        if into.protocol != PROTO_TCP and not apart:
            skip_extensions(packet, into)
    else:
        raise WireError("neither IPv4 nor IPv6")
    if apart and into.protocol != PROTO_TCP:
        raise WireError("text apart from what is not TCP")


def marked(packet: bytes) -> bytes:
    """The packet as a congested queue passes it on: CE instead of ECT (RFC 3168 5). One that is not ECT stays as it is.

    Its header is one that `parse_untrusted` takes.
    """
    four = packet[0] >> 4 == 4
    shift = 0 if four else 4  # IPv6: the lower half of the traffic class is the upper half of byte 1
    field = packet[1] >> shift & ECN
    if field == NOT_ECT or field == CE:
        return packet
    changed = bytearray(packet)
    changed[1] |= CE << shift
    if four:
        changed[10:12] = b"\0\0"
        check: int = complement(ones_sum(bytes(changed[: (packet[0] & 0xF) << 2])))
        changed[10:12] = check.to_bytes(2, "big")
    return bytes(changed)


def skip_extensions(packet: bytes, into: IpHeader) -> None:
    """Move `header_len` and `protocol` of an IPv6 header behind the extension headers that a destination may skip."""
    at = into.start + into.header_len
    end = into.start + into.total_len
    kind = into.protocol
    count: i64 = 0
    while kind == _HOP_BY_HOP or kind == _ROUTING or kind == _FRAGMENT or kind == _DESTINATION:
        # RFC 8200 4.1: hop-by-hop options stand only directly behind the IPv6 header.
        if kind == _HOP_BY_HOP and count != 0:
            raise WireError("IPv6 hop-by-hop options in the wrong place")
        count += 1
        if count > _MAX_EXTENSIONS:
            raise WireError("too many IPv6 extension headers")
        if at + 8 > end:
            raise WireError("IPv6 extension header beyond the packet")
        if kind == _FRAGMENT:
            # RFC 6946: offset 0 and no more fragments is a whole packet.
            if read_u16(packet, at + 2) & 0xFFF9 != 0:
                raise FragmentError("IPv6 fragment")
            size: i64 = 8
        else:
            words: i64 = packet[at + 1]
            size = 8 * (words + 1)
            if at + size > end:
                raise WireError("IPv6 extension header beyond the packet")
            if kind != _ROUTING:
                _check_extension_options(packet, at + 2, at + size)
            elif packet[at + 3] != 0:
                # RFC 8200 4.4: a routing type that is not known is ignored only if no segments are left.
                raise WireError("IPv6 routing header with segments left")
        kind = packet[at]
        at += size
    into.header_len = at - into.start
    into.protocol = kind


def _check_extension_options(packet: bytes, at: i64, end: i64) -> None:
    """RFC 8200 4.2: an option that is not known is skipped only if the upper two bits of its type are 0."""
    while at < end:
        kind: i64 = packet[at]
        if kind == 0:  # Pad1
            at += 1
            continue
        if kind & 0xC0 != 0:
            raise WireError("IPv6 option that must be understood")
        if at + 2 > end:
            raise WireError("IPv6 option without its length")
        size: i64 = packet[at + 1]
        at += 2 + size
        if at > end:
            raise WireError("IPv6 option beyond its header")


def build_ipv4(
    src: bytes,
    dst: bytes,
    protocol: i64,
    payload_len: i64,
    ttl: i64 = 64,
    traffic_class: i64 = 0,
    ident: i64 = 0,
    dont_fragment: bool = True,
) -> bytes:
    """An IPv4 header of 20 bytes with its checksum (RFC 791 3.1). ValueError if the packet would exceed 65535 bytes."""
    total_len = 20 + payload_len
    if payload_len < 0 or total_len > 0xFFFF or len(src) != 4 or len(dst) != 4:
        raise ValueError("not an IPv4 packet")
    w = BytesWriter()
    put_u32(w, 0x45000000 | (traffic_class << 16) | total_len)
    put_u32(w, (ident << 16) | (0x4000 if dont_fragment else 0))
    put_u16(w, (ttl << 8) | protocol)
    before = w.getvalue()
    put_u16(w, complement(ones_sum(before) + ones_sum(src) + ones_sum(dst)))
    w.write(src)
    w.write(dst)
    return w.getvalue()


def build_ipv6(src: bytes, dst: bytes, protocol: i64, payload_len: i64, ttl: i64 = 64, traffic_class: i64 = 0) -> bytes:
    """An IPv6 header of 40 bytes (RFC 8200 3), flow label 0. ValueError if the payload would exceed 65535 bytes."""
    if payload_len < 0 or payload_len > 0xFFFF or len(src) != 16 or len(dst) != 16:
        raise ValueError("not an IPv6 packet")
    w = BytesWriter()
    put_u32(w, 0x60000000 | (traffic_class << 20))
    put_u32(w, (payload_len << 16) | (protocol << 8) | ttl)
    w.write(src)
    w.write(dst)
    return w.getvalue()
