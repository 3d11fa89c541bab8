"""TCP segments (RFC 9293 3.1) inside their IP packets, and the bursts they travel in.

`Segment` is the one shape in which the layers above see a packet. A `Burst` is what goes out: a header, payload pieces
by reference, and how to cut it. Rules: `parse_untrusted` sets every field; the laws parse(build(s)) == s and
build(parse(x)) == x for canonical x hold (tests/properties). Canonical means: DF, ident 0, flow label 0, reserved bits
0, no IP options or extension headers, TCP options as `options.build` writes them.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from synfin.wire import ip as ip_layer
from synfin.wire import options as tcp_options
from synfin.wire.checksum import complement, fold, ones_sum, pieces_sum, span_sum, swapped
from synfin.wire.endian import (
    BytesWriter,
    put_u16,
    read_i64_be,
    read_u16,
    read_u32,
    signed32,
    write_i32_be,
    write_i64_be,
)
from synfin.wire.errors import ChecksumError, WireError
from synfin.wire.ip import PROTO_TCP, IpHeader
from synfin.wire.options import NO_ECN_OPTION, TS_BLOCK, Options
from synfin.wire.pieces import VIEW_FROM, Piece, part_of
from synfin.wire.tcp_header import CWR, FIN, HEADER_LEN, PSH, SYN, flag_names

_MASK32: Final = 0xFFFFFFFF
_SIGN32: Final = 0x80000000  # (n ^ _SIGN32) - _SIGN32 is endian.signed32(n) without the call
_KEY4: Final = 12  # length of an IPv4 key
_KEY6: Final = 36


class Segment(Options):
    """One TCP segment, or a burst of equal ones, with the IP fields that matter to TCP.

    One object is reused per stack for input and one for output: nothing is allocated per packet.
    """

    def __init__(self) -> None:
        super().__init__()
        self.key: bytes = b""  # src | dst | src_port | dst_port as in the packet: 12 bytes (IPv4) or 36 (IPv6)
        self.ttl: i64 = 64
        self.traffic_class: i64 = 0  # TOS byte or IPv6 traffic class; ECN in the lower two bits
        self.seq: i64 = 0
        self.ack: i64 = 0
        self.flags: i64 = 0
        self.window: i64 = 0  # the 16-bit field, unscaled
        self.urgent: i64 = 0
        self.payload: Piece = b""  # parsed: a view of the packet if it is large
        self.gso_size: i64 = 0  # payload bytes per original segment of a burst; 0: one segment

    def reset(self) -> None:
        """Set every field to its default."""
        self.clear_options()
        self.key = b""
        self.ttl = 64
        self.traffic_class = 0
        self.seq = 0
        self.ack = 0
        self.flags = 0
        self.window = 0
        self.urgent = 0
        self.payload = b""
        self.gso_size = 0

    def header_copy(self) -> Segment:
        """A segment of its own with all that a SYN says; text, SACK blocks and Fast Open are left out."""
        copy = Segment()
        copy.key = self.key
        copy.ttl = self.ttl
        copy.traffic_class = self.traffic_class
        copy.seq = self.seq
        copy.ack = self.ack
        copy.flags = self.flags
        copy.window = self.window
        copy.mss = self.mss
        copy.wscale = self.wscale
        copy.sack_permitted = self.sack_permitted
        copy.has_ts = self.has_ts
        copy.ts_val = self.ts_val
        copy.ts_ecr = self.ts_ecr
        return copy

    @property
    def version(self) -> i64:
        """Of IP: 4 or 6."""
        return 4 if len(self.key) == _KEY4 else 6

    @property
    def src(self) -> bytes:
        """The source address, 4 or 16 bytes."""
        return self.key[: (len(self.key) - 4) // 2]

    @property
    def dst(self) -> bytes:
        """The destination address, 4 or 16 bytes."""
        return self.key[(len(self.key) - 4) // 2 : len(self.key) - 4]

    @property
    def src_port(self) -> i64:
        """0 to 65535."""
        return read_u16(self.key, len(self.key) - 4)

    @property
    def dst_port(self) -> i64:
        """0 to 65535."""
        return read_u16(self.key, len(self.key) - 2)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Segment):
            return NotImplemented
        return (
            self.key == other.key
            and self.ttl == other.ttl
            and self.traffic_class == other.traffic_class
            and self.seq == other.seq
            and self.ack == other.ack
            and self.flags == other.flags
            and self.window == other.window
            and self.urgent == other.urgent
            and self.mss == other.mss
            and self.wscale == other.wscale
            and self.sack_permitted == other.sack_permitted
            and self.has_ts == other.has_ts
            and self.ts_val == other.ts_val
            and self.ts_ecr == other.ts_ecr
            and self.sack == other.sack
            and self.fast_open == other.fast_open
            and self.accecn_order == other.accecn_order
            and self.accecn_first == other.accecn_first
            and self.accecn_ceb == other.accecn_ceb
            and self.accecn_last == other.accecn_last
            and self.payload == other.payload
            and self.gso_size == other.gso_size
        )

    def __repr__(self) -> str:
        parts = [f"<Segment {self.key.hex()} {flag_names(self.flags) or '-'} seq={self.seq} ack={self.ack}"]
        parts.append(f"win={self.window} ttl={self.ttl} tc={self.traffic_class}")
        if self.urgent:
            parts.append(f"urg={self.urgent}")
        if self.mss >= 0:
            parts.append(f"mss={self.mss}")
        if self.wscale >= 0:
            parts.append(f"wscale={self.wscale}")
        if self.sack_permitted:
            parts.append("sack-permitted")
        if self.has_ts:
            parts.append(f"ts={self.ts_val},{self.ts_ecr}")
        if self.sack is not None:
            parts.append(f"sack={self.sack}")
        if self.fast_open is not None:
            parts.append(f"fast-open={self.fast_open.hex() or 'request'}")
        if self.accecn_order != NO_ECN_OPTION:
            parts.append(f"accecn{self.accecn_order}={self.accecn_first},{self.accecn_ceb},{self.accecn_last}")
        parts.append(f"len={len(self.payload)}")
        if self.gso_size:
            parts.append(f"gso={self.gso_size}")
        return " ".join(parts) + ">"


@mypyc_attr(acyclic=True)
class Burst:
    """One outgoing IP packet of up to 64 KiB, and how to cut it into packets that fit a link."""

    def __init__(
        self, head: bytes, pieces: list[Piece], payload_len: i64, gso_size: i64 = 0, csum_start: i64 = 0,
        ace: bool = False,
    ) -> None:  # fmt: skip
        self.head: bytes = head  # IP and TCP header; or a whole packet
        self.pieces: list[Piece] = pieces  # the payload, or what of it is not in `head`
        self.payload_len: i64 = payload_len  # bytes in `pieces`
        self.gso_size: i64 = gso_size  # payload bytes per segment; 0: this is one segment
        # 0: checksums are complete. Else: where the TCP header starts, and its checksum field holds the folded, not
        # complemented sum of the pseudo header of the whole burst (what virtio-net offload asks for).
        self.csum_start: i64 = csum_start
        self.ace: bool = ace  # CWR is part of a counter, so that all segments carry it (RFC 9768 3.3.4)


def parse_untrusted(
    packet: bytes, ip: IpHeader, into: Segment, checksum_ok: bool, gso_size: i64, text: bytes = b""
) -> None:
    """Read the TCP segment that `ip` found in `packet` into `into`, every field of it.

    `checksum_ok`: the device vouches for the checksum. `gso_size`: as the device reports it; kept only if the payload
    is longer. `text`: the payload, where `packet` ends with the headers and the checksum is vouched for. Raises
    ChecksumError or WireError, and leaves `into` undefined then.
    """
    begin = ip.start
    start = begin + ip.header_len
    apart: i64 = len(text)
    end = begin + ip.total_len - apart  # of what lies here
    if end - start < HEADER_LEN:
        raise WireError("too short for a TCP header")
    control = read_i64_be(packet, start + 12)
    header_len = (control >> 58) & 0x3C
    data = start + header_len
    if header_len < HEADER_LEN or data > end:
        raise WireError("TCP data offset outside the segment")
    if ip.version == 4:
        addresses_at = begin + 12
        ports_at = begin + 20
    else:
        addresses_at = begin + 8
        ports_at = begin + 40
    if ports_at == start:
        key = packet[addresses_at : start + 4]
    else:
        key = packet[addresses_at:ports_at] + packet[start : start + 4]
    if not checksum_ok:
        # RFC 9293 3.1, MUST-3: the receiver must check it. The pseudo header is never all zero: the protocol is 6.
        if ports_at == start:
            total = span_sum(packet, addresses_at, end)
        else:
            total = span_sum(packet, addresses_at, ports_at) + span_sum(packet, start, end)
        if fold(total + PROTO_TCP + end - start) != 0xFFFF:
            raise ChecksumError("TCP checksum")
    numbers = read_i64_be(packet, start + 4)
    flags = (control >> 48) & 0x1FF
    into.key = key
    into.ttl = ip.ttl
    into.traffic_class = ip.traffic_class
    into.seq = (numbers >> 32) & _MASK32
    into.ack = numbers & _MASK32
    into.flags = flags
    into.window = (control >> 32) & 0xFFFF
    into.urgent = control & 0xFFFF
    into.mss = -1
    into.wscale = -1
    into.sack_permitted = False
    into.sack = None
    into.fast_open = None
    into.accecn_order = NO_ECN_OPTION
    into.accecn_first = -1
    into.accecn_ceb = -1
    into.accecn_last = -1
    into.has_ts = False
    into.ts_val = 0
    into.ts_ecr = 0
    if header_len == 32:
        block = read_i64_be(packet, start + 20)
        if (block >> 32) & _MASK32 == TS_BLOCK:
            into.has_ts = True
            into.ts_val = block & _MASK32
            into.ts_ecr = read_i64_be(packet, start + 24) & _MASK32
        else:
            tcp_options.parse_untrusted(packet, start + 20, data, flags & SYN != 0, into)
    elif header_len != HEADER_LEN:
        tcp_options.parse_untrusted(packet, start + 20, data, flags & SYN != 0, into)
    if apart:
        if data != end or not checksum_ok:
            raise WireError("text apart from what are not its headers")
        into.payload = text
        into.gso_size = gso_size if 0 < gso_size < apart else 0
    elif data == end:
        into.payload = b""
        into.gso_size = 0
    else:
        into.payload = packet[data:end] if end - data < VIEW_FROM else part_of(packet, data, end)
        into.gso_size = gso_size if 0 < gso_size < end - data else 0


def build_head(seg: Segment, payload_len: i64, back: bool = False) -> bytes:
    """The IP and TCP headers of `seg` for `payload_len` bytes of payload; `seg.payload` is not looked at.

    back: to whoever sends under `seg.key`, whose two ends change places in the packet.
    The TCP checksum field holds the folded, not complemented sum of the pseudo header (`Burst.csum_start` is 20 or 40).
    Raises ValueError for a field out of range or a packet above 64 KiB.
    """
    ttl = seg.ttl
    traffic_class = seg.traffic_class
    flags = seg.flags
    seq = seg.seq
    ack = seg.ack
    window = seg.window
    urgent = seg.urgent
    if (ttl | traffic_class) >> 8 or flags >> 9 or (window | urgent) >> 16 or (seq | ack) >> 32:
        raise ValueError(f"a field is out of range in {seg!r}")
    extra = b""
    tcp_len: i64 = HEADER_LEN
    if (
        seg.mss >= 0
        or seg.wscale >= 0
        or seg.sack is not None
        or seg.sack_permitted
        or seg.fast_open is not None
        or seg.accecn_order != NO_ECN_OPTION
    ):
        extra = tcp_options.build(seg)
        tcp_len += len(extra)
    elif seg.has_ts:
        tcp_len += 12
    length = tcp_len + payload_len
    if payload_len < 0 or length > 0xFFFF:
        raise ValueError(f"a TCP segment of {length} bytes")

    key = seg.key
    w = BytesWriter()
    if len(key) == _KEY4:
        total_len = 20 + length
        if total_len > 0xFFFF:
            raise ValueError(f"an IPv4 packet of {total_len} bytes")
        addresses = read_i64_be(key, 0)
        pseudo = ((addresses >> 32) & _MASK32) + (addresses & _MASK32)
        first = 0x45000000 | (traffic_class << 16) | total_len
        third = (ttl << 24) | (PROTO_TCP << 16)
        check = (pseudo + first + 0x4000 + third) % 0xFFFF
        pseudo = (pseudo + PROTO_TCP + length) % 0xFFFF
        if check:
            third |= 0xFFFF - check
        write_i64_be(w, (first << 32) | 0x4000)  # RFC 6864 4.1: with DF set the identification means nothing
        src = (addresses >> 32) & _MASK32
        dst = addresses & _MASK32
        ports = read_i64_be(key, 4) & _MASK32
        if back:
            src = dst
            dst = (addresses >> 32) & _MASK32
            ports = ((ports & 0xFFFF) << 16) | (ports >> 16)
        write_i64_be(w, (((third ^ _SIGN32) - _SIGN32) << 32) | src)
        write_i64_be(w, (((dst ^ _SIGN32) - _SIGN32) << 32) | ports)
    elif len(key) == _KEY6:
        pseudo = (span_sum(key, 0, 32) + PROTO_TCP + length) % 0xFFFF
        write_i64_be(w, ((0x60000000 | (traffic_class << 20)) << 32) | (length << 16) | (PROTO_TCP << 8) | ttl)
        if back:
            write_i64_be(w, read_i64_be(key, 16))
            write_i64_be(w, read_i64_be(key, 24))
            write_i64_be(w, read_i64_be(key, 0))
            write_i64_be(w, read_i64_be(key, 8))
            ports = read_i64_be(key, 28) & _MASK32
            ports_word: int = ((((ports & 0xFFFF) << 16) | (ports >> 16)) ^ _SIGN32) - _SIGN32
            write_i32_be(w, ports_word)
        else:
            w.write(key)
    else:
        raise ValueError(f"a key of {len(key)} bytes")
    if not pseudo:
        pseudo = 0xFFFF
    control = (tcp_len << 26) | (flags << 16) | window
    write_i64_be(w, (((seq ^ _SIGN32) - _SIGN32) << 32) | ack)
    write_i64_be(w, (((control ^ _SIGN32) - _SIGN32) << 32) | (pseudo << 16) | urgent)
    if extra:
        w.write(extra)
    elif seg.has_ts:
        write_i64_be(w, (TS_BLOCK << 32) | seg.ts_val)
        echo: int = (seg.ts_ecr ^ _SIGN32) - _SIGN32
        write_i32_be(w, echo)
    return w.getvalue()


def build(seg: Segment) -> bytes:
    """A complete packet: headers, payload and checksums. `seg.gso_size` is not looked at."""
    payload = seg.payload
    csum_start = 20 if len(seg.key) == _KEY4 else 40
    return finish(Burst(build_head(seg, len(payload)), [payload], len(payload), 0, csum_start))


def finish(burst: Burst) -> bytes:
    """The burst as one complete packet with full checksums; `gso_size` is not looked at."""
    head = burst.head
    at = burst.csum_start
    if at == 0:
        return b"".join([head, *burst.pieces]) if burst.pieces else head
    if at + HEADER_LEN > len(head):
        raise WireError("checksum start beyond the head")
    # The field itself is part of the sum: it holds the pseudo header.
    total = span_sum(head, at, len(head))
    tail = pieces_sum(burst.pieces)
    total += swapped(tail) if (len(head) - at) & 1 else tail
    w = BytesWriter()
    w.write(head[: at + 16])
    put_u16(w, complement(total))
    w.write(head[at + 18 :])
    if len(burst.pieces) == 1:
        return w.getvalue() + burst.pieces[0]
    return b"".join([w.getvalue(), *burst.pieces])


def split(burst: Burst) -> list[bytes]:
    """The burst as complete packets of at most `gso_size` payload bytes each, in order.

    SEQ advances; PSH and FIN are on the last only (they speak of the end of the data), CWR on the first only (RFC 3168
    6.1.2: it is sent once) unless it is part of ACE; IPv4 idents count up. A burst whose `head` is a whole packet may
    be split too. Raises WireError if a burst with a `gso_size` is not a TCP packet.
    """
    size = burst.gso_size
    if size <= 0:
        return [finish(burst)]
    whole = b"".join([burst.head, *burst.pieces]) if burst.pieces else burst.head
    header = IpHeader()
    ip_layer.parse_untrusted(whole, header)
    start = header.header_len
    end = header.total_len
    if header.protocol != PROTO_TCP or end - start < HEADER_LEN:
        raise WireError("not a TCP packet")
    offset: i64 = whole[start + 12]
    data = start + ((offset >> 2) & 0x3C)
    if data - start < HEADER_LEN or data > end:
        raise WireError("TCP data offset outside the segment")
    if end - data <= size:
        return [finish(burst)]

    # What no piece changes is cut out and summed once.
    six = header.version == 6
    first = read_u32(whole, 0)
    second = read_u32(whole, 4)
    third = read_u32(whole, 8)
    ident = second >> 16
    addresses = whole[8 : start + 4] if six else whole[12 : start + 4]  # and what else stands before SEQ
    ack = read_u32(whole, start + 8)
    control = read_u32(whole, start + 12)  # data offset, flags, window
    urgent = read_u16(whole, start + 18)
    options = whole[start + 20 : data]
    ip_sum = (first >> 16) + (second & 0xFFFF) + (third >> 16) + span_sum(whole, 12, start)
    tcp_sum = span_sum(whole, 8, 40) if six else span_sum(whole, 12, 20)
    tcp_sum += PROTO_TCP + read_u32(whole, start) + ack + urgent + ones_sum(options)
    seq = read_u32(whole, start + 4)
    packets: list[bytes] = []
    at = data
    while at < end:
        stop = min(at + size, end)
        now = control
        if stop < end:
            now &= ~((PSH | FIN) << 16)
        if at > data and not burst.ace:
            now &= ~(CWR << 16)
        length = data - start + stop - at
        w = BytesWriter()
        if six:
            write_i64_be(w, (signed32(first) << 32) | ((start - 40 + length) << 16) | (second & 0xFFFF))
        else:
            check = complement(ip_sum + start + length + ident)
            word: int = signed32((third & 0xFFFF0000) | check)
            write_i64_be(w, (((first >> 16) << 48) | ((start + length) << 32) | (ident << 16) | (second & 0xFFFF)))
            write_i32_be(w, word)
            ident = (ident + 1) & 0xFFFF
        w.write(addresses)
        write_i64_be(w, (signed32(seq) << 32) | ack)
        check = complement(tcp_sum + length + seq + now + span_sum(whole, at, stop))
        write_i64_be(w, (signed32(now) << 32) | (check << 16) | urgent)
        w.write(options)
        packets.append(w.getvalue() + whole[at:stop])
        seq = (seq + stop - at) & _MASK32
        at = stop
    return packets
