"""A figure -> SVG, as a document of its own or as a part of a page. No script, no font file, no link.

Its looks are those of `view.stylesheet`. However long the trace, the drawing stays small: what falls on the same pixel
is drawn once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Final

from synfin.view.columns import columns
from synfin.view.figure import Bars, Figure, Layer, Line, Marks, Panel, Spans
from synfin.view.stylesheet import AUTO, FIGURE, figure_style
from synfin.view.ticks import TIME, ticks

_CHAR: Final = 6.4  # width of a character at 11 px, rounded up: fonts differ
_RIGHT: Final = 28.0
_TALL: Final = 360.0
_SHORT: Final = 130.0
_GAP: Final = 26.0
_LEGEND: Final = 18.0


def figure_svg(figure: Figure, *, width: int = 960, scheme: str = AUTO) -> str:
    """The document, `width` pixels wide. scheme: AUTO, LIGHT or DARK; AUTO follows the reader's."""
    layers = [*figure.spans, *(layer for panel in figure.panels for layer in panel.layers)]
    return _drawn(figure, width, f"<style>{figure_style((layer.role for layer in layers), scheme)}</style>")


def drawing(figure: Figure, *, width: int = 960) -> str:
    """The same as an element of a page that has `page_stylesheet()`."""
    return _drawn(figure, width, "")


def _drawn(figure: Figure, width: int, style: str) -> str:
    left = 14 + _CHAR * max(columns(label) for panel in figure.panels for _, label in _y_ticks(panel))
    sheet = _Sheet(figure, left, width - _RIGHT)
    y = 14.0
    for number, text in enumerate(_folded(figure.title, int((width - 32) / 7.6))):
        y += 18
        sheet.text(16, y, text, "title" if number == 0 else "head")
    for text in _folded(figure.subtitle, int((width - 32) / _CHAR)):
        y += 17
        sheet.text(16, y, text, "faint")
    y += 16
    for panel in figure.panels:
        y = sheet.panel(panel, y)
    y = sheet.time_axis(y)
    name = escape(figure.title, quote=True)
    height = round(y + 10)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{FIGURE}" role="img" aria-label="{name}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}"><title>{name}</title>{style}\n'
        f'<rect class="paper" width="{width}" height="{height}"/>\n' + "\n".join(sheet.body) + "\n</svg>\n"
    )


class _Sheet:
    """The document while it is drawn; x of its plots from `left` to `right`."""

    def __init__(self, figure: Figure, left: float, right: float) -> None:
        self.body: list[str] = []
        self._figure = figure
        self._left = left
        self._right = right
        self._scale = (right - left) / max(figure.end - figure.start, 1)
        self._tops: list[tuple[float, float]] = []  # top and bottom of each plot

    def text(self, x: float, y: float, text: str, style: str, anchor: str = "start") -> None:
        at = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self.body.append(f'<text class="{style}" x="{x:.1f}" y="{y:.1f}"{at}>{escape(text, quote=False)}</text>')

    def panel(self, panel: Panel, y: float) -> float:
        """Draw a panel from y down; where it ends."""
        y = self._legend(panel, y + 12)
        top, bottom = y + 8, y + 8 + (_TALL if panel.tall else _SHORT)
        for x, _ in ticks(self._figure.start, self._figure.end, TIME, 10):
            self._rule("grid", self._x(x), top, self._x(x), bottom)
        place = _Place(self._x, panel.low, panel.high, self._left, self._right, top, bottom)
        for value, label in _y_ticks(panel):
            at = place.y(value)
            self._rule("grid", self._left, at, self._right, at)
            self.text(self._left - 6, at + 4, label, "faint", "end")
        # An inner picture cuts what leaves it, and needs no name that another picture of the page might have.
        width, height = self._right - self._left + 6, bottom - top + 3
        frame = f"{self._left:.1f} {top - 2:.1f} {width:.1f} {height:.1f}"
        self.body.append(
            f'<svg x="{self._left:.1f}" y="{top - 2:.1f}" width="{width:.1f}" height="{height:.1f}" viewBox="{frame}">'
        )
        for layer in (*self._figure.spans, *panel.layers):
            self.body += _layer(layer, place)
        self.body.append("</svg>")
        self._rule("axis", self._left, bottom, self._right, bottom)
        return bottom + _GAP - 8

    def time_axis(self, y: float) -> float:
        """The times below the last panel, none of them cut; where they end."""
        y += 8 - _GAP + 16
        for x, label in ticks(self._figure.start, self._figure.end, TIME, 10):
            half = columns(label) * _CHAR / 2
            at = min(self._x(x), self._right + _RIGHT - 4 - half)
            self.text(at, y, label, "faint", "middle")
        return y

    def _legend(self, panel: Panel, y: float) -> float:
        """The panel's title and what its layers mean, in as many lines as it takes; the y of the last one."""
        self.text(self._left, y, panel.title, "head")
        x = begin = self._left + 7.4 * columns(panel.title) + 18
        for layer in (*panel.layers, *(self._figure.spans if panel is self._figure.panels[0] else ())):
            if not layer.name:
                continue
            size = 22 + _CHAR * columns(layer.name) + 14
            if x + size > self._right + 8 and x > begin:
                x, y = begin, y + _LEGEND
            self.body += _swatch(layer, x, y - 4)
            self.text(x + 22, y, layer.name, "faint")
            x += size
        return y

    def _x(self, at: float) -> float:
        return self._left + (at - self._figure.start) * self._scale

    def _rule(self, style: str, x1: float, y1: float, x2: float, y2: float) -> None:
        self.body.append(f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')


class _Place:
    """Where a time and a value are in one panel."""

    def __init__(
        self, x: Callable[[float], float], low: float, high: float, left: float, right: float, top: float, bottom: float
    ) -> None:
        self.x = x
        self.left = left
        self.right = right
        self.top = top
        self.bottom = bottom
        self._low = low
        self._scale = (bottom - top) / ((high - low) or 1)

    def y(self, value: float) -> float:
        # What is far outside is cut anyway, and need not have large numbers.
        return min(max(self.bottom - (value - self._low) * self._scale, self.top - 1000), self.bottom + 1000)


def _y_ticks(panel: Panel) -> list[tuple[float, str]]:
    return ticks(panel.low, panel.high, panel.unit, 8 if panel.tall else 4)


def _layer(layer: Layer, place: _Place) -> list[str]:
    if isinstance(layer, Spans):
        return _spans(layer, place)
    if isinstance(layer, Bars):
        return _bars(layer, place)
    if isinstance(layer, Marks):
        return _marks(layer, place)
    return _line(layer, place)


def _spans(layer: Spans, place: _Place) -> list[str]:
    body = []
    for begin, end in layer.spans:
        x = place.x(begin)
        body.append(
            f'<rect class="span {layer.role}" x="{x:.1f}" y="{place.top:.1f}" width="{max(place.x(end) - x, 1):.1f}" '
            f'height="{place.bottom - place.top:.1f}"/>'
        )
    return body


def _line(layer: Line, place: _Place) -> list[str]:
    points = _thinned(layer, place)
    if not points:
        return []
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    last = points[0][1]
    for x, y in points[1:]:
        if not layer.step:
            path.append(f"L{x:.1f} {y:.1f}")
        elif abs(y - last) >= 0.05:
            path.append(f"H{x:.1f}V{y:.1f}")
            last = y
    if layer.step:
        path.append(f"H{place.right:.1f}")
    way = "".join(path)
    body = []
    if layer.filled:
        body.append(f'<path class="area {layer.role}" d="{way}V{place.bottom:.1f}H{points[0][0]:.1f}Z"/>')
    style = "line outline" if layer.filled else "line dashed" if layer.dashed else "line"
    body.append(f'<path class="{style} {layer.role}" d="{way}"/>')
    return body


def _thinned(layer: Line, place: _Place) -> list[tuple[float, float]]:
    """The points of a curve; of those in one column of half a pixel the first, lowest, highest and last.

    Of an area only the highest: its outline is no band, however fast it goes up and down.
    """
    ends = _top if layer.filled else _ends
    found: list[tuple[float, float]] = []
    column: list[tuple[float, float]] = []
    at = None
    for x, y in zip(layer.xs, layer.ys, strict=True):
        point = place.x(x), place.y(y)
        place_of_column = int(point[0] * 2)
        if place_of_column != at:
            found += ends(column)
            column = []
            at = place_of_column
        column.append(point)
    return found + ends(column)


def _ends(column: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(column) <= 4:
        return column
    low = min(range(len(column)), key=lambda n: column[n][1])
    high = max(range(len(column)), key=lambda n: column[n][1])
    return [column[n] for n in sorted({0, low, high, len(column) - 1})]


def _top(column: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [min(column, key=lambda point: point[1])] if column else []


def _bars(layer: Bars, place: _Place) -> list[str]:
    if layer.notes:
        return [
            f'<path class="bar tall {layer.role}" d="{_bar(place.x(x), place.y(low), place.y(high), 7)}">'
            f"<title>{escape(note, quote=False)}</title></path>"
            for x, low, high, note in zip(layer.xs, layer.lows, layer.highs, layer.notes, strict=True)
        ]
    columns: dict[int, list[tuple[float, float]]] = {}
    for x, low, high in zip(layer.xs, layer.lows, layer.highs, strict=True):
        columns.setdefault(round(place.x(x) * 2), []).append((place.y(low), place.y(high)))
    path = "".join(
        _bar(column / 2, below, above) for column, found in columns.items() for below, above in _joined(found)
    )
    return [f'<path class="bar {layer.role}" d="{path}"/>'] if path else []


def _joined(found: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """(lower end, upper end) of bars at one place: what touches is one."""
    found.sort(reverse=True)
    joined = [found[0]]
    for below, above in found[1:]:
        if below >= joined[-1][1] - 0.3:
            joined[-1] = joined[-1][0], min(joined[-1][1], above)
        else:
            joined.append((below, above))
    return joined


def _bar(x: float, below: float, above: float, least: float = 2) -> str:
    """At least `least` pixels high, so that a short one can be seen."""
    if below - above < least:
        middle = (below + above) / 2
        below, above = middle + least / 2, middle - least / 2
    return f"M{x:.1f} {below:.1f}V{above:.1f}"


def _marks(layer: Marks, place: _Place) -> list[str]:
    notes: Sequence[str] = layer.notes or [""] * len(layer.xs)
    seen: set[tuple[int, int]] = set()
    dots: list[str] = []
    body: list[str] = []
    for at, value, note in zip(layer.xs, layer.ys, notes, strict=True):
        x, y = place.x(at), place.y(value)
        if (round(x), round(y)) in seen:
            continue
        seen.add((round(x), round(y)))
        title = f"<title>{escape(note, quote=False)}</title>" if note else ""
        if layer.sign == "·":
            dots.append(f"M{x:.1f} {y:.1f}h0")
        elif layer.sign == "×":
            cross = f"M{x - 3.5:.1f} {y - 3.5:.1f}l7 7m0 -7l-7 7"
            body.append(f'<path class="cross {layer.role}" d="{cross}">{title}</path>')
        else:
            half = len(layer.sign) * _CHAR / 2
            x, y = min(max(x, place.left + half), place.right - half), max(y - 6, place.top + 10)
            body.append(f'<text class="letter {layer.role}" x="{x:.1f}" y="{y:.1f}">{escape(layer.sign)}{title}</text>')
    if dots:
        body.append(f'<path class="dots {layer.role}" d="{"".join(dots)}"/>')
    return body


def _swatch(layer: Layer, x: float, y: float) -> list[str]:
    """What the layer looks like, 16 pixels wide."""
    role = layer.role
    if isinstance(layer, Spans):
        return [f'<rect class="span {role}" x="{x:.1f}" y="{y - 5:.1f}" width="16" height="10"/>']
    if isinstance(layer, Bars):
        return [f'<path class="bar {role}" d="M{x + 3:.1f} {y + 4:.1f}v-5m5 2v-5m5 2v-5"/>']
    if isinstance(layer, Marks):
        if layer.sign == "·":
            return [f'<path class="dots {role}" d="M{x + 2:.1f} {y + 2:.1f}h0m6 -3h0m6 2h0"/>']
        if layer.sign == "×":
            return [f'<path class="cross {role}" d="M{x + 4.5:.1f} {y - 3.5:.1f}l7 7m0 -7l-7 7"/>']
        return [f'<text class="letter {role}" x="{x + 8:.1f}" y="{y + 4:.1f}">{escape(layer.sign)}</text>']
    dashed = " dashed" if layer.dashed else ""
    body = [f'<path class="area {role}" d="M{x:.1f} {y:.1f}h16v5h-16Z"/>'] if layer.filled else []
    return [*body, f'<path class="line{dashed} {role}" d="M{x:.1f} {y:.1f}h16"/>']


def _folded(text: str, room: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and columns(lines[-1]) + 1 + columns(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
