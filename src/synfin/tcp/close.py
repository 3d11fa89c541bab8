"""THE FOUR-WAY CLOSE. RFC 9293 3.6: each direction is closed on its own, by a FIN and its ACK; hence four segments.

Four facts decide the state, by one table: our FIN was queued, our FIN was acknowledged, the peer's FIN was reached (all
before it has arrived), and it was reached before ours was queued. A fifth, `reader_gone`, never changes the state: it
means that nobody will read any more, so that new data is answered by RST and FIN-WAIT-2 gets a timer.

LAST-ACK and FIN-WAIT-1 begin when the user closes, as in Linux, although bytes queued before may still have to go out
first; RFC 9293 3.10.4 lets the CLOSE wait in its queue until then. Nobody outside can tell the two apart.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from synfin.tcp.states import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    TIME_WAIT,
)

_FIN_QUEUED: Final = 1
_FIN_ACKED: Final = 2
_PEER_FIN: Final = 4
_PEER_FIRST: Final = 8

# The joint state of both directions, indexed by the four facts; -1 where the facts contradict each other.
_STATE: Final[tuple[int, ...]] = (
    ESTABLISHED,  # nobody has closed
    FIN_WAIT_1,  # we have, unacknowledged
    -1,
    FIN_WAIT_2,  # we have, acknowledged
    -1,
    CLOSING,  # both at the same time: our FIN was under way when the peer's arrived
    -1,
    TIME_WAIT,  # both, and we were not last: the peer may need our last ACK again
    -1,
    -1,
    -1,
    -1,
    CLOSE_WAIT,  # the peer has, we have not
    LAST_ACK,  # the peer first, then we
    -1,
    CLOSED,  # the peer first, and it has acknowledged our FIN: nothing of ours can be missing
)


@mypyc_attr(acyclic=True)
class Closer:
    """The facts about the end of a connection."""

    def __init__(self) -> None:
        self.fin_queued: bool = False
        self.fin_acked: bool = False
        self.peer_fin: bool = False
        self.peer_first: bool = False
        self.reader_gone: bool = False
        self.orphan: bool = False  # counted in Environment.orphans
        self.by_reset: bool = False  # SO_LINGER with no time: close() is abort()

    def queue_fin(self) -> None:
        """The user has no more to send."""
        self.fin_queued = True

    def on_fin_acked(self) -> None:
        """The peer acknowledged our FIN, and so all before it."""
        self.fin_acked = True

    def on_peer_fin(self) -> None:
        """RCV.NXT went over the peer's FIN."""
        if not self.peer_fin:
            self.peer_fin = True
            self.peer_first = not self.fin_queued

    def state(self) -> int:
        """The state that the facts mean; for a connection that was established."""
        index = 0
        if self.fin_queued:
            index |= _FIN_QUEUED
        if self.fin_acked:
            index |= _FIN_ACKED
        if self.peer_fin:
            index |= _PEER_FIN
        if self.peer_first:
            index |= _PEER_FIRST
        return _STATE[index]
