"""RFC 6528: each 4-tuple has its own secret starting point of one clock of 4 microseconds."""

from __future__ import annotations

import itertools

import pytest

from synfin.tcp.isn import Rfc6528, TimestampOffset
from synfin.wire.key import make_key

SECRET = bytes(range(32))


def key(port: int) -> bytes:
    """One of many 4-tuples."""
    return make_key(b"\x0a\0\0\x02", b"\x0a\0\0\x01", port, 80)


def test_for_one_tuple_the_number_grows_by_one_every_4_microseconds() -> None:
    # RFC 9293 3.4.1
    isn = Rfc6528(SECRET)
    start = isn(key(1), 0)
    assert isn(key(1), 3) == start
    assert isn(key(1), 4) == (start + 1) & 0xFFFFFFFF
    assert isn(key(1), 4_000_000) == (start + 1_000_000) & 0xFFFFFFFF


def test_the_clock_wraps_after_four_hours_and_three_quarters() -> None:
    isn = Rfc6528(SECRET)
    assert isn(key(1), 4 << 32) == isn(key(1), 0)


def test_other_tuples_have_starting_points_that_tell_nothing_of_each_other() -> None:
    isn = Rfc6528(SECRET)
    numbers = [isn(key(port), 0) for port in range(4096)]
    assert len(set(numbers)) > 4090
    differences = {(b - a) & 0xFFFFFFFF for a, b in itertools.pairwise(numbers)}
    assert len(differences) > 4080
    # each of 16 equal parts of the number space holds about its share
    shares = [sum(1 for number in numbers if number >> 28 == part) for part in range(16)]
    assert all(180 < share < 340 for share in shares)


def test_every_part_of_the_tuple_counts() -> None:
    isn = Rfc6528(SECRET)
    a, b, c = b"\x0a\0\0\x02", b"\x0a\0\0\x01", b"\x0a\0\0\x03"
    tuples = [(a, b, 1, 2), (b, a, 1, 2), (a, c, 1, 2), (c, b, 1, 2), (a, b, 2, 1), (a, b, 1, 3), (a, b, 3, 2)]
    assert len({isn(make_key(*each), 0) for each in tuples}) == len(tuples)


def test_another_secret_gives_other_numbers() -> None:
    assert Rfc6528(SECRET)(key(1), 0) != Rfc6528(SECRET[::-1])(key(1), 0)


@pytest.mark.parametrize("length", [0, 15])
def test_a_secret_that_can_be_guessed_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Rfc6528(bytes(length))


def test_timestamp_offsets_differ_by_tuple_and_from_the_isn() -> None:
    # RFC 7323 7.1
    offset, isn = TimestampOffset(SECRET), Rfc6528(SECRET)
    assert len({offset(key(port)) for port in range(1000)}) > 995
    assert offset(key(1)) != isn(key(1), 0)
