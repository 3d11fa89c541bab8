"""The table of packed records, for any order of calls: it does what a plain list does, and holds little besides."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from synfin.tcp.record_table import SWEEP_ABOVE, RecordTable

QUEUES = 3
KEYS = [bytes((n,)) * 12 for n in range(40)]


class AsPlainLists(RuleBasedStateMachine):
    """The model: one list of (key, record) for each queue, in order of filing."""

    def __init__(self) -> None:
        super().__init__()
        self.table = RecordTable(QUEUES)
        self.lists: list[list[tuple[bytes, bytes]]] = [[] for _ in range(QUEUES)]
        self.serial = 0

    def found(self, key: bytes) -> bytes | None:
        return next((record for one in self.lists for name, record in one if name == key), None)

    def forget(self, key: bytes) -> None:
        self.lists = [[(name, record) for name, record in one if name != key] for one in self.lists]

    @rule(key=st.sampled_from(KEYS), queue=st.integers(0, QUEUES - 1), again=st.integers(1, 5))
    def file(self, key: bytes, queue: int, again: int) -> None:
        for _ in range(again):
            self.serial += 1
            record = self.serial.to_bytes(8, "big")
            self.table.file(key, record, queue)
            self.forget(key)
            self.lists[queue].append((key, record))

    @rule(key=st.sampled_from(KEYS))
    def drop(self, key: bytes) -> None:
        if self.found(key) is not None:
            self.table.drop(key)
            self.forget(key)

    @rule(queue=st.integers(0, QUEUES - 1))
    def drop_the_first(self, queue: int) -> None:
        key = self.table.first(queue)
        assert key == (self.lists[queue][0][0] if self.lists[queue] else b"")
        if key:
            self.table.drop(key)
            self.forget(key)

    @rule(queue=st.integers(0, QUEUES - 1), onto=st.integers(0, QUEUES - 1))
    def move_the_first(self, queue: int, onto: int) -> None:
        key = self.table.first(queue)
        if key:
            self.file(key, onto, 1)

    @rule()
    def clear(self) -> None:
        assert sorted(self.table.clear()) == sorted(name for one in self.lists for name, _ in one)
        self.lists = [[] for _ in range(QUEUES)]

    @invariant()
    def it_is_what_the_model_is(self) -> None:
        assert len(self.table) == sum(map(len, self.lists))
        for key in KEYS:
            assert self.table.get(key) == self.found(key)
            assert (key in self.table) == (self.found(key) is not None)
        for queue in range(QUEUES):
            assert self.table.first(queue) == (self.lists[queue][0][0] if self.lists[queue] else b"")

    @invariant()
    def its_queues_have_few_stale_places(self) -> None:
        assert self.table.places() <= 2 * len(self.table) + SWEEP_ABOVE


TestAsPlainLists = AsPlainLists.TestCase
TestAsPlainLists.settings = settings(max_examples=60, stateful_step_count=60)
