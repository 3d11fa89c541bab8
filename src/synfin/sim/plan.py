"""What a seed draws of faults: which, how strong, and when. Pure: the same text gives the same plan.

Swarm testing (Groce et al., ISSTA 2012): a run with few kinds of faults, each strong, gets to where a run with a little
of everything never does. So a seed leaves most kinds out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from synfin.sim.kinds import KINDS, OF_EPISODES, SECOND, SHUFFLE, log_uniform
from synfin.sim.units import time_text

DENSITIES: Final = (0.1, 0.25, 0.5)  # the chance of a kind to be in a plan; which of these, is drawn as well
EVERY: Final = (0.2 * SECOND, 60.0 * SECOND)  # the mean time from one episode to the next
LASTS: Final = (0.01 * SECOND, 20.0 * SECOND)  # the mean length of an episode
SHORTEST: Final = 0.1 * SECOND  # of what is late or short
_STEP: Final = 4.0  # a change makes a number up to so many times greater or smaller


@dataclass(frozen=True)
class Knob:
    """A kind of fault, from `begins` to `ends`. every, lasts: mean times of episodes. Times in microseconds."""

    kind: str
    strength: float
    begins: int
    ends: int
    every: int = 0
    lasts: int = 0

    def sentence(self, until: int) -> str:
        """In words. until: when all ends."""
        said = KINDS[self.kind].sentence(self.strength)
        if self.every:
            said += f" every {time_text(self.every)} for {time_text(self.lasts)} on average"
        if self.begins:
            said += f", from {time_text(self.begins)} on"
        return said if self.ends == until or self.kind == SHUFFLE.name else f"{said}, until {time_text(self.ends)}"


Plan = tuple[Knob, ...]


def draw(lineage: str, kinds: Iterable[str], until: int) -> Plan:
    """The plan of a lineage: "7" is what seed 7 draws, "7/3" that with change number 3, and so on.

    kinds: those that are allowed. until: microseconds; later nothing happens. Raises ValueError for no lineage.
    """
    seed, *changes = _numbers(lineage)
    allowed = [name for name in KINDS if name in frozenset(kinds)]
    random = Random(f"swarm {seed}")
    density = random.choice(DENSITIES)
    plan: dict[str, Knob] = {}
    for name in KINDS:
        chosen, knob = random.random() < density, _draw_knob(name, random, until)  # all are drawn: none shifts others
        if chosen and name in allowed:
            plan[name] = knob
    for change in changes:
        if allowed:
            _change(plan, allowed, Random(f"change {change}"), until)
    return tuple(plan[name] for name in allowed if name in plan)


def _numbers(lineage: str) -> list[int]:
    try:
        return [int(part) for part in lineage.split("/")]
    except ValueError:
        raise ValueError(f"a lineage is a seed and numbers of changes, such as '7/3/12', not {lineage!r}") from None


def _draw_knob(name: str, random: Random, until: int) -> Knob:
    strength = KINDS[name].draw(random)
    begins, ends = _draw_window(random, until)
    every, lasts = log_uniform(random, *EVERY), log_uniform(random, *LASTS)
    if name == SHUFFLE.name:
        return Knob(name, 0.0, 0, until)
    return Knob(name, strength, begins, ends, *(round(every), round(lasts)) if name in OF_EPISODES else ())


def _draw_window(random: Random, until: int) -> tuple[int, int]:
    """From the beginning in half of all cases, and to the end likewise."""
    late, short = random.random() < 0.5, random.random() < 0.5
    begins = round(log_uniform(random, SHORTEST, max(until, 2 * SHORTEST)))
    lasts = round(log_uniform(random, 3 * SHORTEST, max(until, 6 * SHORTEST)))
    begins = min(begins, until) if late else 0
    return begins, min(begins + lasts, until) if short else until


def _change(plan: dict[str, Knob], allowed: list[str], random: Random, until: int) -> None:
    """One kind comes, goes, gets stronger or weaker, more or less often, or another time."""
    name = random.choice(sorted(plan) if plan and random.random() < 0.7 else allowed)
    fresh = _draw_knob(name, random, until)
    factors = [_STEP ** random.uniform(-1, 1) for _ in range(3)]
    what = random.randrange(4)
    knob = plan.get(name)
    if knob is None:
        plan[name] = fresh
    elif what == 0 or name == SHUFFLE.name:
        del plan[name]
    elif what == 1:
        plan[name] = replace(knob, begins=fresh.begins, ends=fresh.ends)
    else:
        plan[name] = replace(
            knob,
            strength=KINDS[name].within(knob.strength * factors[0]),
            every=round(knob.every * factors[1]),
            lasts=round(knob.lasts * factors[2]),
        )
