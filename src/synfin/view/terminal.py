"""What a terminal, or whatever text goes to, can do: its width, its letters, its colours.

Colour comes from rich, which is imported with the first line that is written in colour; without it lines are plain.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Any, Final, TextIO

from synfin.view.text import TextLine, plain

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
_NO_TERMINAL: Final = 100


class Terminal:
    """Writes lines of spans to `out`. color: None for what it can (and NO_COLOR forbids). palette: of the styles."""

    def __init__(self, out: TextIO, color: bool | None = None, palette: Mapping[str, str] = PALETTE) -> None:
        self.is_terminal = out.isatty() and os.environ.get("TERM") != "dumb"
        self._out = out
        self._color = self.is_terminal and "NO_COLOR" not in os.environ if color is None else color
        self._palette = palette
        self._console: Any = None

    @property
    def width(self) -> int:
        """In columns, at most 120; 100 where there is no terminal."""
        return min(shutil.get_terminal_size().columns, _WIDEST) if self._out.isatty() else _NO_TERMINAL

    @property
    def ascii_only(self) -> bool:
        """It knows no letters beyond."""
        return "utf" not in (getattr(self._out, "encoding", None) or "").lower().replace("-", "")

    def put(self, line: TextLine) -> None:
        """Write a line."""
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
            self.put(line)
            return
        if self._console is None:
            self._console = Console(file=self._out, force_terminal=True, highlight=False, soft_wrap=True)
        text = Text(no_wrap=True)
        for part, style in line:
            text.append(part, self._palette.get(style, ""))
        text.rstrip()
        self._console.print(text, soft_wrap=True)
