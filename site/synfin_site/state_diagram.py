"""The state diagram as a drawing: its transitions are the protocol's own table, and only places are chosen here.

Each arrow has a number; what causes it stands below. RST, ABORT and giving up are left out, as in the table.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from itertools import pairwise
from typing import Final

from synfin.tcp import states
from synfin.view.stylesheet import DIAGRAM

_WIDTH: Final = 730
_HALF: Final = (58, 17)  # of a box
_PLACES: Final = {
    states.CLOSED: (370, 30),
    states.LISTEN: (220, 110),
    states.SYN_SENT: (560, 110),
    states.SYN_RCVD: (220, 210),
    states.ESTABLISHED: (450, 240),
    states.FIN_WAIT_1: (220, 370),
    states.CLOSE_WAIT: (580, 370),
    states.FIN_WAIT_2: (110, 460),
    states.CLOSING: (330, 460),
    states.LAST_ACK: (580, 460),
    states.TIME_WAIT: (220, 550),
}
# Arrows that go around what lies between.
_VIA: Final = {
    (states.SYN_RCVD, states.TIME_WAIT): ((30, 218), (30, 545)),
    (states.TIME_WAIT, states.SYN_RCVD): ((14, 555), (14, 205)),
    (states.TIME_WAIT, states.CLOSED): ((712, 550), (712, 25)),
    (states.LAST_ACK, states.CLOSED): ((682, 460), (682, 36)),
}
_BOTH_WAYS: Final = 9  # how far apart two arrows between the same boxes are


def drawing(say: Callable[[str], str] = str) -> str:
    """The diagram as an element of a page."""
    arrows: list[str] = []
    texts: list[str] = []
    rows = (len(states.TRANSITIONS) + 1) // 2
    for number, ((before, after), cause) in enumerate(states.TRANSITIONS.items(), 1):
        points = _points(before, after)
        arrows.append(_arrow(points))
        texts.append(_number(points, number))
        x, y = (10, 380)[(number - 1) // rows], 606 + 16 * ((number - 1) % rows)
        texts.append(f'<text x="{x}" y="{y}">{escape(f"{number:2}  {say(cause)}", quote=False)}</text>')
    boxes = [_box(*_PLACES[state], states.NAMES[state]) for state in _PLACES]
    height = 606 + 16 * rows
    name = escape(say("State diagram of a TCP connection"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{DIAGRAM} states" role="img" aria-label="{name}" '
        f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"><title>{name}</title>\n'
        + "\n".join(arrows + boxes + texts)
        + "\n</svg>\n"
    )


def _points(before: int, after: int) -> list[tuple[float, float]]:
    """From the edge of one box to the edge of the other."""
    start, end = _PLACES[before], _PLACES[after]
    via = [(float(x), float(y)) for x, y in _VIA.get((before, after), ())]
    shift = (0.0, 0.0)
    if not via and (after, before) in states.TRANSITIONS and (after, before) not in _VIA:
        shift = (_BOTH_WAYS if before < after else -_BOTH_WAYS, 0.0)
    first = via[0] if via else (float(end[0]), float(end[1]))
    last = via[-1] if via else (float(start[0]), float(start[1]))
    points = [_edge(start, first), *via, _edge(end, last)]
    return [(x + shift[0], y + shift[1]) for x, y in points]


def _edge(box: tuple[int, int], towards: tuple[float, float]) -> tuple[float, float]:
    """Where the line from the middle of a box to a point leaves it; a level line keeps the point's height."""
    dx, dy = towards[0] - box[0], towards[1] - box[1]
    if abs(dy) < _HALF[1]:
        return box[0] + (_HALF[0] if dx > 0 else -_HALF[0]), towards[1]
    scale = min(_HALF[0] / abs(dx) if dx else 9e9, _HALF[1] / abs(dy))
    return box[0] + dx * scale, box[1] + dy * scale


def _arrow(points: list[tuple[float, float]]) -> str:
    (x0, y0), (x1, y1) = points[-2:]
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    bx, by = x1 - 9 * ux, y1 - 9 * uy
    way = "L".join(f"{x:.1f} {y:.1f}" for x, y in [*points[:-1], (bx, by)])
    head = f"M{x1:.1f} {y1:.1f}L{bx - 4 * uy:.1f} {by + 4 * ux:.1f}L{bx + 4 * uy:.1f} {by - 4 * ux:.1f}Z"
    return f'<path class="a" d="M{way}"/><path class="a head" d="{head}"/>'


def _number(points: list[tuple[float, float]], number: int) -> str:
    """In the middle of the arrow's longest stretch."""
    stretches = list(pairwise(points))
    (x0, y0), (x1, y1) = max(stretches, key=lambda ends: abs(ends[0][0] - ends[1][0]) + abs(ends[0][1] - ends[1][1]))
    at = 0.4  # not where many arrows cross
    return (
        f'<text class="state" text-anchor="middle" x="{x0 + (x1 - x0) * at:.1f}" '
        f'y="{y0 + (y1 - y0) * at + 4:.1f}">{number}</text>'
    )


def _box(x: int, y: int, name: str) -> str:
    width, height = _HALF
    return (
        f'<g data-state="{name}"><rect class="box" x="{x - width}" y="{y - height}" width="{2 * width}" '
        f'height="{2 * height}" rx="6"/>'
        f'<text class="bold" x="{x}" y="{y + 4}" text-anchor="middle">{name}</text></g>'
    )
