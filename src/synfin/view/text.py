"""Rows -> lines of text, without any dependency: what a sequence diagram looks like in a terminal.

      SYN-SENT ● user: active OPEN · RFC 9293 3.10.1                    │
      0.000000 │── SYN seq=0 (3405691582) win=64240 ───────────────────►│ 0.010000
               │                                SYN · RFC 9293 3.10.7.2 ● SYN-RCVD

Times and states stand outside the lifelines, arrows and remarks between them, each remark at the side of the host that
it is about. A line is a list of (text, style) spans; the styles are those of `rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from synfin.view.columns import centred_in, columns, cut_to, right_in
from synfin.view.rows import (
    ARRIVES,
    BULK,
    DEPARTS,
    LOST,
    Arrow,
    Change,
    Opening,
    Remark,
    Resumed,
    Row,
    Silence,
    Words,
)

Span = tuple[str, str]
TextLine = list[Span]

MIN_WIDTH: Final = 72
_TIME: Final = 10
_STATE: Final = 11  # len("ESTABLISHED")
_INFERRED: Final = 13  # with parentheses


class Glyphs:
    """The characters that a diagram is made of."""

    def __init__(self, ascii_only: bool) -> None:
        self.ascii_only = ascii_only
        (self.life, self.change, self.line, self.bulk, self.right, self.left, self.cross, self.flight, self.gap) = (
            "|*-=><X.:" if ascii_only else "│●─═►◄╳┄┊"
        )
        self.dot = "-" if ascii_only else "·"
        self.to = "->" if ascii_only else "→"
        self.note = "!"

    def tag(self, number: int) -> str:
        """The mark of a footnote."""
        if not self.ascii_only and 1 <= number <= 20:
            return chr(ord("①") + number - 1)
        return f"({number})"


class Page:
    """Draws the rows of one connection, `width` columns wide.

    With one clock its times have a column of their own at the left edge. With two, each margin holds the times of its
    host beside arrows and its states beside changes: no row needs both.
    """

    def __init__(self, width: int = 100, ascii_only: bool = False) -> None:
        self._glyphs = Glyphs(ascii_only)
        self._width = max(width, MIN_WIDTH)
        self._clocks = 1
        self._margins = [_STATE, _STATE]  # columns outside the lifelines, without the space beside them
        self._area = 0  # columns between the lifelines
        self._states = ["", ""]  # last shown at each side
        self._times = [-1, -1]  # last shown in each column of times

    def lines(self, row: Row) -> list[TextLine]:
        """A row of the diagram, as lines of text."""
        if isinstance(row, Arrow):
            return self._arrow(row)
        if isinstance(row, Change):
            return self._change(row)
        if isinstance(row, Remark):
            text = f"{self._glyphs.note} {row.text}"
            return self._beside(row.left, row.at, "", (text, rfc_text(row.rfc)), "note")
        if isinstance(row, Silence):
            return [self._silence(row)]
        if isinstance(row, Opening):
            return self._opening(row)
        self._states = ["", ""]
        return [self._resumed(row)]

    # -- the columns ---------------------------------------------------------------------------------------------

    def _lay_out(self, row: Opening) -> None:
        self._clocks = row.clocks
        self._margins = [_STATE if end.traced else _INFERRED for end in (row.left, row.right)]
        if row.clocks == 1:
            self._margins[0] += _TIME + 1
        self._area = self._width - sum(self._margins) - 4

    def _line(
        self,
        middle: TextLine,
        states: tuple[str, str] = ("", ""),
        times: tuple[str, str] = ("", ""),
        lives: tuple[str, str] = ("", ""),
    ) -> TextLine:
        left, right = states
        left_time, right_time = times
        if self._clocks == 1:
            left_time, right_time = left_time or right_time, ""
        left_room = self._margins[0] - columns(left)
        right_room = self._margins[1] - columns(right)
        if self._clocks == 1:
            before: TextLine = [(left_time.rjust(_TIME).ljust(left_room), "time"), (left, _state_style(left))]
        else:
            before = [(left_time.rjust(left_room), "time"), (left, _state_style(left))]
        return [
            *before,
            (" ", ""),
            (lives[0] or self._glyphs.life, "state" if lives[0] else "dim"),
            *middle,
            (" " * (self._area - sum(columns(text) for text, _ in middle)), ""),
            (lives[1] or self._glyphs.life, "state" if lives[1] else "dim"),
            (" ", ""),
            (right, _state_style(right)),
            (right_time.ljust(right_room), "time"),
        ]

    def _time(self, at: int, left: bool) -> str:
        self._times[0 if left or self._clocks == 1 else 1] = at
        return seconds_text(at)

    def _is_news(self, at: int, left: bool) -> bool:
        return at != self._times[0 if left or self._clocks == 1 else 1]

    # -- rows ----------------------------------------------------------------------------------------------------

    def _opening(self, row: Opening) -> list[TextLine]:
        self._lay_out(row)
        self._states = [row.left_state, row.right_state]
        lines: list[TextLine] = [[]] if row.number > 1 else []
        lines.append([(text, "bold") for text in self._titles(row.left.name, row.right.name)])
        lines.append([(text, "dim") for text in self._titles(row.left.address, row.right.address)])
        states = row.left_state, row.right_state
        if self._clocks == 1:
            legend = centred_in("(state): once it has arrived", self._area)
            lines.append(self._line([(legend, "dim")], states, ("seconds", "")))
        else:
            lines.append(self._line([(centred_in("times in seconds", self._area), "dim")], states))
        return lines

    def _titles(self, left: str, right: str) -> list[str]:
        """Both texts, each centred over its lifeline as far as the width allows."""
        left_at = self._margins[0] + 1
        right_at = left_at + 1 + self._area
        first = " " * max(0, left_at - columns(left) // 2) + left
        at = min(right_at - columns(right) // 2, self._width - columns(right))
        return [first, " " * max(2, at - columns(first)) + right]

    def _resumed(self, row: Resumed) -> TextLine:
        line = self._glyphs.line
        text = f"{line * 2} connection {row.number}: {row.left.name} {row.left.address} {self._glyphs.to} "
        text += f"{row.right.name} {row.right.address} "
        return [(text + line * max(0, self._width - columns(text)), "dim")]

    def _silence(self, row: Silence) -> TextLine:
        gap = self._glyphs.gap
        self._times = [-1, -1]
        return self._line([(centred_in(f"{span_text(row.us)} later", self._area), "dim")], lives=(gap, gap))

    def _change(self, row: Change) -> list[TextLine]:
        side = 0 if row.left else 1
        before = f"was {row.before}" if row.before != self._states[side] else ""
        self._states[side] = row.after
        return self._beside(
            row.left, row.at, row.after, (before, row.why, rfc_text(row.rfc)), "dim", self._glyphs.change
        )

    def _beside(
        self, left: bool, at: int, state: str, parts: tuple[str, ...], style: str, life: str = ""
    ) -> list[TextLine]:
        """Text at one side of the area; its first line has the state and the time, if the time is not known already."""
        time = ""
        if self._is_news(at, left):
            time = self._time(at, left)
            if self._clocks == 2 and state:
                parts, time = (*parts, f"at {time}" if at else ""), ""
        lines: list[TextLine] = []
        texts = _wrapped([part for part in parts if part], f" {self._glyphs.dot} ", self._area - 2)
        for text in texts:
            if left:
                lines.append(self._line([(" " + text, style)], (state, ""), (time, ""), (life, "")))
            else:
                lines.append(self._line([(right_in(text, self._area - 1), style)], ("", state), ("", time), ("", life)))
            state = time = life = ""
        return lines

    def _arrow(self, row: Arrow) -> list[TextLine]:
        left_time = "" if row.left_at is None else self._time(row.left_at, True)
        right_time = "" if row.right_at is None else self._time(row.right_at, False)
        for side, state in enumerate((row.left_state, row.right_state)):
            self._states[side] = state or self._states[side]
        front, back = self._shaft(row)
        first, rest = _fit(row.label, self._area - len(front) - len(back) - 2)
        room = self._area - len(front) - len(back) - 2 - _length(first)
        label = _spans(first)
        middle: TextLine
        if row.shape != ARRIVES:
            line = self._glyphs.bulk if row.shape == BULK else self._glyphs.line
            middle = [(front + " ", row.style), *label, (" " + line * room + back, row.style)]
        elif row.rightward:
            middle = [(" " * room + front + " ", row.style), *label, (" " + back, row.style)]
        else:
            middle = [(front + " ", row.style), *label, (" " + back, row.style)]
        lines = [self._line(middle, (row.left_state, row.right_state), (left_time, right_time))]
        indent = " " * (len(front) + 1)
        while rest:
            part, rest = _fit(rest, self._area - len(indent) - 1)
            lines.append(self._line([(indent, ""), *_spans(part)]))
        return lines

    def _shaft(self, row: Arrow) -> tuple[str, str]:
        """What stands left and right of an arrow's label."""
        glyphs = self._glyphs
        line = glyphs.bulk if row.shape == BULK else glyphs.line
        tag = glyphs.tag(row.tag) if row.tag else "?"
        if row.shape == LOST:
            lost = f"{line * 2}{glyphs.cross} lost  "
            return (line * 2, lost) if row.rightward else (f"  lost {glyphs.cross}{line}", line * 2)
        if row.shape == DEPARTS:
            flight = f"{line}{glyphs.flight * 2} {tag}  "
            return (line * 2, flight) if row.rightward else (f"  {tag} {glyphs.flight * 2}{line}", line * 2)
        if row.shape == ARRIVES:
            flight = f"{glyphs.flight * 2}"
            if row.rightward:
                return f"  {tag} {flight}{line}", line + glyphs.right
            return glyphs.left + line, f"{line}{flight} {tag}  "
        return (line * 2, line + glyphs.right) if row.rightward else (glyphs.left + line, line * 2)


def _fit(words: Sequence[Words], room: int) -> tuple[Sequence[Words], Sequence[Words]]:
    """As many of the words as fit, at least one, and the rest of them without the optional ones."""
    used = 0
    for number, word in enumerate(words):
        size = columns(word.text) + (1 if used else 0)
        if used + size > room and number:
            return words[:number], [w for w in words[number:] if not w.optional]
        used += size
    return words, ()


def plain(line: TextLine) -> str:
    """A line without its styles."""
    return "".join(text for text, _ in line).rstrip()


def _spans(words: Sequence[Words]) -> TextLine:
    spans: TextLine = []
    for word in words:
        if spans:
            spans.append((" ", ""))
        spans.append((word.text, word.style))
    return spans


def _length(words: Sequence[Words]) -> int:
    return sum(columns(word.text) for word in words) + max(0, len(words) - 1)


def _wrapped(parts: list[str], separator: str, room: int) -> list[str]:
    """The parts with separators, broken between parts, and within one where it is longer than a line."""
    lines: list[str] = []
    for part in parts:
        if lines and columns(lines[-1]) + len(separator) + columns(part) <= room:
            lines[-1] += separator + part
            continue
        for number, word in enumerate(part.split(" ")):
            if number == 0 or columns(lines[-1]) + 1 + columns(word) > room:
                while columns(word) > room:  # Chinese has no blanks to break at
                    lines.append(cut_to(word, room))
                    word = word[len(lines[-1]) :]
                lines.append(word)
            else:
                lines[-1] += " " + word
    return lines or [""]


def _state_style(text: str) -> str:
    if not text:
        return ""
    return "dim" if text.startswith("(") else "state"


def rfc_text(section: str) -> str:
    """A section as it is cited; what is no number is told as it is."""
    return f"RFC {section}" if section[:1].isdigit() else section


def span_text(us: int) -> str:
    """Microseconds as seconds, or minutes where they are many."""
    seconds = us / 1_000_000
    return f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 60:,.1f} min"


def seconds_text(us: int) -> str:
    """Microseconds as seconds, to the microsecond."""
    return f"{us / 1_000_000:.6f}"
