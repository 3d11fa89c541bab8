"""A connection's timeline -> the figure of one direction: the time-sequence graph of Stevens, and what is behind it.

Above, each segment as it was sent (again, lost), the ACKs that came back, what SACK told and the window's right edge.
Below, over the same time: windows, rates, round trips. The sender's own figures are drawn where they are told, else
what the packets let one estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from synfin.tcp.congestion.base import FAST, LOSS, UNLIMITED
from synfin.view.figure import Bars, Figure, Layer, Line, Marks, Panel, Spans, highest
from synfin.view.ticks import BYTES, RATE, TIME, Unit, round_step
from synfin.view.timeline import (
    AGAIN,
    CWND,
    IN_FLIGHT,
    LATE,
    NEW,
    PACING,
    PHASE,
    PROBE,
    RTT,
    SRTT,
    SSTHRESH,
    Connection,
    Half,
)
from synfin.wire.key import reverse_key

_ROOM: Final = 1.05  # above the highest value
_FAR: Final = 1.4  # what is farther above the rest than this is cut, so that the rest can be seen
_SLICES: Final = 80  # of the time, over each of which a rate is a mean
_NOTED: Final = 400  # departures that tell a reader who points at them what they are, at most

Rows = list[tuple[int, ...]]


def connection_figure(connection: Connection, key: bytes = b"", begin_us: int = 0, end_us: int = 0) -> Figure:
    """What the end with `key` sent (empty: the end that sent more).

    begin_us, end_us: the part to draw, from the first packet on; end_us 0: to the end. Raises ValueError for a part in
    which nothing is.
    """
    key = key or connection.larger_sender()
    half = connection.half(key)
    whole = connection.ended - connection.began
    end_us = min(end_us or whole, whole)
    if not 0 <= begin_us <= end_us or (begin_us == end_us and begin_us > 0):
        raise ValueError(f"between {begin_us / 1e6:g} s and {end_us / 1e6:g} s nothing is: it lasted {whole / 1e6:g} s")
    part = _Part(half, connection.began, begin_us, max(end_us, begin_us + 1))
    return Figure(
        f"{connection.name_of(key)} → {connection.name_of(reverse_key(key))}",
        [panel for panel in (part.sequence(), part.windows(), part.rates(), part.round_trips()) if panel is not None],
        part.begin,
        part.end,
        summary(half, whole),
        part.recoveries(),
    )


def summary(half: Half, us: int) -> str:
    """One direction in a line."""
    again = sum(kind == AGAIN for kind in half.sent.column(3))
    rate = f": {RATE.text(half.text / us * 1e6)}" if us and half.text else ""
    parts = [
        f"{BYTES.text(half.text)} in {TIME.text(us)}{rate}",
        f"{_count(len(half.sent), 'segment')} or bursts" + (f", {again:,} of them sent again" if again else ""),
        f"{len(half.lost):,} lost" if half.lost else "",
        _count(len(half.acks), "ACK"),
    ]
    return " · ".join(part for part in parts if part)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


class _Part:
    """The part of one direction that is drawn. Times count from the connection's first packet."""

    def __init__(self, half: Half, began: int, begin: int, end: int) -> None:
        self.begin = begin
        self.end = end
        self._half = half
        self._began = began
        self._sent = self._rows(half.sent)
        self._acks = self._rows(half.acks, held=True)
        self._samples = self._rows(half.samples, held=True)

    def _rows(self, rows: Iterable[tuple[int, ...]], held: bool = False) -> Rows:
        """Those of the part. held: a value holds until the next, so the one before the part begins it."""
        inside: Rows = []
        before: Rows = []
        for row in rows:
            at = row[0] - self._began
            if at < self.begin:
                before = [(self.begin, *row[1:])]
            elif at <= self.end:
                inside.append((at, *row[1:]))
        return before + inside if held else inside

    # ---- the time-sequence graph ----

    def sequence(self) -> Panel:
        """Stevens' graph, as tcptrace draws it: what goes out above, what comes back below."""
        highs = [end for _, _, end, _ in self._sent] + [ack for _, ack, _ in self._acks]
        lows = [start for _, start, _, _ in self._sent] + [ack for _, ack, _ in self._acks]
        high, low = max(highs, default=1), min(lows, default=0)
        if self.begin == 0:
            low = 0
        top = low + (high - low) * _ROOM
        layers = [self._edge(), *self._answers(), *self._departures(), *self._signs()]
        edge = layers[0]
        if isinstance(edge, Line) and edge.ys and max(edge.ys) <= low + (high - low) * _FAR:
            top = max(top, low + (max(edge.ys) - low) * 1.02)
        if isinstance(edge, Line) and not any(y <= top for y in edge.ys):
            layers = layers[1:]
        return Panel("sequence", BYTES, [layer for layer in layers if _has(layer)], max(top, low + 1), low, True)

    def _edge(self) -> Line:
        known = [(at, edge) for at, _, edge in self._acks if edge >= 0]
        return Line("window's edge", "edge", *_pairs(known), step=True, dashed=True)

    def _departures(self) -> list[Layer]:
        layers: list[Layer] = []
        for kind, name, role in (
            (NEW, "sent", "data"),
            (LATE, "overtaken", "late"),
            (AGAIN, "sent again", "again"),
            (PROBE, "probe", "probe"),
        ):
            rows = [(at, start, end) for at, start, end, what in self._sent if what == kind]
            notes = [] if kind == NEW or len(rows) > _NOTED else [_note(name, *row) for row in rows]
            xs, lows, highs = _triples(rows)
            layers.append(Bars(name, role, xs, lows, highs, notes))
        return layers

    def _answers(self) -> list[Layer]:
        return [
            Line("ACK", "ack", *_pairs([(at, ack) for at, ack, _ in self._acks]), step=True),
            Bars("SACK", "sack", *_triples(self._rows(self._half.sacks))),
            Bars("D-SACK", "dsack", *_triples(self._rows(self._half.dsacks))),
        ]

    def _signs(self) -> list[Layer]:
        lost = self._rows(self._half.lost)
        notes = [_note("lost", *row) for row in lost[:_NOTED]] + [""] * (len(lost) - _NOTED)
        xs = [at for at, _, _ in lost]
        layers: list[Layer] = [Marks("lost", "lost", xs, [(start + end) / 2 for _, start, end in lost], "×", notes)]
        for sign in ("SYN", "FIN", "RST"):
            places = [(at - self._began, offset) for at, offset, name in self._half.marks if name == sign]
            inside = [(at, offset) for at, offset in places if self.begin <= at <= self.end]
            layers.append(Marks("", "sign", *_pairs(inside), sign))
        return layers

    # ---- what is behind it ----

    def windows(self) -> Panel | None:
        """cwnd, ssthresh and what is in flight; of a capture, what the packets tell is in flight."""
        flight = self._in_flight()
        layers: list[Layer] = [Line("in flight", "flight", *_pairs(flight), step=True, filled=True)]
        if self._samples:
            layers.append(Line("cwnd", "cwnd", *_pairs([(row[0], row[CWND]) for row in self._samples]), step=True))
        high = highest(layers)
        if self._samples:
            limited = [(row[0], row[SSTHRESH]) for row in self._samples if row[SSTHRESH] < UNLIMITED]
            layers.append(Line("ssthresh", "ssthresh", *_pairs(limited), step=True, dashed=True))
        title = "windows" if self._samples else "in flight, as the packets tell"
        return _panel(title, BYTES, layers, high)

    def _in_flight(self) -> Rows:
        """A sample tells what is in flight before the ACK's answer goes out; what goes out adds to it."""
        if not self._samples:
            return self._rows(self._half.flight, held=True)
        samples = [(row[0], -1, row[IN_FLIGHT]) for row in self._samples]
        sent = [(at, start, end - start) for at, start, end, kind in self._sent if kind != PROBE]
        found: Rows = []
        now = 0
        for at, start, size in sorted([*samples, *sent], key=lambda one: (one[0], one[1] >= 0)):
            now = size if start < 0 else now + size
            found.append((at, now))
        return found

    def rates(self) -> Panel | None:
        """What was delivered in each slice of time, by ACK or SACK, and the rate at which the sender paces."""
        step = round(round_step(self.end - self.begin, _SLICES)) or 1
        first = self.begin // step
        slices = [0] * (self.end // step - first + 1)
        delivered = self._rows(self._half.delivered, held=True)
        last = delivered[0][1] if delivered else 0
        for at, now in delivered:
            slices[at // step - first] += max(now - last, 0)
            last = max(now, last)
        begins = [max((first + number) * step, self.begin) for number in range(len(slices))]
        ends = [*begins[1:], self.end]
        if 2 * (ends[-1] - begins[-1]) < step and len(slices) > 1:  # too short to tell a rate
            del slices[-1], begins[-1], ends[-1]
        means = [size / (end - begin) * 1e6 for size, begin, end in zip(slices, begins, ends, strict=True)]
        goodput = Line(f"delivered, by {TIME.text(step)}", "goodput", begins, means, step=True)
        layers: list[Layer] = [goodput]
        pacing = [(row[0], row[PACING]) for row in self._samples if row[PACING] > 0]
        if pacing:
            layers.append(Line("pacing rate", "pacing", *_pairs(pacing), step=True))
        return _panel("rate", RATE, layers, min(highest(layers), 4 * highest([goodput])))

    def round_trips(self) -> Panel | None:
        """What each ACK measured, and the smoothed value."""
        if not self._samples:
            rows = self._rows(self._half.rtts)
            return _panel("from a segment to its ACK, as captured", TIME, [Marks("", "rtt", *_pairs(rows))])
        measured = [(row[0], row[RTT]) for row in self._samples if row[RTT] > 0]
        smoothed = [(row[0], row[SRTT]) for row in self._samples if row[SRTT] > 0]
        layers: list[Layer] = [
            Marks("measured", "rtt", *_pairs(measured)),
            Line("smoothed", "srtt", *_pairs(smoothed), step=True),
        ]
        return _panel("round trip", TIME, layers)

    def recoveries(self) -> list[Spans]:
        """When the sender was mending losses."""
        found: dict[int, list[tuple[float, float]]] = {FAST: [], LOSS: []}
        phase, since = 0, 0
        for row in [*self._samples, (self.end, *([0] * PHASE))]:
            now = row[PHASE]
            if now != phase:
                if phase in found:
                    found[phase].append((since, row[0]))
                phase, since = now, row[0]
        named = ((FAST, "fast recovery", "fast"), (LOSS, "after a timeout", "timeout"))
        return [Spans(name, role, found[which]) for which, name, role in named if found[which]]


def _panel(title: str, unit: Unit, layers: Sequence[Layer], high: float = 0.0) -> Panel | None:
    drawn = [layer for layer in layers if _has(layer)]
    return Panel(title, unit, drawn, (high or highest(drawn)) * _ROOM) if drawn else None


def _has(layer: Layer) -> bool:
    return bool(layer.spans if isinstance(layer, Spans) else layer.xs)


def _pairs(rows: Iterable[tuple[int, ...]]) -> tuple[list[float], list[float]]:
    """The first two columns."""
    xs, ys, _ = _triples((*row[:2], 0) for row in rows)
    return xs, ys


def _triples(rows: Iterable[tuple[int, ...]]) -> tuple[list[float], list[float], list[float]]:
    columns: tuple[list[float], list[float], list[float]] = ([], [], [])
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return columns


def _note(what: str, at: int, start: int, end: int) -> str:
    return f"{what}: {start:,} to {end:,}, at {at / 1e6:.6f} s"
