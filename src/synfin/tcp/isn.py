"""Initial sequence numbers, RFC 6528: ISN = M + F(4-tuple, secret), M a clock that ticks every 4 microseconds.

The clock alone keeps one incarnation of a connection clear of the last (RFC 9293 3.4.1) but lets anyone who saw one ISN
guess the next; randomness alone hides but may fall back into the old numbers. The sum does both: each 4-tuple has its
own, secret, starting point of the same clock.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2s
from typing import Final

from synfin.wire.endian import read_u32

OFFSETS: Final = b"tsoffset"

IsnFunction = Callable[[bytes, int], int]


def number_of(keyed: blake2s, text: bytes) -> int:
    """The hash of `text` as a number. keyed: has taken the key in, and nothing else; a copy costs less than a key."""
    mac = keyed.copy()
    mac.update(text)
    return read_u32(mac.digest(), 0)


class Rfc6528:
    """isn(key, now): `key` names the connection (as in an incoming packet), `now` is microseconds."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("an ISN secret needs at least 16 bytes of entropy (RFC 6528 3)")
        self._keyed = blake2s(key=secret[:32], digest_size=4)

    def __call__(self, key: bytes, now: int) -> int:
        return (number_of(self._keyed, key) + now // 4) & 0xFFFFFFFF


class TimestampOffset:
    """offset(key): where a connection's timestamp clock starts, so that it tells nothing of uptime (RFC 7323 7.1)."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret[:32]
        self._keyed = blake2s(key=self.secret, digest_size=4, person=OFFSETS)

    def __call__(self, key: bytes) -> int:
        return number_of(self._keyed, key)
