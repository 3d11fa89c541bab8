"""What is drawn over time, before it is drawn: panels of layers over one time axis. It knows no picture format.

A role says what a layer shows ("data", "cwnd", "fast"): each format gives it its colour. Layers are drawn in their
order. Times are microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from synfin.view.ticks import Unit

# For series that have no role of their own, in this order.
PLAIN: Final = ("one", "two", "three", "four", "five", "six")


@dataclass(frozen=True)
class Line:
    """A curve. step: a value holds until the next. dashed: others stay visible below it. filled: down to 0."""

    name: str
    role: str
    xs: Sequence[float]
    ys: Sequence[float]
    step: bool = False
    dashed: bool = False
    filled: bool = False


@dataclass(frozen=True)
class Bars:
    """Upright bars: from `lows` to `highs` at `xs`. notes: what a reader who points at one is told."""

    name: str
    role: str
    xs: Sequence[float]
    lows: Sequence[float]
    highs: Sequence[float]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Marks:
    """Signs at points. sign: one letter, or "×" or "·". notes: what a reader who points at one is told."""

    name: str
    role: str
    xs: Sequence[float]
    ys: Sequence[float]
    sign: str = "·"
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Spans:
    """Stretches of time, behind all else: (begin, end)."""

    name: str
    role: str
    spans: Sequence[tuple[float, float]]


Layer = Line | Bars | Marks | Spans


@dataclass(frozen=True)
class Panel:
    """Layers over one scale from `low` to `high`; what exceeds it is cut. tall: it is the main one."""

    title: str
    unit: Unit
    layers: Sequence[Layer]
    high: float
    low: float = 0.0
    tall: bool = False


@dataclass(frozen=True)
class Figure:
    """Panels below each other, from time `start` to `end`."""

    title: str
    panels: Sequence[Panel]
    start: float
    end: float
    subtitle: str = ""
    spans: Sequence[Spans] = field(default=())


def highest(layers: Sequence[Layer]) -> float:
    """The highest value of all layers; 1.0 where there is none above 0."""
    values = (layer.highs if isinstance(layer, Bars) else layer.ys for layer in layers if not isinstance(layer, Spans))
    return max([top for each in values if (top := max(each, default=0)) > 0], default=1.0)
