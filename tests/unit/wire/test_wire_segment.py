import pytest

from synfin.wire import ip as ip_layer
from synfin.wire.checksum import complement, ones_sum, pseudo_sum
from synfin.wire.endian import read_u16
from synfin.wire.errors import ChecksumError, WireError
from synfin.wire.ip import IpHeader, build_ipv6
from synfin.wire.pieces import Piece
from synfin.wire.segment import Burst, Segment, build, build_head, finish, parse_untrusted, split
from synfin.wire.tcp_header import ACK, AE, CWR, FIN, PSH, SYN

KEY4 = bytes([10, 0, 0, 1, 10, 0, 0, 2, 0x30, 0x39, 0, 80])
KEY6 = bytes(range(32)) + bytes([0x30, 0x39, 0, 80])
FIELDS = [
    *("key", "ttl", "traffic_class", "seq", "ack", "flags", "window", "urgent", "mss", "wscale", "sack_permitted"),
    *("has_ts", "ts_val", "ts_ecr", "sack", "fast_open", "payload", "gso_size"),
]


def segment(key: bytes = KEY4, payload: bytes = b"") -> Segment:
    s = Segment()
    s.key, s.seq, s.ack, s.flags, s.window = key, 0xFFFFFFF0, 5, ACK, 500
    s.has_ts, s.ts_val, s.ts_ecr = True, 0xF0000001, 0x80000000
    s.payload = payload
    return s


def full() -> Segment:
    s = segment(payload=b"x")
    s.ttl, s.traffic_class, s.flags, s.urgent, s.gso_size = 3, 2, SYN, 9, 0
    s.mss, s.wscale, s.sack_permitted, s.sack, s.fast_open = 1460, 7, True, [(1, 2)], b""
    return s


def parse(packet: bytes, checksum_ok: bool = False, gso_size: int = 0, into: Segment | None = None) -> Segment:
    header = IpHeader()
    ip_layer.parse_untrusted(packet, header)
    s = Segment() if into is None else into
    parse_untrusted(packet, header, s, checksum_ok, gso_size)
    return s


def burst(s: Segment, data: bytes, gso_size: int, cuts: int = 3) -> Burst:
    start = 20 if len(s.key) == 12 else 40
    step = max(1, len(data) // cuts)
    pieces: list[Piece] = [data[i : i + step] for i in range(0, len(data), step)]
    return Burst(build_head(s, len(data)), pieces, len(data), gso_size, start)


def test_a_known_segment_has_the_bytes_a_kernel_writes() -> None:
    s = Segment()
    s.key = bytes([127, 0, 0, 1, 127, 0, 0, 1, 0xC0, 0x00, 0x1F, 0x90])
    s.seq, s.flags, s.window = 0x01020304, SYN, 65535
    packet = build(s)
    assert packet[:20].hex() == "4500002800004000" + "40063cce" + "7f0000017f000001"
    assert packet[20:36].hex() == "c0001f90" + "01020304" + "00000000" + "5002ffff"
    assert ones_sum(packet[12:20] + bytes([0, 6, 0, 20]) + packet[20:]) == 0xFFFF


@pytest.mark.parametrize("key", [KEY4, KEY6])
def test_what_lies_apart_from_an_ip_header_is_of_tcp(key: bytes) -> None:
    packet = bytearray(build(segment(key, b"text")))
    packet[9 if len(key) == 12 else 6] = 17
    if len(key) == 12:
        packet[10:12] = b"\0\0"
        check: int = complement(ones_sum(bytes(packet[:20])))
        packet[10:12] = check.to_bytes(2, "big")
    ip_layer.parse_untrusted(bytes(packet), IpHeader())
    with pytest.raises(WireError, match="not TCP"):
        ip_layer.parse_untrusted(bytes(packet[:-4]), IpHeader(), 0, 4)


@pytest.mark.parametrize("key", [KEY4, KEY6])
def test_the_key_is_the_bytes_of_the_packet(key: bytes) -> None:
    packet = build(segment(key))
    assert packet[12:24] == KEY4 if len(key) == 12 else packet[8:44] == KEY6
    s = parse(packet)
    assert s.key == key
    half = (len(key) - 4) // 2
    assert (s.src, s.dst) == (key[:half], key[half : 2 * half])
    assert (s.src_port, s.dst_port, s.version) == (12345, 80, 4 if len(key) == 12 else 6)


def test_the_key_is_the_same_behind_extension_headers() -> None:
    packet = build(segment(KEY6, b"data"))
    extension = bytes([6, 0, 1, 4, 0, 0, 0, 0])
    s = parse(build_ipv6(KEY6[:16], KEY6[16:32], 60, len(packet) - 40 + 8) + extension + packet[40:])
    assert s == segment(KEY6, b"data")


def test_the_key_is_the_same_behind_ipv4_options() -> None:
    packet = build(segment(KEY4, b"data"))
    head = bytes([0x46]) + packet[1:2] + (len(packet) + 4).to_bytes(2, "big") + packet[4:10] + b"\0\0" + packet[12:20]
    head += b"\1\1\1\0"
    head = head[:10] + int(0xFFFF - ones_sum(head)).to_bytes(2, "big") + head[12:]
    assert parse(head + packet[20:]) == segment(KEY4, b"data")


def test_parsing_sets_every_field_of_a_reused_segment() -> None:
    plain = Segment()
    plain.key, plain.flags = KEY6, ACK
    used = full()
    used.gso_size = 7
    assert parse(build(plain), into=used) == plain
    assert parse(build(full()), into=used) == full()


def test_reset_sets_every_field_to_its_default() -> None:
    s = full()
    s.gso_size = 7
    s.reset()
    assert s == Segment()


@pytest.mark.parametrize("name", FIELDS)
def test_segments_that_differ_in_one_field_are_unequal(name: str) -> None:
    other = full()
    value = {"key": KEY6, "sack": None, "fast_open": None, "payload": b"", "sack_permitted": False, "has_ts": False}
    setattr(other, name, value.get(name, 77))
    assert other != full()
    assert full() == full()
    assert full() != "a segment"


def test_the_repr_names_flags_and_options() -> None:
    s = full()
    s.gso_size = 7
    assert repr(s) == (
        "<Segment 0a0000010a00000230390050 SYN seq=4294967280 ack=5 win=500 ttl=3 tc=2 urg=9 mss=1460 wscale=7 "
        "sack-permitted ts=4026531841,2147483648 sack=[(1, 2)] fast-open=request len=1 gso=7>"
    )


def test_a_wrong_checksum_is_told_apart_unless_the_device_vouches_for_it() -> None:
    for key in (KEY4, KEY6):
        packet = build(segment(key, b"data"))
        broken = packet[:-1] + bytes([packet[-1] ^ 1])
        with pytest.raises(ChecksumError):
            parse(broken)
        assert parse(broken, checksum_ok=True).payload == b"dat" + broken[-1:]


@pytest.mark.parametrize("offset", [0, 4, 9, 15])
def test_a_data_offset_outside_the_segment_is_refused(offset: int) -> None:
    packet = build(segment())
    with pytest.raises(WireError):
        parse(packet[:32] + bytes([offset << 4]) + packet[33:], checksum_ok=True)


def test_a_segment_shorter_than_a_header_is_refused() -> None:
    with pytest.raises(WireError):
        parse(build_ipv6(KEY6[:16], KEY6[16:32], 6, 19) + bytes(19), checksum_ok=True)


def test_link_padding_is_not_payload_of_the_segment() -> None:
    assert parse(build(segment(payload=b"")) + b"\0" * 6).payload == b""


def test_the_timestamps_are_read_in_any_position() -> None:
    packet = build(segment())
    block = packet[40:52]
    swapped = packet[:40] + block[2:] + block[:2]
    assert parse(swapped, checksum_ok=True) == segment()


def test_a_gso_size_is_kept_only_if_the_payload_is_longer() -> None:
    packet = build(segment(payload=b"x" * 100))
    assert parse(packet, gso_size=99).gso_size == 99
    assert parse(packet, gso_size=100).gso_size == 0
    assert parse(packet, gso_size=0).gso_size == 0


@pytest.mark.parametrize("key", [KEY4, KEY6])
def test_the_checksum_field_of_a_head_is_the_folded_pseudo_header(key: bytes) -> None:
    head = build_head(segment(key), 1000)
    start = 20 if key == KEY4 else 40
    assert read_u16(head, start + 16) == pseudo_sum(key[:-4], 6, 32 + 1000)


def test_a_pseudo_header_whose_words_cancel_folds_to_ffff() -> None:
    s = Segment()
    s.key = (0xFFFF - 6 - 20).to_bytes(4, "big") + bytes(8)
    assert read_u16(build_head(s, 0), 36) == 0xFFFF
    s.key = (0xFFFF - 6 - 20).to_bytes(4, "big") + bytes(32)
    assert read_u16(build_head(s, 0), 56) == 0xFFFF


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ttl", 256),
        ("traffic_class", -1),
        ("flags", 512),
        ("window", 65536),
        ("urgent", -1),
        ("seq", 1 << 32),
        ("ack", -1),
    ],
)
def test_a_field_out_of_range_is_not_built(name: str, value: int) -> None:
    s = segment()
    setattr(s, name, value)
    with pytest.raises(ValueError):
        build_head(s, 0)


def test_a_head_for_more_than_64_kib_is_not_built() -> None:
    build_head(segment(KEY4), 65535 - 52)
    build_head(segment(KEY6), 65535 - 32)
    for key, size in ((KEY4, 65535 - 51), (KEY6, 65535 - 31), (KEY4, -1), (b"short", 0)):
        with pytest.raises(ValueError):
            build_head(segment(key), size)


@pytest.mark.parametrize("key", [KEY4, KEY6])
@pytest.mark.parametrize("cuts", [1, 2, 3, 7, 100])
def test_a_finished_burst_is_what_build_gives(key: bytes, cuts: int) -> None:
    data = bytes(range(101))
    assert finish(burst(segment(key), data, 0, cuts)) == build(segment(key, data))


def test_pieces_at_an_odd_offset_behind_a_head_with_data_are_summed_right() -> None:
    data = bytes(range(1, 12))
    head = build_head(segment(), len(data))
    assert finish(Burst(head + data[:3], [data[3:6], data[6:]], 8, 0, 20)) == build(segment(payload=data))


def test_a_complete_burst_is_finished_as_it_is() -> None:
    packet = build(segment(payload=b"abc"))
    assert finish(Burst(packet, [], 0)) == packet
    assert finish(Burst(packet[:-1], [packet[-1:]], 1)) == packet


def test_flags_of_a_burst_go_to_the_piece_they_speak_of() -> None:
    s = segment()
    s.flags = ACK | PSH | FIN | CWR
    flags = [parse(packet).flags for packet in split(burst(s, b"z" * 250, 100))]
    assert flags == [ACK | CWR, ACK, ACK | PSH | FIN]


def test_cwr_stays_on_every_piece_where_it_is_part_of_a_counter() -> None:
    # RFC 9768 3.3.4
    s = segment()
    s.flags = ACK | PSH | CWR | AE
    whole = burst(s, b"z" * 250, 100)
    whole.ace = True
    assert [parse(packet).flags for packet in split(whole)] == [ACK | CWR | AE, ACK | CWR | AE, ACK | PSH | CWR | AE]


def test_a_burst_no_longer_than_its_gso_size_is_one_packet() -> None:
    s = segment()
    s.flags = ACK | PSH | CWR
    s.payload = b"q" * 100
    for size in (0, 100, 101):
        assert split(burst(s, s.payload, size)) == [build(s)]


def test_the_idents_of_a_split_ipv4_burst_count_up_and_wrap() -> None:
    packet = build(segment(payload=b"r" * 30))
    head = packet[:4] + b"\xff\xff" + packet[6:10] + b"\0\0" + packet[12:20]
    head = head[:10] + int(0xFFFF - ones_sum(head)).to_bytes(2, "big") + head[12:]
    packets = split(Burst(head + packet[20:], [], 0, 10, 20))
    assert [read_u16(p, 4) for p in packets] == [0xFFFF, 0, 1]
    assert [parse(p).seq for p in packets] == [0xFFFFFFF0, 0xFFFFFFFA, 4]


@pytest.mark.parametrize("key", [KEY4, KEY6])
def test_an_incoming_burst_in_one_head_splits_like_an_outgoing_one(key: bytes) -> None:
    s = segment(key)
    outgoing = burst(s, bytes(range(200)), 64)
    whole = outgoing.head + b"".join(outgoing.pieces)
    expected = split(outgoing)
    assert split(Burst(whole, [], 0, 64, outgoing.csum_start)) == expected
    assert split(Burst(finish(outgoing), [], 0, 64, 0)) == expected


def test_a_burst_behind_extension_headers_is_split() -> None:
    packet = build(segment(KEY6, b"data" * 5))
    extension = bytes([6, 0, 1, 4, 0, 0, 0, 0])
    whole = build_ipv6(KEY6[:16], KEY6[16:32], 60, len(packet) - 40 + 8) + extension + packet[40:]
    assert b"".join(parse(p).payload for p in split(Burst(whole, [], 0, 8, 0))) == b"data" * 5


def test_a_burst_that_is_not_tcp_is_not_split() -> None:
    with pytest.raises(WireError):
        split(Burst(build_ipv6(KEY6[:16], KEY6[16:32], 17, 100) + bytes(100), [], 0, 10))
    with pytest.raises(WireError):
        split(Burst(b"", [], 0, 10))
    with pytest.raises(WireError):
        finish(Burst(bytes(30), [], 0, 0, 20))
