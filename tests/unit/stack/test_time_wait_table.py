"""The TIME-WAIT records of a stack."""

from __future__ import annotations

import sys

from synfin.stack.time_wait_table import TimeWaitTable
from synfin.tcp.counters import Counters
from synfin.tcp.record_table import SWEEP_ABOVE
from synfin.tcp.time_wait import TimeWait


def record(deadline: int) -> TimeWait:
    """One that runs out then."""
    return TimeWait(deadline, 1, 2, 0, 0, 100, False)


def key(n: int) -> bytes:
    """One of many keys."""
    return n.to_bytes(12, "big")


def test_records_run_out_in_order_and_not_before() -> None:
    counters = Counters()
    table = TimeWaitTable(counters, 10)
    assert table.deadline() == 0 and table.expire(10**9) == []
    for n in (1, 2, 3):
        table.add(key(n), record(n * 10))
    assert table.deadline() == 10
    assert table.expire(9) == []
    assert table.expire(20) == [key(1), key(2)]
    assert len(table) == 1 and key(3) in table and counters.TW == 2


def test_filed_anew_a_record_goes_to_the_end() -> None:
    table = TimeWaitTable(Counters(), 10)
    table.add(key(1), record(10))
    table.add(key(2), record(20))
    table.add(key(1), record(30))
    assert len(table) == 2 and table.deadline() == 20
    kept = table.get(key(1))
    assert kept is not None and kept.deadline == 30


def test_at_the_limit_the_oldest_makes_room_and_is_counted() -> None:
    counters = Counters()
    table = TimeWaitTable(counters, 2)
    for n in (1, 2, 3):
        table.add(key(n), record(n * 10))
    assert key(1) not in table and len(table) == 2 and counters.TCPTimeWaitOverflow == 1


def test_a_record_taken_over_is_gone() -> None:
    table = TimeWaitTable(Counters(), 2)
    table.add(key(1), record(10))
    table.remove(key(1))
    assert table.get(key(1)) is None and table.deadline() == 0


def test_a_record_costs_at_most_200_bytes_with_its_table_entry() -> None:
    entry = sys.getsizeof(key(1)) + sys.getsizeof(record(1).pack())
    count = 10_000
    table = {key(n): b"" for n in range(count)}
    assert entry + sys.getsizeof(table) / count <= 200


def test_what_made_room_or_ran_out_leaves_no_place_before_the_oldest_record() -> None:
    table = TimeWaitTable(Counters(), 5000)
    for n in range(10_000):
        table.add(key(n), record(n + 1))
        table.deadline()
        assert table._records.places() == len(table)
    assert len(table.expire(9000)) == 4000 and table.deadline() == 9001
    assert table._records.places() == len(table) == 1000


def test_a_peer_that_repeats_its_fin_for_ever_leaves_few_places_behind() -> None:
    table = TimeWaitTable(Counters(), 100)
    for n in range(100):
        table.add(key(n), record(n + 1))
    most = 0
    for n in range(10_000):
        table.add(key(7), record(1000 + n))
        most = max(most, table._records.places())
    assert len(table) == 100 and most <= 2 * 100 + SWEEP_ABOVE
    assert table.deadline() == 1
