"""The persist timer of RFC 9293 3.8.6.1: a closed window with data queued is probed, else its reopening could be lost.

It also ends the sender's silly-window wait: what fits is sent when nothing else happened for a timeout (RFC 9293
3.8.6.2.1, the override timeout).
"""

from __future__ import annotations

from mypy_extensions import i64, mypyc_attr


@mypyc_attr(acyclic=True)
class Persist:
    """Exists while it runs. unanswered: probes since the peer was last heard.

    A window may stay closed for ever as long as its owner answers (RFC 9293 3.8.6.1, MUST-37).
    """

    def __init__(self, now: i64, rto: i64) -> None:
        """The first probe comes after one RTO (SHLD-29)."""
        self.deadline: i64 = now + rto
        self.unanswered: i64 = 0
        self._interval: i64 = rto

    def probe_sent(self, now: i64, max_us: i64) -> None:
        """The interval doubles from probe to probe (SHLD-30)."""
        self.unanswered += 1
        self._interval = min(self._interval * 2, max_us)
        self.deadline = now + self._interval
