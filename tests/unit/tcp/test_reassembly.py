"""Out-of-order data: runs that never touch, each byte kept once, memory bounded."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from synfin.tcp.reassembly import KNOWN, NEW, NO_ROOM, PIECE_COST, RUN_COST, Reassembly

RUNS = 100
MEMORY = 1 << 20


def filled(*pieces: tuple[int, bytes]) -> Reassembly:
    """A reassembly that was given these."""
    held = Reassembly()
    for start, data in pieces:
        assert held.insert(start, data, RUNS, MEMORY) != NO_ROOM
    return held


def taken(held: Reassembly, at: int) -> tuple[int, bytes]:
    """What take() gives from `at` on."""
    into: list[bytes] = []
    reached = held.take(at, into)
    return reached, b"".join(into)


def test_adjacent_pieces_become_one_run() -> None:
    held = filled((10, b"ab"), (14, b"ef"), (12, b"cd"))
    assert (held.starts, held.ends) == ([10], [16])
    assert taken(held, 10) == (16, b"abcdef")
    assert held.memory == 0 and not held.starts


def test_what_came_first_stays() -> None:
    held = filled((10, b"xx"), (8, b"AAAAAA"))
    assert taken(held, 8) == (14, b"AAxxAA")


def test_one_piece_may_bridge_several_runs() -> None:
    held = filled((10, b"a"), (20, b"b"), (30, b"c"), (40, b"d"))
    assert held.insert(5, b"." * 30, RUNS, MEMORY) == NEW
    assert (held.starts, held.ends) == ([5, 40], [35, 41])
    assert taken(held, 5) == (35, b".....a.........b.........c....")


def test_a_piece_inside_a_run_costs_nothing() -> None:
    held = filled((10, b"abcdef"))
    before = held.memory
    assert held.insert(11, b"ZZ", RUNS, MEMORY) == KNOWN
    assert held.memory == before
    assert taken(held, 10) == (16, b"abcdef")


def test_take_stops_at_a_hole_and_skips_what_was_passed() -> None:
    held = filled((10, b"abcd"), (20, b"ef"))
    assert taken(held, 12) == (14, b"cd")
    assert taken(held, 14) == (14, b"")
    assert taken(held, 30) == (30, b"")
    assert held.memory == 0


def test_take_before_the_first_run_gives_nothing() -> None:
    held = filled((10, b"abcd"))
    assert taken(held, 9) == (9, b"")
    assert held.starts == [10]


def test_no_more_runs_than_allowed_but_runs_may_grow() -> None:
    held = Reassembly()
    assert held.insert(10, b"a", 2, MEMORY) == held.insert(20, b"b", 2, MEMORY) == NEW
    assert held.insert(30, b"c", 2, MEMORY) == NO_ROOM
    assert held.insert(11, b"d", 2, MEMORY) == NEW


def test_a_piece_counts_with_its_overhead_against_the_limit() -> None:
    held = Reassembly()
    overhead = PIECE_COST + RUN_COST
    assert held.insert(10, b"abc", RUNS, overhead + 2) == NO_ROOM
    assert held.memory == 0 and not held.starts
    assert held.insert(10, b"abc", RUNS, overhead + 3) == NEW
    assert held.memory == overhead + 3


def test_runs_that_become_one_are_charged_as_one() -> None:
    held = filled((10, b"." * 2000), (3010, b"." * 2000), (6010, b"." * 2000))
    assert held.memory == 3 * (2000 + PIECE_COST + RUN_COST)
    held.insert(2010, b"-" * 4000, RUNS, MEMORY)
    assert held.starts == [10]
    assert held.memory == 8000 + 5 * PIECE_COST + RUN_COST


def test_any_order_of_any_cuts_gives_the_same_bytes_and_no_memory_is_left() -> None:
    draw = random.Random(7)
    data = draw.randbytes(2000)
    for _ in range(50):
        held = Reassembly()
        cuts = [(at, at + draw.randint(20, 60)) for at in range(0, 2000, 20)]
        draw.shuffle(cuts)
        for start, end in cuts:
            assert held.insert(start + 1, data[start:end], 1000, MEMORY) != NO_ROOM
            edges = [edge for run in zip(held.starts, held.ends, strict=True) for edge in run]
            assert all(a < b for a, b in pairwise(edges))
        assert taken(held, 1) == (2001, data)
        assert held.memory == 0


def test_blocks_tell_the_run_that_grew_last_first_and_each_once() -> None:
    # RFC 2018 4
    held = Reassembly()
    for start in (10, 30, 50):
        held.insert(start, b"." * 5, RUNS, MEMORY)
    assert held.blocks(3) == [(50, 55), (30, 35), (10, 15)]
    held.insert(15, b"..", RUNS, MEMORY)
    assert held.blocks(3) == [(10, 17), (50, 55), (30, 35)]
    assert held.blocks(2) == [(10, 17), (50, 55)]
    held.insert(17, b"." * 15, RUNS, MEMORY)  # joins two
    assert held.blocks(4) == [(10, 35), (50, 55)]
    held.insert(51, b"..", RUNS, MEMORY)  # a duplicate is what triggers this ACK all the same
    assert held.blocks(4) == [(50, 55), (10, 35)]
    held.take(10, [])
    assert held.blocks(4) == [(50, 55)]


@pytest.mark.parametrize(
    ("start", "end", "known"),
    [
        (150, 180, None),
        (150, 200, None),  # touches
        (300, 350, None),
        (350, 400, None),  # fills a hole exactly
        (300, 400, None),
        (150, 250, (200, 250)),
        (250, 350, (250, 300)),
        (220, 260, (220, 260)),
        (200, 300, (200, 300)),
        (150, 350, (200, 300)),
        (150, 450, (200, 300)),  # two of them: the first
        (250, 450, (250, 300)),
        (300, 450, (400, 450)),  # touches the first, meets the second
        (300, 600, (400, 500)),
    ],
)
def test_insert_tells_the_first_part_that_was_here_already(start: int, end: int, known: tuple[int, int] | None) -> None:
    held = filled((200, b"." * 100), (400, b"." * 100))
    held.insert(start, b"-" * (end - start), RUNS, MEMORY)
    found = (held.known_start, held.known_end) if held.known_start < held.known_end else None
    assert found == known


def test_take_tells_the_first_part_that_came_in_order_meanwhile() -> None:
    for at, known in ((200, None), (250, (200, 250)), (300, (200, 300)), (350, (200, 300)), (450, (200, 300))):
        held = filled((200, b"." * 100), (400, b"." * 100))
        held.take(at, [])
        found = (held.known_start, held.known_end) if held.known_start < held.known_end else None
        assert found == known


def test_what_finds_no_room_or_nothing_known_does_not_tell_of_what_came_before() -> None:
    held = filled((10, b"abcdef"))
    held.insert(11, b"ZZ", RUNS, MEMORY)
    held.insert(40, b"a", RUNS, MEMORY)
    assert held.known_start == held.known_end
    held.insert(11, b"ZZ", RUNS, MEMORY)
    assert held.insert(8, b"....", RUNS, 0) == NO_ROOM
    assert held.known_start == held.known_end


def test_no_more_than_four_blocks_are_remembered() -> None:
    held = Reassembly()
    for start in range(10, 100, 10):
        held.insert(start, b".", RUNS, MEMORY)
    assert held.blocks(9) == [(90, 91), (80, 81), (70, 71), (60, 61)]
