"""Which recovery goes on, if any, and how it ends: fast recovery, or the slow start after a timeout. RFC 9293 3.8.

`phase` is one of congestion.base's NONE, FAST and LOSS. What limits the sending is `prr`, what takes it back `undo`.
F-RTO (RFC 5682, with SACK 3.1) is here: after a timeout two new segments are sent before anything but the first is sent
again, and what their ACKs deliver tells whether the timeout was spurious.
"""

from __future__ import annotations

from mypy_extensions import i64, mypyc_attr

from synfin.tcp.congestion.base import FAST, LOSS, NONE
from synfin.tcp.prr import Prr
from synfin.tcp.undo import Undo


@mypyc_attr(acyclic=True)
class Recovery:
    """Of one connection, for life."""

    def __init__(self) -> None:
        self.phase: i64 = NONE
        self.point: i64 = 0  # RFC 6582 "recover": SND.NXT when it began; no fast retransmit by counting below it
        self.prr: Prr | None = None  # in FAST
        self.undo: Undo | None = None  # of this recovery, or of the last
        self.frto: bool = False  # in LOSS: the timeout may have been spurious
        self.prefer_new: bool = False  # F-RTO step 2b: new data goes before lost data

    def enter_fast(self, una: i64, nxt: i64, flight: i64) -> None:
        """Losses were found. flight: RecoverFS of RFC 9937."""
        self.phase = FAST
        self.point = nxt
        self.prr = Prr(flight)
        self.undo = Undo(una)
        self.frto = False
        self.prefer_new = False

    def enter_loss(self, una: i64, nxt: i64, again: bool) -> None:
        """The retransmission timer expired; again: not for the first time in a row."""
        self.frto = self.phase == NONE or again
        if self.phase != LOSS or self.undo is None:
            self.undo = Undo(una)
        self.phase = LOSS
        self.point = nxt
        self.prr = None
        self.prefer_new = False

    def enter_smaller(self, nxt: i64) -> None:
        """Segments were too big for the path: all go again, cut smaller. No congestion, nothing to undo."""
        self.phase = LOSS
        self.point = nxt
        self.prr = None
        self.undo = None
        self.frto = False
        self.prefer_new = False

    def leave(self, undone: bool) -> None:
        """All that was out when it began is acknowledged, or it was taken back."""
        self.phase = NONE
        self.prr = None
        self.frto = False
        self.prefer_new = False
        if undone:
            self.undo = None

    def on_ack_after_timeout(self, advanced: bool, ack: i64, nxt: i64, news: bool, more: bool) -> None:
        """F-RTO, steps 2 and 3a. news: something was SACKed or is a duplicate ACK; more: new data could be sent."""
        self.prefer_new = False
        if not self.frto:
            return
        if nxt > self.point:
            if news:
                self.frto = False  # 3a: what was sent before the timeout is missing
        elif advanced and ack < self.point:
            self.point = nxt
            self.frto = self.prefer_new = more
