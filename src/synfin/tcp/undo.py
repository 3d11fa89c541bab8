"""Was it lost at all? What takes a recovery back: Eifel (RFC 3522, 4015), D-SACK (RFC 2883), F-RTO (RFC 5682).

Each finds in its way that what was sent again had arrived: by a timestamp older than the retransmission, by the peer's
word that all of it came twice, or, after a timeout, by the delivery of what was not sent again.
"""

from __future__ import annotations

from mypy_extensions import i64, mypyc_attr

from synfin.tcp.timestamps import TICK_US


@mypyc_attr(acyclic=True)
class Undo:
    """One recovery, and until the next one begins: D-SACKs come a round trip late. una: SND.UNA when it began."""

    def __init__(self, una: i64) -> None:
        self.una: i64 = una
        self._unexplained: i64 = 0  # bytes sent again that were not reported to have come twice
        self._first_tick: i64 = -1  # of the first retransmission, on the timestamp clock; -1: none yet

    def on_resent(self, size: i64, now: i64) -> None:
        """Lost data went out again."""
        self._unexplained += size
        if self._first_tick < 0:
            self._first_tick = now // TICK_US

    def on_dsack(self, left: i64, right: i64) -> None:
        """The peer got [left, right) twice."""
        if left >= self.una:
            size = right - left
            self._unexplained = self._unexplained - size if self._unexplained > size else 0

    def all_came_twice(self) -> bool:
        """All that was sent again had arrived before."""
        return self._first_tick >= 0 and self._unexplained == 0

    def is_spurious(self, echo_tick: i64) -> bool:
        """On an ACK that moves SND.UNA: what it acknowledges was sent before anything was sent again.

        echo_tick: when the segment that the ACK echoes was sent, -1 unknown.
        """
        return self._unexplained == 0 or 0 <= echo_tick < self._first_tick
