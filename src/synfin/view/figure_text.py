"""A figure -> lines of text for a terminal: curves in Braille dots, what matters more as letters; colour is not needed.

A cell shows one thing: what was drawn with the higher rank. Curves that meet share their dots; an area lies behind
them, and a dashed line gives way to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from synfin.view.columns import columns as columns_of
from synfin.view.columns import right_in
from synfin.view.figure import Bars, Figure, Layer, Line, Marks, Panel, Spans
from synfin.view.text import TextLine
from synfin.view.ticks import TIME, ticks

COLORS: Final[Mapping[str, str]] = {  # of the styles of the lines, as rich names them
    "dim": "bright_black",
    "bold": "bold",
    "data": "blue",
    "again": "bold red",
    "late": "magenta",
    "probe": "bright_black",
    "ack": "green",
    "sack": "magenta",
    "dsack": "bright_magenta",
    "edge": "yellow",
    "lost": "bold",
    "cwnd": "blue",
    "ssthresh": "red",
    "flight": "bright_black",
    "pacing": "magenta",
    "goodput": "green",
    "rtt": "bright_black",
    "srtt": "blue",
    "fast": "yellow",
    "timeout": "red",
    "one": "blue",
    "two": "red",
    "three": "green",
    "four": "magenta",
    "five": "yellow",
    "six": "cyan",
}
MIN_WIDTH: Final = 50
_TALL: Final = 20  # rows
_SHORT: Final = 7

# Ranks of what a cell may show.
_AREA, _DASH, _FAINT, _CURVE, _LETTER, _LOSS = range(1, 7)
_LETTERS: Final = {"again": "R", "late": "o", "probe": "p", "fast": "f", "timeout": "T"}
_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of Braille, by row and column


class _Signs:
    """What things are drawn with."""

    def __init__(self, ascii_only: bool) -> None:
        self.across, self.down = (1, 1) if ascii_only else (2, 4)  # dots in a cell
        self.shade = ":" if ascii_only else "░"
        self.dash = "-" if ascii_only else "╌"
        self.faint = "," if ascii_only else "┊"
        self.loss = "x" if ascii_only else "×"
        self.curve = "*" if ascii_only else "⠒"
        self.axis, self.corner, self.tick, self.floor = ("|", "+", "+", "-") if ascii_only else ("│", "└", "┤", "─")
        self.below = "+" if ascii_only else "┴"

    def dots(self, bits: int) -> str:
        return "*" if self.down == 1 else chr(0x2800 + bits)


def figure_text(figure: Figure, *, width: int = 100, ascii_only: bool = False) -> list[TextLine]:
    """The lines, at most `width` columns wide; the style of each part is the role of what it shows."""
    signs = _Signs(ascii_only)
    width = max(width, MIN_WIDTH)
    labels = [_y_labels(panel) for panel in figure.panels]
    gutter = max((columns_of(label) for each in labels for label in each.values()), default=0) + 1
    columns = width - gutter - 2
    title = figure.title.replace("→", "->").replace("µ", "u") if ascii_only else figure.title
    subtitle = figure.subtitle.replace(" · ", "; ").replace("µ", "u") if ascii_only else figure.subtitle
    lines: list[TextLine] = [[(title, "bold")], *([(part, "dim")] for part in _folded(subtitle, width))]
    for number, (panel, marked) in enumerate(zip(figure.panels, labels, strict=True)):
        spans = figure.spans if number == len(figure.panels) - 1 else ()
        lines += _legend(panel, figure.spans if number == 0 else (), gutter, width, signs)
        canvas = _Canvas(figure, panel, columns, signs)
        for layer in panel.layers:
            canvas.add(layer)
        for row in range(canvas.rows):
            label = marked.get(row, "").replace("µ", "u") if ascii_only else marked.get(row, "")
            edge = signs.tick if label else signs.axis
            lines.append([(f"{right_in(label, gutter)} ", "dim"), (edge, "dim"), *canvas.line(row)])
        lines.append([(" " * (gutter + 1) + signs.corner, "dim"), *_floor(figure, spans, columns, signs)])
    lines.append([(" " * (gutter + 2) + _times(figure, columns, ascii_only), "dim")])
    return lines


def _y_labels(panel: Panel) -> dict[int, str]:
    """Labels by row, none within the same."""
    rows = _TALL if panel.tall else _SHORT
    found: dict[int, str] = {}
    for value, label in ticks(panel.low, panel.high, panel.unit, 6 if panel.tall else 3):
        row = rows - 1 - int((value - panel.low) / ((panel.high - panel.low) or 1) * rows)
        found.setdefault(min(max(row, 0), rows - 1), label)
    return found


def _floor(figure: Figure, spans: Sequence[Spans], columns: int, signs: _Signs) -> TextLine:
    """The line below a panel; where a recovery went on it shows which."""
    cells = [(signs.floor, "dim")] * columns
    scale = columns / max(figure.end - figure.start, 1)
    for at, _ in ticks(figure.start, figure.end, TIME, _time_ticks(columns)):
        cells[min(int((at - figure.start) * scale), columns - 1)] = signs.below, "dim"
    for layer in spans:
        for begin, end in layer.spans:
            first = int((begin - figure.start) * scale)
            last = int((end - figure.start) * scale)
            for column in range(max(first, 0), min(last + 1, columns)):
                cells[column] = _LETTERS.get(layer.role, "="), layer.role
    return cells


def _times(figure: Figure, columns: int, ascii_only: bool) -> str:
    """Times under their ticks; one that has no room is left out, and the last one never cut."""
    text = ""
    scale = columns / max(figure.end - figure.start, 1)
    for at, label in ticks(figure.start, figure.end, TIME, _time_ticks(columns)):
        label = label.replace("µ", "u") if ascii_only else label
        column = min(int((at - figure.start) * scale), columns - 1) - (len(label) - 1) // 2
        column = max(min(column, columns - len(label)), 0)
        if column > len(text) or not text:
            text = text.ljust(column) + label
    return text


def _time_ticks(columns: int) -> int:
    return max(columns // 12, 2)


def _legend(panel: Panel, spans: Sequence[Spans], gutter: int, width: int, signs: _Signs) -> list[TextLine]:
    lines: list[TextLine] = [[(" " * (gutter + 2) + panel.title, "bold")]]
    used = gutter + 2 + columns_of(panel.title)
    for layer in (*panel.layers, *spans):
        if not layer.name:
            continue
        size = columns_of(layer.name) + 5
        if used + size > width:
            lines.append([(" " * (gutter + 2), "")])
            used = gutter + 2
        lines[-1] += [("   ", ""), (_sign(layer, signs), layer.role), (f" {layer.name}", "dim")]
        used += size
    return lines


def _sign(layer: Layer, signs: _Signs) -> str:
    """What the layer is drawn with."""
    if isinstance(layer, Line):
        return signs.shade if layer.filled else signs.dash if layer.dashed else signs.curve
    if isinstance(layer, Marks):
        return signs.loss if layer.sign == "×" else "." if signs.down == 1 else "⠂"
    if layer.role in _LETTERS:
        return _LETTERS[layer.role]
    return signs.faint if layer.role in ("sack", "dsack") else "*" if signs.down == 1 else "⡇"


class _Canvas:
    """The cells of one panel."""

    def __init__(self, figure: Figure, panel: Panel, columns: int, signs: _Signs) -> None:
        self.rows = _TALL if panel.tall else _SHORT
        self._columns = columns
        self._signs = signs
        self._start = figure.start
        self._end = figure.end
        self._x_scale = columns * signs.across / max(figure.end - figure.start, 1)
        self._low = panel.low
        self._y_scale = self.rows * signs.down / ((panel.high - panel.low) or 1)
        self._cells: dict[tuple[int, int], tuple[int, str, int, str]] = {}  # rank, sign, dots, role, by (row, column)

    def line(self, row: int) -> TextLine:
        """One row, of spans with one style each."""
        spans: TextLine = []
        for column in range(self._columns):
            _, sign, bits, role = self._cells.get((row, column), (0, " ", 0, ""))
            text = self._signs.dots(bits) if bits else sign
            if spans and spans[-1][1] == role:
                spans[-1] = spans[-1][0] + text, role
            else:
                spans.append((text, role))
        return spans

    def add(self, layer: Layer) -> None:
        """Draw a layer."""
        if isinstance(layer, Line):
            if layer.filled:
                self._area(layer)
            elif layer.dashed:
                self._dashes(layer)
            else:
                self._curve(layer)
        elif isinstance(layer, Bars):
            self._bars(layer)
        elif isinstance(layer, Marks) and layer.name:
            for x, y in zip(layer.xs, layer.ys, strict=True):
                if layer.sign == "×":
                    self._put(self._dot_x(x), self._dot_y(y), _LOSS, self._signs.loss, layer.role)
                else:
                    self._dot(self._dot_x(x), self._dot_y(y), layer.role)

    def _dot_x(self, at: float) -> int:
        return min(int((at - self._start) * self._x_scale), self._columns * self._signs.across - 1)

    def _dot_y(self, value: float) -> int:
        """Dots above the floor; what is beyond the panel is outside."""
        return int((value - self._low) * self._y_scale)

    def _put(self, x: int, y: int, rank: int, sign: str, role: str) -> None:
        if not (x >= 0 and 0 <= y < self.rows * self._signs.down):
            return
        cell = self.rows - 1 - y // self._signs.down, x // self._signs.across
        if self._cells.get(cell, (0,))[0] <= rank:
            self._cells[cell] = rank, sign, 0, role

    def _dot(self, x: int, y: int, role: str) -> None:
        down, across = self._signs.down, self._signs.across
        if not (x >= 0 and 0 <= y < self.rows * down):
            return
        cell = self.rows - 1 - y // down, x // across
        rank, _, bits, _ = self._cells.get(cell, (0, "", 0, ""))
        if rank <= _CURVE:
            self._cells[cell] = _CURVE, "", bits | _DOTS[(down - 1 - y % down) % 4][x % across], role

    def _column_values(self, layer: Line) -> list[tuple[float, float, float] | None]:
        """(lowest, highest, last) value of the curve in each column of dots; None: before it begins."""
        count = self._columns * self._signs.across
        found: list[tuple[float, float, float] | None] = [None] * count
        before: tuple[int, float] | None = None
        for at, value in zip(layer.xs, layer.ys, strict=True):
            x = max(self._dot_x(at), 0)
            if before is not None:
                x0, y0 = before
                y = y0
                for between in range(x0 + 1, x + 1):
                    self._widen(found, between, y)  # where it came from: a steep curve has no gaps
                    y = y0 if layer.step else y0 + (value - y0) * (between - x0) / (x - x0)
                    self._widen(found, between, y)
            self._widen(found, x, value)
            before = x, value
        if before is not None and layer.step:
            for x in range(before[0] + 1, count):
                found[x] = before[1], before[1], before[1]
        return found

    @staticmethod
    def _widen(found: list[tuple[float, float, float] | None], x: int, value: float) -> None:
        had = found[x]
        found[x] = (value, value, value) if had is None else (min(had[0], value), max(had[1], value), value)

    def _curve(self, layer: Line) -> None:
        for x, values in enumerate(self._column_values(layer)):
            if values is not None:
                top = min(self._dot_y(values[1]), self.rows * self._signs.down)
                for y in range(max(self._dot_y(values[0]), 0), top + 1):
                    self._dot(x, y, layer.role)

    def _dashes(self, layer: Line) -> None:
        """Where another curve is, it shows in every other two columns: equal ones do not hide each other."""
        for x, values in enumerate(self._column_values(layer)):
            column, rest = divmod(x, self._signs.across)
            if values is not None and rest == 0:
                rank = _DASH if column & 2 else _CURVE
                self._put(x, self._dot_y(values[2]), rank, self._signs.dash, layer.role)

    def _area(self, layer: Line) -> None:
        across, down = self._signs.across, self._signs.down
        for x, values in enumerate(self._column_values(layer)):
            if values is not None and values[1] > self._low:
                for row in range(min(self._dot_y(values[1]) // down + 1, self.rows)):
                    self._put(x // across * across, row * down, _AREA, self._signs.shade, layer.role)

    def _bars(self, layer: Bars) -> None:
        letter = _LETTERS.get(layer.role)
        faint = self._signs.faint if layer.role in ("sack", "dsack") else ""
        for at, low, high in zip(layer.xs, layer.lows, layer.highs, strict=True):
            x, first, last = self._dot_x(at), self._dot_y(low), self._dot_y(high)
            if letter:
                self._put(x, (first + last) // 2, _LETTER, letter, layer.role)
                continue
            for y in range(first, max(last, first + 1)):
                if faint:
                    self._put(x, y, _FAINT, faint, layer.role)
                else:
                    self._dot(x, y, layer.role)


def _folded(text: str, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and columns_of(lines[-1]) + 1 + columns_of(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
