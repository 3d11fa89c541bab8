"""The one trace: what every diagram, capture, live table and failing test is drawn from.

A stack with a trace hook calls it with four kinds of events, in the order in which things happened: a packet that came
in, then what it caused (a sample of what it did to the sender, transitions, notes), then the packets that go out. A
transition that a user's call caused comes before the packet that carries it.
Rule for the next editor: an event tells what happened and why, with the section; it never decides anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from synfin.wire.segment import Burst

CAUSE_SEGMENT: Final = 0
CAUSE_USER: Final = 1
CAUSE_TIMER: Final = 2


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


class NoteEvent:
    """Something that a reader of the trace would ask about: a retransmission and what caused it, a segment refused."""

    def __init__(self, at: int, host: str, key: bytes, what: str, rfc: str) -> None:
        self.at = at
        self.host = host
        self.key = key
        self.what = what
        self.rfc = rfc


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


class Tracer:
    """A trace hook and the host it speaks of; exists only while somebody watches."""

    def __init__(self, host: str, hook: Trace) -> None:
        self.host = host
        self.hook = hook

    def packet(self, at: int, outgoing: bool, key: bytes, burst: Burst) -> None:
        """A packet came in or goes out."""
        self.hook(PacketEvent(at, self.host, outgoing, key, burst))

    def transition(self, at: int, key: bytes, before: int, after: int, reason: str, rfc: str, cause: int) -> None:
        """A connection changed its state."""
        self.hook(TransitionEvent(at, self.host, key, before, after, reason, rfc, cause))

    def note(self, at: int, key: bytes, what: str, rfc: str) -> None:
        """Something worth a line happened."""
        self.hook(NoteEvent(at, self.host, key, what, rfc))

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
        """A sender's figures have changed."""
        self.hook(SampleEvent(at, self.host, key, cwnd, ssthresh, in_flight, pacing_rate, rtt, srtt, phase))
