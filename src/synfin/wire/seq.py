"""Sequence numbers: the only door between 32-bit wire numbers and 64-bit stream offsets (RFC 9293 3.4).

An offset counts bytes of the sequence space from the ISN: the SYN is at 0, the first data byte at 1. It never wraps in
the life of a connection, so offsets compare with plain `<`. SYN-queue and TIME-WAIT records keep wire numbers; the
`seq_*` comparisons are for them.
"""

from typing import Final

from mypy_extensions import i64

MASK32: Final = 0xFFFFFFFF
HALF: Final = 0x80000000


def unwrap(wire: i64, isn: i64, near: i64) -> i64:
    """The offset congruent to `wire - isn` (mod 2^32) that is nearest to the offset `near`; may be negative.

    Exactly half the space away both candidates are equally near: the lower one is taken.

    >>> unwrap(wire=4, isn=0xFFFFFFFF, near=1)
    5
    """
    delta = (wire - isn - near) & MASK32
    if delta >= HALF:
        delta -= 0x100000000
    return near + delta


def wrap(offset: i64, isn: i64) -> i64:
    """The wire number of a stream offset.

    >>> wrap(5, isn=0xFFFFFFFF)
    4
    """
    return (isn + offset) & MASK32


def seq_lt(a: i64, b: i64) -> bool:
    """a comes before b. Numbers exactly half the space apart are in no order."""
    delta = (b - a) & MASK32
    return 0 < delta < HALF


def seq_le(a: i64, b: i64) -> bool:
    """a comes before b or is b."""
    return ((b - a) & MASK32) < HALF


def seq_gt(a: i64, b: i64) -> bool:
    """a comes after b."""
    return seq_lt(b, a)


def seq_ge(a: i64, b: i64) -> bool:
    """a comes after b or is b."""
    return seq_le(b, a)


def seq_add(a: i64, n: i64) -> i64:
    """The wire number n after a (n may be negative)."""
    return (a + n) & MASK32
