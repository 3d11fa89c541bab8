"""What a connection costs while it is none yet, or none any more. The figures are those of the documentation."""

from __future__ import annotations

import random
import sys
import tracemalloc

import pytest

import synfin
from synfin.stack.stack import Stack
from synfin.tcp import syn_queue, time_wait
from synfin.tcp.reassembly import NO_ROOM, Reassembly
from synfin.tcp.scoreboard import RECORD_COST, Scoreboard
from synfin.tcp.syn_options import Negotiated
from synfin.tcp.syn_queue import HalfOpen
from synfin.tcp.time_wait import TimeWait

ENTRIES = 20_000


def cost_of_an_entry(record: bytes, key_bytes: int) -> float:
    """Record, key, entry in a dict of many and place in a queue, in bytes."""
    table = dict.fromkeys(range(ENTRIES))
    return sys.getsizeof(record) + sys.getsizeof(bytes(key_bytes)) + sys.getsizeof(table) / ENTRIES + 16


def test_a_half_open_entry_is_31_bytes_packed_and_at_most_200_with_key_and_table_entry() -> None:
    entry = HalfOpen(2**62, 2**62, 2**32 - 1, 2**32 - 1, 2**32 - 1, Negotiated(65535, True, 14, 14, True, True, 31))
    packed = entry.pack()
    assert len(packed) == syn_queue._RECORD.size == 31
    assert cost_of_an_entry(packed, 12) <= cost_of_an_entry(packed, 36) <= 200


def test_a_time_wait_record_is_28_bytes_packed_and_at_most_200_with_key_and_table_entry() -> None:
    packed = TimeWait(2**62, 2**32 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1, 65535, True).pack()
    assert len(packed) == time_wait._RECORD.size == 28
    assert cost_of_an_entry(packed, 12) <= cost_of_an_entry(packed, 36) <= 200


@pytest.mark.parametrize("size", [1, 2, 17, 100, 536, 1460, 9000])
@pytest.mark.parametrize("joined", [1, 2, 3, 10])
def test_out_of_order_text_is_charged_what_it_costs_and_little_more(size: int, joined: int) -> None:
    """`joined` pieces, the odd ones first, become one run; then a hole. Offsets beyond 2^30: ints of 32 bytes."""
    runs = 500
    source = random.Random(3).randbytes(runs + size)
    held = Reassembly()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for run in range(runs):
            start = (1 << 40) + run * (joined * size + 1)
            for place in (*range(1, joined, 2), *range(0, joined, 2)):
                at = start + place * size
                assert held.insert(at, source[run : run + size], 1 << 20, 1 << 40) != NO_ROOM
        cost = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(held.starts) == runs
    assert cost <= held.memory <= cost + runs * (100 + 60 * joined)


def test_a_record_of_what_is_out_is_charged_what_it_costs_at_least() -> None:
    count = 2000
    board = Scoreboard(4096)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for start in range(1 << 40, (1 << 40) + count):
            board.add(start, start + 1, 1 << 40)
        cost = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert cost <= count * RECORD_COST


def test_an_interpreted_connection_has_few_enough_attributes_to_share_their_names_with_all_others() -> None:
    stack = Stack(["10.0.0.1"], entropy=random.Random(1).randbytes)
    connection = stack.connect("10.0.0.2", 80, 0)
    if not synfin.compiled():
        # From 30 attributes on CPython 3.11 gives each object a table of its own: 1.3 KB more a connection.
        assert len(vars(connection)) <= 29
