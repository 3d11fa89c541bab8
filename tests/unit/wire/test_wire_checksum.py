import random

import pytest

from synfin.wire.checksum import (
    _little_endian_sum,
    complement,
    fold,
    ones_sum,
    pieces_sum,
    pseudo_sum,
    span_sum,
    swapped,
)
from synfin.wire.pieces import Piece


def slow_sum(data: bytes) -> int:
    total = 0
    for i in range(0, len(data), 2):
        total += int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_the_example_of_rfc_1071_section_3_sums_to_ddf2() -> None:
    assert ones_sum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2


@pytest.mark.parametrize("size", [*range(35), 1459, 1460, 65535])
def test_the_sum_is_that_of_the_rfc_1071_loop(size: int) -> None:
    for data in (bytes((i * 7 + 3) & 0xFF for i in range(size)), b"\xff" * size, b"\0" * size):
        assert ones_sum(data) == slow_sum(data)


def test_only_zero_bytes_sum_to_zero() -> None:
    assert ones_sum(b"\0" * 6) == 0
    assert ones_sum(b"\xff\xff") == 0xFFFF
    assert ones_sum(b"\xff\xfe\x00\x01") == 0xFFFF


def test_an_odd_last_byte_is_the_upper_half_of_its_word() -> None:
    assert ones_sum(b"\x01") == 0x0100


def test_a_span_sums_as_its_slice_even_at_an_odd_offset() -> None:
    data = bytes(range(1, 60))
    for start in range(5):
        for end in range(start, len(data)):
            assert span_sum(data, start, end) == ones_sum(data[start:end])


def test_pieces_sum_as_if_joined() -> None:
    pieces: list[Piece] = [b"abc", b"", b"d", b"\xff\xee\xdd\xcc\xbb", b"\x80", b"even"]
    assert pieces_sum(pieces) == ones_sum(b"".join(pieces))
    assert pieces_sum([]) == 0


@pytest.mark.parametrize(
    ("total", "folded"),
    [(0, 0), (0xFFFF, 0xFFFF), (0x10000, 1), (0x1FFFE, 0xFFFF), (0x1FFFF, 1), (0xFFFF0000, 0xFFFF), (1 << 46, 1 << 14)],
)
def test_fold_adds_carries_back_in(total: int, folded: int) -> None:
    assert fold(total) == folded
    assert complement(total) == 0xFFFF - folded


def test_the_pseudo_header_is_addresses_zero_protocol_and_length() -> None:
    addresses = bytes.fromhex("0a000001c0a80102")
    assert pseudo_sum(addresses, 6, 20) == ones_sum(addresses + bytes.fromhex("00060014"))
    six = bytes(range(32))
    assert pseudo_sum(six, 58, 70000) == ones_sum(six + (70000).to_bytes(4, "big") + bytes.fromhex("0000003a"))


@pytest.mark.parametrize("size", [*range(70), 1447, 1448, 65_535])
def test_the_sum_of_words_read_little_endian_is_the_same_sum(size: int) -> None:
    data = random.Random(size).randbytes(size)
    for start in (0, min(3, size)):
        assert swapped(fold(_little_endian_sum(data, start, size))) == ones_sum(data[start:])
