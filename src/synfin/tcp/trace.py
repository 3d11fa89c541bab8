"""The one trace: what every diagram, capture, live table and failing test is drawn from.

A stack with a trace hook calls it with four kinds of events, in the order in which things happened: a packet that came
in, then what it caused (a sample of what it did to the sender, transitions, notes), then the packets that go out. A
transition that a user's call caused comes before the packet that carries it.
Rule for the next editor: an event tells what happened and why, with the section; it never decides anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy_extensions import i64, mypyc_attr

from synfin.tcp.states import CLOSED, LISTEN
from synfin.wire.segment import Burst
from synfin.wire.tcp_header import FIN, RST, SYN

CAUSE_SEGMENT: Final = 0
CAUSE_USER: Final = 1
CAUSE_TIMER: Final = 2

MOVES: Final = SYN | FIN | RST


@mypyc_attr(acyclic=True)
class PacketEvent:
    """A packet, or a burst of segments, seen by one host.

    at: microseconds. key: the connection's key at this host (peer, local, peer port, local port).
    burst: for an incoming packet the whole packet is the head.
    """

    def __init__(self, at: int, host: str, outgoing: bool, key: bytes, burst: Burst) -> None:
        self.at = at
        self.host = host
        self.outgoing = outgoing
        self.key = key
        self.burst = burst


@mypyc_attr(acyclic=True)
class TransitionEvent:
    """A connection of one host went from one state (states.*) to another, for this reason, by this section."""

    def __init__(
        self, at: int, host: str, key: bytes, before: int, after: int, reason: str, rfc: str, cause: int
    ) -> None:
        self.at = at
        self.host = host
        self.key = key
        self.before = before
        self.after = after
        self.reason = reason
        self.rfc = rfc
        self.cause = cause


@mypyc_attr(acyclic=True)
class NoteEvent:
    """Something that a reader of the trace would ask about: a retransmission and what caused it, a segment refused."""

    def __init__(self, at: int, host: str, key: bytes, what: str, rfc: str) -> None:
        self.at = at
        self.host = host
        self.key = key
        self.what = what
        self.rfc = rfc


@mypyc_attr(acyclic=True)
class SampleEvent:
    """A sender's figures after an ACK or a timer, while something of it was out: what plots over time are drawn from.

    Bytes, microseconds, bytes a second. In flight is what the sender believes, before it sends what the ACK let out;
    what it sends until the next sample adds to it. phase: which recovery goes on (congestion.base: NONE, FAST, LOSS).
    """

    def __init__(
        self,
        at: int,
        host: str,
        key: bytes,
        cwnd: int,
        ssthresh: int,
        in_flight: int,
        pacing_rate: float,
        rtt: int,
        srtt: int,
        phase: int,
    ) -> None:
        self.at = at
        self.host = host
        self.key = key
        self.cwnd = cwnd
        self.ssthresh = ssthresh  # congestion.base.UNLIMITED until there was a loss
        self.in_flight = in_flight
        self.pacing_rate = pacing_rate  # 0.0: unknown
        self.rtt = rtt  # measured by this ACK; 0: it gave no sample
        self.srtt = srtt  # 0: none yet
        self.phase = phase


Event = PacketEvent | TransitionEvent | NoteEvent | SampleEvent
Trace = Callable[[Event], None]


class Follower:
    """Who follows one connection. hook: is told what happens to it.

    quiet: of its packets those with SYN, FIN or RST are told, and no samples; its states and notes always are. Set by
    `Tracer.hush`, for who has heard enough for now: what it does not hear costs nothing.
    """

    def __init__(self, hook: Trace) -> None:
        self.hook = hook
        self.quiet = False


class Tracer:
    """The trace of a host: a hook that is told everything, and followers of one connection each.

    Exists only while somebody watches. Rule for the next editor: whoever has to make something of a packet before it
    is told looks at `attentive` first, and asks `hears` then.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.hook: Trace | None = None
        self.followers: dict[bytes, Follower] = {}
        self.next: Follower | None = None  # follows the connection that begins next
        self.attentive = False  # somebody hears of any packet, and samples; else of those with MOVES at most

    def is_idle(self) -> bool:
        """Nobody watches."""
        return self.hook is None and self.next is None and not self.followers

    def set_hook(self, hook: Trace | None) -> None:
        """Have it told everything from now on; None: no more."""
        self.hook = hook
        self._listen()

    def follow(self, key: bytes, follower: Follower) -> bool:
        """Have a follower told of the connection with this key, b"": of the one that begins next. False: it has one."""
        if not key:
            if self.next is not None:
                return False
            self.next = follower
        elif key in self.followers:
            return False
        else:
            self.followers[key] = follower
        self._listen()
        return True

    def unfollow(self, follower: Follower) -> None:
        """Tell it no more."""
        if self.next is follower:
            self.next = None
        for key in [key for key, other in self.followers.items() if other is follower]:
            del self.followers[key]
        self._listen()

    def hush(self, follower: Follower, quiet: bool) -> None:
        """A follower has heard enough, or wants to hear again."""
        follower.quiet = quiet
        self._listen()

    def _listen(self) -> None:
        attentive = self.hook is not None
        for follower in self.followers.values():
            attentive = attentive or not follower.quiet
        self.attentive = attentive

    def hears(self, key: bytes, flags: i64) -> bool:
        """Whether anybody is to be told of a packet, or with no flags of a sample, of the connection with this key."""
        if flags & SYN and self.next is not None and key not in self.followers:
            self._begin(key)
        if self.hook is not None:
            return True
        follower = self.followers.get(key)
        return follower is not None and (not follower.quiet or flags & MOVES != 0)

    def packet(self, at: int, outgoing: bool, key: bytes, flags: i64, burst: Burst) -> None:
        """A packet came in or goes out; `hears` said yes."""
        event = PacketEvent(at, self.host, outgoing, key, burst)
        if self.hook is not None:
            self.hook(event)
        follower = self.followers.get(key)
        if follower is not None and (not follower.quiet or flags & MOVES):
            follower.hook(event)

    def transition(self, at: int, key: bytes, before: int, after: int, reason: str, rfc: str, cause: int) -> None:
        """A connection changed its state."""
        if before == CLOSED and after != LISTEN and self.next is not None and key not in self.followers:
            self._begin(key)
        if self.hook is not None or key in self.followers:
            self._tell(TransitionEvent(at, self.host, key, before, after, reason, rfc, cause))

    def note(self, at: int, key: bytes, what: str, rfc: str) -> None:
        """Something worth a line happened."""
        if self.hook is not None or key in self.followers:
            self._tell(NoteEvent(at, self.host, key, what, rfc))

    def sample(
        self,
        at: int,
        key: bytes,
        cwnd: int,
        ssthresh: int,
        in_flight: int,
        pacing_rate: float,
        rtt: int,
        srtt: int,
        phase: int,
    ) -> None:
        """A sender's figures have changed; `hears` said yes."""
        event = SampleEvent(at, self.host, key, cwnd, ssthresh, in_flight, pacing_rate, rtt, srtt, phase)
        if self.hook is not None:
            self.hook(event)
        follower = self.followers.get(key)
        if follower is not None and not follower.quiet:
            follower.hook(event)

    def _begin(self, key: bytes) -> None:
        follower = self.next
        self.next = None
        if follower is not None:
            self.followers[key] = follower
            self._listen()

    def _tell(self, event: Event) -> None:
        if self.hook is not None:
            self.hook(event)
        follower = self.followers.get(event.key)
        if follower is not None:
            follower.hook(event)
