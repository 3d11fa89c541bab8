"""WHO MAY KNOCK: what is answered to a SYN, or to a first datagram, is decided before there is any connection.

Who stands for another network knows only when that has answered whether there is anybody: until then the SYN is held,
so that its sender gets RST, ICMP or silence as the other network gave it. Nothing of a held SYN is out: it is a copy of
its header, no half-open entry and no cookie, which would both be an answer.
Where too many are held the oldest makes room, silently: its sender tries again in a second, and is asked about anew.
Refusing would be a lie, a cookie too; and if the newest had to go, a thousand SYNs to dead addresses would keep
everybody out for the minutes that they are waited for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from mypy_extensions import i64

from synfin.stack.icmp_errors import CODES
from synfin.tcp.counters import Counters
from synfin.tcp.timer import Timed
from synfin.wire.segment import Segment
from synfin.wire.tcp_header import ACK, FIN, RST, SYN

ACCEPT: Final = 0  # go on as a host that has this address
REFUSE: Final = 1  # RST; of a datagram: ICMP's port unreachable
DROP: Final = 2  # silence
LATER: Final = 3  # hold the SYN until it is settled
_UNREACHABLE: Final = 256  # and more: an errno is added

HOLD_US: Final = 180_000_000  # RFC 9293 3.8.3, R2: so long a SYN may be sent again; who waits longer has given up
# Who gives up before that says nothing: his SYN just comes no more. It comes again after 1 s (RFC 6298) or 3 s (older
# ones), then after twice as long; if one is lost on the way it is six times, and after eight nobody waits.
PATIENCE_US: Final = 10_000_000
PATIENCE: Final = 8
_LOOK_US: Final = 1_000_000  # all that are held are looked at no more often than this


def unreachable(code: int) -> int:
    """The verdict that ICMP tells: ENETUNREACH, EHOSTUNREACH, EACCES (prohibited), or ECONNREFUSED (no such port).

    Raises ValueError for an errno that ICMP has no words for.
    """
    if code not in CODES:
        raise ValueError(f"ICMP can tell {', '.join(map(str, CODES))} (errno), not {code!r}")
    return _UNREACHABLE + code


def error_of(verdict: i64) -> i64:
    """The errno of an `unreachable` verdict; 0: it is another."""
    return verdict - _UNREACHABLE if verdict > _UNREACHABLE else 0


def check_verdict(verdict: object) -> int:
    """Raise ValueError or TypeError for what is no final verdict."""
    if isinstance(verdict, bool) or not isinstance(verdict, int):
        raise TypeError(f"a verdict is ACCEPT, REFUSE, DROP or unreachable(errno), not {verdict!r}")
    if verdict not in (ACCEPT, REFUSE, DROP) and verdict - _UNREACHABLE not in CODES:
        raise ValueError(f"a verdict is ACCEPT, REFUSE, DROP or unreachable(errno), not {verdict}")
    return verdict


def is_first(seg: Segment) -> bool:
    """It asks for a connection, and is nothing else."""
    return seg.flags & (SYN | ACK | RST | FIN) == SYN


class _Held:
    """A SYN that waits: when it last came, and until when it is believed that its sender waits."""

    def __init__(self, seg: Segment, now: i64) -> None:
        self.seg: Segment = seg
        self.came: i64 = now
        self.until: i64 = now + PATIENCE_US

    def came_again(self, now: i64) -> None:
        """So its sender does still."""
        patience = (now - self.came) * PATIENCE
        self.came = now
        self.until = now + min(max(patience, PATIENCE_US), HOLD_US)


class Admission(Timed):
    """Of one stack. limit: SYNs that are held at once.

    ask: given the key of a SYN, gives a verdict; None: every SYN is welcome. forget: told the key of a held SYN that
    was dropped without having been settled.
    """

    def __init__(self, limit: int, counters: Counters) -> None:
        super().__init__()
        self.ask: Callable[[bytes], int] | None = None
        self.forget: Callable[[bytes], object] | None = None
        self._limit: i64 = limit
        self._counters = counters
        self._held: OrderedDict[bytes, _Held] = OrderedDict()  # in order of arrival
        self._settled = b""  # whose SYN is on its way to its listener

    def judge(self, seg: Segment, now: i64) -> i64:
        """What to do with a SYN that a listener would take; LATER: it is held here."""
        ask = self.ask
        key = seg.key
        if ask is None or key == self._settled:
            return ACCEPT
        held = self._held.get(key)
        if held is not None:
            self._counters.SynsHeldAgain += 1
            held.came_again(now)
            if held.seg.seq != seg.seq:
                held.seg = seg.header_copy()  # its sender has begun anew, and waits for the same
            return LATER
        verdict: i64 = ask(key)
        if verdict == LATER:
            self._hold(seg, now)
        return verdict

    def _hold(self, seg: Segment, now: i64) -> None:
        if len(self._held) >= self._limit:
            self._drop_oldest()
        self._counters.SynsHeld += 1
        held = _Held(seg.header_copy(), now)
        self._held[seg.key] = held
        if self.deadline == 0 or held.until < self.deadline:
            self._look_at(held.until)

    def _drop_oldest(self) -> None:
        key, _ = self._held.popitem(last=False)
        self._counters.SynsHeldDropped += 1
        if self.forget is not None:
            self.forget(key)

    def take_back(self, seg: Segment) -> None:
        """RST: the sender of a held SYN wants it no more."""
        held = self._held.get(seg.key)
        if held is not None and (seg.seq - held.seg.seq) & 0xFFFFFFFF <= 1:
            del self._held[seg.key]
            self._counters.AttemptFails += 1
            if self.forget is not None:
                self.forget(seg.key)

    def settle(self, key: bytes) -> Segment | None:
        """The SYN that is held under `key`, and is no more; None: none is. admitted() has to follow."""
        held = self._held.pop(key, None)
        if held is None:
            return None
        self._settled = key
        return held.seg

    def admitted(self) -> None:
        """What settle() gave has reached its listener, or was turned away."""
        self._settled = b""

    def clear(self) -> None:
        """The host ends."""
        self._held.clear()
        self.deadline = 0

    def on_timer(self, now: i64) -> None:
        """Those that nobody waits for any more."""
        over = [key for key, held in self._held.items() if held.until <= now]
        for key in over:
            del self._held[key]
            self._counters.SynsHeldDropped += 1
            if self.forget is not None:
                self.forget(key)
        self.deadline = 0
        if self._held:
            self._look_at(min([held.until for held in self._held.values()]))

    def _look_at(self, until: i64) -> None:
        self.deadline = (until + _LOOK_US - 1) // _LOOK_US * _LOOK_US

    def __len__(self) -> int:
        return len(self._held)
