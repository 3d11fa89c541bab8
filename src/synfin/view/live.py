"""The diagram on a terminal, while it happens, with bulks that count up in place."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Final, TextIO

from synfin.tcp.trace import Event
from synfin.view.diagram import Diagram, Only
from synfin.view.terminal import Terminal
from synfin.view.text import MIN_WIDTH, TextLine

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
        self._terminal = Terminal(self._out, color)
        # What is longer than the screen is wide can't be taken back line by line.
        self._in_place = self._terminal.is_terminal and shutil.get_terminal_size().columns >= max(width, MIN_WIDTH)
        self._shown = 0  # lines of a bulk still going on, at the bottom of the screen
        self._shown_at = 0
        self.diagram = Diagram(
            width=width or self._terminal.width,
            ascii_only=self._terminal.ascii_only if ascii_only is None else ascii_only,
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
                self._terminal.put(line)
                self._shown += 1
            footer = self._footer() if self._footer is not None else ""
            if footer:
                self._terminal.put([(footer, "data")])
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
        self._terminal.put(line)

    def _erase(self) -> None:
        if self._shown:
            self._out.write(_ERASE_LINE_UP * self._shown)
            self._shown = 0
