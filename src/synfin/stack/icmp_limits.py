"""How many ICMP errors a stack sends, to one destination and in all. RFC 4443 2.4 (f), RFC 1812 4.3.2.8.

One budget for all would be an oracle (SAD DNS, CVE-2020-25705): datagrams with forged sources to fifty ports use it up
but for those ports that are open, and whether an error to the attacker himself still comes tells him of one. So what an
error costs is drawn, 0, 1 or 2, by a keyed hash, as in Linux: the budget can't be counted from outside. And the
destination's own budget is asked first, so that errors to one forged source take little of what all share.

A budget is kept as the time at which it is whole again; each error moves that time on.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import Final

from mypy_extensions import i64

from synfin.tcp.counters import Counters

SECOND_US: Final = 1_000_000
HOST_BURST: Final = 6  # errors to one destination at once (Linux: XRLIM_BURST_FACTOR)
HOSTS_LIMIT: Final = 4096  # destinations that are remembered; many seconds' worth of what all share


class IcmpLimits:
    """per_second and burst: for all destinations. interval_us: what one error takes of its destination's time."""

    def __init__(self, secret: bytes, per_second: i64, burst: i64, interval_us: i64, counters: Counters) -> None:
        self._secret: bytes = secret[:32]
        self._cost_us: i64 = SECOND_US // per_second
        self._ahead_us: i64 = (burst - 1) * self._cost_us
        self._host_cost_us: i64 = interval_us
        self._whole_at: i64 = 0
        self._hosts: dict[bytes, int] = {}  # when each destination's budget is whole again
        self._serial: i64 = 0
        self._counters = counters

    def take(self, remote: bytes, now: i64) -> bool:
        """An error is to go to `remote`; False: not now, and counted."""
        host: i64 = self._hosts.get(remote, now)
        host = max(host, now)
        if host - now > (HOST_BURST - 1) * self._host_cost_us:
            self._counters.OutRateLimitHost += 1
            return False
        whole_at = max(self._whole_at, now)
        if whole_at - now > self._ahead_us:
            self._counters.OutRateLimitGlobal += 1
            return False
        self._whole_at = whole_at + self._draw() * self._cost_us
        if len(self._hosts) >= HOSTS_LIMIT and remote not in self._hosts:
            self._hosts.clear()  # what all share has been at its end for seconds, and still holds
        self._hosts[remote] = host + self._host_cost_us
        return True

    def _draw(self) -> i64:
        """0, 1 or 2."""
        self._serial += 1
        number = int(self._serial).to_bytes(8, "big")
        return blake2s(number, key=self._secret, digest_size=1, person=b"icmp-out").digest()[0] % 3

    def __len__(self) -> int:
        return len(self._hosts)
