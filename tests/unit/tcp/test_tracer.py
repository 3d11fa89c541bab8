"""Followers of one connection: what they hear, and that nothing is made which nobody hears."""

from __future__ import annotations

import pytest

from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.tcp.connection import Connection
from synfin.tcp.trace import Event, Follower, NoteEvent, PacketEvent, SampleEvent, TransitionEvent
from synfin.wire.key import reverse_key
from synfin.wire.segment import finish, split


class Pair:
    """Two stacks with a wire between them that loses nothing; the server's connections are followed."""

    def __init__(self) -> None:
        self.client = Stack(["10.0.0.1"], Config(), entropy=lambda n: bytes(range(n)), name="client")
        self.server = Stack(["10.0.0.2"], Config(), entropy=lambda n: bytes(range(1, n + 1)), name="server")
        self.now = 0
        self.listener = self.server.listen(80)

    def connect(self) -> bytes:
        """A new connection; its key at the server."""
        before = {connection.key for connection in self.server.connections()}
        self.client.connect("10.0.0.2", 80, self.now)
        self.carry()
        (key,) = {connection.key for connection in self.server.connections()} - before
        return key

    def carry(self) -> None:
        """Whatever either has to say, until both are silent."""
        moved = True
        while moved:
            moved = False
            self.now += 1000
            for one, other in ((self.client, self.server), (self.server, self.client)):
                for burst in one.poll(self.now, 1 << 20):
                    for packet in split(burst):
                        other.receive(packet, self.now)
                        moved = True
            while self.server.accepting() is not None:
                pass

    def client_of(self, key: bytes) -> Connection:
        """The client's end of a connection of the server's."""
        found = self.client.find(reverse_key(key))
        assert found is not None
        return found


def kinds(events: list[Event]) -> set[type]:
    return {type(event) for event in events}


def test_a_follower_hears_of_its_connection_and_of_no_other() -> None:
    pair = Pair()
    first, second = pair.connect(), pair.connect()
    events: list[Event] = []
    assert pair.server.follow(second, Follower(events.append))
    for key in (first, second):
        pair.client_of(key).write(b"x" * 100)
    pair.carry()
    assert {event.key for event in events} == {second}
    assert sum(isinstance(event, PacketEvent) for event in events) >= 2


def test_of_the_connection_that_begins_next_a_follower_hears_from_the_first_syn() -> None:
    pair = Pair()
    pair.connect()
    events: list[Event] = []
    assert pair.server.follow(b"", Follower(events.append))
    key, other = pair.connect(), pair.connect()
    assert {event.key for event in events} == {key} != {other}
    assert isinstance(events[0], PacketEvent)
    assert not events[0].outgoing


def test_an_active_open_is_heard_from_its_first_state() -> None:
    pair = Pair()
    events: list[Event] = []
    pair.client.follow(b"", Follower(events.append))
    pair.connect()
    assert isinstance(events[0], TransitionEvent)
    assert {TransitionEvent, PacketEvent} <= kinds(events)


def test_a_listener_that_opens_is_not_the_next_connection() -> None:
    pair = Pair()
    events: list[Event] = []
    pair.server.follow(b"", Follower(events.append))
    pair.server.listen(81)
    assert events == []
    key = pair.connect()
    assert {event.key for event in events} == {key}


def test_a_quiet_follower_hears_states_notes_and_the_packets_that_move_them() -> None:
    pair = Pair()
    key = pair.connect()
    events: list[Event] = []
    follower = Follower(events.append)
    pair.server.follow(key, follower)
    pair.server.hush(follower, True)
    connection = pair.client_of(key)
    connection.write(b"x" * 5000)
    pair.carry()
    assert kinds(events) <= {NoteEvent}
    connection.close(pair.now)
    pair.carry()
    assert [event.burst.head[33] & 1 for event in events if isinstance(event, PacketEvent)] == [1]
    assert TransitionEvent in kinds(events)


def test_the_hook_hears_everything_whoever_follows() -> None:
    pair = Pair()
    heard: list[Event] = []
    events: list[Event] = []
    pair.server.set_trace(heard.append)
    follower = Follower(events.append)
    pair.server.follow(b"", follower)
    key, other = pair.connect(), pair.connect()
    assert {event.key for event in heard} == {key, other, b""} - {b""}
    assert events == [event for event in heard if event.key == key]
    pair.server.set_trace(None)
    count = len(heard)
    pair.client_of(key).write(b"x")
    pair.carry()
    assert len(heard) == count
    assert len(events) > count // 2 - 4


def test_who_follows_no_more_hears_no_more_and_another_may() -> None:
    pair = Pair()
    key = pair.connect()
    events: list[Event] = []
    follower = Follower(events.append)
    assert pair.server.follow(key, follower)
    assert not pair.server.follow(key, Follower(events.append))
    pair.server.unfollow(follower)
    pair.client_of(key).write(b"x")
    pair.carry()
    assert events == []
    assert pair.server.follow(key, follower)


def test_one_that_is_quiet_hears_again_and_leaves_the_other_its_packets() -> None:
    pair = Pair()
    first, second = pair.connect(), pair.connect()
    heard: dict[bytes, list[Event]] = {first: [], second: []}
    followers = {key: Follower(events.append) for key, events in heard.items()}
    for key, follower in followers.items():
        pair.server.follow(key, follower)

    def packets() -> list[int]:
        for key, events in heard.items():
            events.clear()
            pair.client_of(key).write(b"x")
        pair.carry()
        return [sum(isinstance(event, PacketEvent) for event in events) for events in heard.values()]

    assert min(packets()) > 0
    pair.server.hush(followers[first], True)
    assert packets()[0] == 0 < packets()[1]
    pair.server.hush(followers[second], True)
    assert packets() == [0, 0]
    pair.server.hush(followers[first], False)
    assert packets()[1] == 0 < packets()[0]


def test_while_all_are_quiet_the_hook_hears_all_and_a_syn_begins_the_next() -> None:
    pair = Pair()
    first = pair.connect()
    follower = Follower(lambda event: None)
    pair.server.follow(first, follower)
    pair.server.hush(follower, True)
    begun: list[Event] = []
    pair.server.follow(b"", Follower(begun.append))
    second = pair.connect()
    assert sum(isinstance(event, PacketEvent) for event in begun) == 3
    heard: list[Event] = []
    pair.server.set_trace(heard.append)
    pair.client_of(first).write(b"x")
    pair.client_of(second).write(b"x")
    pair.carry()
    assert {event.key for event in heard if isinstance(event, PacketEvent)} == {first, second}


@pytest.mark.parametrize("quiet", [True, False])
def test_samples_are_heard_unless_it_is_quiet(quiet: bool) -> None:
    pair = Pair()
    key = pair.connect()
    events: list[Event] = []
    follower = Follower(events.append)
    (connection,) = pair.server.connections()
    pair.server.follow(key, follower)
    pair.server.hush(follower, quiet)
    connection.write(b"x" * 5000)
    pair.carry()
    assert (SampleEvent in kinds(events)) is not quiet
    assert all(finish(event.burst) for event in events if isinstance(event, PacketEvent))
