"""Bytes written and not acknowledged, by stream offset."""

from __future__ import annotations

import random
from typing import Any

from synfin.tcp.send_buffer import COMPACT_AT, JOIN_BELOW, SendBuffer


def sliced(buffer: SendBuffer, offset: int, length: int, limit: int = 1 << 30) -> tuple[int, bytes]:
    """slice_into(), joined."""
    into: list[Any] = []
    covered = buffer.slice_into(offset, length, limit, into)
    return covered, b"".join(into)


def test_the_first_byte_is_at_offset_1() -> None:
    buffer = SendBuffer()
    buffer.append(b"abc")
    assert (buffer.start, buffer.end) == (1, 4)
    assert sliced(buffer, 1, 3) == (3, b"abc")


def test_large_pieces_are_kept_by_reference() -> None:
    buffer = SendBuffer()
    piece = bytes(JOIN_BELOW + 1)
    buffer.append(piece)
    into: list[Any] = []
    buffer.slice_into(1, len(piece), 64, into)
    assert into[0] is piece


def test_small_writes_are_joined_so_that_a_burst_is_no_crumbs() -> None:
    buffer = SendBuffer()
    for n in range(1000):
        buffer.append(bytes([n & 0xFF]) * 4)
    into: list[Any] = []
    assert buffer.slice_into(1, 4000, 64, into) == 4000
    assert len(into) == 1


def test_an_empty_write_changes_nothing() -> None:
    buffer = SendBuffer()
    buffer.append(b"")
    assert (buffer.start, buffer.end) == (1, 1)


def test_no_more_pieces_than_the_limit_and_the_covered_length_says_so() -> None:
    buffer = SendBuffer()
    for _ in range(5):
        buffer.append(bytes(5000))
    assert sliced(buffer, 1, 25000, limit=3)[0] == 15000
    assert sliced(buffer, 4001, 21000, limit=2)[0] == 6000


def test_release_forgets_below_and_keeps_the_rest() -> None:
    buffer = SendBuffer()
    buffer.append(bytes(range(250)) * 20)
    buffer.append(b"z" * 5000)
    buffer.release(5003)
    assert buffer.start == 5003
    assert sliced(buffer, 5003, 10) == (10, b"z" * 10)
    buffer.release(99999)  # the FIN's number lies beyond the bytes
    assert (buffer.start, buffer.end) == (10001, 10001)


def test_clear_forgets_everything() -> None:
    buffer = SendBuffer()
    buffer.append(b"abc")
    buffer.clear()
    assert buffer.start == buffer.end == 4


def test_any_mixture_of_writes_acks_and_slices_gives_the_bytes_written() -> None:
    draw = random.Random(3)
    buffer = SendBuffer()
    stream = bytearray()
    for _ in range(12 * COMPACT_AT):
        piece = draw.randbytes(draw.choice((1, 30, 4095, 4096, 4097, 9000)) // draw.choice((1, 7)) + 1)
        buffer.append(piece)
        stream += piece
        if buffer.end - buffer.start > 60000:
            buffer.release(draw.randint(buffer.start, buffer.end))
        if buffer.end > buffer.start:
            at = draw.randint(buffer.start, buffer.end - 1)
            length = draw.randint(1, buffer.end - at)
            covered, joined = sliced(buffer, at, length)
            assert covered == length and joined == stream[at - 1 : at - 1 + length]


def test_truncate_forgets_the_end_wherever_it_falls() -> None:
    sizes = (JOIN_BELOW + 5, 3, JOIN_BELOW + 7, 2, 1)
    for released in (1, 40, JOIN_BELOW + 7):
        for end in range(released, sum(sizes) + 2, 11):
            draw = random.Random(end)
            buffer = SendBuffer()
            written = b""
            for size in sizes:
                written += (piece := draw.randbytes(size))
                buffer.append(piece)
            buffer.release(released)
            buffer.truncate(end)
            assert (buffer.start, buffer.end) == (released, end)
            buffer.append(b"after")
            expected = (written[: end - 1] + b"after")[released - 1 :]
            assert sliced(buffer, released, len(expected)) == (len(expected), expected)
            buffer.release(buffer.end)
            assert buffer.start == buffer.end == end + 5


def test_truncate_beyond_either_end_takes_what_is_there() -> None:
    buffer = SendBuffer()
    buffer.append(b"abcdef")
    buffer.release(3)
    buffer.truncate(100)
    assert sliced(buffer, 3, 4) == (4, b"cdef")
    buffer.truncate(1)
    assert (buffer.start, buffer.end) == (3, 3)
