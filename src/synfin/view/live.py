"""The diagram on a terminal, while it happens: the terminal's width and encoding, colour, and bulks that count up.

Colour comes from rich, which is imported with the first line that is drawn in colour; without it lines are plain.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO

from synfin.tcp.trace import Event
from synfin.view.diagram import Diagram, Only
from synfin.view.text import MIN_WIDTH, TextLine, plain

PALETTE: Final[Mapping[str, str]] = {
    "dim": "bright_black",
    "bold": "bold",
    "time": "bright_black",
    "state": "bold cyan",
    "syn": "bold green",
    "fin": "bold magenta",
    "rst": "bold red",
    "data": "blue",
    "ack": "",
    "note": "yellow",
    "lost": "bold red",
}
_WIDEST: Final = 120
_REFRESH_US: Final = 100_000
_ERASE_LINE_UP: Final = "\x1b[1A\x1b[2K"


class Live:
    """A trace that draws on a terminal or into a file as the events come.

    out: sys.stdout if None. width: 0 for the terminal's, at most 120, and 100 where there is no terminal.
    color: None for what the terminal can (and NO_COLOR forbids). footer: a line of text, such as a progress bar, that
    is asked for at each refresh and stays at the bottom of a terminal; "" for none. The other arguments are those of
    `Diagram`.
    """

    def __init__(
        self,
        out: TextIO | None = None,
        *,
        width: int = 0,
        color: bool | None = None,
        ascii_only: bool | None = None,
        only: Only = None,
        both_ends: bool | Callable[[bytes], bool] = False,
        fold: bool = True,
        names: Mapping[str, str] | None = None,
        footer: Callable[[], str] | None = None,
    ) -> None:
        self._out = sys.stdout if out is None else out
        self._footer = footer
        is_terminal = self._out.isatty() and os.environ.get("TERM") != "dumb"
        # What is longer than the screen is wide can't be taken back line by line.
        self._in_place = is_terminal and shutil.get_terminal_size().columns >= max(width, MIN_WIDTH)
        self._color = is_terminal and "NO_COLOR" not in os.environ if color is None else color
        self._console: Any = None
        self._shown = 0  # lines of a bulk still going on, at the bottom of the screen
        self._shown_at = 0
        self.diagram = Diagram(
            width=width or _width(self._out),
            ascii_only=not _speaks_unicode(self._out) if ascii_only is None else ascii_only,
            only=only,
            both_ends=both_ends,
            fold=fold,
            names=names,
            write_spans=self._write,
        )

    def __call__(self, event: Event) -> None:
        self.diagram(event)
        if self._in_place and event.at - self._shown_at >= _REFRESH_US:
            self._shown_at = event.at
            self._erase()
            for line in self.diagram.pending():
                self._put(line)
                self._shown += 1
            footer = self._footer() if self._footer is not None else ""
            if footer:
                self._put([(footer, "data")])
                self._shown += 1
            self._out.flush()

    def flush(self) -> None:
        """Draw what is held back only because more plain data may follow; call it when the connection is idle."""
        self.diagram.flush()
        self._out.flush()

    def tick(self, now: int) -> None:
        """Draw runs of plain data that have paused for a moment; `now` in the trace's microseconds."""
        self.diagram.tick(now)
        self._out.flush()

    def close(self) -> None:
        """Draw the rest."""
        self.diagram.close()
        self._erase()
        self._out.flush()

    def _write(self, line: TextLine) -> None:
        self._erase()
        self._put(line)

    def _erase(self) -> None:
        if self._shown:
            self._out.write(_ERASE_LINE_UP * self._shown)
            self._shown = 0

    def _put(self, line: TextLine) -> None:
        if self._color:
            self._put_in_color(line)
        else:
            self._out.write(plain(line) + "\n")

    def _put_in_color(self, line: TextLine) -> None:
        try:
            from rich.console import Console
            from rich.text import Text
        except ImportError:
            self._color = False
            self._put(line)
            return
        if self._console is None:
            self._console = Console(file=self._out, force_terminal=True, highlight=False, soft_wrap=True)
        text = Text(no_wrap=True)
        for part, style in line:
            text.append(part, PALETTE.get(style, ""))
        text.rstrip()
        self._console.print(text, soft_wrap=True)


def _width(out: TextIO) -> int:
    return min(shutil.get_terminal_size().columns, _WIDEST) if out.isatty() else 100


def _speaks_unicode(out: TextIO) -> bool:
    return "utf" in (getattr(out, "encoding", None) or "").lower().replace("-", "")
