"""How many challenge ACKs a stack sends in one second. RFC 5961 7, and what CVE-2016-5696 taught about it.

A fixed budget is an oracle: an attacker uses up all but one of it on a connection of his own, spoofs a segment into
somebody else's, and sees by one challenge more or less whether that had hit. Here the budget of each second is drawn
anew and uniformly from half to one and a half of the limit, by a keyed hash of the second: the last challenge he gets
tells him nothing about how many others got. Each connection has a limit of its own besides (see `connection`).
"""

from __future__ import annotations

from hashlib import blake2s
from typing import Final

from mypy_extensions import i64

SECOND_US: Final = 1_000_000


class ChallengeBudget:
    """take(now) says whether one more may go. secret: entropy; limit: the mean per second."""

    def __init__(self, secret: bytes, limit: i64) -> None:
        self._secret: bytes = secret[:32]
        self._limit: i64 = limit
        self._second: i64 = -1
        self._left: i64 = 0  # in this second

    def take(self, now: i64) -> bool:
        """One challenge ACK is to be sent at `now`; False: not in this second any more."""
        second = now // SECOND_US
        if second != self._second:
            self._second = second
            self._left = self.budget(second)
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    def budget(self, second: i64) -> i64:
        """What this second began with."""
        digest = blake2s(int(second).to_bytes(8, "big"), key=self._secret, digest_size=4, person=b"challeng").digest()
        return self._limit - self._limit // 2 + int.from_bytes(digest, "big") % (self._limit + 1)
