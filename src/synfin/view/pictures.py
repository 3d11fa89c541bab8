"""Where a figure goes: a file, by the end of its name, or a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from synfin.view.figure import Figure
from synfin.view.figure_svg import figure_svg
from synfin.view.figure_text import COLORS, figure_text
from synfin.view.stylesheet import AUTO, LIGHT
from synfin.view.terminal import Terminal


def save(figure: Figure, path: Path, scheme: str = AUTO) -> None:
    """Write a .svg or a .png; in a PNG AUTO is LIGHT.

    Raises ValueError for another end of the name, CannotDraw where a PNG can't be drawn, and OSError.
    """
    if path.suffix.lower() == ".png":
        from synfin.view.figure_png import figure_png

        path.write_bytes(figure_png(figure, scheme=LIGHT if scheme == AUTO else scheme))
    elif path.suffix.lower() == ".svg":
        path.write_text(figure_svg(figure, scheme=scheme), encoding="utf-8")
    else:
        raise ValueError(f"a picture's name ends in .svg or .png, not like {path.name!r}")


def show(figure: Figure, out: TextIO) -> None:
    """Draw on a terminal, or as plain text into whatever else `out` is."""
    terminal = Terminal(out, palette=COLORS)
    for line in figure_text(figure, width=terminal.width, ascii_only=terminal.ascii_only):
        terminal.put(line)
    out.flush()
