import pytest

from synfin.wire.checksum import complement, ones_sum
from synfin.wire.errors import ChecksumError, WireError
from synfin.wire.ip import (
    PROTO_TCP,
    PROTO_UDP,
    FragmentError,
    IpHeader,
    build_ipv4,
    build_ipv6,
    marked,
    parse_untrusted,
)  # fmt: skip

A4, B4 = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
A6, B6 = bytes(range(16)), bytes(range(16, 32))


def parse(packet: bytes) -> IpHeader:
    header = IpHeader()
    parse_untrusted(packet, header)
    return header


def fixed4(packet: bytes, header_len: int = 20) -> bytes:
    blank = packet[:10] + b"\0\0" + packet[12:]
    return packet[:10] + int(complement(ones_sum(blank[:header_len]))).to_bytes(2, "big") + packet[12:]


def with_extensions(first: int, extensions: bytes, payload: bytes = b"payload") -> bytes:
    return build_ipv6(A6, B6, first, len(extensions) + len(payload)) + extensions + payload


def test_an_ipv4_header_has_the_bytes_a_kernel_writes() -> None:
    head = build_ipv4(A4, B4, PROTO_TCP, 20, ident=0x1234)
    assert head.hex() == "45000028123440004006149a" + A4.hex() + B4.hex()
    assert ones_sum(head) == 0xFFFF


def test_an_ipv4_header_gives_back_its_fields() -> None:
    header = parse(build_ipv4(A4, B4, PROTO_UDP, 5, ttl=255, traffic_class=0xB9, dont_fragment=False) + b"12345")
    assert (header.version, header.header_len, header.total_len, header.protocol) == (4, 20, 25, PROTO_UDP)
    assert (header.ttl, header.traffic_class, header.dont_fragment) == (255, 0xB9, False)


def test_an_ipv6_header_gives_back_its_fields() -> None:
    header = parse(build_ipv6(A6, B6, PROTO_TCP, 5, ttl=255, traffic_class=0xB9) + b"12345")
    assert (header.version, header.header_len, header.total_len, header.protocol) == (6, 40, 45, PROTO_TCP)
    assert (header.ttl, header.traffic_class, header.dont_fragment) == (255, 0xB9, True)


def test_every_field_of_a_reused_header_is_set() -> None:
    header = parse(with_extensions(60, bytes([PROTO_UDP, 0, 1, 4, 0, 0, 0, 0])))
    parse_untrusted(build_ipv4(A4, B4, PROTO_TCP, 0, ttl=1, traffic_class=3, dont_fragment=False), header)
    fresh = parse(build_ipv4(A4, B4, PROTO_TCP, 0, ttl=1, traffic_class=3, dont_fragment=False))
    for name in ("version", "header_len", "total_len", "protocol", "ttl", "traffic_class", "dont_fragment"):
        assert getattr(header, name) == getattr(fresh, name)


def test_link_padding_is_not_payload() -> None:
    assert parse(build_ipv4(A4, B4, PROTO_TCP, 2) + b"ok" + b"\0" * 20).total_len == 22
    assert parse(build_ipv6(A6, B6, PROTO_TCP, 2) + b"ok" + b"\0" * 20).total_len == 42


def test_ipv4_options_are_behind_the_header() -> None:
    packet = build_ipv4(A4, B4, PROTO_TCP, 8) + b"\x01\x01\x01\x00data"
    assert parse(fixed4(b"\x46" + packet[1:], 24)).header_len == 24


@pytest.mark.parametrize("size", [0, 1, 19])
def test_a_packet_shorter_than_a_header_is_refused(size: int) -> None:
    with pytest.raises(WireError):
        parse(build_ipv4(A4, B4, PROTO_TCP, 0)[:size])


def test_a_truncated_packet_is_refused() -> None:
    for packet in (build_ipv4(A4, B4, PROTO_TCP, 8) + b"seven b", build_ipv6(A6, B6, PROTO_TCP, 8) + b"seven b"):
        with pytest.raises(WireError):
            parse(packet)
    with pytest.raises(WireError):
        parse(build_ipv6(A6, B6, PROTO_TCP, 0)[:39])


def test_an_ipv4_header_length_below_20_or_beyond_the_packet_is_refused() -> None:
    packet = build_ipv4(A4, B4, PROTO_TCP, 0)
    for first in (b"\x44", b"\x40", b"\x46"):
        with pytest.raises(WireError):
            parse(fixed4(first + packet[1:]))


def test_a_version_other_than_4_or_6_is_refused() -> None:
    with pytest.raises(WireError):
        parse(b"\x55" + build_ipv4(A4, B4, PROTO_TCP, 0)[1:])


@pytest.mark.parametrize("options", [b"", b"\x01\x01\x01\x00"])
def test_a_wrong_ipv4_header_checksum_is_told_apart(options: bytes) -> None:
    packet = build_ipv4(A4, B4, PROTO_TCP, len(options)) + options
    packet = fixed4(bytes([0x45 + len(options) // 4]) + packet[1:], 20 + len(options))
    parse(packet)
    for at in range(1, len(packet)):
        if at in (2, 3):
            continue
        with pytest.raises(ChecksumError):
            parse(packet[:at] + bytes([packet[at] ^ 0x10]) + packet[at + 1 :])


@pytest.mark.parametrize("fragment", [0x2000, 0x0001, 0x1FFF, 0x3000, 0x6000])
def test_an_ipv4_fragment_is_told_apart(fragment: int) -> None:
    packet = build_ipv4(A4, B4, PROTO_TCP, 0)
    with pytest.raises(FragmentError):
        parse(fixed4(packet[:6] + fragment.to_bytes(2, "big") + packet[8:]))


def test_extension_headers_a_destination_may_skip_are_skipped() -> None:
    hop = bytes([43, 0, 5, 2, 0, 0, 0, 0])  # router alert, two Pad1
    routing = bytes([44, 0, 4, 0, 0, 0, 0, 0])  # no segments left
    atomic = bytes([60, 0, 0, 0, 1, 2, 3, 4])
    destination = bytes([PROTO_TCP, 1, 1, 12]) + bytes(12)
    header = parse(with_extensions(0, hop + routing + atomic + destination))
    assert (header.protocol, header.header_len, header.total_len) == (PROTO_TCP, 80, 87)


@pytest.mark.parametrize("offset", [0x0001, 0x0008, 0xFFF8, 0xFFF9])
def test_an_ipv6_fragment_is_told_apart(offset: int) -> None:
    with pytest.raises(FragmentError):
        parse(with_extensions(44, bytes([PROTO_TCP, 0]) + offset.to_bytes(2, "big") + bytes(4)))


@pytest.mark.parametrize(
    ("first", "extensions"),
    [
        pytest.param(43, bytes([6, 0, 4, 1, 0, 0, 0, 0]), id="routing with segments left"),
        pytest.param(60, bytes([0, 0, 1, 4, 0, 0, 0, 0]) * 2, id="hop-by-hop not first"),
        pytest.param(60, bytes([6, 9, 1, 4, 0, 0, 0, 0]), id="longer than the packet"),
        pytest.param(60, bytes([6, 0, 1, 5, 0, 0, 0, 0]), id="option longer than its header"),
        pytest.param(60, bytes([6, 0, 0, 0, 0, 0, 0, 1]), id="option without length"),
        pytest.param(60, bytes([6, 0, 0xC2, 4, 0, 1, 0, 0]), id="jumbo payload"),
        pytest.param(0, bytes([6, 0, 0x7E, 4, 0, 1, 0, 0]), id="unknown option that must not be skipped"),
        pytest.param(60, bytes([60, 0, 1, 4, 0, 0, 0, 0]) * 8 + bytes([6, 0, 1, 4, 0, 0, 0, 0]), id="too many"),
    ],
)
def test_an_extension_header_that_may_not_be_skipped_is_refused(first: int, extensions: bytes) -> None:
    with pytest.raises(WireError):
        parse(with_extensions(first, extensions))


def test_an_extension_header_cut_off_by_the_packet_end_is_refused() -> None:
    with pytest.raises(WireError):
        parse(with_extensions(60, bytes([6, 0, 1, 4]), b""))


def test_an_extension_option_without_length_at_the_packet_end_is_refused() -> None:
    with pytest.raises(WireError):
        parse(with_extensions(60, bytes([6, 0, 0, 0, 0, 0, 0, 1]), b""))


def test_eight_extension_headers_are_still_skipped() -> None:
    extensions = bytes([60, 0, 1, 4, 0, 0, 0, 0]) * 7 + bytes([6, 0, 1, 4, 0, 0, 0, 0])
    assert parse(with_extensions(60, extensions)).header_len == 40 + 64


def test_a_packet_above_64_kib_is_not_built() -> None:
    build_ipv4(A4, B4, PROTO_TCP, 65515)
    build_ipv6(A6, B6, PROTO_TCP, 65535)
    with pytest.raises(ValueError):
        build_ipv4(A4, B4, PROTO_TCP, 65516)
    with pytest.raises(ValueError):
        build_ipv6(A6, B6, PROTO_TCP, 65536)


@pytest.mark.parametrize("ecn", range(4))
@pytest.mark.parametrize("dscp", [0, 0xB8, 0xFC])
def test_a_mark_turns_ect_into_ce_and_changes_nothing_else(dscp: int, ecn: int) -> None:
    # RFC 3168 5
    before, after = dscp | ecn, dscp | (3 if ecn else 0)
    for head in (build_ipv4, build_ipv6):
        source, to = (A4, B4) if head is build_ipv4 else (A6, B6)
        packet = head(source, to, PROTO_TCP, 3, traffic_class=before) + b"abc"
        assert marked(packet) == head(source, to, PROTO_TCP, 3, traffic_class=after) + b"abc"
    with_options = fixed4(b"\x46" + build_ipv4(A4, B4, PROTO_TCP, 4, traffic_class=before)[1:] + b"\1\1\1\0", 24)
    assert parse(marked(with_options)).traffic_class == after
