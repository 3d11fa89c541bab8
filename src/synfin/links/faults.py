"""What a memory link does to packets. Interpreted, as all that users make: it says in words what it does not take."""

from __future__ import annotations

from dataclasses import dataclass

from synfin.tcp.config import LONGEST_US


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What happens to packets. Probabilities are per packet, times in microseconds."""

    delay_us: int = 1000
    jitter_us: int = 0
    """Added to the delay, uniform; packets may overtake each other by it."""
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    """Probability that a packet is held back by `reorder_us` more."""
    reorder_us: int = 5000
    mark: float = 0.0
    """Probability that a packet is marked "congestion experienced", if it is capable of ECN."""

    def is_none(self) -> bool:
        """All packets take the same time, and nothing happens to them."""
        return not (self.jitter_us or self.loss or self.duplicate or self.reorder or self.mark)

    def __post_init__(self) -> None:
        for name in ("loss", "duplicate", "reorder", "mark"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"Faults.{name} is a probability, not {getattr(self, name)}")
        for name in ("delay_us", "jitter_us", "reorder_us"):
            time = getattr(self, name)
            if isinstance(time, bool) or not isinstance(time, int):
                raise TypeError(f"Faults.{name} is a number of microseconds, not {type(time).__name__}")
            if not 0 <= time <= LONGEST_US:
                raise ValueError(f"Faults.{name} must be within 0 and {LONGEST_US}, not {time}")
