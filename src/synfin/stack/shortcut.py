"""Where the connection of a key was found last: a way to it that is two trips to memory shorter than the table's.

A dict of many costs three, each known only from the one before: slot, entry, key. Here the slot names the connection.
It holds what the table holds, or nothing: whoever is not found here is looked up there, and whoever leaves the table
leaves this too. So two keys that want the same slot, by chance or on purpose, cost a look into the table and no more,
and no secret is needed to mix them.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.connection import Connection
from synfin.wire.endian import read_i64_be

LEAST: Final = 4096  # slots; a power of two, as is each number of them
SPARE: Final = 4  # slots for each connection, so that few have to share one
ADDRESSES: Final = 0x1E3779B97F4A7C15
PORTS: Final = 0x2545F4914F6CDD1D


class Shortcut:
    """Connections by what their key says."""

    def __init__(self) -> None:
        self._slots: list[Connection | None] = [None] * LEAST
        self._mask: i64 = LEAST - 1

    def find(self, key: bytes) -> Connection | None:
        """The connection with this key, if it was the last in its slot."""
        connection = self._slots[self._slot(key)]
        return connection if connection is not None and connection.key == key else None

    def note(self, connection: Connection, count: i64) -> None:
        """It was looked up in the table, which holds so many."""
        if count * SPARE > self._mask + 1:
            while count * SPARE > self._mask + 1:
                self._mask = 2 * self._mask + 1
            self._slots = [None] * (self._mask + 1)  # filled by and by, as each is looked up
        self._slots[self._slot(connection.key)] = connection

    def forget(self, connection: Connection) -> None:
        """It leaves the table."""
        at = self._slot(connection.key)
        if self._slots[at] is connection:
            self._slots[at] = None

    def is_too_large(self, count: i64) -> bool:
        """It was made for sixteen times as many."""
        return self._mask >= 16 * SPARE * count

    def _slot(self, key: bytes) -> i64:
        size: i64 = len(key)
        mixed = read_i64_be(key, (size - 12) // 3) * ADDRESSES + read_i64_be(key, size - 8) * PORTS
        return (mixed >> 32) & self._mask
