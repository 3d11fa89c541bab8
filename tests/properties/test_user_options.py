"""Whatever users set in the middle of a transfer, every byte arrives, in order, once, and no window is taken back."""

from __future__ import annotations

import random

import pytest

from synfin.links.faults import Faults
from synfin.tcp.config import LEAST_RECEIVE_BUFFER, LEAST_SEND_BUFFER, Config
from tests.properties.world import End, World

SIZE = 300_000
FAULTS = Faults(loss=0.02, duplicate=0.01, reorder=0.05, jitter_us=300)


def change(rng: random.Random, end: End) -> None:
    """One option of one end."""
    connection = end.connection
    what = rng.randrange(8)
    if what == 0:
        connection.set_send_buffer(rng.choice((LEAST_SEND_BUFFER, 5_000, 70_000, 4 << 20)))
    elif what <= 2:
        connection.set_receive_buffer(rng.choice((LEAST_RECEIVE_BUFFER, 3_000, 50_000, 1 << 20)))
    elif what == 3:
        connection.set_notsent_lowat(rng.choice((0, 1, 10_000)))
    elif what == 4:
        connection.set_cork(rng.random() < 0.5)
    elif what == 5:
        connection.set_tos(rng.randrange(256))
    elif what == 6:
        connection.set_send_mss_max(rng.choice((0, 100, 536, 1400)))
    else:
        connection.set_nodelay(rng.random() < 0.5)


@pytest.mark.parametrize("seed", range(12))
def test_options_changed_at_any_time_lose_nothing_and_stop_nothing(seed: int) -> None:
    rng = random.Random(seed)
    config = Config(window_scale=seed % 3 != 0, sack=seed % 4 != 1, pacing=seed % 2 == 0)
    place = World(seed, config=config, faults=FAULTS, offload=seed % 2 == 1)
    left, right = place.open_pair()
    ends = (left, right)
    edges = [0, 0]
    for end in ends:
        end.write(rng.randbytes(SIZE))

    def done() -> bool:
        for place_of, end in enumerate(ends):
            edge = int(end.connection.receiver.rcv_adv)
            assert edge >= edges[place_of], "a window was taken back"
            edges[place_of] = edge
        if rng.random() < 0.02:
            change(rng, rng.choice(ends))
        return left.read == right.read == SIZE

    assert place.link.run(done, place.now + 600_000_000), "the transfer stands still"
    for end in ends:
        status = end.connection.snapshot(place.now)
        held_up = status.peer_limited_us + status.buffer_limited_us + status.congestion_limited_us
        assert 0 <= held_up <= status.busy_us <= place.now
        end.connection.close(place.now)
    assert place.link.run(place.all_ended, place.now + 600_000_000), "the connection does not end"
