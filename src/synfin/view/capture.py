"""A trace -> a pcapng file in which each packet carries, as its comment, what it caused and why.

Wireshark and tshark show the comments (`tshark -T fields -e frame.comment`). A burst is one packet of up to 64 KiB, as
a capture on an offloading device would have it, with complete checksums.
What an incoming packet caused is known only from the events after it, so it waits for them; what a user's call or a
timer caused belongs to the next packet that goes out, and, if the transition is known by its SYN, FIN or RST, to the
next one that has it. Where both ends are traced, a packet is in the file once, as it was sent, with what it caused at
either end; it waits until it has arrived, or counts as lost.
Samples of the sender's figures are comments too, where they are wanted: one on nearly every ACK.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

from synfin.links.pcapng import PcapngWriter, completed
from synfin.tcp import states
from synfin.tcp.trace import CAUSE_SEGMENT, Event, NoteEvent, PacketEvent, SampleEvent, TransitionEvent
from synfin.view import events as view_events
from synfin.view.conversation import note_is_about_sending
from synfin.view.events import Fields
from synfin.view.flight import Flight
from synfin.view.samples import as_text
from synfin.wire.errors import WireError
from synfin.wire.key import reverse_key
from synfin.wire.segment import finish, split
from synfin.wire.tcp_header import FIN, RST, SYN

LOST: Final = "lost: never received"
_MAX_WAITING: Final = 4096  # packets held back at most because one before them waits for its comment or arrival
_PATIENCE_US: Final = 3_000_000  # a packet that has not arrived by then is lost
_MAX_CONNECTIONS: Final = 4096  # of which at most something is kept in mind

# CLOSED is announced by a RST from these states (RFC 9293 3.10.5), and by nothing from the others.
_RESETS_FROM: Final = (
    states.SYN_RCVD,
    states.ESTABLISHED,
    states.FIN_WAIT_1,
    states.FIN_WAIT_2,
    states.CLOSE_WAIT,
)


class _Waiting:
    """A packet that is not in the file yet."""

    __slots__ = ("at", "comments", "flying", "host", "length", "outgoing", "packet", "until")

    def __init__(self, event: PacketEvent, packet: bytes, length: int) -> None:
        self.at = event.at
        self.length = length  # of the whole packet, of which `packet` may be the beginning
        self.host = event.host
        self.outgoing = event.outgoing
        self.packet = packet
        self.comments: list[str] = []
        self.flying = False  # sent, and the other end is traced and has not received it
        self.until = -1  # received then: more comments come with events of this time; -1: none come


class AnnotatedCapture:
    """A trace that records: call it with events, of one host or of several, and close it at the end.

    path: where to write, or a binary file that stays the caller's. snaplen: bytes kept of each packet, 0 for all.
    both_ends: the events are of both ends of each connection, or a function that says so of a key; bursts are then cut
    into the segments that travel. epoch_us: added to every time, in microseconds since 1970. Each host is an interface.
    A write error ends the recording, never the stack's work: `error` then says why.
    """

    def __init__(
        self,
        path: str | Path | BinaryIO,
        snaplen: int = 0,
        *,
        both_ends: bool | Callable[[bytes], bool] = False,
        epoch_us: int = 0,
        samples: bool = False,
    ) -> None:
        self.error: OSError | None = None
        self._samples = samples
        self._epoch_us = epoch_us
        self._both_ends = both_ends
        self._snaplen = snaplen
        self._writer = PcapngWriter(path, snaplen, epoch_us)
        self._interfaces: dict[str, int] = {}
        self._queue: deque[_Waiting] = deque()
        self._last: dict[str, tuple[bytes, _Waiting]] = {}  # each host's last packet if it came in, with its key
        # for outgoing packets: (flag or 0, comment)
        self._next: OrderedDict[tuple[str, bytes], list[tuple[int, str]]] = OrderedDict()
        self._flights: OrderedDict[bytes, Flight[_Waiting]] = OrderedDict()  # by the receiver's key

    def __call__(self, event: Event) -> None:
        if self.error is not None:
            return
        if isinstance(event, PacketEvent):
            self._packet(event)
        elif isinstance(event, TransitionEvent):
            self._transition(event)
        elif isinstance(event, NoteEvent):
            self._note(event)
        elif self._samples:
            self._sample(event)
        self._write_ready(event.at)

    def close(self) -> None:
        """Write what still waits, and close the file. May be called twice."""
        while self._queue and self.error is None:
            self._write(self._queue.popleft())
        self._queue.clear()
        self._last.clear()
        self._flights.clear()
        self._next.clear()
        try:
            self._writer.close()
        except OSError as error:
            self.error = self.error or error

    def __enter__(self) -> AnnotatedCapture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _packet(self, event: PacketEvent) -> None:
        _, last = self._last.pop(event.host, (b"", None))
        if last is not None:
            last.until = -1
        both = self._both_ends(event.key) if callable(self._both_ends) else self._both_ends
        fields = view_events.segments(view_events.read(event)) if both else []
        if event.outgoing:
            self._sent(event, fields)
        elif not both or not self._arrived(event, fields):
            waiting = _Waiting(event, *_complete(event, self._snaplen))
            waiting.until = event.at
            self._last[event.host] = event.key, waiting
            self._queue.append(waiting)

    def _sent(self, event: PacketEvent, fields: list[Fields]) -> None:
        packets = _split(event) if fields else [_complete(event, self._snaplen)]
        receiver = reverse_key(event.key) if fields and view_events.is_key(event.key) else event.key
        for number, (packet, length) in enumerate(packets):
            waiting = _Waiting(event, packet, length)
            if number < len(fields):
                waiting.flying = True
                self._flight(receiver).sent(fields[number], event.at, waiting)
            self._queue.append(waiting)
        self._give_comments(event, self._queue[-1])

    def _arrived(self, event: PacketEvent, fields: list[Fields]) -> bool:
        """Is this what another host was seen to send? Then that packet gets the comments."""
        found: _Waiting | None = None
        for segment in fields:
            departure = self._flight(event.key).arrived(segment, event.at)
            if departure is not None:
                departure.flying = False
                found = departure
        if found is not None:
            found.until = event.at
            self._last[event.host] = event.key, found
        return found is not None

    def _flight(self, key: bytes) -> Flight[_Waiting]:
        flight = self._flights.get(key)
        if flight is None:
            if len(self._flights) >= _MAX_CONNECTIONS:
                self._flights.popitem(last=False)
            flight = self._flights[key] = Flight()
        return flight

    def _give_comments(self, event: PacketEvent, waiting: _Waiting) -> None:
        due = self._next.get((event.host, event.key))
        if not due:
            return
        flags = view_events.read(event).flags
        rest: list[tuple[int, str]] = []
        for flag, comment in due:
            if flag == 0 or flags & flag:
                waiting.comments.append(comment)
            else:
                rest.append((flag, comment))
        if rest:
            self._next[event.host, event.key] = rest
        else:
            del self._next[event.host, event.key]

    def _transition(self, event: TransitionEvent) -> None:
        before, after = states.NAMES[event.before], states.NAMES[event.after]
        comment = f"{event.host}: {before} -> {after}: {event.reason}{_rfc(event.rfc)}"
        if event.cause == CAUSE_SEGMENT and self._comment_last(event.host, event.key, comment):
            return
        flag = _announced_by(event.before, event.after)
        if event.before == states.CLOSED:
            self._next.pop((event.host, event.key), None)  # of an earlier connection
        if flag >= 0:
            self._comment_next(event.host, event.key, flag, comment)

    def _note(self, event: NoteEvent) -> None:
        comment = f"{event.host}: {event.what}{_rfc(event.rfc)}"
        about_sending = note_is_about_sending(event.what)
        if about_sending or not self._comment_last(event.host, event.key, comment):
            self._comment_next(event.host, event.key, 0, comment)

    def _sample(self, event: SampleEvent) -> None:
        text = as_text(event, self._epoch_us)
        if not self._comment_last(event.host, event.key, text):
            self._comment_next(event.host, event.key, 0, text)

    def _comment_last(self, host: str, key: bytes, comment: str) -> bool:
        last_key, last = self._last.get(host, (b"", None))
        if last is None or (last_key and last_key != key):
            return False
        last.comments.append(comment)
        return True

    def _comment_next(self, host: str, key: bytes, flag: int, comment: str) -> None:
        if len(self._next) >= _MAX_CONNECTIONS and (host, key) not in self._next:
            self._next.popitem(last=False)
        self._next.setdefault((host, key), []).append((flag, comment))

    def _write_ready(self, now: int) -> None:
        # A segment's consequences carry its own time: once the clock has moved on, there are no more.
        while self._queue:
            first = self._queue[0]
            if len(self._queue) <= _MAX_WAITING:
                if first.flying and now - first.at <= _PATIENCE_US:
                    return
                if not first.flying and first.until >= now:
                    return
            self._write(self._queue.popleft())

    def _write(self, waiting: _Waiting) -> None:
        if self.error is not None:
            return
        if waiting.flying:
            waiting.comments.append(LOST)
        try:
            interface = self._interfaces.get(waiting.host)
            if interface is None:
                interface = self._interfaces[waiting.host] = self._writer.add_interface(waiting.host)
            comment = "\n".join(waiting.comments)
            self._writer.write(
                waiting.at, waiting.packet, comment, waiting.length, interface, outgoing=waiting.outgoing
            )
        except OSError as error:
            self.error = error


def _complete(event: PacketEvent, snaplen: int) -> tuple[bytes, int]:
    """The packet with full checksums, and its length; what can't be completed stays as it is.

    Of a packet that will be cut, only the beginning is made: nobody can verify the checksum of a part, and to sum up
    64 KiB takes longer than everything else.
    """
    burst = event.burst
    head = burst.head
    length = len(head) + burst.payload_len if burst.pieces else len(head)
    if 0 < snaplen < length:
        if len(head) < snaplen and burst.pieces:
            head = b"".join([head, *(bytes(piece[:snaplen]) for piece in burst.pieces[:snaplen])])
        return head[:snaplen], length
    if not event.outgoing:
        return (completed(head) if burst.csum_start else head), length
    try:
        return finish(burst), length
    except WireError:
        return b"".join([head, *burst.pieces]), length


def _split(event: PacketEvent) -> list[tuple[bytes, int]]:
    try:
        return [(packet, len(packet)) for packet in split(event.burst)]
    except WireError:
        return [_complete(event, 0)]


def _announced_by(before: int, after: int) -> int:
    """The flag of the packet that carries a transition; 0: any packet; -1: none does."""
    if after in (states.SYN_SENT, states.SYN_RCVD):
        return SYN
    if after in (states.FIN_WAIT_1, states.LAST_ACK):
        return FIN
    if after == states.CLOSED:
        return RST if before in _RESETS_FROM else -1
    return 0 if after != states.LISTEN else -1


def _rfc(section: str) -> str:
    if not section:
        return ""
    return f" (RFC {section})" if section[:1].isdigit() else f" ({section})"
