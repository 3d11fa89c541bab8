"""What a caller that watches is told of the table: what has changed, what has gone, in parts that take no time."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from synfin.aio import changes, connection_rows
from synfin.aio.changes import LOOKS, SLICE_SECONDS, Changes
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.wire.segment import finish

CONNECTIONS = 40


class Pair:
    """A client and a server with connections between them, and what a caller at the server is told."""

    def __init__(self, connections: int = CONNECTIONS, seconds: float = 0.0) -> None:
        self.now = 1000
        self.client, self.server = (
            Stack([address], Config(), entropy=lambda n: bytes(range(n))) for address in ("10.0.0.1", "10.0.0.2")
        )
        listener = self.server.listen(80, backlog=1024)
        for port in range(connections):
            self.client.connect("10.0.0.2", 80, self.now, local_port=1000 + port)
        self.carry()
        self.accepted = [listener.accept() for _ in range(connections)]
        times = itertools.count()
        self.changes = Changes(self.server, lambda: self.now, lambda: next(times) * seconds)

    def carry(self) -> None:
        for _ in range(4):
            self.now += 50_000  # beyond a delayed ACK
            for one, other in ((self.client, self.server), (self.server, self.client)):
                one.on_timer(self.now)
                for burst in one.poll(self.now, 1 << 20):
                    other.receive(finish(burst), self.now)

    def told(self) -> tuple[list[dict[str, Any]], list[str]]:
        rows: list[dict[str, Any]] = []
        gone: list[str] = []
        parts = list(self.changes.round())
        assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
        for part in parts:
            rows += part.rows
            gone += part.gone
        return rows, gone


def test_at_first_all_are_told_and_of_idle_ones_none_again() -> None:
    pair = Pair()
    rows, gone = pair.told()
    assert rows == connection_rows.describe(pair.server, pair.now)
    assert (len(rows), gone) == (CONNECTIONS, [])
    pair.now += 60_000_000
    assert pair.told() == ([], [])


def test_what_has_received_is_told_and_what_its_user_has_read_again() -> None:
    pair = Pair()
    pair.told()
    client, server = pair.client.connections()[7], pair.server.connections()[7]
    client.write(b"hello")
    pair.carry()
    ((row,), _) = pair.told()
    assert (row["key"], row["recv_queue"]) == (server.key.hex(), 5)
    server.read(100, pair.now)
    pair.carry()
    ((row,), _) = pair.told()
    assert row["recv_queue"] == 0
    assert pair.told() == ([], [])


def test_what_has_something_out_is_told_each_time() -> None:
    pair = Pair()
    pair.told()
    pair.server.connections()[3].write(b"hello")
    pair.server.poll(pair.now, 1 << 20)  # and it is lost
    assert [len(pair.told()[0]) for _ in range(3)] == [1, 1, 1]


def test_what_has_gone_is_told_once() -> None:
    pair = Pair()
    pair.told()
    key = pair.server.connections()[5].key
    pair.server.connections()[5].abort(pair.now)
    pair.carry()
    assert pair.told() == ([], [key.hex()])
    assert pair.told() == ([], [])


def test_a_part_ends_after_so_many_looks_or_so_much_time() -> None:
    pair = Pair(2 * LOOKS + 1)
    assert [len(part.rows) for part in pair.changes.round()] == [LOOKS, LOOKS, 1]
    assert [len(part.rows) for part in pair.changes.round()] == [0, 0, 0]
    pair = Pair(6, seconds=SLICE_SECONDS / 2)  # so long takes each row
    assert [len(part.rows) for part in pair.changes.round()] == [2, 2, 2]


def test_an_empty_table_is_one_part() -> None:
    assert [part.last for part in Pair(0).changes.round()] == [True]


def test_of_more_connections_than_are_known_the_rest_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST_KNOWN", 10)
    pair = Pair()
    assert len(pair.told()[0]) == 10
    assert pair.told() == ([], [])
