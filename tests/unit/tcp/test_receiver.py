"""The receive half alone: in order, out of order, the FIN, the window it offers."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from synfin.tcp.config import Config
from synfin.tcp.pressure import Pressure
from synfin.tcp.receiver import (
    ACK_AT_ONCE,
    ADVANCED,
    AFTER_FIN,
    COMPACT_AT,
    DROPPED,
    FIN_REACHED,
    QUEUED,
    Receiver,
)
from synfin.wire.pieces import Piece


def receiver(buffer: int = 10_000, **settings: int) -> Receiver:
    """One that offered its whole buffer."""
    config = Config(receive_buffer=buffer, receive_buffer_max=buffer, **settings)  # type: ignore[arg-type]
    return Receiver(config, buffer, Pressure())


def give(half: Receiver, start: int, data: Piece, *, fin: bool = False, push: bool = False) -> int:
    """on_data() of one segment at time 0."""
    return half.on_data(start, data, fin, push, 0, 0)


def test_in_order_data_advances_and_needs_no_ack_of_its_own() -> None:
    half = receiver()
    assert give(half, 1, b"abc") == ADVANCED
    assert half.rcv_nxt == 4 and half.read(0) == [b"abc"] and half.ready_bytes == 0


def test_what_is_not_new_is_acknowledged_at_once() -> None:
    half = receiver()
    give(half, 1, b"abc")
    assert give(half, 1, b"abc") == ACK_AT_ONCE
    assert give(half, -5, b"abc") == ACK_AT_ONCE
    assert give(half, 50_000, b"abc") == ACK_AT_ONCE


def test_out_of_order_data_is_queued_then_filled() -> None:
    half = receiver()
    assert give(half, 4, b"def") == QUEUED | ACK_AT_ONCE
    assert half.out_of_order_bytes() > 3
    assert give(half, 1, b"abc") == ADVANCED | ACK_AT_ONCE
    assert half.rcv_nxt == 7 and half.out_of_order_bytes() == 0
    assert b"".join(half.read(0)) == b"abcdef"


def test_with_no_room_in_reassembly_data_is_dropped_and_acknowledged() -> None:
    half = receiver(reassembly_limit=1)
    give(half, 5, b"a")
    assert give(half, 9, b"b") == DROPPED | ACK_AT_ONCE


def test_a_fin_is_reached_only_over_all_data_before_it() -> None:
    half = receiver()
    assert give(half, 4, b"def", fin=True) == QUEUED | ACK_AT_ONCE
    assert not half.fin_reached and half.fin_offset == 7
    result = give(half, 1, b"abc")
    assert result & FIN_REACHED and half.fin_reached and half.rcv_nxt == 8


def test_nothing_is_taken_beyond_the_fin_and_the_end_never_moves() -> None:
    half = receiver()
    give(half, 4, b"def", fin=True)
    assert give(half, 7, b"more") == AFTER_FIN | ACK_AT_ONCE
    assert give(half, 1, b"ab", fin=True) & FIN_REACHED == 0
    assert half.fin_offset == 7
    assert give(half, 3, b"c") & FIN_REACHED
    assert give(half, 8, b"more") == AFTER_FIN | ACK_AT_ONCE
    assert give(half, 1, b"abc") == ACK_AT_ONCE
    assert b"".join(half.read(0)) == b"abcdef"


def test_reading_takes_all_or_a_limit() -> None:
    half = receiver()
    give(half, 1, b"x" * 3000)
    give(half, 3001, b"y" * 3000)
    assert b"".join(half.read_some(3500, 0)) == b"x" * 3000 + b"y" * 500
    assert half.ready_bytes == 2500
    assert half.read_joined(9000, 0) == b"y" * 2500
    assert half.read_joined(9000, 0) == b"" and half.read(0) == [] and half.read_some(5, 0) == []


def test_reading_no_bytes_takes_none() -> None:
    half = receiver()
    give(half, 1, b"abc")
    assert b"".join(half.read_some(0, 0)) == b""
    assert half.ready_bytes == 3


def test_an_empty_read_does_not_hand_out_the_receivers_own_list() -> None:
    half = receiver()
    half.read(0).append(b"not from the peer")
    assert half.read(0) == []


@pytest.mark.parametrize("wscale", [0, 3, 7])
def test_the_right_edge_never_moves_left_whatever_is_read_or_comes(wscale: int) -> None:
    # RFC 9293 3.8.6, SHLD-14; RFC 7323 2.4
    half = receiver(10_000)
    half.wscale = wscale
    edge = half.rcv_adv
    for step in range(300):
        room = min(int(half.rcv_adv - half.rcv_nxt), 10_000 - int(half.ready_bytes))
        give(half, half.rcv_nxt, bytes(max(0, min(room, step * 37 % 900))))
        field = half.window_field(1000)
        assert 0 <= field <= 65535
        assert half.rcv_adv == half.rcv_nxt + (field << wscale) >= edge
        edge = half.rcv_adv
        half.read_some(step * 91 % 1200, step * 1000)


def test_discard_and_forget_leave_what_they_should() -> None:
    half = receiver()
    give(half, 1, b"abc")
    give(half, 10, b"later")
    half.forget_out_of_order()
    assert half.out_of_order_bytes() == 0 and half.ready_bytes == 3
    half.discard()
    assert half.ready_bytes == 0 and half.read(0) == []


def test_a_reader_that_is_always_one_piece_behind_leaves_no_trail() -> None:
    half = receiver(1 << 20)
    half.acks.due = False
    piece = bytes(16 * 1024)
    start = 1
    give(half, start, piece)
    longest = 0
    for _ in range(1000):
        start += len(piece)
        give(half, start, piece)
        assert half.read_joined(len(piece), 0) == piece
        half.window_field(1460)
        longest = max(longest, len(half._ready))
    assert half.ready_bytes == len(piece) and longest <= 2 * COMPACT_AT


def test_a_reader_of_single_bytes_copies_no_more_than_what_it_reads() -> None:
    half = receiver(1 << 20)
    give(half, 1, bytes(range(256)) * 200)
    (whole,) = half._ready
    read = [half.read_some(1, 0) for _ in range(300)]
    assert b"".join(piece for one in read for piece in one) == (bytes(range(256)) * 2)[:300]
    assert half._ready[0] is whole and half.ready_bytes == 51_200 - 300


@pytest.mark.parametrize("last", ["read", "read_joined", "read_into", "read_some"])
def test_after_part_of_a_piece_was_read_the_rest_of_it_comes_next(last: str) -> None:
    half = receiver(1 << 20)
    whole = random.Random(1).randbytes(200_000)
    for at in range(0, len(whole), 50_000):
        give(half, 1 + at, whole[at : at + 50_000])
    got = b"".join(half.read_some(60_001, 0) + half.read_some(1, 0))
    while half.ready_bytes:
        if last == "read":
            got += b"".join(half.read(0))
        elif last == "read_joined":
            got += half.read_joined(33_333, 0)
        elif last == "read_into":
            room = bytearray(33_333)
            got += room[: half.read_into(memoryview(room), 0)]
        else:
            got += b"".join(half.read_some(33_333, 0))
    assert got == whole and half.read_joined(1, 0) == b"" and half.read(0) == []


@pytest.mark.parametrize("way", ["read", "read_joined", "read_into"])
def test_views_of_packets_are_kept_as_they_came_and_read_as_bytes(way: str) -> None:
    half = receiver(1 << 20)
    whole = random.Random(1).randbytes(120_000)
    ends = (0, 40_000, 80_000, 120_000)
    parts = [memoryview(bytes(10) + whole[start:end])[10:] for start, end in pairwise(ends)]
    for start, part in sorted(zip(ends, parts, strict=False), key=lambda one: -one[0]):
        give(half, 1 + start, part)
        give(half, 1 + start, part[:20_000])  # again
    assert [memoryview(kept).obj for kept in half._ready] == [part.obj for part in parts]  # nothing was copied
    assert all(type(kept) is memoryview for kept in half._ready)
    if way == "read":
        got = half.read_some(50_000, 0) + half.read(0)
        assert all(type(piece) is bytes for piece in got)
        assert b"".join(got) == whole
    elif way == "read_joined":
        assert half.read_joined(50_000, 0) + half.read_joined(1 << 20, 0) == whole
    else:
        room = bytearray(50_000)
        assert half.read_into(memoryview(room), 0) == 50_000 and room == whole[:50_000]
        assert half.read_into(memoryview(room), 0) == 50_000 and room == whole[50_000:100_000]
        assert half.read_into(memoryview(room), 0) == 20_000 and room[:20_000] == whole[100_000:]
    assert half.ready_bytes == 0
