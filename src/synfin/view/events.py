"""What there is to show of a packet in the trace: the fields of its headers, read from the head of the burst alone.

Rules for the next editor: never raise, whatever the bytes (what cannot be read is left out and named in `trouble`);
never touch the payload (a burst's payload is up to 64 KiB of references, and a live diagram sees every burst).
"""

from __future__ import annotations

from ipaddress import ip_address

from synfin.tcp.trace import PacketEvent
from synfin.wire import icmp
from synfin.wire import ip as ip_layer
from synfin.wire import options as tcp_options
from synfin.wire.endian import read_u16, read_u32
from synfin.wire.errors import WireError
from synfin.wire.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, IpHeader
from synfin.wire.key import key_dst, key_dst_port, key_src, key_src_port, reverse_key
from synfin.wire.options import Options
from synfin.wire.segment import finish
from synfin.wire.seq import MASK32
from synfin.wire.tcp_header import CWR, FIN, HEADER_LEN, PSH, SYN


class Fields:
    """The header fields of one TCP packet or burst, as far as they could be read."""

    __slots__ = (
        "_options",
        "ack",
        "congestion",
        "flags",
        "head",
        "length",
        "options_at",
        "options_end",
        "segment_size",
        "seq",
        "trouble",
        "urgent",
        "window",
    )

    def __init__(self) -> None:
        self.seq = 0
        self.ack = 0
        self.flags = 0
        self.window = 0  # the 16-bit field
        self.urgent = 0
        self.length = 0  # payload bytes of the whole burst
        self.segment_size = 0  # payload bytes of each segment of a burst; 0: one segment
        self.congestion = False  # the IP header carries "congestion experienced" (RFC 3168)
        self.trouble = ""  # what is wrong with the bytes; "": nothing
        self.head = b""
        self.options_at = 0
        self.options_end = 0
        self._options: Options | None = None

    @property
    def segments(self) -> int:
        """How many segments on a wire this is."""
        if self.segment_size <= 0 or self.length <= self.segment_size:
            return 1
        return -(-self.length // self.segment_size)

    @property
    def space(self) -> int:
        """How many sequence numbers it takes: its payload, and one each for SYN and FIN (RFC 9293 3.4)."""
        return self.length + (self.flags & SYN != 0) + (self.flags & FIN != 0)

    @property
    def option_bytes(self) -> bytes:
        """TCP's options as they stand in the segment."""
        return self.head[self.options_at : self.options_end]

    @property
    def options(self) -> Options:
        """The TCP options; those before a malformed one if there is one."""
        if self._options is None:
            self._options = Options()
            if self.options_end > self.options_at:
                try:
                    syn = self.flags & SYN != 0
                    tcp_options.parse_untrusted(self.head, self.options_at, self.options_end, syn, self._options)
                except WireError as error:
                    self.trouble = self.trouble or str(error)
        return self._options


def read(event: PacketEvent) -> Fields:
    """The fields of a packet event. Never raises."""
    fields = Fields()
    burst = event.burst
    head = burst.head
    fields.head = head
    start, end = _find_tcp(head, fields)
    if start < 0:
        return fields
    have = len(head) - start
    if have >= 8:
        fields.seq = read_u32(head, start + 4)
    if have >= 12:
        fields.ack = read_u32(head, start + 8)
    if have < HEADER_LEN:
        fields.flags = head[start + 13] if have >= 14 else 0
        fields.trouble = fields.trouble or "cut off inside the TCP header"
        return fields
    fields.flags = head[start + 13]
    fields.window = read_u16(head, start + 14)
    fields.urgent = read_u16(head, start + 18)
    data = start + (head[start + 12] >> 4) * 4
    if data < start + HEADER_LEN or data > len(head):
        fields.trouble = fields.trouble or "TCP data offset outside the segment"
        return fields
    fields.options_at = start + HEADER_LEN
    fields.options_end = data
    if burst.pieces:
        fields.length = len(head) - data + burst.payload_len
    else:
        fields.length = max(0, end - data)
        if end > len(head):
            fields.trouble = fields.trouble or "cut off"
    fields.segment_size = burst.gso_size
    if data - start != HEADER_LEN and data - start != 32:
        _ = fields.options  # 32: timestamps alone, which nothing shows
    return fields


def segments(fields: Fields) -> list[Fields]:
    """A burst as the segments that it is on a wire (`wire.segment.split`)."""
    if fields.segments == 1:
        return [fields]
    pieces: list[Fields] = []
    size = fields.segment_size
    for number in range(fields.segments):
        piece = Fields()
        piece.head = fields.head
        piece.options_at, piece.options_end = fields.options_at, fields.options_end
        piece.seq = (fields.seq + number * size) & MASK32
        piece.ack, piece.window, piece.urgent = fields.ack, fields.window, fields.urgent
        piece.congestion, piece.trouble = fields.congestion, fields.trouble
        piece.length = min(size, fields.length - number * size)
        piece.flags = fields.flags
        if number < fields.segments - 1:
            piece.flags &= ~(FIN | PSH)
        if number:
            piece.flags &= ~CWR
        pieces.append(piece)
    return pieces


def _find_tcp(head: bytes, fields: Fields) -> tuple[int, int]:
    """Where the TCP header starts, and where the IP header says that the packet ends; -1: there is none."""
    size = len(head)
    version = head[0] >> 4 if size else 0
    if version == 4 and size >= 20:
        start = (head[0] & 0xF) * 4
        fields.congestion = head[1] & 3 == 3
        if start < 20 or start > size:
            fields.trouble = "IPv4 lengths do not fit the packet"
        elif head[9] != PROTO_TCP:
            fields.trouble = f"IP protocol {head[9]}, not TCP"
        elif read_u16(head, 6) & 0x1FFF:
            fields.trouble = "IP fragment"
        else:
            return start, read_u16(head, 2)
    elif version == 6 and size >= 40:
        fields.congestion = (head[1] >> 4) & 3 == 3
        header = IpHeader()
        header.version = 6
        header.header_len = 40
        header.total_len = size
        header.protocol = head[6]
        try:
            ip_layer.skip_extensions(head, header)
        except WireError as error:
            fields.trouble = str(error)
            return -1, 0
        if header.protocol == PROTO_TCP:
            return header.header_len, 40 + read_u16(head, 4)
        fields.trouble = f"IP protocol {header.protocol}, not TCP"
    else:
        fields.trouble = "neither IPv4 nor IPv6" if size >= 20 else "too short for an IP header"
    return -1, 0


def key_of(packet: bytes) -> bytes:
    """Source, destination and both ports of a TCP packet, of which the end may be cut off; b"" of anything else."""
    start, _ = _find_tcp(packet, Fields())
    if start < 0 or len(packet) < start + 4:
        return b""
    return (packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]) + packet[start : start + 4]


def is_key(key: bytes) -> bool:
    """It has the length of a connection's key, IPv4 or IPv6."""
    return len(key) == 12 or len(key) == 36


def addresses(key: bytes) -> tuple[str, str]:
    """The peer's and the own IP address of a connection's key at one host."""
    return str(ip_address(key_src(key))), str(ip_address(key_dst(key)))


def ports(key: bytes) -> tuple[int, int]:
    """The peer's and the own port."""
    return key_src_port(key), key_dst_port(key)


def endpoint(address: str, port: int) -> str:
    """Address and port as people write them.

    >>> endpoint("fd00::1", 80)
    '[fd00::1]:80'
    """
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


_ICMP_NAMES = {
    (4, icmp.V4_UNREACHABLE): "destination unreachable",
    (4, icmp.V4_TIME_EXCEEDED): "time exceeded",
    (4, icmp.V4_PARAMETER_PROBLEM): "parameter problem",
    (6, icmp.V6_UNREACHABLE): "destination unreachable",
    (6, icmp.V6_PACKET_TOO_BIG): "packet too big",
    (6, icmp.V6_TIME_EXCEEDED): "time exceeded",
    (6, icmp.V6_PARAMETER_PROBLEM): "parameter problem",
}


def icmp_about(event: PacketEvent) -> tuple[bytes, str]:
    """(connection's key at the host that the error is about, what the error says) for an ICMP error, else (b"", "")."""
    try:
        packet = finish(event.burst)
        header = IpHeader()
        ip_layer.parse_untrusted(packet, header)
        if header.protocol != PROTO_ICMP and header.protocol != PROTO_ICMPV6:
            return b"", ""
        message = icmp.parse_untrusted(packet, header, True)
    except WireError:
        return b"", ""
    if not message.quoted_key:
        return b"", ""
    name = _ICMP_NAMES.get((message.version, message.type), f"type {message.type}")
    if message.mtu:
        name = f"packet too big, MTU {message.mtu}"
    elif message.code:
        name += f" (code {message.code})"
    return reverse_key(message.quoted_key), f"ICMP: {name}"
