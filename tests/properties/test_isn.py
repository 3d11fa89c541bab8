"""A million initial sequence numbers: hidden from whoever sees others', and ever ahead of the tuple's own last one.

RFC 6528 asks for both. Three generators that ask for one or none are put to the same test, and fail it for their own
reason: a fixed number, the bare clock of RFC 9293 3.4.1, and a random number each time.
"""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from struct import pack

import pytest

from synfin.tcp.isn import Rfc6528

TUPLES = 500_000
MOMENTS = 500_000
NOW = 1_000_000_000
HIGHEST_CHI_SQUARE = 255 + 6 * (2 * 255) ** 0.5  # of 256 equally likely values: 6 standard deviations above the mean

# what may be wrong
NOT_UNIFORM = "the numbers of different tuples are not uniform"
TELLS_ANOTHER = "one tuple's number tells another's"
STANDS_STILL = "a tuple's number stands still"
GOES_BACK = "a new incarnation may begin within the numbers of the last"

Generator = Callable[[bytes, int], int]


def chi_square(values: bytes) -> float:
    """Distance of byte values from the uniform distribution."""
    expected = len(values) / 256
    counts = Counter(values)
    return sum((counts[value] - expected) ** 2 for value in range(256)) / expected


def is_uniform(numbers: array[int]) -> bool:
    """Each of the four bytes takes all its values equally often."""
    text = numbers.tobytes()
    return all(chi_square(text[place :: numbers.itemsize]) < HIGHEST_CHI_SQUARE for place in range(4))


def what_is_wrong(isn: Generator) -> set[str]:
    """Half a million tuples at one time, then half a million times of one tuple."""
    wrong = set()
    keys = (pack("!IIHH", 0x0A000002 + (n >> 14), 0x0A000001, 1024 + (n & 16383), 80) for n in range(TUPLES))
    numbers = array("I", [isn(key, NOW) for key in keys])
    if not is_uniform(numbers):
        wrong.add(NOT_UNIFORM)
    # An attacker opens connections of his own and looks at what lies between neighbouring tuples.
    differences = array("I", [(b - a) & 0xFFFFFFFF for a, b in pairwise(numbers)])
    if not is_uniform(differences):
        wrong.add(TELLS_ANOTHER)
    key = pack("!IIHH", 1, 2, 3, 4)
    step = 1000  # microseconds: 250 numbers of the clock; in all 500 s
    numbers = array("I", [isn(key, NOW + n * step) for n in range(MOMENTS)])
    ahead = {(b - a) & 0xFFFFFFFF for a, b in pairwise(numbers)}
    if ahead == {0}:
        wrong.add(STANDS_STILL)
    elif ahead != {step // 4}:
        wrong.add(GOES_BACK)
    return wrong


def fixed(_key: bytes, _now: int) -> int:
    """The same number for all."""
    return 4711


def clock(_key: bytes, now: int) -> int:
    """RFC 9293 3.4.1 without the keyed hash."""
    return now // 4 & 0xFFFFFFFF


def random_each_time(_key: bytes, _now: int) -> int:
    """No memory of the last incarnation."""
    return _RNG.getrandbits(32)


_RNG = random.Random(6528)


@pytest.mark.parametrize(
    ("isn", "wrong"),
    [
        (Rfc6528(bytes(range(32))), set()),
        (fixed, {NOT_UNIFORM, TELLS_ANOTHER, STANDS_STILL}),
        (clock, {NOT_UNIFORM, TELLS_ANOTHER}),
        (random_each_time, {GOES_BACK}),
    ],
    ids=["RFC 6528", "fixed", "clock only", "random each time"],
)
def test_a_million_isns_are_hidden_from_others_and_ahead_of_their_own(isn: Generator, wrong: set[str]) -> None:
    assert what_is_wrong(isn) == wrong


def test_two_stacks_have_nothing_in_common() -> None:
    one, other = Rfc6528(bytes(range(32))), Rfc6528(bytes(32))
    keys = [pack("!III", 1, 2, n) for n in range(50_000)]
    assert is_uniform(array("I", [(one(key, NOW) - other(key, NOW)) & 0xFFFFFFFF for key in keys]))


def test_the_clock_runs_through_all_numbers_in_four_hours_and_three_quarters() -> None:
    # RFC 9293 3.4.1: one in 4 microseconds; the textbook's 4 ms would take 200 days, and wrap no sooner
    isn = Rfc6528(bytes(range(32)))
    key = bytes(12)
    assert isn(key, NOW + 4 * (1 << 32)) == isn(key, NOW)
    assert (isn(key, NOW + 4 * (1 << 31)) - isn(key, NOW)) & 0xFFFFFFFF == 1 << 31
