"""Request and response over a perfect link take as long as the link does: nobody waits for the delayed-ACK timer."""

from __future__ import annotations

import pytest

from synfin.links.faults import Faults
from synfin.tcp.config import Config
from tests.properties.world import End, World

DELAY_US = 1000
ROUNDS = 100


@pytest.mark.parametrize("nodelay", [False, True])
@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("size", [1, 100, 1447, 1448, 1449, 2896, 3000, 14480])
def test_a_round_takes_two_link_delays_whatever_its_length(size: int, offload: bool, nodelay: bool) -> None:
    world = World(config=Config(nodelay=nodelay), faults=Faults(delay_us=DELAY_US), offload=offload)
    left, right = world.open_pair()
    began = world.now

    def answer(end: End, _events: int, _now: int) -> None:
        if end.read == len(end.written) + size:
            end.write(bytes(size))

    def ask(end: End, _events: int, _now: int) -> None:
        if end.read == len(end.written) and end.read < ROUNDS * size:
            end.write(bytes(size))

    right.on_event = answer
    left.on_event = ask
    left.write(bytes(size))
    assert world.link.run(lambda: left.read == ROUNDS * size)
    assert world.now - began == ROUNDS * 2 * DELAY_US
    assert world.left.counters.DelayedACKs == world.right.counters.DelayedACKs == 0


@pytest.mark.parametrize("pieces", [2, 3, 10])
def test_a_request_written_in_pieces_waits_for_nagle_at_most_one_round_and_for_no_timer(pieces: int) -> None:
    world = World(faults=Faults(delay_us=DELAY_US))
    left, right = world.open_pair()
    began = world.now
    for _ in range(ROUNDS):
        for _ in range(pieces):
            left.write(bytes(10))
            world.link.flush()
        at = len(left.written)
        assert world.link.run(lambda at=at: right.read == at)  # type: ignore[misc]
        right.write(bytes(10))
        assert world.link.run(lambda: left.read == len(right.written))
    assert world.now - began <= ROUNDS * 4 * DELAY_US
    assert world.left.counters.DelayedACKs == world.right.counters.DelayedACKs == 0
