"""The round trip of the path as a receiver sees it, that its window may hold what one round trip brings.

With timestamps each data segment's echo tells it (RFC 7323 4). Without them it is measured by windows, as in Linux: the
byte right of all that was offered when a measure begins can only be sent after an ACK sent since. That takes a round
trip if the peer waits for our window, and longer if it does not; so the shortest measure counts.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

MAX_RTT_US: Final = 60_000_000  # longer is no path but a lie; times what is read meanwhile it must fit i64
MIN_RTT_US: Final = 1000  # one timestamp tick; a window too large for a shorter path does no harm
NEVER: Final = 1 << 62


@mypyc_attr(acyclic=True)
class ReceiveRtt:
    """us: the estimate, 0 unknown. edge: on_window() is due when RCV.NXT has passed it."""

    def __init__(self) -> None:
        self.us: i64 = 0
        self.edge: i64 = NEVER  # a receive offset
        self._began: i64 = -1  # when the measure in hand began; -1: with the next segment
        self._window: i64 = 0  # that was open then; 0: the reader was behind, and held the peer back
        self._brought: i64 = 0  # the most that ever came in a time of `us`

    def establish(self, rtt: i64, timestamps: bool) -> None:
        """The handshake took `rtt` (0: nobody knows), and agreed on timestamps or not."""
        if rtt > 0:
            self._set(rtt)
        if not timestamps:
            self.edge = 0

    def on_echo(self, sample: i64) -> None:
        """An RTT told by the echo in a data segment."""
        if self.us == 0:
            self._set(sample)
        else:
            self._approach(sample)

    def on_window(self, rcv_nxt: i64, rcv_adv: i64, buffer: i64, now: i64) -> None:
        """RCV.NXT has passed `edge`: a measure ends, and the next begins. rcv_adv: our right edge, as told last."""
        if self._began >= 0:
            self._measured(now - self._began, self._window)
        self._began = now
        self._window = rcv_adv - rcv_nxt
        if self._window < buffer // 2:
            self._window = 0
        self.edge = rcv_adv

    def _measured(self, sample: i64, window: i64) -> None:
        """`window` bytes took `sample`.

        A minimum that never rises would keep the window small for ever once the path has become longer. One that
        forgets would follow its own window up: where the path or the reader is the limit, twice the window takes twice
        the time. So a longer time counts, and slowly, only if the peer is slower than it was, and not for the reader.
        """
        if self.us == 0 or sample < self.us:
            self._set(sample)
            self._brought = window
            return
        if window == 0:
            return
        if sample > MAX_RTT_US:
            sample = MAX_RTT_US
        brought = window * self.us // sample  # windows are below 2^31, times below 2^26
        if brought > self._brought:
            self._brought = brought
        elif brought < self._brought - self._brought // 8:
            self._approach(sample * self._brought // window if window > self._brought else sample)

    def _approach(self, sample: i64) -> None:
        """One sample in eight; too large while the peer was idle, it counts at most double."""
        if sample > 2 * self.us:
            sample = 2 * self.us
        self._set(self.us + (sample - self.us) // 8)

    def _set(self, rtt: i64) -> None:
        self.us = rtt
        if rtt < MIN_RTT_US:
            self.us = MIN_RTT_US
        elif rtt > MAX_RTT_US:
            self.us = MAX_RTT_US
