"""The search for what a path carries: which size is tried, what a lost probe means, when it is over. RFC 4821."""

from __future__ import annotations

import pytest

from synfin.tcp.path_probe import (
    AGE_US,
    PATH_CLEAR,
    PATH_HOLE,
    PATH_RAISED,
    PATH_TOO_BIG,
    STEP,
    TIMEOUT_REST,
    PathProbe,
)
from synfin.tcp.scoreboard import SACKED, Sent

INTERVAL = 200_000
NOW = 1_000_000


def probe(low: int = 1148, top: int = 1448) -> PathProbe:
    path = PathProbe(low, top, 524, 48)
    path.on_delivered(1000 * low, low)  # this path loses nothing
    return path


def goes(path: PathProbe, size: int, start: int = 1) -> Sent:
    """A probe of this size goes out."""
    record = Sent(start, start + size, NOW)
    record.segment = size
    path.sent(record, size)
    return record


def tries(path: PathProbe, hole: int, now: int = NOW) -> tuple[int, int]:
    """The next size is tried: it, and what came of it."""
    size = path.next_size(INTERVAL, now)
    record = goes(path, size)
    if size <= hole:
        record.state = SACKED
    else:
        assert path.on_lost(record, True, True)
    return size, int(path.on_ack(1, now))


@pytest.mark.parametrize("hole", range(1148, 1449, 7))
def test_the_search_ends_within_a_step_of_the_largest_size_that_passes(hole: int) -> None:
    path = probe()
    now = NOW
    for _ in range(30):
        if path.next_size(INTERVAL, now):
            tries(path, hole, now)
        now += INTERVAL
    assert hole - STEP < path.low <= hole or path.low == hole == 1448


def test_the_largest_is_tried_first_then_a_quarter_of_the_range() -> None:
    # RFC 4821 7.3: what fails costs more than what succeeds
    path = probe()
    assert tries(path, 1348) == (1448, PATH_TOO_BIG)
    assert path.high == 1447
    assert path.next_size(INTERVAL, NOW) == 0  # 7.6.2: not before congestion would allow it
    assert path.next_size(INTERVAL, NOW + INTERVAL - 1) == 0
    assert tries(path, 1348, NOW + INTERVAL) == (1148 + 299 // 4, PATH_RAISED)
    assert path.low == 1148 + 299 // 4


def test_when_the_largest_passes_it_is_over() -> None:
    path = probe()
    assert tries(path, 1448) == (1448, PATH_RAISED)
    assert path.low == 1448
    assert path.is_over()


def test_a_probe_lost_among_others_says_nothing() -> None:
    # RFC 4821 7.6.4
    path = probe()
    record = goes(path, 1448)
    assert not path.on_lost(record, False, False)
    assert path.on_ack(1, NOW) == 0
    assert path.next_size(INTERVAL, NOW) == 1448


def test_on_a_path_that_loses_one_lost_probe_says_little() -> None:
    path = PathProbe(1000, 1400, 524, 48)
    for start in range(10):
        record = Sent(start * 1000, start * 1000 + 1000, NOW)
        record.segment = 1000
        assert not path.on_lost(record, True, False)
    path.on_delivered(20_000, 1000)
    results = []
    for _ in range(10):
        record = goes(path, 1400)
        path.on_lost(record, True, True)
        results.append(path.on_ack(1, NOW))
    assert results.index(PATH_TOO_BIG) == 4  # (11/32) ** 5 < 0.01


def test_a_timeout_makes_the_next_probe_wait_five_times_as_long() -> None:
    # RFC 4821 7.6.3
    path = probe()
    goes(path, 1448)
    path.on_timeout(0, 1)
    assert path.next_size(INTERVAL, NOW) == 0
    assert path.next_size(INTERVAL, NOW + TIMEOUT_REST * INTERVAL - 1) == 0
    assert path.next_size(INTERVAL, NOW + TIMEOUT_REST * INTERVAL) == 1448


def test_only_a_loss_that_stands_alone_is_excused_and_until_it_is_sent_again() -> None:
    path = probe()
    record = goes(path, 1448)
    assert path.on_lost(record, True, True)
    assert path.excused == 1448
    path.on_resent(1, 1148)
    assert path.excused == 300
    path.on_resent(5000, 300)  # something else
    assert path.excused == 300
    path.on_resent(1149, 300)
    assert path.excused == 0


def test_in_doubt_nothing_large_goes_before_something_small_has_arrived() -> None:
    path = PathProbe(1448, 1448, 524, 48)
    path.doubt(1448, 1148)
    assert (path.low, path.doubted) == (1148, 1448)
    assert path.next_size(INTERVAL, NOW) == 0
    path.on_delivered(1148, 1148)
    assert path.next_size(INTERVAL, NOW) == 1448


def test_three_lost_in_doubt_among_fifteen_that_arrive_are_a_hole() -> None:
    path = PathProbe(1448, 1448, 524, 48)
    path.doubt(1448, 1148)
    path.on_delivered(15 * 1148, 1148)
    for expected in (0, 0, PATH_HOLE):
        assert not path.on_lost(goes(path, 1448), True, False)
        assert path.on_ack(1, NOW) == expected
    assert (path.low, path.high, path.doubted) == (1148, 1447, 0)


def test_one_that_arrives_ends_the_doubt() -> None:
    path = PathProbe(1448, 1448, 524, 48)
    path.doubt(1448, 1148)
    path.on_delivered(1148, 1148)
    path.on_lost(goes(path, 1448), True, False)
    assert path.on_ack(1, NOW) == 0
    goes(path, 1448, 2000)
    assert path.on_ack(2000 + 1448, NOW) == PATH_CLEAR
    assert path.low == 1448
    assert path.is_over()


def test_one_of_before_that_arrives_late_ends_the_doubt_too() -> None:
    path = PathProbe(1448, 1448, 524, 48)
    path.doubt(1448, 1148)
    path.on_delivered(5 * 1448, 1448)
    assert path.on_ack(1, NOW) == PATH_CLEAR


def test_timeouts_in_a_row_halve_down_to_the_floor() -> None:
    # RFC 4821 7.7
    path = PathProbe(1448, 1448, 524, 48)
    path.doubt(1448, 1148)
    path.on_timeout(1, 1)
    assert path.low == 1148
    sizes = []
    for tries in range(2, 12):
        path.on_timeout(1, tries)
        sizes.append(path.low)
    assert sizes == [524, 524, 262, 262, 131, 131, 65, 65, 48, 48]


def test_what_is_smaller_than_the_base_is_doubted_by_halves() -> None:
    path = PathProbe(536, 536, 524, 48)
    path.doubt(536, 1148)
    assert path.low == 524
    path = PathProbe(400, 400, 524, 48)
    path.doubt(400, 1148)
    assert path.low == 200


def test_what_was_settled_holds_for_ten_minutes_and_then_the_largest_is_tried() -> None:
    # RFC 4821 7.3
    path = probe()
    path.settle(1300, 1300, NOW)
    assert path.next_size(INTERVAL, NOW + AGE_US - 1) == 0
    assert path.next_size(INTERVAL, NOW + AGE_US) == 1448


def test_a_range_that_others_have_found_is_searched_on_from_there() -> None:
    path = probe()
    path.settle(1200, 1400, NOW)
    assert path.next_size(INTERVAL, NOW) == 1250


def test_what_a_router_says_of_a_probe_is_tried_next() -> None:
    path = probe()
    goes(path, 1448)
    path.cap(1348)
    path.on_timeout(0, 1)
    assert path.next_size(INTERVAL, NOW + AGE_US) in (0, 1348)


def test_the_user_s_limit_ends_what_is_above_it() -> None:
    path = probe()
    path.limit(1300)
    assert (path.low, path.high, path.top) == (1148, 1300, 1300)
    path.limit(1100)
    assert path.low == 1100
    assert path.is_over()


def test_what_vanishes_may_be_smaller_than_what_could_be_sent() -> None:
    path = PathProbe(65483, 65483, 524, 48)
    path.doubt(20_000, 1148)
    path.on_delivered(1148, 1148)
    assert path.next_size(INTERVAL, NOW) == 20_000
    goes(path, 20_000).state = SACKED
    assert path.on_ack(1, NOW) == PATH_CLEAR
    assert path.low == 65483
