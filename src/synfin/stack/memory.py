"""One account of what all connections of a stack hold for their users, and what is given up when it is too much.

Linux's tcp_mem: above `pressure` buffers stop growing, until less than `low` is held; above `high` what waits behind
holes goes, which its senders still have (RFC 2018 8), and new text and new connections are refused.
A connection says what has changed at the end of its turn, not for each piece: between two polls the account may be
behind by what was received.
"""

from __future__ import annotations

from mypy_extensions import i64

from synfin.tcp.connection import Connection
from synfin.tcp.counters import Counters
from synfin.tcp.pressure import FULL, NONE, PRESSURE, Pressure


class Memory:
    """limits: low, pressure, high, in bytes. It alone moves `state`."""

    def __init__(self, limits: tuple[int, int, int], state: Pressure, counters: Counters) -> None:
        self.used: i64 = 0
        low, pressure, high = limits
        self._low: i64 = low
        self._pressure: i64 = pressure
        self._high: i64 = high
        self._state = state
        self._counters = counters
        self._taken: i64 = 0  # since the last search through all connections

    def settle(self, change: i64, connection: Connection, all_of_them: dict[bytes, Connection], now: i64) -> None:
        """`connection` has had its turn, and holds that much more."""
        self._change(change)
        if self._state.level == FULL:
            self._relieve(connection, all_of_them, now)

    def release(self, connection: Connection) -> None:
        """`connection` has ended: what it still has for its user is his."""
        if connection.charged:
            self._change(-connection.charged)
            connection.charged = 0

    def _change(self, change: i64) -> None:
        self.used += change
        if change > 0:
            self._taken += change
        state = self._state
        if self.used > self._pressure:
            if state.level == NONE:
                self._counters.TCPMemoryPressures += 1
            state.level = FULL if self.used > self._high else PRESSURE
        elif self.used < self._low:
            state.level = NONE
        elif state.level == FULL:
            state.level = PRESSURE

    def _relieve(self, connection: Connection, all_of_them: dict[bytes, Connection], now: i64) -> None:
        """What waits behind holes goes: where there is most of it first, else where it has just become more.

        A search through all connections has to be paid for: by half of what lies between the limits.
        """
        self._counters.PruneCalled += 1
        if self._taken >= (self._high - self._low) // 2:
            self._taken = 0
            for holder in sorted(all_of_them.values(), key=_behind_holes, reverse=True):
                if self.used <= self._low or _behind_holes(holder) == 0:
                    break
                self._prune(holder, now)
        if self.used > self._high:
            self._prune(connection, now)

    def _prune(self, connection: Connection, now: i64) -> None:
        connection.prune(now)
        self._change(connection.settle())


def _behind_holes(connection: Connection) -> int:
    return connection.receiver.out_of_order_bytes()
