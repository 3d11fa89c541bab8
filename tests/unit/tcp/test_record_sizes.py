"""What a connection costs while it is none yet, or none any more. The figures are those of the documentation."""

from __future__ import annotations

import random
import sys

import synfin
from synfin.stack.stack import Stack
from synfin.tcp import listener, time_wait
from synfin.tcp.listener import HalfOpen
from synfin.tcp.syn_options import Negotiated
from synfin.tcp.time_wait import TimeWait

ENTRIES = 20_000


def cost_of_an_entry(record: bytes, key_bytes: int) -> float:
    """Record, key and place in a dict of many, in bytes."""
    table = dict.fromkeys(range(ENTRIES))
    return sys.getsizeof(record) + sys.getsizeof(bytes(key_bytes)) + sys.getsizeof(table) / ENTRIES


def test_a_half_open_entry_is_32_bytes_packed_and_at_most_200_with_key_and_table_entry() -> None:
    entry = HalfOpen(2**62, 2**62, 2**32 - 1, 2**32 - 1, 2**32 - 1, Negotiated(65535, True, 14, 14, True, True), True)
    packed = entry.pack()
    assert len(packed) == listener._RECORD.size == 32
    assert cost_of_an_entry(packed, 12) <= cost_of_an_entry(packed, 36) <= 200


def test_a_time_wait_record_is_27_bytes_packed_and_at_most_200_with_key_and_table_entry() -> None:
    packed = TimeWait(2**62, 2**32 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1, 65535, True).pack()
    assert len(packed) == time_wait._RECORD.size == 27
    assert cost_of_an_entry(packed, 12) <= cost_of_an_entry(packed, 36) <= 200


def test_an_interpreted_connection_has_few_enough_attributes_to_share_their_names_with_all_others() -> None:
    stack = Stack(["10.0.0.1"], entropy=random.Random(1).randbytes)
    connection = stack.connect("10.0.0.2", 80, 0)
    if not synfin.compiled():
        # From 30 attributes on CPython 3.11 gives each object a table of its own: 1.3 KB more a connection.
        assert len(vars(connection)) <= 29
