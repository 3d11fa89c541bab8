"""Ephemeral ports, RFC 6056 algorithm 4 (double-hash).

Each destination walks the port range from its own secret starting point, by a counter it shares with a few others:
ports are hard to guess from outside, and the same 4-tuple returns as late as it can, clear of its own TIME-WAIT.
Algorithm 5 (random increments) hides as well but returns to a tuple sooner.

A long walk remembers what it found taken, and who gives a port back says so: the next one passes over all that is still
known to be taken, and that none is left is known at once. It gives the very ports that a walk of single steps would.
Whatever destinations do to each other's counters, a port is asked about once for each time that it is taken.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2s
from typing import Final

from mypy_extensions import i64

_TABLE: Final = 256
LONG_WALK: Final = 64  # ports found taken one after the other; fewer are not worth remembering
DESTINATIONS: Final = 64  # whose taken ports are remembered; whichever was not asked for longest makes room


class _Crowd:
    """What is known of one destination: a byte for each port, 1: taken."""

    def __init__(self, count: i64) -> None:
        self.taken: bytearray = bytearray(count)
        self.size: i64 = 0  # how many are


class EphemeralPorts:
    """choose() gives a port for which `free` says yes, or 0 when there is none.

    Rule: whatever makes `free` say yes where it said no has to be told by freed() or freed_everywhere().
    """

    def __init__(self, secret: bytes, first: int, last: int) -> None:
        self._secret = secret[:32]
        self._first: i64 = first
        self._count: i64 = last - first + 1
        self._table = [0] * _TABLE
        self._crowds: OrderedDict[bytes, _Crowd] = OrderedDict()

    def choose(self, local: bytes, remote: bytes, remote_port: int, free: Callable[[int], bool]) -> int:
        """RFC 6056 3.3.4. `local` and `remote` are addresses; each port of the range is tried at most once."""
        name = local + remote + remote_port.to_bytes(2, "big")
        digest = blake2s(name, key=self._secret, digest_size=8, person=b"ports").digest()
        index = digest[4]
        counter = self._table[index]
        count = self._count
        start: i64 = (int.from_bytes(digest[:4], "big") + counter) % count
        at: i64 = -1
        crowd = self._crowds.get(name)
        if crowd is not None:
            self._crowds.move_to_end(name)
            at = self._pass_over(crowd, start, free)
        else:
            for step in range(min(LONG_WALK, count)):
                if free(int(self._first + (start + step) % count)):
                    at = (start + step) % count
                    break
            if at < 0 and count > LONG_WALK:
                crowd = self._remember(name)
                for step in range(LONG_WALK):
                    crowd.taken[(start + step) % count] = 1
                crowd.size = LONG_WALK
                at = self._pass_over(crowd, (start + LONG_WALK) % count, free)
        if at < 0:
            return 0
        self._table[index] = counter + int((at - start) % count) + 1
        return int(self._first + at)

    def _pass_over(self, crowd: _Crowd, start: i64, free: Callable[[int], bool]) -> i64:
        """The first place from `start` on that is free, learning what is not; -1: none is."""
        at = start
        while crowd.size < self._count:
            at = crowd.taken.find(0, at)
            if at < 0:
                at = crowd.taken.find(0)
            if free(int(self._first + at)):
                return at
            crowd.taken[at] = 1
            crowd.size += 1
        return -1

    def _remember(self, name: bytes) -> _Crowd:
        if len(self._crowds) >= DESTINATIONS:
            self._crowds.popitem(last=False)
        crowd = _Crowd(self._count)
        self._crowds[name] = crowd
        return crowd

    def remembers(self) -> bool:
        """Some destination has a crowd of taken ports: freed() has to be called."""
        return len(self._crowds) > 0

    def freed(self, local: bytes, remote: bytes, remote_port: int, port: i64) -> None:
        """`port` may be free again for this destination."""
        name = local + remote + remote_port.to_bytes(2, "big")
        crowd = self._crowds.get(name)
        if crowd is not None:
            self._clear(crowd, port)
            if crowd.size < LONG_WALK // 2:
                del self._crowds[name]

    def freed_everywhere(self, port: i64) -> None:
        """`port` may be free again for all destinations."""
        for crowd in self._crowds.values():
            self._clear(crowd, port)

    def _clear(self, crowd: _Crowd, port: i64) -> None:
        at = port - self._first
        if 0 <= at < self._count and crowd.taken[at]:
            crowd.taken[at] = 0
            crowd.size -= 1
