"""Two traces of one connection -> one order in which to draw them.

Each end's own events keep their order. A segment is one whole arrow wherever the two orders allow that its departure
and its arrival stand on one line; both ends' clocks then run downwards along their own margins. Where two segments
cross, or one overtakes another, no such line exists (Charron-Bost et al. 1996 call it a crown): the earlier one departs
on one line and arrives on another. Where plain data crosses plain ACKs, or many plain segments in a row cross anything,
that says nothing: they are drawn as if they had arrived at once.
A segment's fate is known when it has arrived, when there are no more events, or after a while of patience.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final, Protocol

from synfin.tcp.trace import Event
from synfin.view.events import Fields
from synfin.view.flight import Flight
from synfin.view.numbering import Packet
from synfin.view.rows import ARRIVES, DEPARTS, LOST, WHOLE

_SENT: Final = 0
_ARRIVED: Final = 1
_STRAYED: Final = 2
_HAPPENED: Final = 3

_UNKNOWN: Final = 0
_ARRIVES: Final = 1
_LOST: Final = 2

_BULK: Final = 4  # plain segments in a row that are many


class Pen(Protocol):
    """Who draws."""

    def draw_packet(self, packet: Packet, shape: str, tag: int = 0) -> None:
        """The next row. shape: WHOLE, DEPARTS, ARRIVES or LOST; both halves of a packet have the same tag, else 0."""

    def draw_event(self, end: int, event: Event) -> None:
        """The next row, at one end: what happened there that is no packet."""


class _Item:
    __slots__ = ("at", "drawn", "event", "fate", "kind", "packet", "serial", "tag", "twin")

    def __init__(self, kind: int, at: int, serial: int, packet: Packet | None, event: Event | None) -> None:
        self.kind = kind
        self.at = at
        self.serial = serial
        self.packet = packet
        self.event = event
        self.fate = _UNKNOWN
        self.tag = 0  # under which it departed
        self.twin: _Item | None = None  # of a departure its arrival and the other way round
        self.drawn = False  # with its departure, while it stood behind others in its queue


class Crossing:
    """Takes the events of both ends in the order of time and gives them to the pen in the order of drawing."""

    def __init__(self, pen: Pen, patience_us: int) -> None:
        self._pen = pen
        self._patience_us = patience_us
        self._queues: tuple[deque[_Item], deque[_Item]] = (deque(), deque())
        self._flights: tuple[Flight[_Item], Flight[_Item]] = (Flight(), Flight())
        self._bulk = [False, False]  # what each end is sending is a bulk
        self._serial = 0
        self._tags = 0

    def happened(self, end: int, event: Event, about_arrival: bool) -> None:
        """A transition or a note; `about_arrival`: of the segment that came in last, which then is not plain."""
        queue = self._queues[end]
        while queue and queue[-1].drawn:
            queue.pop()
        if about_arrival and queue:
            last = queue[-1]
            if last.kind == _ARRIVED and last.packet is not None:
                last.packet.plain = False
        self._add(end, _Item(_HAPPENED, event.at, self._serial, None, event))

    def sent(self, end: int, packet: Packet) -> None:
        """A segment left this end."""
        item = _Item(_SENT, packet.sent_at, self._serial, packet, None)
        self._flights[end].sent(packet.fields, packet.sent_at, item)
        self._add(end, item)

    def arrived(self, end: int, fields: Fields, at: int) -> bool:
        """A segment came in at this end; False if no departure is known that it could be."""
        departure = self._flights[1 - end].arrived(fields, at)
        if departure is None:
            return False
        packet = departure.packet
        assert packet is not None
        packet.received_at = at
        if departure.fate == _LOST:
            packet.remark = "arrives after all"
            self.strayed(end, packet)
            return True
        departure.fate = _ARRIVES
        arrival = _Item(_ARRIVED, at, self._serial, packet, None)
        arrival.twin = departure
        departure.twin = arrival
        self._add(end, arrival)
        return True

    def strayed(self, end: int, packet: Packet) -> None:
        """One came in at this end that never left the other."""
        self._add(end, _Item(_STRAYED, packet.received_at, self._serial, packet, None))

    def is_copy(self, end: int, fields: Fields) -> bool:
        """Has the same segment come in at this end before?"""
        return self._flights[1 - end].has_arrived(fields)

    def finish(self) -> None:
        """What has not arrived by now is lost."""
        for queue in self._queues:
            for item in queue:
                if item.kind == _SENT and item.fate == _UNKNOWN:
                    item.fate = _LOST
        self._draw()

    def _add(self, end: int, item: _Item) -> None:
        self._serial += 1
        self._queues[end].append(item)
        if self._patience_us >= 0:
            self._give_up(item.at)
            self._draw()

    def _give_up(self, now: int) -> None:
        for queue in self._queues:
            for item in queue:
                if now - item.at <= self._patience_us:
                    break
                if item.kind == _SENT and item.fate == _UNKNOWN:
                    item.fate = _LOST

    def _draw(self) -> None:
        while self._draw_one():
            pass

    def _draw_one(self) -> bool:
        for queue in self._queues:
            while queue and queue[0].drawn:
                queue.popleft()
        heads = [(end, queue[0]) for end, queue in enumerate(self._queues) if queue]
        ready = [(item.at, item.serial, end) for end, item in heads if self._is_ready(item, end)]
        if ready:
            self._draw_head(min(ready)[2])
            return True
        if any(item.kind == _SENT and item.fate == _UNKNOWN for _, item in heads):
            return False
        blocked = [(item.at, item.serial, end) for end, item in heads if item.kind == _SENT]
        if not blocked:
            return False
        end = min(blocked)[2]
        departure = self._queues[end].popleft()
        arrival, packet = departure.twin, departure.packet
        assert arrival is not None and packet is not None
        everything_plain = all(item.packet is not None and item.packet.plain for _, item in heads)
        if packet.plain and (everything_plain or self._is_bulk(end)):
            arrival.drawn = True
            self._pen.draw_packet(packet, WHOLE)
        else:
            self._tags += 1
            arrival.tag = departure.tag = self._tags
            self._pen.draw_packet(packet, DEPARTS, self._tags)
        return True

    def _is_bulk(self, end: int) -> bool:
        """Is the plain segment that has just left this queue one of many?"""
        if not self._bulk[end]:
            following = islice((item for item in self._queues[end] if not item.drawn), _BULK - 1)
            self._bulk[end] = sum(item.kind == _SENT and _is_plain(item) for item in following) == _BULK - 1
        return self._bulk[end]

    def _is_ready(self, item: _Item, end: int) -> bool:
        if item.kind == _SENT:
            other = self._queues[1 - end]
            return item.fate == _LOST or (item.fate == _ARRIVES and bool(other) and other[0] is item.twin)
        if item.kind == _ARRIVED:
            return item.tag != 0
        return True

    def _draw_head(self, end: int) -> None:
        item = self._queues[end].popleft()
        packet = item.packet
        if not _is_plain(item):
            self._bulk[end] = False
        if item.event is not None:
            self._pen.draw_event(end, item.event)
        elif packet is not None:
            if item.kind == _SENT and item.fate == _ARRIVES:
                self._queues[1 - end].popleft()
                self._pen.draw_packet(packet, WHOLE)
            elif item.kind == _SENT:
                packet.plain = False
                self._pen.draw_packet(packet, LOST)
            else:
                self._pen.draw_packet(packet, ARRIVES, item.tag)


def _is_plain(item: _Item) -> bool:
    return item.packet is not None and item.packet.plain
