"""After many connections, opened and closed in every way: nothing is left behind."""

from __future__ import annotations

import random

from synfin.links.faults import Faults
from synfin.tcp import states
from tests.properties.world import End, World

CONNECTIONS = 10_000
AT_ONCE = 250


def _act(end: End, choice: int, now: int) -> None:
    connection = end.connection
    if choice == 0:
        connection.close(now)
    elif choice == 1:
        connection.abort(now)
    elif choice == 2:
        connection.shutdown(now)
    elif choice == 3 and connection.state == states.ESTABLISHED:
        end.write(b"x" * (now % 3000))
        connection.close(now)


def test_after_10_000_connections_opened_and_closed_both_ways_nothing_is_left() -> None:
    """In random order: closes, aborts, half-closes, cancelled opens, some before the other side knows of it."""
    world = World(1, faults=Faults(loss=0.02, duplicate=0.02, reorder=0.05, jitter_us=2000))
    draw = random.Random(2)
    opened = 0
    while opened < CONNECTIONS:
        for _ in range(AT_ONCE):
            end = world.connect(draw.choice((world.left, world.right)))
            opened += 1
            if draw.random() < 0.5:
                end.write(draw.randbytes(draw.randrange(1, 3000)))
            if draw.random() < 0.1:
                _act(end, draw.randrange(4), world.now)
        for _ in range(8):
            world.link.advance(draw.randrange(3000))
            for end in list(world.ends.values()):
                if draw.random() < 0.3:
                    _act(end, draw.randrange(5), world.now)
        # Half of what still lives is closed now, the rest goes on into the next round.
        for connection, end in list(world.ends.items()):
            if draw.random() < 0.5:
                connection.close(world.now)
            if end.ended():
                del world.ends[connection]
    for end in list(world.ends.values()):
        end.connection.close(world.now)
    _close_all(world)
    held = world.census()
    assert not any(held.values()), held


def _close_all(world: World) -> None:
    """Whoever learns of a connection only now closes it, too."""
    world.on_accept = lambda end, now: end.connection.close(now)
    world.link.run(world.all_ended)
    assert world.link.run(), "something still waits"


def test_a_stack_that_has_nothing_to_do_has_no_deadline() -> None:
    world = World()
    left, right = world.open_pair()
    for end in (left, right):
        end.write(b"hello")
    assert world.link.run(), "idle connections wait for nothing"
    assert left.read == right.read == 5
    for stack in (world.left, world.right):
        assert stack.next_deadline() is None
        assert stack.census()["timers"] == 0


def test_what_a_connection_held_is_free_when_it_has_ended() -> None:
    world = World()
    left, right = world.open_pair()
    right.paused = True
    left.write(bytes(1_000_000))
    world.link.advance(100_000)
    left.connection.abort(world.now)
    right.connection.abort(world.now)
    world.link.run()
    for end in (left, right):
        assert end.connection.queued_bytes() == 0
        snapshot = end.connection.snapshot()
        assert snapshot.unread == snapshot.out_of_order == snapshot.deadline == 0
