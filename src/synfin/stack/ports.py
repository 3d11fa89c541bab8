"""Ephemeral ports, RFC 6056 algorithm 4 (double-hash).

Each destination walks the port range from its own secret starting point, by a counter it shares with a few others:
ports are hard to guess from outside, and the same 4-tuple returns as late as it can, clear of its own TIME-WAIT.
Algorithm 5 (random increments) hides as well but returns to a tuple sooner.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2s
from typing import Final

_TABLE: Final = 256


class EphemeralPorts:
    """choose() gives a port for which `free` says yes, or 0 when there is none."""

    def __init__(self, secret: bytes, first: int, last: int) -> None:
        self._secret = secret[:32]
        self._first = first
        self._count = last - first + 1
        self._table = [0] * _TABLE

    def choose(self, local: bytes, remote: bytes, remote_port: int, free: Callable[[int], bool]) -> int:
        """RFC 6056 3.3.4. `local` and `remote` are addresses; each port of the range is tried at most once."""
        name = local + remote + remote_port.to_bytes(2, "big")
        digest = blake2s(name, key=self._secret, digest_size=8, person=b"ports").digest()
        offset = int.from_bytes(digest[:4], "big")
        index = digest[4]
        for _ in range(self._count):
            port = self._first + (offset + self._table[index]) % self._count
            self._table[index] += 1
            if free(port):
                return port
        return 0
