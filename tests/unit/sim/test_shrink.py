"""Delta debugging, and the code it ends in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from synfin.sim import CORRUPT, DROP, DUPLICATE, Delay
from synfin.sim.rules import Faults
from synfin.sim.shrink import as_code, in_words, smallest

FAULTS: Faults = {
    ("client", "server", 0, "PSH,ACK", 1, 5, 0): DROP,
    ("o'neil", 'a"b', 3, "", -1, 0, 2): Delay("15us", False),
    ("client", "server", 1, "ACK", 1, 5, 0): Delay("7us"),
    ("client", "server", 1, "SYN", 0, 0, 1): DUPLICATE,
    ("client", "server", 1, "FIN,ACK", 0, 0, 1): CORRUPT,
}


@given(st.integers(1, 60), st.sets(st.integers(0, 59), max_size=5))
def test_what_must_be_together_is_found_exactly(count: int, needed: set[int]) -> None:
    needed = {number for number in needed if number < count}
    assert smallest(range(count), lambda part: needed <= set(part)) == sorted(needed)


@given(st.integers(1, 40), st.lists(st.sets(st.integers(0, 39), min_size=1, max_size=4), min_size=1, max_size=4))
def test_no_item_of_the_answer_can_be_left_out(count: int, ways: list[set[int]]) -> None:
    def fails(part: Sequence[int]) -> bool:
        return any(way <= set(part) for way in ways)

    if not fails(range(count)):
        return
    found = smallest(range(count), fails)
    assert fails(found)
    assert not any(fails(found[:at] + found[at + 1 :]) for at in range(len(found)))


def test_few_runs_find_two_of_a_thousand() -> None:
    runs = 0

    def fails(part: Sequence[int]) -> bool:
        nonlocal runs
        runs += 1
        return {123, 877} <= set(part)

    assert smallest(range(1000), fails) == [123, 877]
    assert runs < 150


def test_the_code_makes_the_same_faults() -> None:
    class Recorder:
        def __init__(self) -> None:
            self.made: list[Any] = []

        def calm(self) -> None:
            self.made.append("calm")

        def rule(self, faults: Faults) -> None:
            self.made.append(faults)

    network = Recorder()
    exec(as_code(FAULTS), {"network": network})
    assert network.made == ["calm", FAULTS]
    assert as_code({}) == "network.calm()  # no chance: just what the rules say"


def test_each_fault_is_said_in_words() -> None:
    assert [in_words(name, verdict) for name, verdict in FAULTS.items()] == [
        "client -> server, connection 0: PSH,ACK seq 1, 5 bytes: dropped",
        "o'neil -> a\"b, connection 3: a packet that is no TCP, number 3 of its kind: delayed by 15us",
        "client -> server, connection 1: ACK seq 1, 5 bytes: delayed by 7us",
        "client -> server, connection 1: SYN seq 0, 0 bytes, number 2 of its kind: duplicated",
        "client -> server, connection 1: FIN,ACK seq 0, 0 bytes, number 2 of its kind: one bit turned over",
    ]
