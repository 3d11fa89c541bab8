"""What a sender has done in all, and what held it up for how long. Linux: tcp_chrono, and totals of tcp_info.

It is busy while anything is out or waits to go. Of that time, what held new text back is counted: the peer's window,
the send buffer that the user has set, or congestion control (cwnd, recovery, pace); the rest is its writer's own pace,
or the path's. Made when there is first something to send.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

# what a sender waits for
NOTHING: Final = 0
ACKS: Final = 1  # all that there was is out; or Nagle
PEER: Final = 2
BUFFER: Final = 3
CONGESTION: Final = 4


class Tally:
    """Microseconds, bytes and segments."""

    def __init__(self, now: i64) -> None:
        self.busy_us: i64 = 0  # as are the next, until `since`
        self.peer_us: i64 = 0
        self.buffer_us: i64 = 0
        self.congestion_us: i64 = 0
        self.advances: i64 = 0  # ACKs of something new
        self.resent_bytes: i64 = 0
        self.resent_segments: i64 = 0
        self._waits_for: i64 = ACKS
        self._since: i64 = now

    def waits_for(self, what: i64, now: i64) -> None:
        """What it waits for from now on."""
        elapsed = now - self._since
        self._since = now
        before = self._waits_for
        self._waits_for = what
        if before == NOTHING or elapsed <= 0:
            return
        self.busy_us += elapsed
        if before == PEER:
            self.peer_us += elapsed
        elif before == BUFFER:
            self.buffer_us += elapsed
        elif before == CONGESTION:
            self.congestion_us += elapsed

    def until(self, now: i64) -> None:
        """Count the time until now."""
        self.waits_for(self._waits_for, now)

    def resent(self, size: i64, mss: i64) -> None:
        """Text, or a FIN, went out again."""
        self.resent_bytes += size
        self.resent_segments += (size + mss - 1) // mss
