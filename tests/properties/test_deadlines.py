"""DESIGN's rule of deadlines under random faults and random users, and what follows from it: every connection ends."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.links.faults import Faults
from synfin.tcp import states
from synfin.tcp.config import Config
from tests.properties.world import FAILED, End, World

HOUR_US = 3_600_000_000


@st.composite
def configs(draw: st.DrawFn) -> Config:
    return Config(
        mtu=draw(st.sampled_from((576, 1500, 9000))),
        timestamps=draw(st.booleans()),
        window_scale=draw(st.booleans()),
        sack=draw(st.booleans()),
        receive_buffer=draw(st.sampled_from((2048, 10_000, 131_072))),
        keepalive_idle_us=draw(st.sampled_from((0, 0, 10_000_000))),
        user_timeout_us=draw(st.sampled_from((0, 0, 5_000_000))),
        nodelay=draw(st.booleans()),
        retries=draw(st.sampled_from((3, 15))),
        fin_timeout_us=draw(st.sampled_from((1_000_000, 60_000_000))),
    )


@st.composite
def networks(draw: st.DrawFn) -> Faults:
    return Faults(
        loss=draw(st.sampled_from((0.0, 0.1, 0.4))),
        duplicate=draw(st.sampled_from((0.0, 0.2))),
        reorder=draw(st.sampled_from((0.0, 0.3))),
        jitter_us=draw(st.sampled_from((0, 3000))),
    )


SEEDS = st.integers(0, 2**32)


def _random_user_call(world: World, draw: random.Random) -> None:
    now = world.now
    if not world.ends or draw.random() < 0.05:
        world.connect(draw.choice((world.left, world.right)))
        return
    end = draw.choice(list(world.ends.values()))
    connection = end.connection
    what = draw.randrange(20)
    if what < 8:
        if not (connection.closer.fin_queued or connection.error or end.ended()):
            end.write(draw.randbytes(draw.choice((1, 100, 1448, 5000, 70_000))))
    elif what < 11:
        end.paused = not end.paused
        if not end.paused:
            end.take(now)
    elif what < 14 and end.paused:
        end.take(now, draw.choice((1, 1000, 10_000)))
    elif what == 14:
        connection.shutdown(now)
    elif what == 15:
        connection.close(now)
    elif what == 16 and draw.random() < 0.3:
        connection.abort(now)
    elif what == 17:
        connection.set_keepalive(draw.choice((0, 5_000_000)), 1_000_000, 3, now)


def _play(world: World, draw: random.Random, steps: int) -> None:
    for _ in range(steps):
        if draw.random() < 0.3:
            _random_user_call(world, draw)
        upcoming = world.link.step()
        world.check()
        if not upcoming:
            _random_user_call(world, draw)


def _close_everything(world: World) -> None:
    world.on_accept = lambda end, now: end.connection.close(now)
    for end in list(world.ends.values()):
        end.connection.close(world.now)


@settings(max_examples=30)
@given(configs(), configs(), networks(), SEEDS, st.booleans())
def test_who_waits_for_its_peer_has_a_deadline_and_who_waits_for_its_user_has_none(
    left: Config, right: Config, network: Faults, seed: int, offload: bool
) -> None:
    world = World(seed, config=left, other_config=right, faults=network, offload=offload)
    _play(world, random.Random(seed), 250)


@settings(max_examples=25)
@given(configs(), networks(), SEEDS)
def test_every_connection_ends_once_both_users_have_closed(config: Config, network: Faults, seed: int) -> None:
    world = World(seed, config=config, faults=network)
    _play(world, random.Random(seed), 60)
    _close_everything(world)
    assert world.link.run(limit_us=world.now + 12 * HOUR_US), "something still waits"
    assert not any(world.census().values())


@settings(max_examples=25)
@given(configs(), networks(), SEEDS)
def test_every_connection_of_a_closed_user_ends_when_the_peer_falls_silent_at_any_moment(
    config: Config, network: Faults, seed: int
) -> None:
    world = World(seed, config=config, faults=network)
    _play(world, random.Random(seed), 60)
    world.link.drop = lambda _stack, _packet: True
    _close_everything(world)
    while world.link.step():
        world.check()
        assert world.now < 12 * HOUR_US
    assert not any(world.census().values())


@settings(max_examples=15)
@given(networks(), SEEDS)
def test_with_keep_alive_every_connection_ends_when_the_peer_falls_silent_whatever_its_user_does(
    network: Faults, seed: int
) -> None:
    config = Config(keepalive_idle_us=20_000_000, keepalive_interval_us=5_000_000, keepalive_probes=3)
    world = World(seed, config=config, faults=network)
    draw = random.Random(seed)
    for _ in range(4):
        world.connect(draw.choice((world.left, world.right)))
    for _ in range(60):
        end = draw.choice(list(world.ends.values()))
        if not (end.connection.closer.fin_queued or end.connection.error or end.ended()):
            end.write(bytes(draw.randrange(1, 3000)))
            if draw.random() < 0.05:
                end.connection.shutdown(world.now)
        world.link.step()
    world.link.drop = lambda _stack, _packet: True
    assert world.link.run(limit_us=world.now + 2 * HOUR_US), "something still waits"
    assert world.all_ended()


SILENT = {
    "SYN-SENT": (),
    "ESTABLISHED": ("open", "write"),
    "FIN-WAIT-1": ("open", "silence", "close"),
    "FIN-WAIT-2": ("open", "close", "run"),
    "CLOSING": ("open", "lose acks", "both close", "run"),
    "LAST-ACK": ("open", "peer shuts", "run", "silence", "close"),
}


@pytest.mark.parametrize("state", SILENT)
def test_a_silent_peer_ends_every_state_that_waits_for_it(state: str) -> None:
    world = World(config=Config(retries=5))
    left = world.connect()
    right: End | None = None
    for step in SILENT[state]:
        if step == "open":
            assert world.link.run(lambda: left.other is not None)
            right = left.other
        elif step == "write":
            left.write(b"data")
        elif step == "close":
            left.connection.close(world.now)
        elif step == "run":
            world.link.advance(10_000)
        elif step == "silence":
            world.link.drop = lambda _stack, _packet: True
        elif step == "peer shuts":
            assert right is not None
            right.connection.shutdown(world.now)
        elif step == "both close":
            assert right is not None
            left.connection.close(world.now)
            right.connection.close(world.now)
        elif step == "lose acks":
            # The FINs cross; what comes after them, the ACKs, is lost.
            world.link.drop = lambda _stack, packet: packet[33] & 1 == 0
    assert left.connection.snapshot().state == state
    world.link.drop = lambda _stack, _packet: True
    assert world.link.run(left.ended, HOUR_US), f"{state} never ends"
    assert left.connection.state == states.CLOSED
    if state not in ("FIN-WAIT-2",):
        assert left.events & FAILED
