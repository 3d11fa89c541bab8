"""Out-of-order data: runs that never touch, each byte kept once, memory bounded."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise

import pytest

from synfin.tcp.reassembly import JOIN_BELOW, KNOWN, NEW, NO_ROOM, PIECE_COST, RUN_COST, Reassembly
from synfin.wire.pieces import Piece

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
    into: list[Piece] = []
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
    size = JOIN_BELOW - 500
    held = filled((10, b"." * size), (size + 1010, b"." * size), (2 * size + 2010, b"." * size))
    assert held.memory == 3 * (size + PIECE_COST + RUN_COST)
    held.insert(size + 10, b"-" * (size + 2000), RUNS, MEMORY)
    assert held.starts == [10]
    assert held.memory == 3 * size + 2000 + 5 * PIECE_COST + RUN_COST


def test_small_pieces_that_become_neighbours_become_one_piece() -> None:
    held = filled((10, b"a"), (12, b"c"), (14, b"e"), (13, b"d"), (11, b"b"), (9, b"."), (15, b"f"))
    assert held.memory == 7 + PIECE_COST + RUN_COST
    into: list[Piece] = []
    assert held.take(9, into) == 16 and into == [b".abcdef"]


def largest_allocations(steps: Iterable[tuple[int, bytes]], held: Reassembly) -> list[int]:
    """For each insertion, the memory that it had beyond what was there before: a list that is copied shows."""
    peaks = []
    tracemalloc.start()
    try:
        for start, data in steps:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            assert held.insert(start, data, 1 << 20, 1 << 40) == NEW
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return peaks


@pytest.mark.parametrize("size", [1, 1448, JOIN_BELOW])
def test_a_run_of_thousands_grows_at_either_end_and_between_without_a_copy_of_what_it_has(size: int) -> None:
    count = 4000
    held = Reassembly()
    data = b"." * size
    steps = [(1 + n * size, data) for n in reversed(range(count))]  # towards the front
    steps += [(1 + n * size, data) for n in range(count, 2 * count)]  # towards the end
    for n in range(2 * count, 3 * count, 2):  # a run of its own, then what joins it to all before
        steps += [(1 + (n + 1) * size, data), (1 + n * size, data)]
    for n in range(-1, -count, -2):
        steps += [(1 + (n - 1) * size, data), (1 + n * size, data)]
    peaks = largest_allocations(steps, held)
    assert len(held.starts) == 1
    # The dict grows by doubling, and then all of it is copied: seldom enough.
    assert sum(peak > 2 * JOIN_BELOW + 4096 for peak in peaks) <= 24


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
