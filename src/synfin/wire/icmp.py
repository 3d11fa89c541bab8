"""ICMP (RFC 792, path MTU: RFC 1191) and ICMPv6 (RFC 4443): echo, and the errors that concern a connection.

An error quotes the packet that caused it. The quote is read leniently: what is missing or makes no sense leaves the
`quoted_*` fields at "absent", and whoever acts on it checks SEQ against the connection (RFC 5927 4).
"""

from typing import Final

from mypy_extensions import i64

from synfin.wire.checksum import complement, ones_sum, pseudo_sum, span_sum
from synfin.wire.endian import BytesWriter, put_u16, put_u32, read_u16, read_u32
from synfin.wire.errors import ChecksumError, WireError
from synfin.wire.ip import (
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_TCP,
    PROTO_UDP,
    IpHeader,
    build_ipv4,
    build_ipv6,
    skip_extensions,
)

# RFC 792
V4_ECHO_REPLY: Final = 0
V4_UNREACHABLE: Final = 3
V4_ECHO: Final = 8
V4_TIME_EXCEEDED: Final = 11
V4_PARAMETER_PROBLEM: Final = 12
# codes of V4_UNREACHABLE
V4_NET_UNREACHABLE: Final = 0
V4_HOST_UNREACHABLE: Final = 1
V4_PROTOCOL_UNREACHABLE: Final = 2
V4_PORT_UNREACHABLE: Final = 3
V4_FRAG_NEEDED: Final = 4
V4_PROHIBITED: Final = 13  # RFC 1812 5.2.7.1
# RFC 4443
V6_UNREACHABLE: Final = 1
V6_PACKET_TOO_BIG: Final = 2
V6_TIME_EXCEEDED: Final = 3
V6_PARAMETER_PROBLEM: Final = 4
V6_ECHO: Final = 128
V6_ECHO_REPLY: Final = 129
# codes of V6_UNREACHABLE
V6_NO_ROUTE: Final = 0
V6_PROHIBITED: Final = 1
V6_ADDRESS_UNREACHABLE: Final = 3
V6_PORT_UNREACHABLE: Final = 4

_HEADER_LEN: Final = 8
_MAX_ERROR4: Final = 576  # RFC 1812 4.3.2.3: as much of the packet as fits without exceeding 576 bytes
_MAX_ERROR6: Final = 1280  # RFC 4443 2.4 (c): without exceeding the minimum IPv6 MTU


class IcmpMessage:
    """One ICMP or ICMPv6 message."""

    def __init__(self) -> None:
        self.version: i64 = 4
        self.type: i64 = 0
        self.code: i64 = 0
        self.mtu: i64 = 0  # of the next hop, if this is "packet too big"; 0: none stated
        self.quoted_protocol: i64 = -1  # of the quoted packet; -1: absent
        self.quoted_len: i64 = -1  # bytes of the whole packet, by its header, of which the quote may be a part
        self.quoted_key: bytes = b""  # src | dst | src_port | dst_port as we sent it (TCP, UDP); b"": absent
        self.quoted_seq: i64 = -1  # SEQ of a quoted TCP segment; -1: absent


def is_echo_request(message: IcmpMessage) -> bool:
    """It is a ping, of either family."""
    return message.type == (V4_ECHO if message.version == 4 else V6_ECHO)


def parse_untrusted(packet: bytes, ip: IpHeader, checksum_ok: bool) -> IcmpMessage:
    """Read the ICMP message that `ip` found in `packet`. Raises ChecksumError or WireError."""
    start = ip.header_len
    end = ip.total_len
    if end - start < _HEADER_LEN:
        raise WireError("too short for an ICMP header")
    if not checksum_ok:
        total = span_sum(packet, start, end)
        if ip.version == 6:  # RFC 4443 2.3: ICMPv6 sums a pseudo header, ICMP does not
            total += pseudo_sum(packet[8:40], PROTO_ICMPV6, end - start)
        if complement(total) != 0:
            raise ChecksumError("ICMP checksum")
    message = IcmpMessage()
    message.version = ip.version
    message.type = packet[start]
    message.code = packet[start + 1]
    if ip.version == 4:
        if message.type in (V4_UNREACHABLE, V4_TIME_EXCEEDED, V4_PARAMETER_PROBLEM):
            if message.type == V4_UNREACHABLE and message.code == V4_FRAG_NEEDED:
                message.mtu = read_u16(packet, start + 6)  # RFC 1191 4; routers older than that leave it 0
            _read_quote4(packet, start + _HEADER_LEN, end, message)
    elif message.type in (V6_UNREACHABLE, V6_PACKET_TOO_BIG, V6_TIME_EXCEEDED, V6_PARAMETER_PROBLEM):
        if message.type == V6_PACKET_TOO_BIG:
            message.mtu = read_u32(packet, start + 4)  # RFC 4443 3.2
        _read_quote6(packet[start + _HEADER_LEN : end], message)
    return message


def _read_quote4(packet: bytes, at: i64, end: i64, into: IcmpMessage) -> None:
    if end - at < 20 or packet[at] >> 4 != 4:
        return
    words: i64 = packet[at] & 0xF
    if words < 5:
        return
    into.quoted_protocol = packet[at + 9]
    into.quoted_len = read_u16(packet, at + 2)
    if read_u16(packet, at + 6) & 0x1FFF == 0:  # only the first fragment has ports
        _read_ports(packet, packet[at + 12 : at + 20], at + 4 * words, end, into)


def _read_quote6(quote: bytes, into: IcmpMessage) -> None:
    if len(quote) < 40 or quote[0] >> 4 != 6:
        return
    header = IpHeader()
    header.version = 6
    header.header_len = 40
    header.total_len = len(quote)
    header.protocol = quote[6]
    try:
        skip_extensions(quote, header)
    except WireError:
        return
    into.quoted_protocol = header.protocol
    into.quoted_len = 40 + read_u16(quote, 4)
    _read_ports(quote, quote[8:40], header.header_len, header.total_len, into)


def _read_ports(packet: bytes, addresses: bytes, at: i64, end: i64, into: IcmpMessage) -> None:
    if into.quoted_protocol != PROTO_TCP and into.quoted_protocol != PROTO_UDP:
        return
    if end - at >= 4:
        into.quoted_key = addresses + packet[at : at + 4]
    if end - at >= 8 and into.quoted_protocol == PROTO_TCP:
        into.quoted_seq = read_u32(packet, at + 4)


def build_echo_reply(packet: bytes, ip: IpHeader) -> bytes:
    """The answer to an echo request: the same identifier, sequence number, data and traffic class, sent back.

    RFC 792 page 14, RFC 4443 4.2. `packet` has passed `parse_untrusted` and `is_echo_request`.
    """
    body = packet[ip.header_len + 4 : ip.total_len]
    if ip.version == 4:
        src, dst, kind = packet[16:20], packet[12:16], V4_ECHO_REPLY
    else:
        src, dst, kind = packet[24:40], packet[8:24], V6_ECHO_REPLY
    return _build(ip.version, kind, 0, src, dst, body, ip.traffic_class)


def build_error(version: i64, type: i64, code: i64, src: bytes, dst: bytes, quoted: bytes, mtu: i64 = 0) -> bytes:
    """An ICMP error from `src` to `dst` about the packet `quoted`, as much of which is quoted as the RFCs allow.

    `mtu` is meant for "fragmentation needed" (RFC 1191 4) and "packet too big" (RFC 4443 3.2) and is 0 elsewhere.
    """
    w = BytesWriter()
    if version == 4:
        put_u32(w, min(mtu, 0xFFFF))
        w.write(quoted[: _MAX_ERROR4 - 20 - _HEADER_LEN])
    else:
        put_u32(w, mtu)
        w.write(quoted[: _MAX_ERROR6 - 40 - _HEADER_LEN])
    return _build(version, type, code, src, dst, w.getvalue(), 0)


def _build(version: i64, type: i64, code: i64, src: bytes, dst: bytes, body: bytes, traffic_class: i64) -> bytes:
    """A whole message: `body` is all behind the checksum."""
    length: i64 = 4 + len(body)
    first = (type << 8) | code
    total = first + ones_sum(body)
    if version == 4:
        head = build_ipv4(src, dst, PROTO_ICMP, length, traffic_class=traffic_class)
    else:
        head = build_ipv6(src, dst, PROTO_ICMPV6, length, traffic_class=traffic_class)
        total += pseudo_sum(src + dst, PROTO_ICMPV6, length)
    w = BytesWriter()
    w.write(head)
    put_u16(w, first)
    put_u16(w, complement(total))
    w.write(body)
    return w.getvalue()
