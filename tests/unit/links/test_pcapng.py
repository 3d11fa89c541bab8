from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.links.link import PacketSink
from synfin.links.pcapng import PcapngWriter, PcapTap, completed
from synfin.wire import ip as ip_layer
from synfin.wire.ip import PROTO_UDP, IpHeader, build_ipv4, build_ipv6
from synfin.wire.segment import Burst, Segment, build, build_head, finish, parse_untrusted, split
from synfin.wire.tcp_header import ACK

A4, B4 = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
A6, B6 = bytes(15) + b"\1", bytes(15) + b"\2"
PORTS = struct.pack(">HH", 80, 5000)


class Block:
    """One enhanced packet block, read by the format's own rules."""

    def __init__(self, body: bytes) -> None:
        self.interface, high, low, captured, self.original_length = struct.unpack_from("<5I", body)
        self.at = high << 32 | low
        self.packet = body[20 : 20 + captured]
        self.options: dict[int, bytes] = {}
        at = 20 + captured + -captured % 4
        while True:
            code, length = struct.unpack_from("<HH", body, at)
            if code == 0:
                assert at + 4 == len(body)
                break
            self.options[code] = body[at + 4 : at + 4 + length]
            at += 4 + length + -length % 4

    @property
    def comment(self) -> str:
        return self.options.get(1, b"").decode()

    @property
    def outgoing(self) -> bool:
        return {1: False, 2: True}[struct.unpack("<I", self.options[2])[0]]


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    """Type and body of each block; both lengths of a block must agree and be multiples of four."""
    found = []
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0
        assert struct.unpack_from("<I", data, at + length - 4) == (length,)
        found.append((kind, data[at + 8 : at + length - 4]))
        at += length
    return found


def packets(data: bytes) -> list[Block]:
    return [Block(body) for kind, body in blocks(data) if kind == 6]


def segment_of(payload: bytes, version: int = 4) -> Segment:
    segment = Segment()
    segment.key = (A4 + B4 if version == 4 else A6 + B6) + PORTS
    segment.flags = ACK
    segment.payload = payload
    return segment


def burst_of(payload: bytes, gso_size: int, version: int = 4) -> Burst:
    head = build_head(segment_of(b"", version), len(payload))
    return Burst(head, [payload], len(payload), gso_size, 20 if version == 4 else 40)


def test_a_capture_starts_with_a_section_and_names_its_interfaces() -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file, snaplen=96)
    assert writer.add_interface("left") == 0
    assert writer.add_interface("right") == 1
    (section, _), (kind, left), (_, right) = blocks(file.getvalue())
    assert section == 0x0A0D0D0A
    assert kind == 1
    assert struct.unpack_from("<HHI", left) == (101, 0, 96)
    assert b"left" in left and b"right" in right


def test_time_comment_direction_interface_and_length_are_kept() -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file, epoch_us=1_700_000_000_000_000)
    writer.add_interface("left")
    writer.add_interface("right")
    writer.write(5, b"E123", "SYN-SENT → ESTABLISHED\nRFC 9293 3.10.7.3", 1500, 1, outgoing=True)
    writer.write(6, b"E12345", outgoing=False)
    first, second = packets(file.getvalue())
    assert (first.at, first.packet, first.original_length) == (1_700_000_000_000_005, b"E123", 1500)
    assert (first.interface, first.outgoing) == (1, True)
    assert first.comment == "SYN-SENT → ESTABLISHED\nRFC 9293 3.10.7.3"
    assert (second.packet, second.original_length, second.interface) == (b"E12345", 6, 0)
    assert not second.outgoing and 1 not in second.options


def test_a_capture_without_interfaces_gets_one_with_its_first_packet() -> None:
    file = io.BytesIO()
    PcapngWriter(file).write(0, b"E", outgoing=True)
    assert [kind for kind, _ in blocks(file.getvalue())] == [0x0A0D0D0A, 1, 6]


def test_the_snap_length_cuts_the_packet_and_keeps_its_length() -> None:
    file = io.BytesIO()
    PcapngWriter(file, snaplen=5).write(0, b"E" * 90, outgoing=True)
    (block,) = packets(file.getvalue())
    assert (block.packet, block.original_length) == (b"EEEEE", 90)


def test_a_comment_too_long_for_the_format_is_cut_between_characters() -> None:
    file = io.BytesIO()
    PcapngWriter(file).write(0, b"E", "→" * 30_000, outgoing=True)
    assert packets(file.getvalue())[0].comment == "→" * (65535 // 3)


@given(
    st.lists(st.tuples(st.integers(0, 2**63), st.binary(max_size=70), st.text(max_size=20), st.booleans())),
)
def test_what_is_written_is_what_is_read(records: list[tuple[int, bytes, str, bool]]) -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file)
    for at, packet, comment, outgoing in records:
        writer.write(at, packet, comment, outgoing=outgoing)
    read = [(block.at, block.packet, block.comment, block.outgoing) for block in packets(file.getvalue())]
    assert read == [(at, packet, comment, outgoing) for at, packet, comment, outgoing in records]


def test_another_reader_agrees() -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file)
    writer.write(1_500_000, b"E" * 33, "a comment", outgoing=True)
    file.seek(0)
    reader = dpkt.pcapng.Reader(file)
    assert reader.datalink() == dpkt.pcap.DLT_RAW or reader.datalink() == 101
    assert list(reader) == [(1.5, b"E" * 33)]


def test_a_path_is_closed_with_the_writer_and_a_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    with PcapngWriter(path) as writer:
        writer.write(0, b"E", outgoing=True)
    assert len(packets(path.read_bytes())) == 1
    file = io.BytesIO()
    with PcapngWriter(file):
        pass
    assert not file.closed


def test_bad_arguments_are_refused_at_the_call() -> None:
    writer = PcapngWriter(io.BytesIO())
    with pytest.raises(ValueError, match="unknown"):
        writer.write(0, b"E", interface=1, outgoing=True)
    with pytest.raises(ValueError, match="unknown"):
        writer.write(0, b"E", interface=-1, outgoing=True)
    with pytest.raises(ValueError, match="1970"):
        writer.write(-1, b"E", outgoing=True)
    with pytest.raises(ValueError, match="original_length"):
        writer.write(0, b"EE", original_length=1, outgoing=True)
    with pytest.raises(ValueError, match="negative"):
        PcapngWriter(io.BytesIO(), snaplen=-1)
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write(0, b"E", outgoing=True)


class FakeLink:
    """A link that delivers what it is told and remembers what it is given."""

    def __init__(self, offload: bool, incoming: list[tuple[bytes, bool, int]]) -> None:
        self.mtu = 1400
        self.offload = offload
        self.incoming = incoming
        self.sent: list[Burst] = []
        self.closed = False

    def fileno(self) -> int:
        return 42

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        now, self.incoming = self.incoming[:limit], self.incoming[limit:]
        for packet, checksum_ok, gso_size in now:
            stack.receive(packet, clock(), checksum_ok, gso_size)
        return len(now)

    def send(self, bursts: list[Burst]) -> bool:
        self.sent += bursts
        return False

    def flush(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


class Sink:
    def __init__(self) -> None:
        self.got: list[tuple[bytes, int, bool, int]] = []

    def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, start: int = 0, /) -> None:
        self.got.append((packet[start:], now, checksum_ok, gso_size))


def test_a_tap_changes_nothing_of_what_passes() -> None:
    partial = b"".join([burst_of(b"data", 2).head, b"data"])
    link = FakeLink(True, [(partial, True, 2), (b"rubbish", False, 0)])
    tap = PcapTap(link, PcapngWriter(io.BytesIO()), lambda: 9)
    sink = Sink()
    assert (tap.mtu, tap.offload, tap.fileno()) == (1400, True, 42)
    assert tap.receive(sink, lambda: 3, 1) == 1
    assert tap.receive(sink, lambda: 4, 5) == 1
    assert sink.got == [(partial, 3, True, 2), (b"rubbish", 4, False, 0)]
    bursts = [burst_of(b"abcd", 2)]
    assert tap.send(bursts) is False
    assert link.sent == bursts
    assert tap.flush() is True
    tap.close()
    assert link.closed


def test_a_tap_records_both_ways_in_order_and_time() -> None:
    incoming = build(segment_of(b"in"))
    file = io.BytesIO()
    tap = PcapTap(FakeLink(False, [(incoming, False, 0)]), PcapngWriter(file), lambda: 20)
    tap.receive(Sink(), lambda: 10, 5)
    tap.send([burst_of(b"out", 0)])
    first, second = packets(file.getvalue())
    assert (first.packet, first.at, first.outgoing) == (incoming, 10, False)
    assert (second.packet, second.at, second.outgoing) == (finish(burst_of(b"out", 0)), 20, True)


def test_a_tap_records_a_burst_as_it_crosses_the_device() -> None:
    burst = burst_of(b"abcde" * 100, 200)
    for offload, expected in ((True, [finish(burst)]), (False, split(burst))):
        file = io.BytesIO()
        PcapTap(FakeLink(offload, []), PcapngWriter(file), lambda: 0).send([burst])
        assert [block.packet for block in packets(file.getvalue())] == expected


def test_a_tap_goes_on_without_its_file() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            if len(data) > 60:  # type: ignore[arg-type]
                raise OSError(28, "No space left on device")
            return 0

    link = FakeLink(True, [(b"x" * 60, False, 0)] * 2)
    tap = PcapTap(link, PcapngWriter(Full()), lambda: 0)
    sink = Sink()
    assert tap.receive(sink, lambda: 0, 9) == 2
    assert len(sink.got) == 2
    assert tap.error is not None and tap.error.errno == 28


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("left_in_the_field", [b"", b"\0\0", b"\x12\x34"])
def test_a_partial_tcp_checksum_is_completed_whatever_the_field_holds(version: int, left_in_the_field: bytes) -> None:
    burst = burst_of(b"odd", 0, version)
    at = int(burst.csum_start) + 16
    packet = burst.head + b"odd"
    if left_in_the_field:
        packet = packet[:at] + left_in_the_field + packet[at + 2 :]
    assert completed(packet) == finish(burst)
    header, segment = IpHeader(), Segment()
    ip_layer.parse_untrusted(completed(packet), header)
    parse_untrusted(completed(packet), header, segment, False, 0)
    assert segment.payload == b"odd"


def test_a_partial_udp_checksum_is_completed() -> None:
    body = struct.pack(">HHHH", 5000, 53, 8 + 3, 0x1234) + b"abc"
    for packet in (
        build_ipv4(A4, B4, PROTO_UDP, len(body)) + body,
        build_ipv6(A6, B6, PROTO_UDP, len(body)) + body,
    ):
        done = completed(packet)
        addresses, udp = (done[12:20], done[20:]) if done[0] >> 4 == 4 else (done[8:40], done[40:])
        words = addresses + struct.pack(">HH", PROTO_UDP, len(udp)) + udp + b"\0"
        assert sum(struct.unpack(f">{len(words) // 2}H", words)) % 0xFFFF == 0
        assert udp[:6] + udp[8:] == body[:6] + body[8:]


def test_a_udp_packet_without_checksum_keeps_none() -> None:
    body = struct.pack(">HHHH", 5000, 53, 8, 0)
    packet = build_ipv4(A4, B4, PROTO_UDP, len(body)) + body
    assert completed(packet) == packet


@given(st.binary(max_size=80))
def test_what_cannot_be_read_is_recorded_as_it_is(packet: bytes) -> None:
    assert len(completed(packet)) == len(packet)
