"""The largest value of late."""

from __future__ import annotations

import random

from synfin.tcp.congestion.windowed_max import WindowedMax


def test_the_largest_value_is_forgotten_when_it_is_older_than_the_window() -> None:
    best = WindowedMax()
    assert best.update(100, 0, 10) == 100
    for now in range(1, 11):
        assert best.update(50, now, 10) == 100
    assert best.update(50, 11, 10) == 50
    assert best.update(60, 12, 10) == 60


def test_after_silence_the_next_value_is_all_there_is() -> None:
    best = WindowedMax()
    best.update(100, 0, 10)
    assert best.update(1, 1000, 10) == 1


def test_it_never_tells_less_than_the_latest_nor_more_than_the_window_held() -> None:
    chosen = random.Random(1)
    best, seen = WindowedMax(), []
    for now in range(2000):
        seen.append(chosen.randrange(1000))
        told = best.update(seen[-1], now, 10)
        assert seen[-1] <= told <= max(seen[-11:])
