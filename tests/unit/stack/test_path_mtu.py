"""Learned path sizes: they only shrink while they hold, age, and are bounded in number."""

from __future__ import annotations

from synfin.stack.path_mtu import AGE_US, LIMIT, PathMtu


def test_what_was_learned_holds_for_ten_minutes() -> None:
    # RFC 1191 6.3
    paths = PathMtu(1500)
    assert paths.to(b"a", 0) == 1500
    paths.learn(b"a", 1400, 5)
    paths.learn(b"a", 1450, 6)
    assert (paths.to(b"a", 7), paths.to(b"b", 7)) == (1400, 1500)
    assert paths.to(b"a", 5 + AGE_US - 1) == 1400
    assert paths.to(b"a", 5 + AGE_US) == 1500
    assert len(paths) == 0


def test_a_smaller_size_begins_its_ten_minutes_anew() -> None:
    paths = PathMtu(1500)
    paths.learn(b"a", 1400, 0)
    paths.learn(b"a", 1300, AGE_US - 1)
    assert paths.to(b"a", 2 * AGE_US - 2) == 1300


def test_the_host_learned_first_makes_room() -> None:
    paths = PathMtu(1500)
    for number in range(LIMIT + 1):
        paths.learn(number.to_bytes(4, "big"), 1400, number)
    assert len(paths) == LIMIT
    assert paths.to(bytes(4), LIMIT) == 1500
    assert paths.to(bytes((0, 0, 0, 1)), LIMIT) == 1400
