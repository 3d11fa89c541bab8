"""Round numbers for axes, and how they are written with their unit.

Decimal units (kB is 1,000 bytes), since round ticks in powers of two are round to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10
from typing import Final


@dataclass(frozen=True)
class Unit:
    """How values of an axis are written: each step is (from which value on, divisor, name)."""

    steps: tuple[tuple[float, float, str], ...]

    def scale(self, top: float) -> tuple[float, str]:
        """Divisor and name for an axis that goes up to `top`."""
        return next(((divisor, name) for least, divisor, name in self.steps if top >= least), self.steps[-1][1:])

    def text(self, value: float) -> str:
        """One value, with three digits."""
        divisor, name = self.scale(abs(value))
        return f"{_short(value / divisor)} {name}".strip()


BYTES: Final = Unit(((1e9, 1e9, "GB"), (1e6, 1e6, "MB"), (1e4, 1e3, "kB"), (0, 1, "B")))
RATE: Final = Unit(  # of bytes a second
    ((1.25e8, 1.25e8, "Gbit/s"), (1.25e5, 1.25e5, "Mbit/s"), (125, 125, "kbit/s"), (0, 0.125, "bit/s"))
)
TIME: Final = Unit(((1e6, 1e6, "s"), (1e3, 1e3, "ms"), (0, 1, "µs")))  # of microseconds
COUNT: Final = Unit(((1e7, 1e6, "M"), (1e5, 1e3, "k"), (0, 1, "")))
SHARE: Final = Unit(((0, 0.01, "%"),))


def round_step(span: float, most: int) -> float:
    """The least of 1, 2, 5, 10, ... that divides `span` into at most `most` parts.

    >>> round_step(7.3, 5)
    2.0
    """
    if span <= 0:
        return 1.0
    rough = span / max(most, 1)
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10, 20) if factor * power >= rough * (1 - 1e-9))


def ticks(low: float, high: float, unit: Unit, most: int) -> list[tuple[float, str]]:
    """(value, label) at round numbers of the unit from low to high; the last has the unit's name.

    >>> ticks(0, 95_000, BYTES, 5)
    [(0.0, '0'), (20000.0, '20'), (40000.0, '40'), (60000.0, '60'), (80000.0, '80 kB')]
    """
    divisor, name = unit.scale(high)
    step = round_step((high - low) / divisor, most)
    first = -floor(-low / divisor / step + 1e-9)
    last = floor(high / divisor / step + 1e-9)
    found = [(number * step * divisor, _short(number * step)) for number in range(first, last + 1)]
    if found:
        value, label = found[-1]
        found[-1] = value, f"{label} {name}".strip()
    return found


def _short(value: float) -> str:
    """
    >>> [_short(value) for value in (0.1 + 0.2, 1234567.0, 12.345, 0)]
    ['0.3', '1,234,567', '12.3', '0']
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text if text != "-0" else "0"
