"""What paths to other hosts are like, as routers say or connections find. RFC 9040, RFC 1191 6.3, RFC 4821 5.2.

How large a packet may be holds for ten minutes, as in Linux: a path may change for the better, and nobody says so.
Connections made later try the link's size again, and so do those that exist, if they may probe. How long the round trip
is holds for an hour (Linux: TCP_METRICS_TIMEOUT). ssthresh and cwnd are not kept, as is Linux's default
(tcp_no_ssthresh_metrics_save): they tell of a queue as it was. That SYNs which ask for ECN vanish is remembered for an
hour too (RFC 9768 3.1.4.1): each would cost a second, or three.

A host is known by its address alone, and what its connections teach is told to others with that address only.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from mypy_extensions import i64

from synfin.tcp.counters import Counters
from synfin.tcp.path_probe import AGE_US

LIMIT: Final = 4096  # hosts; the one of which nothing was learned for the longest time makes room
# Below this it is an attack rather than a path. A connection may find less, but tells nobody: a peer that makes its own
# segments tiny does so to no one who shares its address.
MIN_PATH_MTU_IPV4: Final = 552  # Linux: min_pmtu
MIN_PATH_MTU_IPV6: Final = 1280  # RFC 8200 5

ROUND_TRIP_AGE_US: Final = 3_600_000_000
ECN_AGE_US: Final = 3_600_000_000
ECN_FAILURES: Final = 3  # connections in a row whose SYNs went unanswered as long as they asked: it is no chance
WAIT_MOST_US: Final = 3_000_000  # RFC 6298 5.7: as long as without any knowledge; a peer's fancies cost no more


class Destination:
    """One host. Times in microseconds, sizes of packets in bytes."""

    def __init__(self) -> None:
        self.low: i64 = 0  # what passes; 0: unknown
        self.high: i64 = 0  # the most that could
        self.path_at: i64 = 0  # when that was learned
        self.srtt: i64 = 0  # 0: unknown
        self.rttvar: i64 = 0
        self.round_trip_at: i64 = 0
        self.ecn_failures: i64 = 0  # in a row, and no more than count
        self.ecn_failed_at: i64 = 0


class Destinations:
    """All hosts of which something was learned, by address. link: the largest packet that may be sent at all."""

    def __init__(self, link: i64, counters: Counters) -> None:
        self._link: i64 = link
        self._counters = counters
        self._known: OrderedDict[bytes, Destination] = OrderedDict()  # in order of the last lesson

    def __len__(self) -> int:
        return len(self._known)

    def _learn(self, remote: bytes) -> Destination:
        """The entry to be changed, as the last that makes room."""
        found = self._known.pop(remote, None)
        if found is None:
            found = Destination()
            if len(self._known) >= LIMIT:
                self._known.popitem(last=False)
                self._counters.DestinationsDropped += 1
        self._known[remote] = found
        return found

    def _forget(self, remote: bytes, found: Destination) -> None:
        """Part of it is not known any more; is there another?"""
        if found.low == 0 and found.srtt == 0 and found.ecn_failures == 0:
            del self._known[remote]

    # ---- the largest packet ----

    def known(self, remote: bytes, now: i64) -> tuple[int, int] | None:
        """The largest packet for `remote` that is known to pass, and the largest that could."""
        found = self._known.get(remote)
        if found is None or found.low == 0:
            return None
        if now - found.path_at >= AGE_US:
            found.low = 0
            self._forget(remote, found)
            return None
        return found.low, found.high

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
        least: i64 = MIN_PATH_MTU_IPV4 if len(remote) == 4 else MIN_PATH_MTU_IPV6
        entry = self._learn(remote)
        entry.low = low if low > least else least
        entry.high = high if high > entry.low else entry.low
        entry.path_at = now

    # ---- the round trip ----

    def measured(self, remote: bytes, srtt: i64, rttvar: i64, now: i64) -> None:
        """A connection to `remote` has ended that knew the round trip well. As tcp_update_metrics() of Linux.

        A longer one is believed at once, a shorter one by and by: to wait too long costs less than to send again what
        was not lost.
        """
        entry = self._learn(remote)
        if entry.srtt == 0 or now - entry.round_trip_at >= ROUND_TRIP_AGE_US:
            entry.srtt = srtt
            entry.rttvar = rttvar
        else:
            less = entry.srtt - srtt
            entry.srtt = srtt if less <= 0 else entry.srtt - less // 8
            spread = (less if less > 0 else -less) // 2
            if spread < rttvar:
                spread = rttvar
            if spread >= entry.rttvar:
                entry.rttvar = spread
            else:
                entry.rttvar -= (entry.rttvar - spread) // 4
        entry.round_trip_at = now

    def unmeasured(self, remote: bytes) -> None:
        """A connection to `remote` has ended in silence: what was known may hold no more."""
        found = self._known.get(remote)
        if found is not None and found.srtt:
            found.srtt = 0
            self._forget(remote, found)

    def patience(self, remote: bytes, now: i64) -> i64:
        """The least first retransmission timeout of a connection to `remote`, by RFC 6298 2.3; 0: nothing is known."""
        found = self._known.get(remote)
        if found is None or found.srtt == 0:
            return 0
        if now - found.round_trip_at >= ROUND_TRIP_AGE_US:
            found.srtt = 0
            self._forget(remote, found)
            return 0
        patience = found.srtt + 4 * found.rttvar
        return patience if patience < WAIT_MOST_US else WAIT_MOST_US

    # ---- whether a SYN may ask for ECN ----

    def ecn_unanswered(self, remote: bytes, now: i64) -> None:
        """A SYN to `remote` that did not ask was answered, and none of those before it that did."""
        entry = self._learn(remote)
        if entry.ecn_failures < ECN_FAILURES:
            entry.ecn_failures += 1
        entry.ecn_failed_at = now

    def ecn_answered(self, remote: bytes) -> None:
        """One that asked was answered, whatever the answer: nothing on the way minds."""
        found = self._known.get(remote)
        if found is not None and found.ecn_failures:
            found.ecn_failures = 0
            self._forget(remote, found)

    def takes_ecn(self, remote: bytes, now: i64) -> bool:
        """A SYN to `remote` may ask. Where it may not, one in an hour does, to see whether that still holds."""
        found = self._known.get(remote)
        if found is None or found.ecn_failures < ECN_FAILURES:
            return True
        if now - found.ecn_failed_at < ECN_AGE_US:
            return False
        found.ecn_failed_at = now
        return True
