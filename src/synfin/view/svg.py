"""Rows -> SVG: the same diagram as in the terminal, as a document of its own or as a part of a page.

An arrow with both its times slopes from where it left to where it arrived; segments that cross on their way cross here.
No script, no font file, no link; its looks are those of `view.stylesheet`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Final

from synfin.tcp.trace import Event
from synfin.view.columns import columns
from synfin.view.diagram import Only, connections
from synfin.view.rows import (
    ARRIVES,
    BULK,
    DEPARTS,
    LOST,
    WHOLE,
    Arrow,
    Change,
    End,
    Opening,
    Remark,
    Row,
    Silence,
    Words,
)
from synfin.view.stylesheet import DIAGRAM, diagram_style
from synfin.view.text import rfc_text, seconds_text, span_text

_CHAR: Final = 6.7  # width of a character at 11 px, in the fonts named below, rounded up
_MARGIN: Final = 118
_NARROW: Final = 600  # below it a drawing is for a narrow page
_NARROW_MARGIN: Final = 86
_TIMES: Final = 76
_LINE: Final = 15
_SLOPE: Final = 9
_SPACES: Final = re.compile(r" (?![\d·])")  # "RFC 9293 3.5" is one word


def draw_svg(
    events: Iterable[Event],
    *,
    width: int = 860,
    only: Only = None,
    fold: bool = True,
    names: Mapping[str, str] | None = None,
    title: str = "",
) -> str:
    """The diagrams of a finished trace as one SVG document, `width` pixels wide; arguments as `draw` has them."""
    return render(connections(events, only=only, fold=fold, names=names), width=width, title=title)


def render(diagrams: Sequence[Sequence[Row]], *, width: int = 860, title: str = "") -> str:
    """One SVG document of the rows of each connection, below each other. `title` is read out by screen readers."""
    return _drawn(diagrams, width, title, f"<style>{diagram_style()}</style>", str)


def drawing(
    diagrams: Sequence[Sequence[Row]], *, width: int = 860, title: str = "", say: Callable[[str], str] = str
) -> str:
    """The same as an element of a page that has `page_stylesheet()`. say: puts each phrase into the page's language."""
    return _drawn(diagrams, width, title, "", say)


def _drawn(diagrams: Sequence[Sequence[Row]], width: int, title: str, style: str, say: Callable[[str], str]) -> str:
    y = 8.0
    body: list[str] = []
    marked = any(isinstance(row, Arrow) and row.refs for rows in diagrams for row in rows)
    for rows in diagrams:
        sheet = _Sheet(width, y, say, marked)
        for row in rows:
            sheet.add(row)
        body += sheet.finish()
        y = sheet.y + 24
    height = round(y)
    name = escape(title or say("TCP sequence diagram"))
    # What is in an image can't be focused.
    role = "group" if marked else "img"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{DIAGRAM}" role="{role}" aria-label="{name}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}"><title>{name}</title>{style}\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


class _Sheet:
    """The diagram of one connection, from `y` down. marked: a page finds arrows by name, remarks by their times."""

    def __init__(self, width: int, y: float, say: Callable[[str], str], marked: bool) -> None:
        self.y = y
        self._marked = marked
        self._say = say
        self._width = width
        self._margin_width = _MARGIN if width >= _NARROW else _NARROW_MARGIN
        self._left = float(self._margin_width + _TIMES)
        self._right = float(width - self._margin_width)
        self._clocks = 1
        self._lifelines: list[str] = []
        self._life_from = y
        self._arrows: list[str] = []
        self._texts: list[str] = []
        self._times = [0, 0]  # last shown at each side
        self._departed: dict[int, tuple[Arrow, float]] = {}

    def add(self, row: Row) -> None:
        if isinstance(row, Opening):
            self._opening(row)
        elif isinstance(row, Arrow):
            self._arrow(row)
        elif isinstance(row, Change):
            self._beside(row.left, row.at, row.after, [self._say(row.why), rfc_text(row.rfc)], "dim")
        elif isinstance(row, Remark):
            self._beside(row.left, row.at, "", ["! " + self._say(row.text), rfc_text(row.rfc)], "note")
        elif isinstance(row, Silence):
            self._life("life")
            self.y += 2 * _LINE
            self._text(
                (self._left + self._right) / 2,
                self.y - _LINE + 4,
                f"{span_text(row.us)} {self._say('later')}",
                "dim",
                "middle",
            )
            self._life("gap")

    def finish(self) -> list[str]:
        self.y += 12
        self._life("life")
        return self._lifelines + self._arrows + self._texts

    def _opening(self, row: Opening) -> None:
        self._clocks = row.clocks
        if row.clocks == 2:
            self._left = float(self._margin_width)
        for x, end in ((self._left, row.left), (self._right, row.right)):
            self._name(x, end)
        self.y += 3 * _LINE
        self._life_from = self.y - 8
        self._state(True, row.left_state)
        self._state(False, row.right_state)
        self.y += 4

    def _name(self, x: float, end: End) -> None:
        reach = max(columns(end.name), columns(end.address)) * _CHAR / 2
        x = min(max(x, reach), self._width - reach)
        self._text(x, self.y + _LINE, end.name, "bold", "middle")
        self._text(x, self.y + 2 * _LINE - 2, end.address, "dim", "middle")

    def _life(self, kind: str) -> None:
        for x in (self._left, self._right):
            self._lifelines.append(
                f'<line class="{kind}" x1="{x:g}" y1="{self._life_from:g}" x2="{x:g}" y2="{self.y:g}"/>'
            )
        self._life_from = self.y

    def _room(self) -> int:
        """How many columns of text there are between the lifelines."""
        return int((self._right - self._left - 24) / _CHAR)

    def _arrow(self, row: Arrow) -> None:
        departure = self._departed.pop(row.tag, None) if row.shape == ARRIVES and row.tag else None
        drawn, written = len(self._arrows), len(self._texts)
        if departure is None:
            words = [replace(word, text=self._say(word.text)) for word in row.label]
            for line in _folded(words, self._room()):
                self.y += _LINE
                self._words(row.rightward, self.y, line)
        self.y += 6 if departure is None else _LINE
        start, end = (self._left, self._right) if row.rightward else (self._right, self._left)
        slope = _SLOPE if self._clocks == 2 and row.shape in (WHOLE, LOST) else 0
        y = self.y
        if departure is not None:
            self._shaft(departure[0].style, start, departure[1], end, y)
            self._head(departure[0].style, start, departure[1], end, y)
        elif row.shape == DEPARTS:
            self._departed[row.tag] = row, y
        elif row.shape == LOST:
            x = start + (end - start) * 0.82
            self._shaft(row.style, start, y, x, y + slope * 0.82)
            self._cross(row.style, x, y + slope * 0.82, row.rightward)
        else:
            if row.shape == ARRIVES:
                start = start + (end - start) * 0.5
            self._shaft(f"{row.style} bulk" if row.shape == BULK else row.style, start, y, end, y + slope)
            self._head(row.style, start, y, end, y + slope)
        if row.refs:
            self._name_group(
                self._arrows, drawn, row, "segment", row.label if departure is None else departure[0].label
            )
            self._name_group(self._texts, written, row, "label", ())
        left_y, right_y = (y, y + slope) if row.rightward else (y + slope, y)
        self._margin(True, row.left_at, row.left_state, left_y)
        self._margin(False, row.right_at, row.right_state, right_y)
        self.y += slope + 4

    def _name_group(self, shapes: list[str], begin: int, row: Arrow, kind: str, label: Sequence[Words]) -> None:
        """Put what was drawn from there on into a group that a page can find, focus and mark."""
        body = "".join(shapes[begin:])
        if not body:
            return
        del shapes[begin:]
        name = escape(" ".join(row.refs))
        spoken = escape(" ".join(self._say(word.text) for word in label if not word.optional))
        focus = f' tabindex="0" role="button" aria-label="{spoken}"' if label else ""
        shapes.append(f'<g class="{kind}" data-segment="{name}"{focus}>{body}</g>')

    def _margin(self, left: bool, at: int | None, state: str, y: float) -> None:
        if at is not None:
            self._times[0 if left or self._clocks == 1 else 1] = at
            if self._clocks == 1:
                self._text(_TIMES, y + 4, seconds_text(at), "time", "end")
            else:
                x = self._left - 10 if left else self._right + 10
                self._text(x, y + 4, seconds_text(at), "time", "end" if left else "start")
        if state:
            self._state(left, state, y)

    def _beside(self, left: bool, at: int, state: str, parts: list[str], style: str) -> None:
        self.y += _LINE + 2
        drawn, written = len(self._arrows), len(self._texts)
        x = self._left if left else self._right
        text = " · ".join(part for part in parts if part)
        if state:
            self._arrows.append(f'<circle class="change" cx="{x:g}" cy="{self.y - 4:g}" r="4"/>')
            self._state(left, state, self.y - 4)
        column = 0 if left or self._clocks == 1 else 1
        if at != self._times[column]:
            self._times[column] = at
            if self._clocks == 1:
                self._text(_TIMES, self.y, seconds_text(at), "time", "end")
            else:
                text += f" · {self._say('at')} {seconds_text(at)}"
        for number, line in enumerate(_broken(text, self._room())):
            self.y += _LINE if number else 0
            self._text(x + 12 if left else x - 12, self.y, line, style, "start" if left else "end")
        self.y += 2
        if self._marked:
            for shapes, begin in ((self._arrows, drawn), (self._texts, written)):
                if shapes[begin:]:
                    shapes[begin:] = [f'<g data-at="{at}">{"".join(shapes[begin:])}</g>']

    def _state(self, left: bool, state: str, y: float = 0) -> None:
        x = self._left - 10 if left else self._right + 10
        style = "dim" if state.startswith("(") else "state"
        self._text(x, (y or self.y) + 4, state, style, "end" if left else "start")

    def _shaft(self, style: str, x1: float, y1: float, x2: float, y2: float) -> None:
        inset = 6 if x2 > x1 else -6
        rise = inset * (y2 - y1) / (x2 - x1)
        self._arrows.append(
            f'<line class="a {style}" x1="{x1:g}" y1="{y1:.1f}" x2="{x2 - inset:g}" y2="{y2 - rise:.1f}"/>'
        )

    def _head(self, style: str, x1: float, y1: float, x2: float, y2: float) -> None:
        back = 9 if x2 > x1 else -9
        drop = back * (y2 - y1) / (x2 - x1)
        self._arrows.append(
            f'<path class="a {style} head" d="M{x2:g} {y2:.1f}L{x2 - back:g} {y2 - drop - 4:g}'
            f'L{x2 - back:g} {y2 - drop + 4:g}Z"/>'
        )

    def _cross(self, style: str, x: float, y: float, rightward: bool) -> None:
        self._arrows.append(f'<path class="a {style}" d="M{x - 5:g} {y - 5:g}l10 10m0 -10l-10 10"/>')
        self._text(x + 10 if rightward else x - 10, y + 4, self._say("lost"), "note", "start" if rightward else "end")

    def _text(self, x: float, y: float, text: str, style: str, anchor: str) -> None:
        if text:
            self._texts.append(
                f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text, quote=False)}</text>'
            )

    def _words(self, rightward: bool, y: float, words: Sequence[Words]) -> None:
        """A label stands at the sender's side."""
        x, anchor = (self._left + 12, "start") if rightward else (self._right - 12, "end")
        spans = " ".join(
            f'<tspan class="{word.style}">{escape(word.text, quote=False)}</tspan>'
            if word.style
            else escape(word.text, quote=False)
            for word in words
        )
        self._texts.append(f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{spans}</text>')


def _broken(text: str, room: int) -> list[str]:
    """The text in lines of at most `room` columns: at spaces but before numbers, and within what is longer."""
    lines = [""]
    for word in _SPACES.split(text):
        if lines[-1] and columns(lines[-1]) + 1 + columns(word) > room:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
        while columns(lines[-1]) > room:
            cut = next(n for n in range(len(lines[-1]), 0, -1) if columns(lines[-1][:n]) <= room or n == 1)
            lines.append(lines[-1][cut:])
            lines[-2] = lines[-2][:cut]
    return lines


def _folded(words: Sequence[Words], room: int) -> list[list[Words]]:
    """The words in lines of at most `room` characters; optional ones only where they need no line.

    What is longer than a line, as options are, is broken at its own spaces.
    """
    lines: list[list[Words]] = [[]]
    used = 0
    for word in _pieces(words, room):
        size = columns(word.text) + 1
        if used + size > room and lines[-1]:
            if word.optional:
                continue
            lines.append([])
            used = 0
        lines[-1].append(word)
        used += size
    return lines


def _pieces(words: Sequence[Words], room: int) -> Iterator[Words]:
    for word in words:
        if columns(word.text) <= room:
            yield word
        else:
            yield from (replace(word, text=text) for text in _broken(word.text, room))
