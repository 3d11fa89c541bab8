"""What paths to other hosts carry, as far as the network has said so. RFC 1191 6.3, RFC 8201 4.

What was learned holds for ten minutes, as in Linux: a path may change for the better, and nobody says so. Connections
that exist keep their segment size; those made later try the link's size again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from mypy_extensions import i64

AGE_US: Final = 600_000_000  # RFC 1191 6.3: ten minutes; Linux: mtu_expires
LIMIT: Final = 4096  # hosts; the one learned first makes room


class PathMtu:
    """Learned sizes by remote address."""

    def __init__(self, link: i64) -> None:
        self._link: i64 = link
        self._learned: OrderedDict[bytes, tuple[int, int]] = OrderedDict()  # size, when it was learned; in that order

    def __len__(self) -> int:
        return len(self._learned)

    def to(self, remote: bytes, now: i64) -> i64:
        """The largest packet for `remote`."""
        found = self._learned.get(remote)
        if found is None:
            return self._link
        if now - found[1] >= AGE_US:
            del self._learned[remote]
            return self._link
        return found[0]

    def learn(self, remote: bytes, size: i64, now: i64) -> None:
        """A router on the way to `remote` says that no more than `size` passes."""
        if size >= self.to(remote, now):
            return
        self._learned.pop(remote, None)
        if len(self._learned) >= LIMIT:
            self._learned.popitem(last=False)
        self._learned[remote] = (size, now)
