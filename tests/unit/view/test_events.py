"""Fields for display: read from any bytes, without ever raising."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from synfin.tcp.trace import PacketEvent
from synfin.view.capture import AnnotatedCapture
from synfin.view.diagram import Diagram
from synfin.view.events import Fields, addresses, endpoint, icmp_about, ports, read, segments
from synfin.wire import icmp
from synfin.wire.ip import IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.segment import Burst, Segment, build, build_head, parse_untrusted, split
from synfin.wire.tcp_header import ACK, CWR, FIN, PSH
from tests.unit.view.script import Script

SCRIPT = Script()


def event(packet: bytes, outgoing: bool = False, gso_size: int = 0, csum_start: int = 0) -> PacketEvent:
    return PacketEvent(0, "client", outgoing, SCRIPT.keys["client"], Burst(packet, [], 0, gso_size, csum_start))


def test_a_whole_packet_is_read_to_its_length_and_not_into_the_links_padding() -> None:
    packet = build(SCRIPT.segment("server", "PSH,ACK", 1, 1, 10)) + bytes(6)
    fields = read(event(packet))
    assert (fields.length, fields.segments, fields.trouble) == (10, 1, "")


def test_a_burst_is_read_from_its_head_alone() -> None:
    segment = SCRIPT.segment("client", "FIN,ACK", 1, 1, gso_size=1448)
    segment.flags |= PSH | CWR
    burst = Burst(build_head(segment, 3000), [bytes(1000), bytes(2000)], 3000, 1448, 20)
    fields = read(PacketEvent(0, "client", True, SCRIPT.keys["client"], burst))
    assert (fields.length, fields.segments, fields.space) == (3000, 3, 3001)


def test_the_segments_of_a_burst_are_those_that_split_makes() -> None:
    for script in (SCRIPT, Script("2001:db8::1", "2001:db8::2")):
        segment = script.segment("client", "FIN,ACK", -1000, 1, gso_size=1448)
        segment.flags |= PSH | CWR
        burst = Burst(build_head(segment, 3000), [bytes(3000)], 3000, 1448, 20 if len(segment.key) == 12 else 40)
        mine = segments(read(PacketEvent(0, "client", True, script.keys["client"], burst)))
        wire = [read(event(packet)) for packet in split(burst)]
        assert [key_of(fields) for fields in mine] == [key_of(fields) for fields in wire]


def key_of(fields: Fields) -> tuple[int, int, int, int, int, bytes]:
    return fields.seq, fields.length, fields.flags, fields.ack, fields.window, fields.option_bytes


def test_extension_headers_and_ip_options_are_skipped() -> None:
    packet = build(Script("2001:db8::1", "2001:db8::2").segment("client", "SYN", 0, 0))
    longer = packet[:4] + (len(packet) - 40 + 8).to_bytes(2, "big") + b"\x3c" + packet[7:40]
    longer += b"\x06\x00\x01\x04\x00\x00\x00\x00" + packet[40:]
    assert read(event(longer)).options.mss == 1460
    packet = build(SCRIPT.segment("client", "SYN", 0, 0))
    longer = b"\x46" + packet[1:2] + (len(packet) + 4).to_bytes(2, "big") + packet[4:20] + bytes(4) + packet[20:]
    assert read(event(longer)).options.mss == 1460


def test_what_is_left_of_a_truncated_packet_is_shown() -> None:
    packet = build(SCRIPT.segment("client", "PSH,ACK", 7, 9, 100))
    fields = read(event(packet[:30]))
    assert (fields.seq, fields.ack, fields.flags) == (SCRIPT.isns["client"] + 7, 0, 0)
    assert fields.trouble == "cut off inside the TCP header"
    fields = read(event(packet[:60]))
    assert (fields.flags, fields.trouble, fields.length) == (PSH | ACK, "cut off", 100)


def test_trouble_says_what_is_wrong() -> None:
    packet = build(SCRIPT.segment("client", "FIN,ACK", 1, 1))
    assert read(event(b"")).trouble == "too short for an IP header"
    assert read(event(bytes(40))).trouble == "neither IPv4 nor IPv6"
    assert read(event(packet[:9] + b"\x11" + packet[10:])).trouble == "IP protocol 17, not TCP"
    assert read(event(packet[:6] + b"\x00\x09" + packet[8:])).trouble == "IP fragment"
    assert read(event(packet[:32] + b"\x10" + packet[33:])).trouble == "TCP data offset outside the segment"
    assert read(event(packet)).flags == FIN | ACK


def test_options_before_a_malformed_one_are_kept() -> None:
    packet = build(SCRIPT.segment("client", "SYN", 0, 0))
    fields = read(event(packet[:44] + b"\x08\x01" + packet[46:]))
    assert fields.options.mss == 1460
    assert "illegal length" in fields.trouble


@given(st.binary(max_size=80), st.booleans(), st.integers(0, 70), st.integers(0, 20))
def test_no_bytes_make_a_view_raise(packet: bytes, outgoing: bool, csum_start: int, gso_size: int) -> None:
    look_at(event(packet, outgoing, csum_start=csum_start, gso_size=gso_size))


@given(st.lists(st.tuples(st.integers(0, 71), st.integers(0, 255)), max_size=6), st.integers(0, 72), st.booleans())
def test_no_mutation_of_a_real_packet_makes_a_view_raise(
    changes: list[tuple[int, int]], size: int, outgoing: bool
) -> None:
    packet = bytearray(build(SCRIPT.segment("client", "SYN", 0, 0, 12)))
    for at, value in changes:
        packet[at] = value
    look_at(event(bytes(packet[:size]), outgoing))


def look_at(packet: PacketEvent) -> None:
    """Every view of a trace."""
    _ = read(packet).options
    icmp_about(packet)
    for both_ends in (False, True):
        diagram = Diagram(lambda line: None, both_ends=both_ends)
        diagram(packet)
        diagram(packet)
        diagram.close()
        with AnnotatedCapture(io.BytesIO(), both_ends=both_ends) as capture:
            capture(packet)
        assert capture.error is None


def test_an_icmp_error_belongs_to_the_connection_that_it_quotes() -> None:
    quoted = build(SCRIPT.segment("client", "SYN", 0, 0))
    error = icmp.build_error(4, 3, 3, bytes((10, 0, 0, 2)), bytes((10, 0, 0, 1)), quoted)
    assert icmp_about(event(error)) == (SCRIPT.keys["client"], "ICMP: destination unreachable (code 3)")
    assert icmp_about(event(quoted)) == (b"", "")


def test_addresses_and_ports_are_the_peers_and_ours() -> None:
    key = SCRIPT.keys["client"]
    assert addresses(key) == ("10.0.0.2", "10.0.0.1")
    assert ports(key) == (80, 49152)
    assert endpoint("10.0.0.1", 80) == "10.0.0.1:80"
    assert endpoint("fd00::1", 80) == "[fd00::1]:80"


def test_the_reader_agrees_with_the_parser_of_the_stack() -> None:
    packet = build(SCRIPT.segment("server", "SYN,ACK", 0, 1, 5))
    header, segment = IpHeader(), Segment()
    parse_ip(packet, header)
    parse_untrusted(packet, header, segment, False, 0)
    fields = read(event(packet))
    assert (fields.seq, fields.ack, fields.flags, fields.window) == (
        segment.seq,
        segment.ack,
        segment.flags,
        segment.window,
    )
    assert (fields.options.mss, fields.options.wscale, fields.length) == (segment.mss, segment.wscale, 5)
