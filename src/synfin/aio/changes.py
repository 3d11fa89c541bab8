"""The table of connections as one caller knows it: told is what has changed since, and what has gone.

A connection that has nothing out, and stands as it stood, is not told again: for each of a thousand idle ones a look is
all that a round costs. Whoever is told adds what passes with time alone, the rest of a timer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from synfin.aio import connection_rows
from synfin.stack.stack import Stack
from synfin.tcp.connection import Connection

MOST_KNOWN: Final = 20_000  # connections of one table; of more, these are told
LOOKS: Final = 256  # of one part
SLICE_SECONDS: Final = 0.0005  # that a part takes, or the time of one row more
_BUSY: Final = 0


class Part(NamedTuple):
    """Some of a round: rows that are new or have changed, keys of what has gone. last: the round is whole."""

    rows: list[dict[str, Any]]
    gone: list[str]
    last: bool


class Changes:
    """clock: the stack's time. seconds: a clock, for what work takes."""

    def __init__(self, stack: Stack, clock: Callable[[], int], seconds: Callable[[], float]) -> None:
        self._stack = stack
        self._clock = clock
        self._seconds = seconds
        self._known: dict[bytes, int] = {}  # how each connection stood when it was told

    def round(self) -> Iterator[Part]:
        """Once over the table, in parts. What ends meanwhile is told as it is then, and goes with the next round."""
        connections = self._stack.connections()[:MOST_KNOWN]
        gone = self._gone(connections)
        at, total = 0, len(connections)
        while True:
            rows, upto = self._rows(connections, at)
            at = upto
            yield Part(rows, gone, at >= total)
            if at >= total:
                return
            gone = []

    def _gone(self, connections: list[Connection]) -> list[str]:
        keys = {connection.key for connection in connections}
        gone = [key for key in self._known if key not in keys]
        for key in gone:
            del self._known[key]
        return [key.hex() for key in gone]

    def _rows(self, connections: list[Connection], first: int) -> tuple[list[dict[str, Any]], int]:
        """The rows of one part, and where the next begins."""
        known, now = self._known, self._clock()
        end = self._seconds() + SLICE_SECONDS
        rows = []
        for number in range(first, min(first + LOOKS, len(connections))):
            connection = connections[number]
            key, stands = connection.key, standing(connection)
            if stands == known.get(key) and stands != _BUSY:
                continue
            known[key] = stands
            rows.append(connection_rows.row(connection, now))
            if self._seconds() >= end:
                return rows, number + 1
        return rows, min(first + LOOKS, len(connections))


def standing(connection: Connection) -> int:
    """What is the same as long as a row is, but for the time; 0 while anything is out, since more changes then."""
    sender, receiver = connection.sender, connection.receiver
    if sender.snd_nxt != sender.snd_una or sender.unsent():
        return _BUSY
    return hash(
        (
            connection.state,
            connection.deadline,
            sender.snd_una,
            sender.snd_wnd,
            sender.rto.srtt,
            receiver.rcv_nxt,
            receiver.rcv_adv,
            receiver.ready_bytes,
            receiver.out_of_order_bytes(),
        )
    )
