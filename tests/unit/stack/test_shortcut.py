"""A way to one of many connections that is shorter than the table's."""

from __future__ import annotations

import random

from bench import clients
from synfin.stack.connections import MANY
from synfin.stack.shortcut import LEAST, SPARE, Shortcut
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.tcp.connection import Connection
from synfin.wire.tcp_header import RST

NOW = 1_000_000


class Server:
    """A stack with as many clients as are asked for."""

    def __init__(self, count: int) -> None:
        self.stack = Stack([clients.SERVER], Config(), entropy=random.Random(1).randbytes)
        self.stack.listen(clients.PORT)
        self.theirs: list[int] = []
        self.connections: list[Connection] = []
        for number in range(count):
            theirs, connection = clients.open_one(self.stack, number, NOW)
            self.theirs.append(theirs)
            self.connections.append(connection)

    def abort(self, connections: list[Connection]) -> None:
        for connection in connections:
            connection.abort(NOW)
        while (ended := self.stack.ready()) is not None:
            ended.take_events()
        self.stack.poll(NOW, 1 << 20)

    def says(self, number: int, sent: int = 0) -> bool:
        """A client's next 100 bytes reach its connection, and no other; else they are answered by a RST."""
        self.stack.receive(clients.text(number, self.theirs[number], sent, NOW), NOW)
        heard = self.stack.ready()
        if heard is not None:
            assert heard is self.connections[number]
            heard.take_events()
            assert len(b"".join(heard.read(NOW))) == 100
        (answer,) = self.stack.poll(NOW, 1 << 20)
        assert (answer.head[33] & RST != 0) == (heard is None)
        return heard is not None


def test_each_of_many_connections_gets_what_is_its_own_and_none_that_has_ended_does() -> None:
    server = Server(MANY + 200)
    for sent in (0, 100):
        assert all(server.says(number, sent) for number in range(MANY + 200))
    server.abort(server.connections[::3])
    assert [server.says(number, 200) for number in range(30)] == [number % 3 != 0 for number in range(30)]
    server.theirs[0], server.connections[0] = clients.open_one(server.stack, 0, NOW)
    assert server.says(0) and server.says(0, 100)


def test_when_few_are_left_the_table_alone_knows_them() -> None:
    server = Server(MANY + 10)
    assert server.says(0)
    server.abort(server.connections[1:])
    assert server.stack.census()["connections"] == 1
    assert server.says(0, 100) and not server.says(1)


def test_of_two_in_one_slot_the_last_is_found_and_only_who_stands_there_is_forgotten() -> None:
    connections = Server(300).connections
    shortcut = Shortcut()
    for connection in connections:
        shortcut.note(connection, 1)
        assert shortcut.find(connection.key) is connection
    hidden = [connection for connection in connections if shortcut.find(connection.key) is None]
    assert hidden
    for connection in hidden:
        shortcut.forget(connection)  # another stands there
    assert sum(shortcut.find(connection.key) is None for connection in connections) == len(hidden)
    shortcut.note(hidden[0], 1)
    assert shortcut.find(hidden[0].key) is hidden[0]
    assert sum(shortcut.find(connection.key) is None for connection in connections) == len(hidden)
    shortcut.forget(hidden[0])
    assert shortcut.find(hidden[0].key) is None


def test_it_grows_with_the_table_and_finds_then_what_was_noted_since() -> None:
    connections = Server(300).connections
    shortcut = Shortcut()
    for connection in connections:
        shortcut.note(connection, LEAST // SPARE)
    assert sum(shortcut.find(connection.key) is connection for connection in connections) > 270
    shortcut.note(connections[0], LEAST // SPARE + 1)
    assert shortcut.find(connections[0].key) is connections[0]
    assert shortcut.find(connections[1].key) is None


def test_after_a_peak_it_is_as_small_as_those_that_are_left() -> None:
    shortcut = Shortcut()
    assert not shortcut.is_too_large(MANY // 2)
    server = Server(1)
    (connection,) = server.connections
    shortcut.note(connection, 100_000)
    assert shortcut.is_too_large(4_000) and not shortcut.is_too_large(20_000)
