"""Out-of-order data: runs that never touch, each byte kept once, memory bounded."""

from __future__ import annotations

import random
from itertools import pairwise

from synfin.tcp.reassembly import PIECE_COST, Reassembly

RUNS = 100
MEMORY = 1 << 20


def filled(*pieces: tuple[int, bytes]) -> Reassembly:
    """A reassembly that was given these."""
    held = Reassembly()
    for start, data in pieces:
        assert held.insert(start, data, RUNS, MEMORY)
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
    assert held.insert(5, b"." * 30, RUNS, MEMORY)
    assert (held.starts, held.ends) == ([5, 40], [35, 41])
    assert taken(held, 5) == (35, b".....a.........b.........c....")


def test_a_piece_inside_a_run_costs_nothing() -> None:
    held = filled((10, b"abcdef"))
    before = held.memory
    assert held.insert(11, b"ZZ", RUNS, MEMORY)
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
    assert held.insert(10, b"a", 2, MEMORY) and held.insert(20, b"b", 2, MEMORY)
    assert not held.insert(30, b"c", 2, MEMORY)
    assert held.insert(11, b"d", 2, MEMORY)


def test_a_piece_counts_with_its_overhead_against_the_limit() -> None:
    held = Reassembly()
    assert not held.insert(10, b"abc", RUNS, PIECE_COST + 2)
    assert held.memory == 0 and not held.starts
    assert held.insert(10, b"abc", RUNS, PIECE_COST + 3)
    assert held.memory == PIECE_COST + 3


def test_any_order_of_any_cuts_gives_the_same_bytes_and_no_memory_is_left() -> None:
    draw = random.Random(7)
    data = draw.randbytes(2000)
    for _ in range(50):
        held = Reassembly()
        cuts = [(at, at + draw.randint(20, 60)) for at in range(0, 2000, 20)]
        draw.shuffle(cuts)
        for start, end in cuts:
            assert held.insert(start + 1, data[start:end], 1000, MEMORY)
            edges = [edge for run in zip(held.starts, held.ends, strict=True) for edge in run]
            assert all(a < b for a, b in pairwise(edges))
        assert taken(held, 1) == (2001, data)
        assert held.memory == 0
