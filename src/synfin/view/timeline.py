"""A trace or a capture -> what each end of each connection sent, and what came back: all that plots are drawn from.

Nothing of a packet is kept but numbers, in columns, so that a trace of a large transfer fits. Where several hosts have
a trace, a sender's own is taken: what it sent as it left, the answers as they came. Elsewhere (a capture) all is as
seen at that place, and what was lost before it was never seen.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Final

from synfin.tcp.trace import Event, PacketEvent, SampleEvent
from synfin.view import events as view_events
from synfin.view.events import Fields, addresses, endpoint, ports
from synfin.view.flight import Flight
from synfin.view.intervals import Intervals
from synfin.view.numbering import Numbering, Packet
from synfin.wire.key import reverse_key
from synfin.wire.seq import unwrap
from synfin.wire.tcp_header import ACK, FIN, RST, SYN

MAX_CONNECTIONS: Final = 4096
MAX_PACKETS: Final = 4_000_000  # in all; those after are counted

# What a departure was.
NEW: Final = 0
AGAIN: Final = 1  # sent before, or to fill a hole that stayed open for long
LATE: Final = 2  # fills a hole soon after it opened: was overtaken on its way
PROBE: Final = 3

# The columns of samples, after their time.
CWND, SSTHRESH, IN_FLIGHT, PACING, RTT, SRTT, PHASE = range(1, 8)

_LATE_US: Final = 3000  # as Wireshark has it, where no round trip is known
_MAX_MISSING: Final = 16384  # segments that have not arrived are remembered at most


class Columns:
    """Rows of whole numbers."""

    def __init__(self, width: int) -> None:
        self._columns = tuple(array("q") for _ in range(width))

    def add(self, *row: int) -> None:
        """One more row, a number for each column."""
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return zip(*self._columns, strict=True)

    def __len__(self) -> int:
        return len(self._columns[0])

    def column(self, number: int) -> array[int]:
        """All numbers of one column."""
        return self._columns[number]


class Half:
    """What one end sent, and what the other answered. Offsets: the SYN is 0, the first byte 1. Times: microseconds."""

    def __init__(self) -> None:
        self.sent = Columns(4)  # at, start, end, kind
        self.lost: list[tuple[int, int, int]] = []  # at, start, end of what never arrived, as far as that is told
        self.acks = Columns(3)  # at, ACK, the window's right edge
        self.sacks = Columns(3)  # at, left, right
        self.dsacks = Columns(3)
        self.marks: list[tuple[int, int, str]] = []  # at, offset, "SYN", "FIN" or "RST"
        self.flight = Columns(2)  # at, bytes sent and neither acknowledged nor reported by SACK
        self.delivered = Columns(2)  # at, bytes acknowledged or reported by SACK
        self.rtts = Columns(2)  # at, microseconds from a segment to its ACK (Karn's rule holds)
        self.samples = Columns(8)  # at, and what the constants name
        self.text = 0  # bytes, each counted once
        self._covered = Intervals()
        self._sacked = Intervals()
        self._top = 0
        self._top_at = 0
        self._una = 0
        self._dirty = 0  # below it something went twice: no round trip can be told (Karn)
        self._waiting: deque[tuple[int, int, int]] = deque()  # start, end, at: not acknowledged
        self._departed: dict[int, tuple[int, int]] = {}  # of them, start and at by end
        self._first_rtt = 0

    def departs(self, packet: Packet) -> None:
        """A segment or burst that takes sequence numbers, or probes."""
        start, end, at = packet.seq, packet.end, packet.sent_at
        if packet.flags & SYN:
            start = 0
        kind = self._kind(packet, start, end, at)
        fresh = self._covered.add(start, end)
        if end > self._top:
            self._top, self._top_at = end, at
        self.text += min(fresh, packet.length)
        if kind == NEW:
            self._waiting.append((start, end, at))
            self._departed[end] = start, at
        elif end > self._dirty:
            self._dirty = end
        self.sent.add(at, start, end, kind)
        for flag, name in ((SYN, "SYN"), (FIN, "FIN")):
            if packet.flags & flag:
                self.marks.append((at, start if flag == SYN else end, name))
        self._note_flight(at)

    def _kind(self, packet: Packet, start: int, end: int, at: int) -> int:
        if packet.remark == "probe":
            return PROBE
        if start >= self._top:
            return NEW
        if self._covered.misses(start, end) and at - self._top_at <= max(self._first_rtt // 2, _LATE_US):
            return LATE
        return AGAIN

    def answered(self, packet: Packet, isn: int, edge: int) -> None:
        """An ACK of the other end. isn: of the numbers acknowledged. edge: the right one of the window, -1: unknown."""
        ack, at = packet.ack, packet.sent_at
        if ack > self._una:
            self._una = ack
            self._measure(ack, at)
            self._sacked.drop_below(ack)
        self.acks.add(at, ack, edge)
        blocks = packet.fields.options.sack
        if blocks:
            self._report([(unwrap(left, isn, ack), unwrap(right, isn, ack)) for left, right in blocks], ack, at)
        self.delivered.add(at, self._una + self._sacked.size)
        self._note_flight(at)

    def _measure(self, ack: int, at: int) -> None:
        """By the newest segment that this ACK is the first to tell of, unless it went twice (Karn)."""
        newest = -1
        while self._waiting and self._waiting[0][1] <= ack:
            start, end, sent_at = self._waiting.popleft()
            del self._departed[end]
            newest = sent_at if start >= self._dirty and self._sacked.misses(start, end) else -1
        if newest >= 0:
            self._round_trip(at, newest)

    def _round_trip(self, at: int, sent_at: int) -> None:
        self.rtts.add(at, at - sent_at)
        self._first_rtt = self._first_rtt or at - sent_at

    def _report(self, blocks: list[tuple[int, int]], ack: int, at: int) -> None:
        for number, (left, right) in enumerate(blocks):
            if right <= left:
                continue
            # RFC 2883 4: the first block tells of what came twice if it is below the ACK or within the second.
            second = blocks[1] if number == 0 and len(blocks) > 1 else (0, 0)
            if number == 0 and (right <= ack or (second[0] <= left and right <= second[1])):
                self.dsacks.add(at, left, right)
            elif right <= self._top:
                self.sacks.add(at, left, right)
                start, sent_at = self._departed.get(right, (-1, 0))
                if start >= self._dirty and number == 0 and self._sacked.misses(start, right):
                    self._round_trip(at, sent_at)
                self._sacked.add(max(left, ack), right)

    def _note_flight(self, at: int) -> None:
        self.flight.add(at, max(0, self._top - max(self._una, 0) - self._sacked.size))


class Vantage:
    """One connection as it is seen at one place."""

    def __init__(self, local: bytes) -> None:
        self.local = local  # the key at the end that is called local
        self.halves = (Half(), Half())  # what that end sent, and what the other did
        self.over = False  # it has ended: the next SYN begins another one
        self._numbering = Numbering()
        self._synced = [False, False]  # the SYN of that end was seen, and so what its windows mean
        self._ended = [False, False]

    def place(self, event: PacketEvent, fields: Fields) -> Packet | None:
        """Take a packet in. None: it begins another connection."""
        sender = 0 if _sender_of(event) == self.local else 1
        if self.over and fields.flags & (SYN | ACK) == SYN:
            return None
        packet = Packet(fields, sender, event.at, 0)
        self._numbering.place(packet, sender == 0)
        if packet.renumbers:
            return None
        half, other = self.halves[sender], self.halves[1 - sender]
        if fields.flags & RST:
            half.marks.append((event.at, packet.seq, "RST"))
            self.over = True
            return packet
        if fields.flags & SYN:
            self._synced[sender] = True
        if fields.flags & FIN:
            self._ended[sender] = True
            self.over = all(self._ended)
        if fields.space:
            half.departs(packet)
        if fields.flags & ACK:
            edge = packet.ack + packet.window if all(self._synced) or fields.flags & SYN else -1
            other.answered(packet, self._numbering.lines[1 - sender].isn, edge)
        return packet


class Crossing:
    """What one end sent and the other, which has a trace too, has not received."""

    def __init__(self) -> None:
        self._flight: Flight[tuple[int, int, int]] = Flight()
        self._missing: OrderedDict[tuple[int, int, int], None] = OrderedDict()
        self._longest = 0  # one-way delay

    def departs(self, packet: Packet, fields: Fields) -> None:
        """One end sent it: each of its segments is missing until it arrives."""
        at, start = packet.sent_at, packet.seq
        for piece in view_events.segments(fields):
            item = (at, start, start + piece.space)
            self._flight.sent(piece, at, item)
            self._missing[item] = None
            start += piece.length
        while len(self._missing) > _MAX_MISSING:
            self._missing.popitem(last=False)

    def arrives(self, fields: Fields, at: int) -> None:
        """The other end received it; `at` in microseconds."""
        for piece in view_events.segments(fields):
            item = self._flight.arrived(piece, at)
            if item is not None:
                self._missing.pop(item, None)
                self._longest = max(self._longest, at - item[0])

    def lost(self, now: int) -> list[tuple[int, int, int]]:
        """What has not arrived by now, and had the time to."""
        return [item for item in self._missing if item[2] > item[1] and item[0] + 2 * self._longest < now]


class Connection:
    """A connection, with a Vantage for each host that has a trace of it. key: at the end that sent first."""

    def __init__(self, key: bytes, at: int) -> None:
        self.key = key
        self.began = at
        self.ended = at
        self.packets = 0
        self.names: dict[bytes, str] = {}  # of hosts, by the key at their end
        self._vantages: dict[str, Vantage] = {}
        self._samples: dict[bytes, Columns] = {}
        self._crossings = {key: Crossing(), reverse_key(key): Crossing()}

    def place(self, event: PacketEvent, fields: Fields) -> tuple[Half, Packet] | None:
        """Take a packet in: where it went, or None, if it begins another connection."""
        sender = _sender_of(event)
        vantage = self._vantages.get(event.host)
        if vantage is None:
            vantage = self._vantages[event.host] = Vantage(event.key)
        packet = vantage.place(event, fields)
        if packet is None:
            return None
        self.packets += 1
        self.began, self.ended = min(self.began, event.at), max(self.ended, event.at)
        if event.host:
            self.names[event.key] = event.host
            if event.outgoing:
                self._crossings[sender].departs(packet, fields)
            else:
                self._crossings[sender].arrives(fields, event.at)
        return vantage.halves[packet.sender], packet

    def sample(self, event: SampleEvent) -> None:
        """What the end with the event's key had in mind."""
        columns = self._samples.setdefault(event.key, Columns(8))
        columns.add(
            event.at, event.cwnd, event.ssthresh, event.in_flight, round(event.pacing_rate), event.rtt, event.srtt,
            event.phase,
        )  # fmt: skip
        self.names[event.key] = event.host

    def half(self, key: bytes) -> Half:
        """What the end with this key sent, as it is best known."""
        half = next((v.halves[0] for v in self._vantages.values() if v.local == key), None)
        if half is None:
            half = next((v.halves[1] for v in self._vantages.values()), Half())
        half.samples = self._samples.get(key, half.samples)
        if len(self._vantages) > 1:
            half.lost = self._crossings[key].lost(self.ended)
        return half

    def larger_sender(self) -> bytes:
        """The key at the end that sent more text."""
        other = reverse_key(self.key)
        return other if self.half(other).text > self.half(self.key).text else self.key

    def name_of(self, key: bytes) -> str:
        """The end with this key, as people write it."""
        address, port = endpoint(addresses(key)[1], ports(key)[1]), self.names.get(key, "")
        return f"{port} {address}" if port else address


class Timelines:
    """A trace that collects: call it with events of one host or several.

    limit: packets at most. `dropped` counts those over it, and those of more connections than MAX_CONNECTIONS.
    """

    def __init__(self, limit: int = MAX_PACKETS) -> None:
        self._limit = limit
        self.packets = 0
        self.dropped = 0
        self.connections: list[Connection] = []
        self._current: dict[bytes, Connection] = {}  # by the lesser of both keys
        self._last: tuple[Half, Packet] | None = None

    def __call__(self, event: Event) -> None:
        if not view_events.is_key(event.key):
            return
        if isinstance(event, PacketEvent):
            self._see(event)
        elif isinstance(event, SampleEvent):
            connection = self._current.get(min(event.key, reverse_key(event.key)))
            if connection is not None:
                connection.sample(event)

    def largest(self) -> Connection | None:
        """The connection that carried most text one way; None: there is none."""
        return max(self.connections, key=lambda one: one.half(one.larger_sender()).text, default=None)

    def name(self, key: bytes, name: str) -> None:
        """What the host at the end with this key is called."""
        connection = self._current.get(min(key, reverse_key(key)))
        if connection is not None:
            connection.names[key] = name

    def forget(self) -> None:
        """Another story begins: what comes now belongs to no connection before it."""
        self._current.clear()

    def mark_lost(self) -> None:
        """The packet that came last never arrived."""
        if self._last is not None:
            half, packet = self._last
            if packet.end > packet.seq:
                half.lost.append((packet.sent_at, packet.seq, packet.end))

    def _see(self, event: PacketEvent) -> None:
        self._last = None
        fields = view_events.read(event)
        if fields.trouble and not fields.flags:
            return
        if self.packets >= self._limit:
            self.dropped += 1
            return
        self.packets += 1
        connection = self._current.get(min(event.key, reverse_key(event.key)))
        if connection is not None:
            self._last = connection.place(event, fields)
            if self._last is not None:
                return
        connection = self._begin(event)
        if connection is None:
            self.dropped += 1
        else:
            self._last = connection.place(event, fields)

    def _begin(self, event: PacketEvent) -> Connection | None:
        if len(self.connections) >= MAX_CONNECTIONS:
            return None
        connection = Connection(_sender_of(event), event.at)
        self.connections.append(connection)
        self._current[min(event.key, reverse_key(event.key))] = connection
        return connection


def _sender_of(event: PacketEvent) -> bytes:
    """The key at the end that sent the packet."""
    return event.key if event.outgoing else reverse_key(event.key)
