"""RACK: losses found by time. RFC 8985 6: what was sent a reordering window before something delivered is lost.

It sees lost retransmissions and the loss of all but the last segment of any flight, which counting duplicate ACKs does
not. The window adapts: none until reordering was seen, a quarter of the minimal round trip after, more for each round
with D-SACKs. The tail-loss probe of RFC 8985 7 is in `tail_probe`.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.scoreboard import Scoreboard, Sent
from synfin.tcp.timer import TIMER_GRACE_US

PERSIST: Final = 16  # recoveries without a D-SACK, after which the reordering window is small again
DUP_THRESHOLD: Final = 3  # segments sacked: without reordering seen, what lies below waits no longer


class Rack:
    """Of one connection that has agreed on SACK, for life. Times in microseconds."""

    def __init__(self) -> None:
        self.sent_at: i64 = 0  # RACK.xmit_ts: when the newest data delivered was sent
        self.end: i64 = 0  # RACK.end_seq: its end
        self.rtt: i64 = 0  # RACK.rtt: how long it took
        self.deadline: i64 = 0  # the reordering timer; 0: nothing waits for it
        self.reordering_seen: bool = False
        self._mult: i64 = 1  # RACK.reo_wnd_mult
        self._persist: i64 = PERSIST  # RACK.reo_wnd_persist
        self._dsack_round: i64 = -1  # RACK.dsack_round: SND.NXT when the window last grew

    def on_delivered(self, newest: Sent, reordered: bool, now: i64) -> None:
        """Steps 2 and 3: `newest` is the last sent of what an ACK delivered for certain."""
        if reordered:
            self.reordering_seen = True
        if newest.sent_at > self.sent_at or (newest.sent_at == self.sent_at and newest.end > self.end):
            self.sent_at = newest.sent_at
            self.end = newest.end
        self.rtt = now - newest.sent_at

    def on_dsack(self, snd_una: i64, snd_nxt: i64) -> None:
        """Step 4: something was sent again for nothing. Once a round trip the window grows.

        Where no reordering was seen a timer was to blame, which lost ACKs let expire, and not the window (so in Linux).
        """
        if self.reordering_seen and (self._dsack_round < 0 or snd_una >= self._dsack_round):
            self._dsack_round = snd_nxt
            self._mult += 1
            self._persist = PERSIST

    def on_recovered(self) -> None:
        """Step 4: a recovery is over."""
        self._persist -= 1
        if self._persist <= 0:
            self._mult = 1

    def window(self, board: Scoreboard, recovering: bool, mss: i64, min_rtt: i64, srtt: i64) -> i64:
        """RACK_update_reo_wnd()."""
        if not self.reordering_seen and (recovering or board.sacked > (DUP_THRESHOLD - 1) * mss):
            return 0
        window = self._mult * min_rtt // 4
        return window if window < srtt else srtt

    def detect(self, board: Scoreboard, window: i64, now: i64) -> None:
        """Step 5: mark what is lost, and note when more will be. Only the oldest transmissions are looked at."""
        self.deadline = 0
        record = board.oldest
        while record is not None and record.sent_at <= self.sent_at:
            newer = record.newer
            if record.sent_at < self.sent_at or record.end < self.end:
                if record.sent_at + self.rtt + window > now:
                    # The RFC takes the latest of all such times; nothing sent before it times out after this.
                    # It is after now, since `record` was sent no later.
                    self.deadline = self.sent_at + self.rtt + window + TIMER_GRACE_US
                    return
                board.lose(record)
            record = newer
