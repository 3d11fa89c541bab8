"""Same inputs, same bytes out: on every Python, compiled or not.

Rule for the next editor: a change of what synfin sends changes CAPTURE. Then, and only then, put the new hash here, and
say in the commit why the packets are others.
"""

from __future__ import annotations

import random
from hashlib import sha256

from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from tests.properties.world import BAD_NETWORK, End, World

CAPTURE = "c3b6ca79d8316b58410476b969cb40abafbb6b00559599b87804b1780d218c6f"
SIZE = 100_000


def _capture(seed: int) -> str:
    """Runs a mixed bag of connections over bad networks and hashes each packet with its time and sender."""
    digest = sha256()
    draw = random.Random(seed)

    def tap(now: int, stack: Stack, packet: bytes) -> None:
        digest.update(now.to_bytes(8, "big") + stack.name.encode() + packet)

    def accepted(end: End, now: int) -> None:
        end.write(draw.randbytes(SIZE))
        if draw.random() < 0.5:
            end.connection.shutdown(now)

    for ipv6, offload in ((False, False), (False, True), (True, False), (True, True)):
        config = Config(keepalive_idle_us=30_000_000)
        world = World(seed, config=config, faults=BAD_NETWORK, ipv6=ipv6, offload=offload)
        world.link.tap = tap
        world.on_accept = accepted
        ends = [world.connect(draw.choice((world.left, world.right))) for _ in range(5)]
        for end in ends:
            end.write(draw.randbytes(SIZE))
        world.link.run(limit_us=20_000_000)
        ends[0].connection.abort(world.now)
        for end in list(world.ends.values()):
            end.connection.close(world.now)
        world.link.run()
        assert not any(world.census().values())
    return digest.hexdigest()


def test_the_same_seed_gives_the_same_capture_on_every_python_and_in_every_build() -> None:
    assert _capture(1) == CAPTURE


def test_the_same_seed_gives_the_same_capture_twice_and_another_seed_another() -> None:
    assert _capture(2) == _capture(2) != _capture(3)
