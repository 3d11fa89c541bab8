"""How short of memory a stack is. Its account says so (`stack.memory`), and all who could take more look here.

As in Linux, pressure comes before refusal: first nothing grows, then what can be had again is given up.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

# levels
NONE: Final = 0
PRESSURE: Final = 1  # buffers do not grow, and who is behind is offered little
FULL: Final = 2  # nothing is kept that nobody has taken yet, and nobody new is let in


class Pressure:
    """One for a stack."""

    def __init__(self) -> None:
        self.level: i64 = NONE
