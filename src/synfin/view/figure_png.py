"""A figure -> PNG: its SVG, drawn by resvg (the package resvg-py, of the extra `cli`), imported only here."""

from __future__ import annotations

from typing import Final

from synfin.view.figure import Figure
from synfin.view.figure_svg import figure_svg
from synfin.view.stylesheet import FONTS, LIGHT

_LETTER: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">'
    f'<text y="15" font-family="{FONTS}">{{}}</text></svg>'
)


class CannotDraw(Exception):
    """Why there can be no PNG."""


def figure_png(figure: Figure, *, width: int = 960, zoom: float = 2.0, scheme: str = LIGHT) -> bytes:
    """The picture, `width` x `zoom` pixels wide.

    Raises CannotDraw where there is no font for its words, and ModuleNotFoundError without resvg-py.
    """
    from resvg_py import svg_to_bytes

    if svg_to_bytes(svg_string=_LETTER.format("x")) == svg_to_bytes(svg_string=_LETTER.format("")):
        raise CannotDraw("no font was found for the words in the picture: install one, such as DejaVu Sans")
    drawn: bytes = svg_to_bytes(svg_string=figure_svg(figure, width=width, scheme=scheme), zoom=zoom)
    return drawn
