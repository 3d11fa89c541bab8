"""Keep-alive of RFC 9293 3.8.4: off unless asked for; a probe of no data tells a silent peer from a dead one."""

from __future__ import annotations

from mypy_extensions import i64, mypyc_attr


@mypyc_attr(acyclic=True)
class KeepAlive:
    """Exists only on connections that asked for it. heard(): a segment from the peer was accepted."""

    def __init__(self, idle_us: i64, interval_us: i64, probes: i64, now: i64) -> None:
        self.idle_us: i64 = idle_us
        self.interval_us: i64 = interval_us
        self.probes: i64 = probes
        self.sent: i64 = 0  # probes since the peer was last heard
        self.deadline: i64 = now + idle_us

    def heard(self, now: i64) -> None:
        """The peer is alive."""
        self.sent = 0
        self.deadline = now + self.idle_us

    def due(self, now: i64) -> bool:
        """A probe is to be sent now; it counts as sent."""
        self.sent += 1
        self.deadline = now + self.interval_us
        return self.sent <= self.probes
