import pytest

from synfin.wire import icmp
from synfin.wire import ip as ip_layer
from synfin.wire.checksum import ones_sum, pseudo_sum
from synfin.wire.errors import ChecksumError, WireError
from synfin.wire.icmp import IcmpMessage, build_echo_reply, build_error, is_echo_request, parse_untrusted
from synfin.wire.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP, IpHeader, build_ipv4, build_ipv6
from synfin.wire.segment import Segment, build
from synfin.wire.tcp_header import SYN

A4, B4 = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
A6, B6 = bytes(range(16)), bytes(range(16, 32))
PORTS = bytes([0x30, 0x39, 0, 80])


def tcp(key: bytes, payload: bytes = b"") -> bytes:
    s = Segment()
    s.key, s.seq, s.flags, s.payload = key, 0xFFFFFFFE, SYN, payload
    return build(s)


def message4(body: bytes) -> bytes:
    check: int = 0xFFFF - ones_sum(body[:2] + b"\0\0" + body[4:])
    return build_ipv4(A4, B4, PROTO_ICMP, len(body), traffic_class=8) + body[:2] + check.to_bytes(2, "big") + body[4:]


def message6(body: bytes) -> bytes:
    total = ones_sum(body[:2] + b"\0\0" + body[4:]) + pseudo_sum(A6 + B6, PROTO_ICMPV6, len(body))
    check = 0xFFFF - (total % 0xFFFF or 0xFFFF)
    return build_ipv6(A6, B6, PROTO_ICMPV6, len(body), traffic_class=8) + body[:2] + check.to_bytes(2, "big") + body[4:]


def header(packet: bytes) -> IpHeader:
    into = IpHeader()
    ip_layer.parse_untrusted(packet, into)
    return into


def parse(packet: bytes, checksum_ok: bool = False) -> IcmpMessage:
    return parse_untrusted(packet, header(packet), checksum_ok)


@pytest.mark.parametrize(
    ("request_packet", "reply_type", "src", "dst"),
    [
        (message4(bytes([8, 0, 0, 0]) + b"\x12\x34\x00\x01odd data!"), icmp.V4_ECHO_REPLY, B4, A4),
        (message6(bytes([128, 0, 0, 0]) + b"\x12\x34\x00\x01odd data!"), icmp.V6_ECHO_REPLY, B6, A6),
    ],
)
def test_an_echo_reply_brings_back_the_bytes_of_the_request(
    request_packet: bytes, reply_type: int, src: bytes, dst: bytes
) -> None:
    assert is_echo_request(parse(request_packet))
    reply = build_echo_reply(request_packet + b"padding", header(request_packet))
    message = parse(reply)
    assert (message.type, message.code) == (reply_type, 0)
    assert not is_echo_request(message)
    at = header(reply).header_len
    assert reply[at + 4 :] == request_packet[at + 4 :]
    assert src + dst in reply[:at]
    assert header(reply).traffic_class == 8


def test_types_of_the_other_version_are_not_echo_requests() -> None:
    assert not is_echo_request(parse(message4(bytes([128, 0, 0, 0]) + bytes(4))))
    assert not is_echo_request(parse(message6(bytes([8, 0, 0, 0]) + bytes(4))))


@pytest.mark.parametrize(
    ("version", "kind", "code", "mtu"),
    [
        (4, icmp.V4_UNREACHABLE, icmp.V4_PORT_UNREACHABLE, 0),
        (4, icmp.V4_UNREACHABLE, icmp.V4_FRAG_NEEDED, 1280),
        (4, icmp.V4_TIME_EXCEEDED, 0, 0),
        (6, icmp.V6_UNREACHABLE, icmp.V6_PORT_UNREACHABLE, 0),
        (6, icmp.V6_PACKET_TOO_BIG, 0, 0x12345678),
        (6, icmp.V6_TIME_EXCEEDED, 0, 0),
    ],
)
def test_an_error_names_the_connection_and_the_segment_it_is_about(
    version: int, kind: int, code: int, mtu: int
) -> None:
    key = (A4 + B4 if version == 4 else A6 + B6) + PORTS
    src, dst = (B4, A4) if version == 4 else (B6, A6)
    message = parse(build_error(version, kind, code, src, dst, tcp(key, b"payload"), mtu))
    assert (message.version, message.type, message.code, message.mtu) == (version, kind, code, mtu)
    assert (message.quoted_protocol, message.quoted_key, message.quoted_seq) == (PROTO_TCP, key, 0xFFFFFFFE)


def test_an_error_is_no_longer_than_576_or_1280_bytes() -> None:
    quoted4, quoted6 = tcp(A4 + B4 + PORTS, bytes(3000)), tcp(A6 + B6 + PORTS, bytes(3000))
    error4 = build_error(4, 3, 4, B4, A4, quoted4, 1500)
    error6 = build_error(6, 2, 0, B6, A6, quoted6, 1500)
    assert (len(error4), error4[28:]) == (576, quoted4[: 576 - 28])
    assert (len(error6), error6[48:]) == (1280, quoted6[: 1280 - 48])
    assert parse(error4).quoted_seq == parse(error6).quoted_seq == 0xFFFFFFFE


def test_the_mtu_field_is_read_only_where_it_has_a_meaning() -> None:
    body = bytes([0, 0, 0x05, 0x00]) + tcp(A4 + B4 + PORTS)
    assert parse(message4(bytes([3, 1, 0, 0]) + body)).mtu == 0
    assert parse(message4(bytes([3, 4, 0, 0]) + body)).mtu == 1280


@pytest.mark.parametrize(
    ("quoted_len", "has_key", "has_seq"),
    [(19, False, False), (23, False, False), (24, True, False), (27, True, False), (28, True, True)],
)
def test_of_a_short_ipv4_quote_what_is_there_is_read(quoted_len: int, has_key: bool, has_seq: bool) -> None:
    message = parse(message4(bytes([3, 1, 0, 0, 0, 0, 0, 0]) + tcp(A4 + B4 + PORTS)[:quoted_len]))
    assert message.quoted_key == (A4 + B4 + PORTS if has_key else b"")
    assert message.quoted_seq == (0xFFFFFFFE if has_seq else -1)
    assert message.quoted_protocol == (PROTO_TCP if quoted_len >= 20 else -1)
    assert message.quoted_len == (len(tcp(A4 + B4 + PORTS)) if quoted_len >= 20 else -1)


@pytest.mark.parametrize(
    ("quoted_len", "has_key", "has_seq"),
    [(39, False, False), (43, False, False), (44, True, False), (47, True, False), (48, True, True)],
)
def test_of_a_short_ipv6_quote_what_is_there_is_read(quoted_len: int, has_key: bool, has_seq: bool) -> None:
    message = parse(message6(bytes([1, 1, 0, 0, 0, 0, 0, 0]) + tcp(A6 + B6 + PORTS)[:quoted_len]))
    assert message.quoted_key == (A6 + B6 + PORTS if has_key else b"")
    assert message.quoted_seq == (0xFFFFFFFE if has_seq else -1)
    assert message.quoted_protocol == (PROTO_TCP if quoted_len >= 40 else -1)
    assert message.quoted_len == (len(tcp(A6 + B6 + PORTS)) if quoted_len >= 40 else -1)


def test_a_quoted_datagram_has_ports_and_no_seq() -> None:
    quoted = build_ipv4(A4, B4, PROTO_UDP, 8) + PORTS + bytes(4)
    message = parse(message4(bytes([3, 3, 0, 0, 0, 0, 0, 0]) + quoted))
    assert (message.quoted_protocol, message.quoted_key, message.quoted_seq) == (PROTO_UDP, A4 + B4 + PORTS, -1)


def test_a_quoted_later_fragment_has_no_ports() -> None:
    quoted = tcp(A4 + B4 + PORTS)
    quoted = quoted[:6] + b"\x00\x10" + quoted[8:]
    assert parse(message4(bytes([3, 1, 0, 0, 0, 0, 0, 0]) + quoted)).quoted_key == b""


def test_a_quote_behind_ipv6_extension_headers_is_read() -> None:
    quoted = build_ipv6(A6, B6, 60, 28) + bytes([PROTO_TCP, 0, 1, 4, 0, 0, 0, 0]) + tcp(A6 + B6 + PORTS)[40:]
    message = parse(message6(bytes([1, 4, 0, 0, 0, 0, 0, 0]) + quoted))
    assert (message.quoted_key, message.quoted_seq) == (A6 + B6 + PORTS, 0xFFFFFFFE)


@pytest.mark.parametrize("first", [0x00, 0x60, 0x44, 0xFF])
def test_a_quote_that_makes_no_sense_is_absent(first: int) -> None:
    quoted = bytes([first]) + tcp(A4 + B4 + PORTS)[1:]
    message = parse(message4(bytes([3, 1, 0, 0, 0, 0, 0, 0]) + quoted))
    assert (message.quoted_protocol, message.quoted_key, message.quoted_seq) == (-1, b"", -1)


@pytest.mark.parametrize("six", [False, True])
def test_a_wrong_checksum_of_a_message_is_told_apart(six: bool) -> None:
    packet = (message6 if six else message4)(bytes([8, 0, 0, 0]) + bytes(7) + b"\x01")
    for last in (b"\x00", b"\x02"):
        broken = packet[:-1] + last
        with pytest.raises(ChecksumError):
            parse(broken)
        assert parse(broken, checksum_ok=True).type == 8


def test_a_message_shorter_than_8_bytes_is_refused() -> None:
    with pytest.raises(WireError):
        parse(message4(bytes([8, 0, 0, 0, 0, 0, 0])))
