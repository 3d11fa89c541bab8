"""The kinds of faults that chance can draw, with their names, units and ranges: the one place where they are listed.

Of links: names are those of LinkSettings, or say what they set of it. Of hosts, and of what joins them: episodes, which
begin at random times and last for a while. `shuffle` is a kind as well, without strength.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from random import Random
from typing import Final

from synfin.sim.units import rate_text, share_text, time_text

SECOND: Final = 1_000_000
CHANCE: Final = "chance"  # of each packet
TIME: Final = "time"  # microseconds
RATE: Final = "rate"  # bits a second
SHARE: Final = "share"  # of the time


@dataclass(frozen=True)
class Kind:
    """unit of its strength, which lies between least and most ("": it has none); says: a sentence for reports."""

    name: str
    says: str
    unit: str = ""
    least: float = 0.0
    most: float = 0.0

    def draw(self, random: Random) -> float:
        """A strength; each order of magnitude is as likely as another."""
        return log_uniform(random, self.least, self.most) if self.unit else 0.0

    def within(self, strength: float) -> float:
        """The nearest that is allowed."""
        return min(max(strength, self.least), self.most)

    def sentence(self, strength: float) -> str:
        """In words."""
        if self.unit == TIME:
            return self.says.format(time_text(round(strength)))
        if self.unit == RATE:
            return self.says.format(rate_text(round(strength)))
        return self.says.format(share_text(strength)) if self.unit else self.says


LINK_KINDS: Final = (
    Kind("loss", "loss of {}", CHANCE, 0.001, 0.3),
    Kind("burst", "bursts of losses, begun by {} of packets", CHANCE, 0.0005, 0.02),
    Kind("duplicate", "{} duplicated", CHANCE, 0.001, 0.3),
    Kind("corrupt", "{} corrupted", CHANCE, 0.001, 0.1),
    Kind("jitter", "jitter up to {}", TIME, 1_000, 2 * SECOND),
    Kind("reorder", "reordering by up to {}", TIME, 1_000, 2 * SECOND),
    Kind("delay", "{} of delay more", TIME, 1_000, 3 * SECOND),
    Kind("bandwidth", "bandwidth of {}", RATE, 100_000, 100_000_000),
)
EPISODE_KINDS: Final = (
    Kind("partition", "partitions"),
    Kind("crash", "crashes"),
    Kind("pause", "pauses"),
    Kind("slow", "hosts that run for {} of the time", SHARE, 0.01, 0.5),
)
SHUFFLE: Final = Kind("shuffle", "tasks shuffled")
KINDS: Final = {kind.name: kind for kind in (*LINK_KINDS, *EPISODE_KINDS, SHUFFLE)}
PER_PACKET: Final = frozenset({"loss", "burst", "duplicate", "corrupt", "jitter", "reorder"})
"""What these do is kept packet by packet (Network.faults)."""
OF_EPISODES: Final = frozenset(kind.name for kind in EPISODE_KINDS)


def known_kinds(names: Collection[str]) -> frozenset[str]:
    """Raises ValueError for a name that is none."""
    wanted = frozenset([names] if isinstance(names, str) else names)
    unknown = wanted - KINDS.keys()
    if unknown:
        raise ValueError(f"there is no fault {', '.join(sorted(map(repr, unknown)))}; there are {', '.join(KINDS)}")
    return wanted


def kinds_of(swarm: bool | Collection[str]) -> frozenset[str]:
    """Those that a swarm draws from: True: all."""
    if swarm is True:
        return frozenset(KINDS)
    return known_kinds(swarm) if swarm else frozenset()


def log_uniform(random: Random, least: float, most: float) -> float:
    """Between the two; each order of magnitude is as likely as another."""
    return float(least * (most / least) ** random.random())
