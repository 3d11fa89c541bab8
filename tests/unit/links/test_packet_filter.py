"""The filter of packet sockets, run by a BPF machine of a few lines."""

from __future__ import annotations

import pytest

from synfin.links import packet_filter
from synfin.links.ethernet import announcement, question, solicited_node
from synfin.wire.tcp_header import ACK, CWR, ECE, FIN, PSH, RST, SYN

ME, YOU = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
OWN4 = [bytes((10, 9, 0, 2)), bytes((10, 9, 0, 3))]
OWN6 = [bytes.fromhex("fd000009000000000000000000000002"), bytes.fromhex("fd000009000000000000000000000102")]
OWN = [*OWN4, *OWN6]
ALL = packet_filter.ALL


def run(program: list[packet_filter.Step], frame: bytes, kind: int = 0, vlan: int = 0) -> int:
    """Bytes that the socket gets. kind: to this host, to all, to a group, to another."""
    accumulator = place = 0
    while True:
        code, true, false, operand = program[place]
        place += 1
        if code == 0x06:
            return operand
        if code == 0x80:
            accumulator = len(frame)
        elif code in (0x20, 0x28, 0x30):
            if operand >= 0xFFFFF000:
                accumulator = {4: kind, 48: vlan}[operand - 0xFFFFF000]
                continue
            size = {0x20: 4, 0x28: 2, 0x30: 1}[code]
            if operand + size > len(frame):
                return 0
            accumulator = int.from_bytes(frame[operand : operand + size], "big")
        elif code == 0x54:
            accumulator &= operand
        else:
            assert code in (0x15, 0x25)
            place += true if (accumulator == operand if code == 0x15 else accumulator > operand) else false


def ipv4(to: bytes, size: int = 100) -> bytes:
    return (ME + YOU + b"\x08\x00" + bytes(16) + to).ljust(size, b"\0")


def ipv6(to: bytes, following: int = 6, size: int = 100) -> bytes:
    return (ME + YOU + b"\x86\xdd" + bytes(6) + bytes((following, 255)) + bytes(16) + to).ljust(size, b"\0")


@pytest.mark.parametrize(
    "frame",
    [
        *map(ipv4, OWN4),
        *map(ipv6, OWN6),
        ipv6(solicited_node(OWN6[0]), 58),
        question(YOU, bytes((10, 9, 0, 1)), OWN4[0]),
        announcement(YOU, bytes((10, 9, 0, 1))),
    ],
)
def test_what_is_ours_is_heard_whole_unless_it_is_long(frame: bytes) -> None:
    assert run(packet_filter.up_to(1000, 128, OWN), frame) == ALL
    assert run(packet_filter.longer_than(1000, OWN), frame) == 0
    assert run(packet_filter.up_to(1000, 128, OWN), frame.ljust(1000, b"\0")) == ALL
    assert run(packet_filter.up_to(1000, 128, OWN), frame.ljust(1001, b"\0")) == 128
    assert run(packet_filter.longer_than(1000, OWN), frame.ljust(1001, b"\0")) == ALL


@pytest.mark.parametrize(
    ("frame", "kind", "vlan"),
    [
        (ipv4(bytes((10, 9, 0, 1))), 0, 0),
        (ipv6(OWN6[0][:-1] + b"\x03"), 0, 0),
        (ipv6(OWN6[0][:1] + b"\x01" + OWN6[0][2:]), 0, 0),
        (ipv6(solicited_node(OWN6[0]), 17), 2, 0),
        (ipv4(OWN4[0]), 3, 0),
        (ipv4(OWN4[0]), 0, 1),
        (ME + YOU + b"\x88\xb5" + bytes(100), 0, 0),
        (ipv4(OWN4[0])[:20], 0, 0),
    ],
)
def test_what_is_for_others_is_not_heard(frame: bytes, kind: int, vlan: int) -> None:
    for size in (0, 2000):
        assert run(packet_filter.up_to(1000, 128, OWN), frame, kind, vlan) == 0
        assert run(packet_filter.longer_than(1000, OWN), frame.ljust(size, b"\0"), kind, vlan) == 0


def test_more_addresses_than_a_jump_can_pass_are_sorted_out_by_whoever_hears_them() -> None:
    many = [bytes((10, 9, 1, number)) for number in range(200)]
    assert run(packet_filter.up_to(1000, 128, many), ipv4(bytes((10, 9, 9, 9)))) == ALL
    assert run(packet_filter.up_to(1000, 128, many), ipv6(OWN6[0])) == 0


def test_jumps_fit_their_byte_with_as_many_addresses_as_there_may_be() -> None:
    most = [bytes((10, 9, 1, number)) for number in range(packet_filter.MAX_ADDRESSES)]
    most += [bytes(15) + bytes((number,)) for number in range(packet_filter.MAX_ADDRESSES)]
    program = packet_filter.up_to(1000, 128, most)
    assert all(0 <= true < 256 and 0 <= false < 256 for _, true, false, _ in program)
    assert run(program, ipv6(most[-1])) == run(program, ipv4(most[0])) == ALL


def segment4(flags: int, *, first: int = 0x45, fragment: bytes = b"\x40\x00", protocol: int = 6) -> bytes:
    ip = bytes((first, 0, 0, 60, 0, 0)) + fragment + bytes((64, protocol, 0, 0)) + bytes(4) + OWN4[1]
    return ME + YOU + b"\x08\x00" + ip + bytes(12) + bytes((0xA0, flags)) + bytes(26)


def segment6(flags: int, following: int = 6) -> bytes:
    return ipv6(OWN6[1], following)[:54] + bytes(12) + bytes((0xA0, flags)) + bytes(26)


def heard(frame: bytes) -> tuple[int, int]:
    """By the socket of SYNs, and by the other, while they are apart."""
    return (
        run(packet_filter.bare_syns(180, OWN), frame),
        run(packet_filter.up_to(1000, 128, OWN, 180), frame),
    )


@pytest.mark.parametrize("flags", [SYN, SYN | ECE | CWR, SYN | PSH])
def test_a_syn_is_heard_by_the_socket_of_syns_alone(flags: int) -> None:
    for frame in (segment4(flags), segment6(flags), segment4(flags).ljust(180, b"\0")):
        assert heard(frame) == (ALL, 0)
        assert run(packet_filter.up_to(1000, 128, OWN), frame) == ALL
        assert run(packet_filter.nothing(), frame) == 0


@pytest.mark.parametrize(
    "frame",
    [
        *(make(flags) for make in (segment4, segment6) for flags in (ACK, SYN | ACK, SYN | RST, SYN | FIN, RST, 0)),
        segment4(SYN).ljust(181, b"\0"),
        segment4(SYN, first=0x46),
        segment4(SYN, fragment=b"\x20\x00"),
        segment4(SYN, fragment=b"\x00\x01"),
        segment4(SYN, protocol=17),
        segment6(SYN, 17),
        question(YOU, bytes((10, 9, 0, 1)), OWN4[0]),
        ipv6(solicited_node(OWN6[0]), 58),
    ],
)
def test_everything_else_is_heard_by_the_other(frame: bytes) -> None:
    assert heard(frame) == (0, ALL)


def test_nobody_hears_a_syn_for_others() -> None:
    frame = segment4(SYN)
    assert heard(frame[:30] + bytes((10, 9, 0, 9)) + frame[34:]) == (0, 0)


def test_with_as_many_addresses_as_there_may_be_all_jumps_are_short_enough() -> None:
    many = [bytes((10, 9, 1, n)) for n in range(packet_filter.MAX_ADDRESSES)]
    many += [OWN6[0][:-1] + bytes((n,)) for n in range(packet_filter.MAX_ADDRESSES)]
    for program in (packet_filter.up_to(1000, 128, many, 180), packet_filter.bare_syns(180, many)):
        assert all(0 <= jump < 256 for _, true, false, _ in program for jump in (true, false))
