"""What one direction of a link does with packets, without any TCP."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest

from synfin.sim.link import DISTRIBUTIONS, LOST, Direction, LinkSettings, corrupted

PACKETS = 20_000


def direction(**settings: Any) -> Direction:
    return Direction(LinkSettings().changed(**settings), "seed")


def fates(**settings: Any) -> list[str]:
    link = direction(**settings)
    return [link.draw()[0] for _ in range(PACKETS)]


def test_independent_loss_is_as_frequent_as_it_was_set() -> None:
    drawn = fates(loss=0.1)
    assert 0.09 < drawn.count(LOST) / PACKETS < 0.11


def test_bursts_are_as_long_and_as_frequent_as_gilbert_and_elliott_say() -> None:
    drawn = fates(burst_enter=0.01, burst_leave=0.25)
    bursts = [len(list(group)) for fate, group in groupby(drawn) if fate == LOST]
    assert 3.5 < sum(bursts) / len(bursts) < 4.5  # 1 / burst_leave
    assert 0.03 < sum(bursts) / PACKETS < 0.05  # enter / (enter + leave)


@pytest.mark.parametrize(
    ("distribution", "above"),  # the parts that get more than half of the jitter, all of it, and twice as much
    [("uniform", (0.5, 0, 0)), ("normal", (0.5, 0.0228, 0)), ("pareto", (0.2963, 0.125, 0.0370))],
)
def test_jitter_is_spread_as_its_distribution_says_and_is_half_of_it_on_average(
    distribution: str, above: tuple[float, ...]
) -> None:
    link = direction(jitter="10ms", distribution=distribution)
    extra = [link.draw()[1] for _ in range(PACKETS)]
    assert min(extra) >= 0
    assert 4_800 < sum(extra) / PACKETS < 5_200
    for most, part in zip((5_000, 10_000, 20_000), above, strict=True):
        assert sum(one > most for one in extra) / PACKETS == pytest.approx(part, abs=0.01 if part else 0)


def test_how_jitter_is_spread_changes_nothing_else_that_chance_does() -> None:
    links = [direction(jitter="10ms", loss=0.3, distribution=name) for name in DISTRIBUTIONS]
    assert len({tuple(link.draw()[0] for _ in range(1000)) for link in links}) == 1


def test_each_fault_is_as_frequent_as_it_was_set() -> None:
    drawn = fates(duplicate=0.1, corrupt=0.2, mark=0.5)
    assert 0.09 < drawn.count("duplicate") / PACKETS < 0.11
    assert 0.16 < drawn.count("corrupt") / PACKETS < 0.20
    assert 0.34 < drawn.count("mark") / PACKETS < 0.38


def test_jitter_is_within_its_bounds() -> None:
    link = direction(jitter="5ms")
    drawn = [link.draw()[1] for _ in range(PACKETS)]
    assert 0 <= min(drawn) < 10
    assert 4990 < max(drawn) < 5000


def test_the_same_seed_draws_the_same() -> None:
    assert fates(loss=0.5) == fates(loss=0.5)


def test_packets_keep_their_order_unless_they_may_overtake() -> None:
    link = direction(delay="1ms")
    assert link.arrival(100, 0, 500, False) == 1500
    assert link.arrival(100, 10, 0, False) == 1500
    assert link.arrival(100, 20, 9000, True) == 10_020
    assert link.arrival(100, 30, 0, False) == 1500


def test_bandwidth_spaces_packets_out() -> None:
    link = direction(delay="1ms", bandwidth="8Mbit/s")
    assert [link.arrival(1000, 0, 0, False) for _ in range(3)] == [2000, 3000, 4000]
    assert link.arrival(1000, 10_000, 0, False) == 12_000


def test_what_does_not_fit_into_the_queue_is_dropped() -> None:
    link = direction(delay="0ms", bandwidth="8Mbit/s", queue="2KB")
    assert [link.arrival(1000, 0, 0, False) for _ in range(4)] == [1000, 2000, -1, -1]
    assert link.queue_drops == 2
    assert link.arrival(1000, 1000, 0, False) == 3000


def test_a_packet_bigger_than_the_queue_passes_an_idle_link() -> None:
    link = direction(bandwidth="8Mbit/s", queue="500B")
    assert link.arrival(1000, 0, 0, False) > 0


def test_corruption_turns_over_one_bit_always_the_same() -> None:
    packet = bytes(range(100))
    changed = corrupted(packet)
    assert int.from_bytes(packet, "big") ^ int.from_bytes(changed, "big") in [1 << bit for bit in range(800)]
    assert corrupted(packet) == changed


def test_what_was_understood_once_makes_nothing_else_understood() -> None:
    settings = LinkSettings()
    assert settings.changed(loss=1, reorder=True) is settings.changed(loss=1, reorder=True)
    with pytest.raises(TypeError, match="loss is a probability"):
        settings.changed(loss=True, reorder=True)
    with pytest.raises(TypeError, match="reorder is True or False"):
        settings.changed(loss=1, reorder=1)
    with pytest.raises(TypeError, match="delay is seconds, or a str such as '20ms', not list"):
        settings.changed(delay=[])
