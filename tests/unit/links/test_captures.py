"""Captures read: every form of file gives the same packets, and broken ones say what is wrong."""

from __future__ import annotations

import contextlib
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.links.captures import Capture, Captured, CaptureError
from synfin.links.pcapng import PcapngWriter
from synfin.wire.ip import build_ipv4, build_ipv6

V4 = build_ipv4(bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), 6, 20) + bytes(20)
V6 = build_ipv6(bytes(15) + b"\1", bytes(15) + b"\2", 6, 20) + bytes(20)
AT = 1_700_000_000_123_456


def read(data: bytes) -> list[Captured]:
    return list(Capture(io.BytesIO(data)))


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + size + body + size


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(order: str, link: int, *options: bytes) -> bytes:
    return block(order, 1, struct.pack(f"{order}HHI", link, 0, 0) + b"".join(options))


def packet(order: str, frame: bytes, ticks: int, number: int = 0, *options: bytes, length: int = 0) -> bytes:
    head = struct.pack(f"{order}5I", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), length or len(frame))
    return block(order, 6, head + frame + bytes(-len(frame) % 4) + b"".join(options))


def classic(order: str, magic: int, frame: bytes, seconds: int, fraction: int, link: int = 101) -> bytes:
    head = struct.pack(f"{order}IHHIIII", magic, 2, 4, 0, 0, 65535, link)
    return head + struct.pack(f"{order}IIII", seconds, fraction, len(frame), len(frame)) + frame


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("magic", "fraction"), [(0xA1B2C3D4, 123_456), (0xA1B23C4D, 123_456_789)])
def test_classic_pcap_is_read_in_both_byte_orders_and_both_units(order: str, magic: int, fraction: int) -> None:
    [found] = read(classic(order, magic, V4, 1_700_000_000, fraction))
    assert (found.at, found.packet, found.length) == (AT, V4, len(V4))
    assert (found.interface, found.outgoing, found.comment) == ("", None, "")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("options", "ticks"),
    [
        ([], AT),
        ([(9, b"\x09")], AT * 1000),
        ([(9, b"\x8a")], AT * 1024 // 1_000_000),
        ([(14, struct.pack("<q", 0))], AT),
    ],
)
def test_pcapng_counts_time_as_the_interface_says(order: str, options: list[tuple[int, bytes]], ticks: int) -> None:
    described = interface(order, 101, *(option(order, code, value) for code, value in options))
    [found] = read(section(order) + described + packet(order, V4, ticks))
    assert abs(found.at - AT) < 1000
    assert found.packet == V4


def test_a_time_offset_of_the_interface_is_added() -> None:
    offset = option("<", 14, struct.pack("<q", 1_700_000_000))
    [found] = read(section("<") + interface("<", 101, offset) + packet("<", V4, 123_456))
    assert found.at == AT


def test_what_our_own_writer_tells_comes_back() -> None:
    file = io.BytesIO()
    with PcapngWriter(file, snaplen=30) as writer:
        client, server = writer.add_interface("client"), writer.add_interface("server")
        writer.write(AT, V4, "one\ntwo", interface=client, outgoing=True)
        writer.write(AT + 1, V6, interface=server, outgoing=False)
    first, second = read(file.getvalue())
    assert (first.interface, first.outgoing, first.comment, first.at) == ("client", True, "one\ntwo", AT)
    assert (second.interface, second.outgoing, second.comment, second.at) == ("server", False, "", AT + 1)
    assert (first.packet, first.length) == (V4[:30], len(V4))


def test_each_section_has_its_own_interfaces_and_byte_order() -> None:
    data = b"".join(
        section(order) + interface(order, 101, option(order, 2, name)) + packet(order, V4, AT)
        for order, name in (("<", b"a"), (">", b"b"))
    )
    assert [(found.interface, found.section) for found in read(data)] == [("a", 1), ("b", 2)]


ETHERNET = bytes(12)
FRAMES = [
    (1, ETHERNET + b"\x08\x00" + V4, V4),
    (1, ETHERNET + b"\x86\xdd" + V6, V6),
    (1, ETHERNET + b"\x81\x00\x00\x07\x08\x00" + V4, V4),
    (1, ETHERNET + b"\x88\xa8\x00\x07\x81\x00\x00\x08\x86\xdd" + V6, V6),
    (0, b"\x02\0\0\0" + V4, V4),
    (108, b"\0\0\0\x1e" + V6, V6),
    (12, V4, V4),
    (101, V6, V6),
    (228, V4, V4),
    (113, bytes(14) + b"\x08\x00" + V4, V4),
    (276, b"\x86\xdd" + bytes(2) + b"\0\0\0\x05" + bytes(12) + V6, V6),
]


@pytest.mark.parametrize(("link", "frame", "inside"), FRAMES)
def test_the_ip_packet_is_found_behind_the_links_header(link: int, frame: bytes, inside: bytes) -> None:
    [found] = read(section("<") + interface("<", link) + packet("<", frame, AT))
    assert (found.packet, found.length) == (inside, len(inside))
    [found] = read(classic("<", 0xA1B2C3D4, frame, 1, 0, link))
    assert found.packet == inside


def test_linux_cooked_captures_tell_interfaces_apart() -> None:
    frames = [b"\x08\x00" + bytes(2) + bytes([0, 0, 0, number]) + bytes(12) + V4 for number in (5, 6)]
    data = section("<") + interface("<", 276) + b"".join(packet("<", frame, AT) for frame in frames)
    assert [found.interface for found in read(data)] == ["#5", "#6"]


@pytest.mark.parametrize("frame", [ETHERNET + b"\x08\x06" + bytes(28), ETHERNET[:5], ETHERNET + b"\x08\x00", b""])
def test_what_is_no_ip_packet_is_counted(frame: bytes) -> None:
    capture = Capture(io.BytesIO(section("<") + interface("<", 1) + packet("<", frame, AT)))
    assert list(capture) == []
    assert (capture.skipped, capture.cut) == (1, False)


def test_an_unknown_link_is_named() -> None:
    capture = Capture(io.BytesIO(section("<") + interface("<", 105) + packet("<", V4, AT)))
    assert list(capture) == []
    assert capture.unknown_links == {105}


def test_simple_and_old_packet_blocks_are_read() -> None:
    simple = block("<", 3, struct.pack("<I", len(V4)) + V4)
    old = block("<", 2, struct.pack("<HHIIII", 0, 0, AT >> 32, AT & 0xFFFFFFFF, len(V4), len(V4)) + V4)
    first, second = read(section("<") + interface("<", 101) + old + simple)
    assert (first.packet, second.packet) == (V4, V4)
    assert first.at == second.at == AT  # a Simple Packet Block has no time of its own


def test_blocks_of_other_types_are_passed_over() -> None:
    data = section("<") + block("<", 4, b"names") + interface("<", 101) + block("<", 0xBAD, b"?") + packet("<", V4, AT)
    assert len(read(data)) == 1


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "empty"),
        (b"hello, world", "neither pcapng nor pcap"),
        (b"\x1f\x8b\x08\0", "compressed"),
        (b"\x28\xb5\x2f\xfd", "compressed"),
    ],
)
def test_what_is_no_capture_says_what_it_is(data: bytes, complaint: str) -> None:
    with pytest.raises(CaptureError, match=complaint):
        Capture(io.BytesIO(data))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (section("<")[:8] + b"????" + section("<")[12:], "byte order"),
        (section("<") + struct.pack("<II", 6, 1 << 30), "can't be"),
        (section("<") + struct.pack("<II", 6, 4), "can't be"),
        (section("<") + packet("<", V4, AT), "interface 0, of 0"),
        (section("<") + block("<", 1, b"ab"), "shorter than its fields"),
        (section("<") + interface("<", 101) + block("<", 6, struct.pack("<5I", 0, 0, 0, 500, 500)), "longer than its"),
        (classic("<", 0xA1B2C3D4, V4, 1, 0)[:24] + struct.pack("<4I", 0, 0, 1 << 30, 1), "can't be"),
        (classic("<", 0xA1B2C3D4, V4, 1, 0)[:20], "within its header"),
    ],
)
def test_a_broken_file_says_where(data: bytes, complaint: str) -> None:
    with pytest.raises(CaptureError, match=complaint):
        read(data)


@pytest.mark.parametrize(
    "whole",
    [section("<") + interface("<", 101) + packet("<", V4, AT) * 2, classic("<", 0xA1B2C3D4, V4, 1, 0)],
    ids=["pcapng", "pcap"],
)
def test_a_file_that_ends_within_a_packet_gives_those_before(whole: bytes) -> None:
    entire = len(read(whole))
    for size in (1, 7, 30):
        capture = Capture(io.BytesIO(whole[:-size]))
        assert len(list(capture)) == entire - 1
        assert capture.cut


@given(st.binary(max_size=200), st.sampled_from([section("<") + interface("<", 1), classic("<", 0xA1B2C3D4, V4, 1, 0)]))
def test_whatever_follows_only_capture_errors_come_out(data: bytes, before: bytes) -> None:
    with contextlib.suppress(CaptureError):
        read(before + data)


@given(st.data())
def test_changed_bytes_of_a_capture_raise_capture_errors_only(data: st.DataObject) -> None:
    name = option("<", 2, b"eth0") + option("<", 9, b"\x09")
    good = bytearray(section("<") + interface("<", 1, name) + packet("<", ETHERNET + b"\x08\x00" + V4, AT))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(4, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CaptureError):
        read(bytes(good))
