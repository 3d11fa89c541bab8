"""Loss recovery under any pattern of loss: every byte once and in order, the accounts right after every step.

Each control, SACK, timestamps and each kind of ECN on or off at either end, bursts whole or cut, paced or not. What
must hold of the accounts is stated once, in `synfin.explore.accounts`.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.explore.accounts import accounts_hold
from synfin.links.faults import Faults
from synfin.tcp.config import Config
from synfin.tcp.congestion import BY_NAME
from tests.properties.world import World

SIZE = 60_000
FOREVER = 1 << 50


def play(seed: int, config: Config, other: Config, faults: Faults, *, offload: bool, both_ways: bool) -> World:
    """SIZE bytes from left to right, or both ways, whole; then an orderly end."""
    world = World(seed, config=config, other_config=other, faults=faults, offload=offload)
    data = random.Random(seed).randbytes(SIZE)
    left = world.connect()
    left.write(data)
    assert world.link.run(lambda: left.other is not None, FOREVER)
    right = left.other
    assert right is not None
    checked = 0

    def tap(now: int, stack: object, packet: bytes) -> None:
        nonlocal checked
        checked += 1
        for end in (left, right):
            if not end.ended():
                accounts_hold(end.connection)

    world.link.tap = tap
    if both_ways:
        right.write(data[::-1])
    done = world.link.run(lambda: right.read == SIZE and left.read == (SIZE if both_ways else 0), FOREVER)
    assert done, f"stopped at {right.read} and {left.read} bytes"
    assert checked
    left.connection.shutdown(world.now)
    right.connection.shutdown(world.now)
    assert world.link.run(world.all_ended, FOREVER)
    assert left.connection.error == right.connection.error == 0
    world.link.tap = None
    assert not any(world.census().values())
    return world


CONTROLS = sorted(set(BY_NAME) - {"newreno"})
MODES = st.sampled_from(["off", "accept", "on", "accurate"])


@pytest.mark.parametrize("control", CONTROLS)
@given(
    seed=st.integers(0, 1 << 30),
    loss=st.sampled_from([0.0, 0.01, 0.05, 0.2, 0.4]),
    reorder=st.sampled_from([0.0, 0.1, 0.5]),
    duplicate=st.sampled_from([0.0, 0.1]),
    jitter=st.sampled_from([0, 500, 30_000]),
    mark=st.sampled_from([0.0, 0.1]),
    options=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    ecn=st.tuples(MODES, MODES),
    shape=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_every_byte_arrives_once_and_the_accounts_hold_after_every_packet(
    control: str,
    seed: int,
    loss: float,
    reorder: float,
    duplicate: float,
    jitter: int,
    mark: float,
    options: tuple[bool, bool, bool, bool],
    ecn: tuple[str, str],
    shape: tuple[bool, bool, bool],
) -> None:
    offload, both_ways, pacing = shape
    patient = Config(retries=255, syn_retries=60, synack_retries=60, congestion_control=control, pacing=pacing)
    config = replace(patient, sack=options[0], timestamps=options[1], ecn=ecn[0])
    other = replace(patient, sack=options[2], timestamps=options[3], ecn=ecn[1])
    faults = Faults(loss=loss, reorder=reorder, duplicate=duplicate, jitter_us=jitter, mark=mark)
    play(seed, config, other, faults, offload=offload, both_ways=both_ways)


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("seed", range(3))
def test_half_of_all_acks_may_be_lost(control: str, seed: int) -> None:
    world = World(seed, config=Config(congestion_control=control), faults=Faults(delay_us=10_000))
    draw = random.Random(seed)
    left, right = world.open_pair()
    world.link.drop = lambda sender, packet: sender is world.right and draw.random() < 0.5
    left.write(bytes(1_000_000))
    begun = world.now
    assert world.link.run(lambda: right.read == 1_000_000, FOREVER)
    assert world.left.counters.TCPTimeouts == 0
    assert world.now - begun < 5_000_000
    world.link.drop = None
    left.connection.shutdown(world.now)
    right.connection.shutdown(world.now)
    assert world.link.run(world.all_ended, FOREVER)
