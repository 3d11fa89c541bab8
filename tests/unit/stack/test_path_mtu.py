"""Learned path sizes: they only shrink while they hold, age, and are bounded in number."""

from __future__ import annotations

from synfin.stack.path_mtu import LIMIT, PathMtu
from synfin.tcp.path_probe import AGE_US


def test_what_was_learned_holds_for_ten_minutes() -> None:
    # RFC 1191 6.3
    paths = PathMtu(1500)
    assert paths.to(b"aaaa", 0) == 1500
    paths.learn(b"aaaa", 1400, 5)
    paths.learn(b"aaaa", 1450, 6)
    assert (paths.to(b"aaaa", 7), paths.to(b"bbbb", 7)) == (1400, 1500)
    assert paths.to(b"aaaa", 5 + AGE_US - 1) == 1400
    assert paths.to(b"aaaa", 5 + AGE_US) == 1500
    assert len(paths) == 0


def test_a_smaller_size_begins_its_ten_minutes_anew() -> None:
    paths = PathMtu(1500)
    paths.learn(b"aaaa", 1400, 0)
    paths.learn(b"aaaa", 1300, AGE_US - 1)
    assert paths.to(b"aaaa", 2 * AGE_US - 2) == 1300


def test_the_host_learned_first_makes_room() -> None:
    paths = PathMtu(1500)
    for number in range(LIMIT + 1):
        paths.learn(number.to_bytes(4, "big"), 1400, number)
    assert len(paths) == LIMIT
    assert paths.to(bytes(4), LIMIT) == 1500
    assert paths.to(bytes((0, 0, 0, 1)), LIMIT) == 1400


def test_what_a_connection_found_replaces_what_was_known() -> None:
    # RFC 4821 5.2
    paths = PathMtu(1500)
    paths.learn(b"abcd", 1300, 0)
    paths.found(b"abcd", 1372, 1402, 5)
    assert paths.known(b"abcd", 6) == (1372, 1402)
    assert paths.to(b"abcd", 6) == 1372
    assert paths.known(b"abcd", 5 + AGE_US) is None


def test_nothing_tiny_is_told_from_one_connection_to_another() -> None:
    paths = PathMtu(1500)
    paths.found(b"abcd", 100, 130, 0)
    assert paths.known(b"abcd", 1) == (552, 552)
    paths.found(bytes(16), 600, 700, 0)
    assert paths.known(bytes(16), 1) == (1280, 1280)
