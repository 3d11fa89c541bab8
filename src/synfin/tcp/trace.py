"""The one trace: what every diagram, capture, live table and failing test is drawn from.

A stack with a trace hook calls it with three kinds of events, in the order in which things happened: a packet that came
in, then the transitions and notes it caused, then the packets that go out. A transition that a user's call caused
comes before the packet that carries it.
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


Event = PacketEvent | TransitionEvent | NoteEvent
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
