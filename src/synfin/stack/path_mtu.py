"""What paths to other hosts carry, as routers say or connections find. RFC 1191 6.3, RFC 8201 4, RFC 4821 5.2.

What was learned holds for ten minutes, as in Linux: a path may change for the better, and nobody says so. Connections
made later try the link's size again, and so do those that exist, if they may probe.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from mypy_extensions import i64

from synfin.tcp.path_probe import AGE_US

LIMIT: Final = 4096  # hosts; the one learned first makes room
# Below this it is an attack rather than a path. A connection may find less, but tells nobody: a peer that makes its own
# segments tiny does so to no one who shares its address.
MIN_PATH_MTU_IPV4: Final = 552  # Linux: min_pmtu
MIN_PATH_MTU_IPV6: Final = 1280  # RFC 8200 5


class PathMtu:
    """Learned sizes by remote address."""

    def __init__(self, link: i64) -> None:
        self._link: i64 = link
        # what passes, what is the most that could, when that was learned; in order of learning
        self._learned: OrderedDict[bytes, tuple[int, int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._learned)

    def known(self, remote: bytes, now: i64) -> tuple[int, int] | None:
        """The largest packet for `remote` that is known to pass, and the largest that could."""
        found = self._learned.get(remote)
        if found is None:
            return None
        if now - found[2] >= AGE_US:
            del self._learned[remote]
            return None
        return found[0], found[1]

    def to(self, remote: bytes, now: i64) -> i64:
        """The largest packet for `remote`."""
        known = self.known(remote, now)
        return self._link if known is None else known[0]

    def learn(self, remote: bytes, size: i64, now: i64) -> None:
        """A router on the way to `remote` says that no more than `size` passes."""
        if size < self.to(remote, now):
            self.found(remote, size, size, now)

    def found(self, remote: bytes, low: i64, high: i64, now: i64) -> None:
        """A connection has found that packets of `low` arrive at `remote`, and none of more than `high`."""
        self._learned.pop(remote, None)
        if len(self._learned) >= LIMIT:
            self._learned.popitem(last=False)
        least: i64 = MIN_PATH_MTU_IPV4 if len(remote) == 4 else MIN_PATH_MTU_IPV6
        low = low if low > least else least
        self._learned[remote] = (low, high if high > low else low, now)
