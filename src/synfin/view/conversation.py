"""One connection's trace -> the rows of its diagram.

Plain data and ACKs are held as a run until it is clear whether they are a few, drawn one by one, or a bulk, folded into
one row; whatever else happens ends the run, so nothing is ever drawn out of order. Where both ends have a trace,
`crossing` says in which order, and as which kind of arrow, their events are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from synfin.tcp import states
from synfin.tcp.trace import CAUSE_TIMER, CAUSE_USER, Event, NoteEvent, PacketEvent, TransitionEvent
from synfin.view import events as view_events
from synfin.view.bulk import FEW, Run
from synfin.view.crossing import Crossing
from synfin.view.events import Fields, addresses, endpoint, ports
from synfin.view.labels import label, short_label, style_of
from synfin.view.numbering import Numbering, Packet
from synfin.view.peer import Peer
from synfin.view.rows import (
    ARRIVES,
    LOST,
    WHOLE,
    Arrow,
    Change,
    End,
    Opening,
    Remark,
    Row,
    Silence,
)
from synfin.wire.key import reverse_key
from synfin.wire.tcp_header import ACK, RST, SYN

Refs = Callable[[PacketEvent], Sequence[str]]

_DATA_STATES: Final = frozenset(
    (
        states.ESTABLISHED,
        states.FIN_WAIT_1,
        states.FIN_WAIT_2,
        states.CLOSE_WAIT,
        states.CLOSING,
        states.LAST_ACK,
        -1,
    )
)
_PATIENT: Final = 16  # plain packets drawn one by one since the last change of state or silence, after which all fold
_PAUSE_US: Final = 200_000  # ends a run
_SILENCE_US: Final = 500_000  # is drawn
_EARLY: Final = 64  # events held at most until it is known who is who
_SENDING_NOTES: Final = (
    "retrans",
    "probe",
    "zero-window probe",
    "zero window probe",
    "keep-alive",
    "keepalive",
    "tail",
)


def note_is_about_sending(what: str) -> bool:
    """Does the note speak of the packet that goes out next, and not of the one that came in last?"""
    return what.lower().startswith(_SENDING_NOTES)


class Conversation:
    """The diagram of one connection, as far as its events have come.

    `both_ends`: events come from both ends' traces; else the first key's end has the trace and the other is inferred.
    `began`: the time that is shown as 0. `emit` takes the finished rows. `refs`: what the segments of an event are
    called, one name each.
    """

    def __init__(
        self,
        number: int,
        both_ends: bool,
        fold: bool,
        began: int,
        patience_us: int,
        names: Mapping[str, str],
        emit: Callable[[Row], None],
        refs: Refs | None = None,
    ) -> None:
        self.number = number
        self.ends: tuple[End, End] | None = None
        self.over = False  # every traced end is CLOSED again
        self._both_ends = both_ends
        self._fold = fold
        self._began = began
        self._patience_us = patience_us
        self._names = names
        self._emit = emit
        self._refs = refs
        self._early: list[Event] = []
        self._left_key = b""
        self._states = [-1, -1]  # as the trace says; -1: not known
        self._numbering = Numbering()
        self._peer: Peer | None = None
        self._peer_shown = ""
        self._noted = [False, False]  # a note about the packet that this end sends next has been drawn
        self._sources = 0
        self._run = Run()
        self._one_by_one = _PATIENT
        self._drawn_until = began
        self._crossing = Crossing(self, patience_us) if both_ends else None

    # -- events in -----------------------------------------------------------------------------------------------

    def feed(self, event: Event) -> None:
        """The next event of the trace, in order of time."""
        if self.ends is not None:
            self._take(event)
            return
        self._early.append(event)
        if self._enough(event.at):
            self._begin()

    def flush(self) -> None:
        """Draw everything that is held back only because more of its kind may follow."""
        if self.ends is None and self._early:
            self._begin()
        self._end_run()

    def finish(self) -> None:
        """There will be no more events: what has not arrived by now is lost."""
        if self.ends is None and self._early:
            self._begin()
        if self._crossing is not None:
            self._crossing.finish()
        self._end_run()

    def tick(self, now: int) -> None:
        """Draw a run that has paused."""
        self._end_paused_run(now)

    def pending(self) -> list[Row]:
        """The rows that `flush` would emit for the run that is still going on."""
        return self._run_rows()

    def _enough(self, now: int) -> bool:
        keys = {self._early[0].key}
        if self._both_ends:
            keys.add(reverse_key(self._early[0].key))
            if 0 <= self._patience_us < now - self._early[0].at or len(self._early) >= _EARLY:
                return True
        elif sum(isinstance(event, PacketEvent) for event in self._early) > 1:
            return True
        for event in self._early:
            if isinstance(event, TransitionEvent) or (isinstance(event, PacketEvent) and event.outgoing):
                keys.discard(event.key)
        return not keys

    def _begin(self) -> None:
        early = self._early
        self._early = []
        first = early[0].key
        self._left_key = first if self._opens(early, first) else reverse_key(first)
        right_key = reverse_key(self._left_key)
        hosts = {event.key: event.host for event in reversed(early)}
        traced = {first, reverse_key(first)} if self._both_ends else {first}
        peer_address, address = addresses(self._left_key)
        peer_port, port = ports(self._left_key)
        left = End(self._name(hosts, self._left_key, address), endpoint(address, port), self._left_key in traced)
        right = End(self._name(hosts, right_key, peer_address), endpoint(peer_address, peer_port), right_key in traced)
        if self._left_key == right_key:
            right = End(right.name, right.address, False)
        self.ends = left, right
        if not self._both_ends:
            self._peer = Peer()
        self._began = min(self._began, early[0].at)
        self._drawn_until = early[0].at
        left_state = _first_state(early, self._left_key)
        right_state = _first_state(early, right_key)
        if not left.traced:
            left_state = _peer_first_state(early)
        elif not right.traced:
            right_state = _peer_first_state(early)
        self._emit(Opening(self.number, left, right, left_state, right_state, 2 if self._both_ends else 1))
        for event in early:
            self._take(event)

    @staticmethod
    def _opens(early: list[Event], key: bytes) -> bool:
        """Is the end with this key the one that began? It stands on the left."""
        for event in early:
            if isinstance(event, TransitionEvent):
                return (event.after == states.SYN_SENT) == (event.key == key)
            if isinstance(event, PacketEvent):
                return event.outgoing == (event.key == key)
        return True

    def _name(self, hosts: Mapping[bytes, str], key: bytes, address: str) -> str:
        return self._names.get(address) or hosts.get(key) or "peer"

    def _take(self, event: Event) -> None:
        end = 0 if event.key == self._left_key else 1
        if isinstance(event, TransitionEvent):
            self._states[end] = event.after
        if self._crossing is not None:
            self._take_one_of_two(event, end, self._crossing)
        elif self.ends is not None and self.ends[end].traced:
            if isinstance(event, PacketEvent):
                self._take_only(event, end)
            else:
                self.draw_event(end, event)

    # -- packets -------------------------------------------------------------------------------------------------

    def _take_only(self, event: PacketEvent, end: int) -> None:
        """A packet in the only trace there is: it is drawn now, as it was seen."""
        sender = end if event.outgoing else 1 - end
        self._sources += 1
        packet = self._place(view_events.read(event), sender, event.at, event.outgoing)
        packet.refs = tuple(self._refs(event)) if self._refs is not None else ()
        peer = self._peer
        assert peer is not None
        if packet.renumbers and peer.known == states.CLOSED:
            peer = self._peer = Peer()
        flags = packet.fields.flags
        if event.outgoing:
            peer.hears(flags, packet.end, packet.ack)
            self._show_peer(packet, peer.text)
        else:
            peer.speaks(flags, packet.end, packet.ack)
            self._show_peer(packet, peer.known_text if peer.known == peer.expected else self._peer_shown)
        self.draw_packet(packet, WHOLE)
        if not event.outgoing and peer.known == states.CLOSING:
            self._foresee(peer, event.at, 1 - end)

    def _show_peer(self, packet: Packet, text: str) -> None:
        if text and text != self._peer_shown:
            packet.state = text
            packet.plain = False
            self._peer_shown = text

    def _foresee(self, peer: Peer, at: int, end: int) -> None:
        """What the peer's segment proved was overtaken by what was sent to it meanwhile."""
        peer.expect()
        if peer.text != self._peer_shown:
            self._row(Change(end == 0, at - self._began, self._peer_shown, peer.text, "once our ACK has arrived", ""))
            self._peer_shown = peer.text

    def _take_one_of_two(self, event: Event, end: int, crossing: Crossing) -> None:
        if not isinstance(event, PacketEvent):
            about_arrival = isinstance(event, NoteEvent) and not note_is_about_sending(event.what)
            crossing.happened(end, event, about_arrival)
            return
        self._sources += 1
        names = self._refs(event) if self._refs is not None else ()
        for number, fields in enumerate(view_events.segments(view_events.read(event))):
            refs = tuple(names[number : number + 1])
            if event.outgoing:
                packet = self._place(fields, end, event.at, True)
                packet.refs = refs
                crossing.sent(end, packet)
            elif not crossing.arrived(end, fields, event.at):
                packet = self._place(fields, 1 - end, event.at, False)
                packet.plain = False
                packet.refs = refs
                packet.remark = "a copy" if crossing.is_copy(end, fields) else "not sent by the other end"
                crossing.strayed(end, packet)

    def _place(self, fields: Fields, sender: int, at: int, certain: bool) -> Packet:
        packet = Packet(fields, sender, at, self._sources)
        self._numbering.place(packet, certain)
        if self._states[sender] not in _DATA_STATES:
            packet.plain = False
        return packet

    # -- drawing; also called by Crossing ------------------------------------------------------------------------

    def draw_event(self, end: int, event: Event) -> None:
        """A transition or a note."""
        at = event.at - self._began
        if isinstance(event, TransitionEvent):
            self._end_run()
            self._pass_time(event.at)
            self._one_by_one = _PATIENT
            who = "user: " if event.cause == CAUSE_USER else "timer: " if event.cause == CAUSE_TIMER else ""
            before, after = states.NAMES[event.before], states.NAMES[event.after]
            self._row(Change(end == 0, at, before, after, who + event.reason, event.rfc))
            self.over = all(state in (states.CLOSED, -1) for state in self._states)
        elif isinstance(event, NoteEvent):
            if note_is_about_sending(event.what):
                self._noted[end] = True
                self._end_run()
            else:
                last = self._run.take_last() if self._run.last_sender == 1 - end else None
                self._end_run()
                if last is not None:
                    self._row(self._arrow(last, WHOLE, 0))
            self._pass_time(event.at)
            self._row(Remark(end == 0, at, event.what, event.rfc))

    def draw_packet(self, packet: Packet, shape: str, tag: int = 0) -> None:
        """A segment as it leaves, arrives, or is lost."""
        sender = packet.sender
        at = packet.received_at if shape == ARRIVES else packet.sent_at
        if self._noted[sender] and shape != ARRIVES:
            self._noted[sender] = False
            packet.plain = False
            if packet.remark == "repeated":
                packet.remark = ""
        self._end_paused_run(at)
        if shape == WHOLE and packet.plain and self._fold:
            if self._run.turns(packet) and self._one_by_one > 0:
                self._end_run()
            self._pass_time(at)
            self._run.add(packet)
            return
        self._end_run()
        self._pass_time(at)
        self._row(self._arrow(packet, shape, tag))

    def _end_paused_run(self, at: int) -> None:
        if self._run.packets and at - self._run.last_at >= _PAUSE_US:
            self._end_run()

    def _pass_time(self, at: int) -> None:
        silence = at - self._drawn_until
        if silence >= _SILENCE_US:
            self._end_run()
            self._one_by_one = _PATIENT
            self._row(Silence(silence))
        self._drawn_until = max(self._drawn_until, at)

    def _end_run(self) -> None:
        if not self._run.packets:
            return
        rows = self._run_rows()
        self._one_by_one -= len(rows)
        self._run = Run()
        for row in rows:
            self._row(row)

    def _run_rows(self) -> list[Row]:
        run = self._run
        if not run.packets:
            return []
        few = FEW if self._one_by_one > 0 else 2
        if run.packets <= few:
            return [self._arrow(packet, WHOLE, 0) for packet in run.first]
        return [run.row(self._began, self._both_ends)]

    def _row(self, row: Row) -> None:
        self._emit(row)

    def _arrow(self, packet: Packet, shape: str, tag: int) -> Arrow:
        rightward = packet.sender == 0
        sent_at: int | None = packet.sent_at - self._began
        received_at: int | None = None
        if self._both_ends:
            if shape == WHOLE or shape == ARRIVES:
                received_at = packet.received_at - self._began
            if shape == ARRIVES:
                sent_at = None
        left_at, right_at = (sent_at, received_at) if rightward else (received_at, sent_at)
        if not self._both_ends:
            left_at, right_at = sent_at, None
        left_state = right_state = ""
        if packet.state and self.ends is not None:
            if self.ends[0].traced:
                right_state = packet.state
            else:
                left_state = packet.state
        words = short_label(packet) if shape == ARRIVES and tag else label(packet)
        style = "lost" if shape == LOST else style_of(packet)
        return Arrow(rightward, shape, style, words, left_at, right_at, left_state, right_state, tag, packet.refs)


def _first_state(early: list[Event], key: bytes) -> str:
    for event in early:
        if event.key != key:
            continue
        if isinstance(event, TransitionEvent):
            return states.NAMES[event.before]
        if isinstance(event, PacketEvent) and event.outgoing:
            return "CLOSED" if view_events.read(event).flags & RST else ""
    return ""


def _peer_first_state(early: list[Event]) -> str:
    for event in early:
        if isinstance(event, PacketEvent):
            flags = view_events.read(event).flags
            return "CLOSED" if not event.outgoing and flags & SYN and not flags & ACK else ""
    return ""
