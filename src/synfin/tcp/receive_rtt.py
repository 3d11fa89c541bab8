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


def bounded(rtt: i64) -> i64:
    """The estimate that a first round trip gives."""
    if rtt < MIN_RTT_US:
        return MIN_RTT_US
    if rtt > MAX_RTT_US:
        return MAX_RTT_US
    return rtt


def approached(rtt: i64, sample: i64) -> i64:
    """The estimate after one sample more, which counts an eighth; too large while the peer was idle, at most double."""
    if rtt == 0:
        return bounded(sample)
    if sample > 2 * rtt:
        sample = 2 * rtt
    return bounded(rtt + (sample - rtt) // 8)


@mypyc_attr(acyclic=True)
class WindowTimer:
    """edge: on_window() is due when RCV.NXT has passed it."""

    def __init__(self) -> None:
        self.edge: i64 = 0  # a receive offset
        self._began: i64 = -1  # when the measure in hand began; -1: with the next segment
        self._window: i64 = 0  # that was open then; 0: the reader was behind, and held the peer back
        self._brought: i64 = 0  # the most that ever came in a time of the estimate

    def on_window(self, rtt: i64, rcv_nxt: i64, rcv_adv: i64, buffer: i64, now: i64) -> i64:
        """RCV.NXT has passed `edge`: a measure ends, and the next begins. Returns the estimate, which was `rtt`.

        rcv_adv: our right edge, as told last.
        """
        if self._began >= 0:
            rtt = self._measured(rtt, now - self._began, self._window)
        self._began = now
        self._window = rcv_adv - rcv_nxt
        if self._window < buffer // 2:
            self._window = 0
        self.edge = rcv_adv
        return rtt

    def _measured(self, rtt: i64, sample: i64, window: i64) -> i64:
        """`window` bytes took `sample`.

        A minimum that never rises would keep the window small for ever once the path has become longer. One that
        forgets would follow its own window up: where the path or the reader is the limit, twice the window takes twice
        the time. So a longer time counts, and slowly, only if the peer is slower than it was, and not for the reader.
        """
        if rtt == 0 or sample < rtt:
            self._brought = window
            return bounded(sample)
        if window == 0:
            return rtt
        if sample > MAX_RTT_US:
            sample = MAX_RTT_US
        brought = window * rtt // sample  # windows are below 2^31, times below 2^26
        if brought > self._brought:
            self._brought = brought
        elif brought < self._brought - self._brought // 8:
            return approached(rtt, sample * self._brought // window if window > self._brought else sample)
        return rtt
