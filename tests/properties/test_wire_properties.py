"""The laws of wire/, for any segment and any bytes."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from synfin.wire import icmp, ip, segment
from synfin.wire.checksum import complement, ones_sum, pseudo_sum
from synfin.wire.endian import read_u16
from synfin.wire.errors import WireError
from synfin.wire.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, IpHeader, build_ipv4, build_ipv6
from synfin.wire.key import reverse_key
from synfin.wire.pieces import Piece
from synfin.wire.segment import Burst, Segment, build, build_head, finish, split
from synfin.wire.seq import seq_add, seq_ge, seq_gt, seq_le, seq_lt, unwrap, wrap
from synfin.wire.tcp_header import CWR, FIN, PSH, SYN

U8 = st.integers(0, 0xFF)
U16 = st.integers(0, 0xFFFF) | st.sampled_from([0, 0x7FFF, 0x8000, 0xFFFF])
U32 = st.integers(0, 0xFFFFFFFF) | st.sampled_from([0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
OFFSETS = st.integers(-(1 << 40), 1 << 40)
KEYS = st.binary(min_size=12, max_size=12) | st.binary(min_size=36, max_size=36)
COOKIES = st.just(b"") | st.sampled_from(range(4, 17, 2)).flatmap(lambda n: st.binary(min_size=n, max_size=n))


@st.composite
def segments(draw: st.DrawFn, payloads: st.SearchStrategy[bytes] = st.binary(max_size=64)) -> Segment:  # noqa: B008
    s = Segment()
    s.key, s.ttl, s.traffic_class = draw(KEYS), draw(U8), draw(U8)
    s.seq, s.ack, s.flags, s.window, s.urgent = draw(U32), draw(U32), draw(st.integers(0, 0x1FF)), draw(U16), draw(U16)
    room = 40
    if draw(st.booleans()):
        s.has_ts, s.ts_val, s.ts_ecr = True, draw(U32), draw(U32)
        room -= 12
    if draw(st.booleans()):
        s.mss = draw(U16)
        room -= 4
    if draw(st.booleans()):
        s.wscale = draw(U8)
        room -= 4
    if draw(st.booleans()):
        s.sack_permitted = True
        room -= 0 if s.has_ts else 4
    if draw(st.booleans()) and room >= 12:
        s.sack = draw(st.lists(st.tuples(U32, U32), min_size=1, max_size=min(4, (room - 4) // 8)))
        room -= 4 + 8 * len(s.sack)
    if s.flags & SYN and draw(st.booleans()):
        cookie = draw(COOKIES)
        if (len(cookie) + 5) // 4 * 4 <= room:
            s.fast_open = cookie
            room -= (len(cookie) + 5) // 4 * 4
    fields = draw(st.integers(-1, 3))
    if fields >= 0 and (2 + 3 * fields + 3) // 4 * 4 <= room:
        s.accecn_order = draw(st.integers(0, 1))
        values = [draw(st.integers(0, 0xFFFFFF)) if place < fields else -1 for place in range(3)]
        s.accecn_first, s.accecn_ceb, s.accecn_last = values
    s.payload = draw(payloads)
    return s


def parse(packet: bytes, checksum_ok: bool = False) -> Segment:
    header = IpHeader()
    ip.parse_untrusted(packet, header)
    if header.protocol != PROTO_TCP:
        raise WireError("not TCP")
    s = Segment()
    segment.parse_untrusted(packet, header, s, checksum_ok, 0)
    return s


def parse_anything(packet: bytes) -> None:
    """Everything that looks at foreign bytes, with and without checksums to protect it."""
    header = IpHeader()
    into = Segment()
    try:
        ip.parse_untrusted(packet, header)
    except WireError:
        return
    for checksum_ok in (False, True):
        with suppress(WireError):
            segment.parse_untrusted(packet, header, into, checksum_ok, 3)
        try:
            message = icmp.parse_untrusted(packet, header, checksum_ok)
        except WireError:
            pass
        else:
            if icmp.is_echo_request(message):
                icmp.build_echo_reply(packet, header)
    for csum_start in (0, header.header_len):
        with suppress(WireError):
            split(Burst(packet, [], 0, 3, csum_start))


def repaired(packet: bytes) -> bytes:
    """The packet with a valid IPv4 header checksum, if it has room for one, so that what is behind is looked at."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return packet
    size = max(20, min(len(packet), (packet[0] & 15) * 4))
    blank = packet[:10] + b"\0\0" + packet[12:size]
    return blank[:10] + int(complement(ones_sum(blank))).to_bytes(2, "big") + packet[12:]


@given(segments())
def test_parse_gives_back_what_build_was_given(s: Segment) -> None:
    assert parse(build(s)) == s


@given(segments(), st.binary(max_size=12), st.booleans())
def test_what_stands_before_a_packet_does_not_matter(s: Segment, before: bytes, checksum_ok: bool) -> None:
    header = IpHeader()
    into = Segment()
    packet = build(s)
    ip.parse_untrusted(before + packet, header, len(before))
    segment.parse_untrusted(before + packet, header, into, checksum_ok, 0)
    assert (header.header_len, header.total_len) == (20 if len(s.key) == 12 else 40, len(packet))
    assert into == parse(packet)


@given(segments(), st.integers(0, 3))
def test_text_apart_from_its_headers_is_read_as_if_it_stood_behind_them(s: Segment, gso_size: int) -> None:
    size = len(s.payload)
    packet = build(s)
    headers, text = packet[: len(packet) - size], packet[len(packet) - size :]
    header, whole, apart = IpHeader(), Segment(), Segment()
    ip.parse_untrusted(packet, header)
    segment.parse_untrusted(packet, header, whole, True, gso_size)
    ip.parse_untrusted(headers, header, 0, size)
    segment.parse_untrusted(headers, header, apart, True, gso_size, text)
    assert apart == whole


@given(segments(), st.integers(0, 200), st.booleans())
def test_what_lies_apart_must_be_all_text_and_vouched_for(s: Segment, cut: int, checksum_ok: bool) -> None:
    packet = build(s)
    at = max(len(packet) - cut, 0)
    here, apart = packet[:at], packet[at:]
    assume(apart and (len(apart) != len(s.payload) or not checksum_ok))

    def read() -> None:
        header = IpHeader()
        ip.parse_untrusted(here, header, 0, len(apart))
        segment.parse_untrusted(here, header, Segment(), checksum_ok, 0, apart)

    with pytest.raises(WireError):
        read()


@given(segments())
def test_build_gives_back_the_canonical_bytes_that_parse_was_given(s: Segment) -> None:
    packet = build(s)
    assert build(parse(packet)) == packet


@given(segments())
def test_a_reused_segment_is_parsed_as_a_fresh_one(s: Segment) -> None:
    used = Segment()
    for packet in (build(s), finish(Burst(build(s), [], 0)), build(s)):
        header = IpHeader()
        ip.parse_untrusted(packet, header)
        segment.parse_untrusted(packet, header, used, False, 0)
    assert used == s


@given(segments(), st.integers(0, 7), st.data())
def test_any_flipped_bit_of_a_segment_is_noticed(s: Segment, bit: int, data: st.DataObject) -> None:
    packet = build(s)
    at = data.draw(st.integers(0, len(packet) - 1))
    broken = packet[:at] + bytes([packet[at] ^ 1 << bit]) + packet[at + 1 :]
    unprotected = len(s.key) == 36 and (at < 4 or at == 7)  # version, traffic class, flow label, hop limit
    try:
        seen = parse(broken)
    except WireError:
        return
    assert unprotected
    assert (seen.seq, seen.ack, seen.payload) == (s.seq, s.ack, s.payload)


@settings(max_examples=300)
@given(st.binary(max_size=120))
def test_random_bytes_raise_only_wire_error(packet: bytes) -> None:
    parse_anything(packet)


@settings(max_examples=300)
@given(st.sampled_from([0, 6, 43, 44, 58, 60, 1]), st.binary(max_size=120), st.booleans())
@example(60, bytes([60, 0, 1, 4, 0, 0, 0, 0]) * 12, True)
def test_random_payloads_behind_a_valid_ip_header_raise_only_wire_error(kind: int, body: bytes, six: bool) -> None:
    head = build_ipv6(bytes(16), bytes(16), kind, len(body)) if six else build_ipv4(bytes(4), bytes(4), kind, len(body))
    parse_anything(head + body)


@settings(max_examples=300)
@given(segments(), st.lists(st.tuples(st.integers(0, 200), U8), max_size=6), st.integers(0, 130))
def test_mutated_and_truncated_segments_raise_only_wire_error(
    s: Segment, changes: list[tuple[int, int]], size: int
) -> None:
    packet = bytearray(build(s))
    for at, octet in changes:
        packet[at % len(packet)] = octet
    parse_anything(bytes(packet))
    parse_anything(repaired(bytes(packet)))
    parse_anything(repaired(bytes(packet[:size])))


@given(segments(), st.binary(min_size=40, max_size=40))
def test_random_tcp_options_raise_only_wire_error(s: Segment, options: bytes) -> None:
    s.sack, s.fast_open, s.sack_permitted, s.mss, s.wscale, s.has_ts = None, None, False, -1, -1, False
    s.payload = options
    packet = bytearray(build(s))
    packet[32 if len(s.key) == 12 else 52] = 0xF0
    parse_anything(bytes(packet))


@settings(max_examples=300)
@given(
    st.sampled_from([0, 3, 8, 11, 12, 1, 2, 4, 128]), U8, segments(), st.integers(0, 120), st.binary(max_size=4), U16
)
def test_icmp_errors_about_mutated_quotes_raise_only_wire_error(
    kind: int, code: int, s: Segment, size: int, noise: bytes, mtu: int
) -> None:
    six = len(s.key) == 36
    src, dst = (bytes(16), bytes(16)) if six else (bytes(4), bytes(4))
    quoted = build(s)
    packet = icmp.build_error(6 if six else 4, kind, code, src, dst, (noise + quoted[len(noise) :])[:size], mtu)
    header = IpHeader()
    ip.parse_untrusted(packet, header)
    assert header.protocol == (PROTO_ICMPV6 if six else PROTO_ICMP)
    message = icmp.parse_untrusted(packet, header, False)
    assert (message.type, message.code) == (kind, code)
    assert message.quoted_key in (b"", s.key) or noise


@settings(max_examples=200)
@given(segments(st.binary(max_size=400)), st.integers(1, 150), st.lists(st.integers(0, 400), max_size=5))
def test_the_pieces_of_a_split_burst_are_the_burst(s: Segment, gso_size: int, cuts: list[int]) -> None:
    size = len(s.payload)
    edges = [0, *sorted(cut for cut in cuts if cut < size), size]
    pieces: list[Piece] = [s.payload[a:b] for a, b in pairwise(edges)]
    start = 20 if len(s.key) == 12 else 40
    packets = split(Burst(build_head(s, size), pieces, size, gso_size, start))
    parsed = [parse(packet) for packet in packets]  # each has correct lengths and checksums
    assert b"".join(p.payload for p in parsed) == s.payload
    assert len(packets) == max(1, -(-size // gso_size))
    done = 0
    for i, (p, packet) in enumerate(zip(parsed, packets, strict=True)):
        first, last = i == 0, i == len(packets) - 1
        assert len(p.payload) == gso_size or last
        assert p.flags & ~(PSH | FIN | CWR) == s.flags & ~(PSH | FIN | CWR)
        assert p.flags & (PSH | FIN) == (s.flags & (PSH | FIN) if last else 0)
        assert p.flags & CWR == (s.flags & CWR if first else 0)
        assert p.seq == seq_add(s.seq, done)
        done += len(p.payload)
        if start == 20:
            assert read_u16(packet, 4) == i
        p.seq, p.flags, p.payload = s.seq, s.flags, s.payload
        assert p == s  # every other field is copied


@given(segments(st.binary(max_size=400)), st.integers(1, 150))
def test_a_burst_of_one_piece_is_what_build_gives(s: Segment, gso_size: int) -> None:
    size = len(s.payload)
    start = 20 if len(s.key) == 12 else 40
    assert finish(Burst(build_head(s, size), [s.payload], size, gso_size, start)) == build(s)


@given(segments())
def test_a_head_back_is_the_head_whose_ends_changed_places(s: Segment) -> None:
    back = build_head(s, 7, True)
    s.key = reverse_key(s.key)
    assert back == build_head(s, 7)


@given(segments())
def test_the_checksum_of_a_built_segment_is_that_of_rfc_9293(s: Segment) -> None:
    packet = build(s)
    start = 20 if len(s.key) == 12 else 40
    body = packet[start : start + 16] + b"\0\0" + packet[start + 18 :]
    total = pseudo_sum(s.src + s.dst, PROTO_TCP, len(body)) + ones_sum(body)
    assert read_u16(packet, start + 16) == complement(total)


@given(st.binary(max_size=70))
def test_the_ones_sum_is_that_of_the_loop_in_rfc_1071(data: bytes) -> None:
    total = 0
    for i in range(0, len(data), 2):
        total += int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    assert ones_sum(data) == total


@given(OFFSETS, U32, st.integers(-(1 << 31), (1 << 31) - 1))
def test_unwrap_undoes_wrap_for_offsets_less_than_half_the_space_apart(offset: int, isn: int, away: int) -> None:
    assert unwrap(wrap(offset, isn), isn, offset - away) == offset


@given(U32, U32, OFFSETS)
def test_wrap_undoes_unwrap(wire: int, isn: int, near: int) -> None:
    offset = unwrap(wire, isn, near)
    assert wrap(offset, isn) == wire
    assert -(1 << 31) <= offset - near <= 1 << 31


@given(U32, st.integers(1, (1 << 31) - 1))
def test_a_number_comes_before_those_less_than_half_the_space_ahead(a: int, n: int) -> None:
    b = seq_add(a, n)
    assert seq_lt(a, b) and seq_le(a, b) and seq_gt(b, a) and seq_ge(b, a)
    assert not (seq_gt(a, b) or seq_ge(a, b) or seq_lt(b, a) or seq_le(b, a))
    assert seq_add(b, -n) == a
