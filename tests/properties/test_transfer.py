"""20% loss, reordering and duplication move every byte, in order and once, in every state that carries data."""

from __future__ import annotations

import random
from itertools import product

import pytest

from synfin.links.faults import Faults
from synfin.stack.stack import Stack
from synfin.tcp import states
from synfin.tcp.config import Config
from synfin.wire.tcp_header import FIN
from tests.properties.world import BAD_NETWORK, EOF, End, World, heard

SIZE = 10_000_000
FOREVER = 1 << 50
DATA = random.Random(10).randbytes(SIZE)


def _flags(packet: bytes) -> int:
    return packet[(20 if packet[0] >> 4 == 4 else 40) + 13]


def _finish(world: World) -> None:
    """Nothing is left behind."""
    assert world.link.run()
    assert world.left.counters.TCPAbortOnTimeout == world.right.counters.TCPAbortOnTimeout == 0
    held = world.census()
    assert not any(held.values()), held


def test_10_mb_each_way_in_established() -> None:
    world = World(1, faults=BAD_NETWORK)
    left, right = world.open_pair()
    left.write(DATA)
    right.write(DATA[::-1])
    assert world.link.run(lambda: left.read == SIZE and right.read == SIZE, FOREVER)
    assert left.read_in == right.read_in == {states.ESTABLISHED: SIZE}
    left.connection.close(world.now)
    right.connection.close(world.now)
    _finish(world)


def test_10_mb_received_in_fin_wait_1() -> None:
    world = World(2, config=Config(retries=255), faults=BAD_NETWORK, offload=True)
    left, right = world.open_pair()

    def drop_fin(sender: Stack, packet: bytes) -> bool:
        return sender is world.left and _flags(packet) & FIN != 0

    world.link.drop = drop_fin
    left.connection.shutdown(world.now)
    right.write(DATA)
    assert world.link.run(lambda: left.read == SIZE, FOREVER)
    assert left.read_in == {states.FIN_WAIT_1: SIZE}
    world.link.drop = None
    right.connection.shutdown(world.now)
    _finish(world)


def test_10_mb_sent_in_close_wait_are_received_in_fin_wait_2() -> None:
    world = World(3, faults=BAD_NETWORK)
    left, right = world.open_pair()
    left.connection.shutdown(world.now)
    assert world.link.run(lambda: left.connection.state == states.FIN_WAIT_2, FOREVER)
    right.write(DATA)
    assert world.link.run(lambda: left.read == SIZE and right.connection.queued_bytes() == 0, FOREVER)
    assert right.connection.state == states.CLOSE_WAIT
    assert left.read_in == {states.FIN_WAIT_2: SIZE}
    right.connection.shutdown(world.now)
    _finish(world)


def test_10_mb_that_were_queued_before_close_are_sent_in_last_ack() -> None:
    world = World(4, faults=BAD_NETWORK, offload=True)
    left, right = world.open_pair()
    left.connection.shutdown(world.now)
    assert world.link.run(lambda: heard(right, EOF), FOREVER)
    right.write(DATA)
    right.connection.close(world.now)
    assert right.connection.state == states.LAST_ACK
    assert world.link.run(lambda: left.read == SIZE, FOREVER)
    _finish(world)


def test_10_mb_queued_before_both_ends_close_at_once_pass_fin_wait_1_and_closing() -> None:
    seen: set[int] = set()
    world = World(5, faults=BAD_NETWORK, offload=True)
    left, right = world.open_pair()
    half = SIZE // 2
    for end, data in ((left, DATA[:half]), (right, DATA[half:])):
        end.write(data)
        end.connection.shutdown(world.now)

    def done() -> bool:
        seen.add(int(left.connection.state))
        seen.add(int(right.connection.state))
        return left.read == half and right.read == half

    assert world.link.run(done, FOREVER)
    assert states.FIN_WAIT_1 in seen
    _finish(world)


FACES = [
    (ipv6, mtu, timestamps, scaling, offload)
    for ipv6, mtu, timestamps, scaling, offload in product(
        (False, True), (576, 1280, 1500, 9000, 65535), (True, False), (True, False), (True, False)
    )
    if not (ipv6 and mtu == 576)
]


@pytest.mark.parametrize(("ipv6", "mtu", "timestamps", "scaling", "offload"), FACES)
def test_every_face_of_the_wire_carries_the_same_bytes(
    ipv6: bool, mtu: int, timestamps: bool, scaling: bool, offload: bool
) -> None:
    size = 40 * mtu if mtu < 9000 else 4 * mtu
    config = Config(mtu=mtu, timestamps=timestamps, window_scale=scaling, sack=scaling)
    world = World(mtu, config=config, faults=BAD_NETWORK, offload=offload, ipv6=ipv6)
    sent = _exchange(world, size)
    largest = max(sent)
    assert largest <= (65535 if offload else mtu)
    _finish(world)


def _exchange(world: World, size: int) -> list[int]:
    """`size` bytes each way, then a close from both sides; the sizes of all packets."""
    sent: list[int] = []
    world.link.tap = lambda _now, _stack, packet: sent.append(len(packet))

    def accepted(end: End, now: int) -> None:
        end.write(DATA[:size])
        end.connection.shutdown(now)

    world.on_accept = accepted
    left = world.connect()
    left.write(DATA[-size:])
    left.connection.shutdown(world.now)
    assert world.link.run(lambda: left.read == size and left.other is not None and left.other.read == size, FOREVER), (
        f"{left.read} of {size} bytes"
    )
    return sent


def test_a_peer_of_other_settings_is_understood() -> None:
    """MTU, timestamps, scaling, buffer: each side has its own."""
    draw = random.Random(6)
    for seed in range(20):
        configs = [
            Config(
                mtu=draw.choice((576, 1006, 1500, 4096)),
                timestamps=draw.random() < 0.5,
                window_scale=draw.random() < 0.5,
                sack=draw.random() < 0.7,
                receive_buffer=draw.choice((2048, 5000, 65535, 128 * 1024)),
                nodelay=draw.random() < 0.5,
                ecn=draw.choice(("off", "accept", "on", "accurate")),
            )
            for _ in range(2)
        ]
        faults = Faults(loss=0.1, reorder=0.2, duplicate=0.1, jitter_us=3000, mark=0.2)
        world = World(seed, config=configs[0], other_config=configs[1], faults=faults, offload=draw.random() < 0.5)
        _exchange(world, 20_000)
        _finish(world)


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("mark", [0.01, 0.3, 1.0])
def test_marks_and_losses_together_lose_nothing(loss: float, mark: float) -> None:
    marked = answered = 0
    for seed, (offload, sack, pacing, accurate) in enumerate(product((True, False), repeat=4)):
        config = Config(ecn="accurate" if accurate else "on", sack=sack, pacing=pacing)
        faults = Faults(loss=loss, reorder=0.1, duplicate=0.02, mark=mark)
        world = World(seed, config=config, faults=faults, offload=offload, ipv6=seed % 2 == 0)
        _exchange(world, 300_000)
        _finish(world)
        marked += world.left.counters.InCEPkts + world.right.counters.InCEPkts
        answered += world.left.counters.TCPEcnReductions + world.right.counters.TCPEcnReductions
    assert 0 < answered <= marked
