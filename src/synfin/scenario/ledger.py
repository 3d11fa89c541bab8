"""The record of a run: which bytes are which segment, and what became of each.

A segment is known by its bytes object from the moment it leaves: the same object arrives, however often.
"""

from __future__ import annotations

from typing import Final

from synfin.scenario.forge import Numbers
from synfin.scenario.model import Forgery, Scenario
from synfin.scenario.programs import Outcome
from synfin.scenario.result import ARRIVED, FORGED, LOST, UNDER_WAY, Result, Sample, SegmentRecord, StateChange
from synfin.sim.rules import SimPacket
from synfin.tcp.congestion.base import UNLIMITED
from synfin.tcp.states import CLOSED, LISTEN
from synfin.tcp.trace import Event, PacketEvent, SampleEvent, TransitionEvent
from synfin.view.events import is_key
from synfin.wire.ip import IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.key import reverse_key
from synfin.wire.segment import Burst, Segment, parse_untrusted
from synfin.wire.seq import seq_add
from synfin.wire.tcp_header import ACK, FIN, SYN, flag_names

_MANY_CAUSES: Final = 6


class Ledger:
    """base_us: the events' time at the beginning. names: of the hosts, by address."""

    def __init__(self, base_us: int) -> None:
        self.names: dict[bytes, str] = {}
        self.segments: list[SegmentRecord] = []
        self._base_us = base_us
        self._events: list[Event] = []
        self._refs: dict[PacketEvent, tuple[str, ...]] = {}
        self._records: dict[int, SegmentRecord] = {}  # by the id() of their bytes, which they keep alive
        self._remarks: list[tuple[int, str]] = []
        self._outgoing: dict[int, PacketEvent] = {}  # by the id() of the burst, which the event keeps alive
        self._sending: PacketEvent | None = None
        self._causes: tuple[str, ...] = ()
        self._alive: list[bytes] = []
        self._arriving = ""
        self._now: SegmentRecord | None = None  # that arrives
        self._seen = False  # what arrives has been seen in the trace
        self._noted = 0  # so many segments' numbers are known: they are looked at when something is forged
        self._isn: dict[bytes, int] = {}
        self._last: dict[bytes, tuple[int, int]] = {}  # by key: SEQ after the last segment, and its ACK
        self._serial = 0

    # ---- the trace ----

    def record(self, event: Event) -> None:
        """What the stacks tell."""
        self._events.append(event)
        if isinstance(event, PacketEvent):
            if event.outgoing:
                self._outgoing[id(event.burst)] = event
            elif self._arriving:
                self._refs[event] = (self._arriving,)
                self._seen = True

    # ---- departure ----

    def sends(self, burst: Burst, causes: list[str]) -> None:
        """What `sent` is told next is cut from this burst."""
        self._sending = self._outgoing.get(id(burst))
        self._causes = tuple(dict.fromkeys(causes))[-_MANY_CAUSES:]

    def sent(self, packet: SimPacket, data: bytes, fate: str, now_us: int) -> None:
        """A packet leaves. data: its bytes, as they may arrive."""
        if self._sending is None:
            return  # no TCP
        self._serial += 1
        identity = f"s{self._serial}"
        record = SegmentRecord(
            identity,
            packet.describe(),
            packet.sender,
            packet.receiver,
            packet.connection,
            now_us,
            packet.flags,
            packet.seq,
            packet.ack,
            packet.length,
            fate,
            packet.data,
            because=self._causes,
        )
        self._keep(record, data)
        self._refs[self._sending] = (*self._refs.get(self._sending, ()), identity)

    def forged(self, identity: str, forgery: Forgery, data: bytes, numbers: Numbers) -> None:
        """A packet is about to arrive that nobody sent."""
        seg = _parsed(data)
        known = numbers != Numbers()
        record = SegmentRecord(
            identity,
            None,
            forgery.as_host,
            forgery.to,
            forgery.connection,
            -1,
            flag_names(seg.flags),
            seq_add(seg.seq, -numbers.isn) if known else -1,
            seq_add(seg.ack, -numbers.own_isn) if known and seg.flags & ACK else -1,
            len(seg.payload),
            FORGED,
            data,
        )
        self._keep(record, data)

    def _keep(self, record: SegmentRecord, data: bytes) -> None:
        self.segments.append(record)
        self._records[id(data)] = record
        self._alive.append(data)

    def numbers(self, key: bytes) -> Numbers:
        """What there is to guess of a connection, as far as its segments tell. key: of those that are forged."""
        for record in self.segments[self._noted :]:
            if record.fate != FORGED:
                self._note_numbers(record.data)
        self._noted = len(self.segments)
        seq, ack = self._last.get(key, (0, 0))
        return Numbers(seq, ack, self._isn.get(key, 0), self._isn.get(reverse_key(key), 0))

    def _note_numbers(self, data: bytes) -> None:
        seg = _parsed(data)
        if seg.flags & SYN:
            self._isn[seg.key] = seg.seq
        space = len(seg.payload) + (seg.flags & SYN != 0) + (seg.flags & FIN != 0)
        self._last[seg.key] = seq_add(seg.seq, space), seg.ack

    # ---- arrival ----

    def arrives(self, data: bytes, now_us: int) -> str:
        """A packet is given to a host; the id of the segment."""
        record = self._records.get(id(data))
        self._seen = False
        self._arriving = "" if record is None else record.id
        if record is not None:
            record.arrived_us.append(now_us)
            self._now = record
        return self._arriving or "icmp"

    def arrived(self) -> None:
        """Its host has judged it."""
        if self._now is not None and self._arriving and not self._seen:
            self._now.refused = "checksum"
        self._arriving = ""

    def missed(self, data: bytes, why: str) -> None:
        """A packet came to a host that could not take it."""
        record = self._records.get(id(data))
        if record is not None:
            record.refused = why

    def remark(self, at_us: int, what: str) -> None:
        """Something that a scenario wants can't be."""
        self._remarks.append((at_us, what))

    # ---- the end ----

    def result(
        self, scenario: Scenario, outcomes: list[Outcome], under_way: list[bytes], ended_us: int, stopped: str
    ) -> Result:
        """All that is known. under_way: packets that have not arrived yet."""
        flying = {id(data) for data in under_way}
        for data in self._alive:
            record = self._records[id(data)]
            if not record.fate:
                record.fate = ARRIVED if record.arrived_us else UNDER_WAY if id(data) in flying else LOST
        numbers = _numbered(self._events)
        base = self._base_us
        states: list[StateChange] = []
        samples: list[Sample] = []
        for event in self._events:
            if isinstance(event, TransitionEvent):
                number = numbers.get(_connection(event.key), -1)
                states.append(
                    StateChange(
                        event.at - base,
                        event.host,
                        number,
                        event.before,
                        event.after,
                        event.reason,
                        event.rfc,
                        event.cause,
                    )
                )
            elif isinstance(event, SampleEvent):
                ssthresh = -1 if event.ssthresh >= UNLIMITED else event.ssthresh
                number = numbers.get(_connection(event.key), -1)
                samples.append(
                    Sample(event.at - base, event.host, number, event.cwnd, ssthresh, event.in_flight, event.srtt)
                )
        return Result(
            scenario,
            self.segments,
            states,
            samples,
            outcomes,
            self._remarks,
            ended_us,
            stopped,
            self._events,
            self._refs,
            base,
        )


def _parsed(data: bytes) -> Segment:
    ip, seg = IpHeader(), Segment()
    parse_ip(data, ip)
    parse_untrusted(data, ip, seg, True, 0)
    return seg


def _connection(key: bytes) -> bytes:
    return min(key, reverse_key(key))


def _numbered(events: list[Event]) -> dict[bytes, int]:
    """The number of each connection, as diagrams count them."""
    numbers: dict[bytes, int] = {}
    for event in events:
        if isinstance(event, SampleEvent) or not is_key(event.key):
            continue
        if isinstance(event, TransitionEvent) and {event.before, event.after} == {CLOSED, LISTEN}:
            continue
        numbers.setdefault(_connection(event.key), len(numbers))
    return numbers
