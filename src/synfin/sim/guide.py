"""What to try next: a corpus of draws that reached something new, and which of them is worth another change.

Pure, and deterministic given its seed and the order of what it is told: so a campaign can be resumed from its ledger.
It knows nothing of what runs the seeds. Each of its answers goes into `Network` as it stands: {} lets the seed draw its
own swarm, {"drawn_by": "7/3"} uses the draw of seed 7 with change number 3 (see sim.plan).

Energy as in AFL's descendants: a draw is chosen the more often, the more that it reached was new, and the less often it
was chosen before; half of all seeds draw afresh, since a search that only refines what it has stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from random import Random
from typing import Any, Final

FRESH: Final = 0.5  # of all seeds draw their own swarm
SAME: Final = 0.3  # of the others use a draw unchanged: its chance is another
MOST: Final = 256  # draws that are kept
LONGEST: Final = 8  # changes of a draw, after which it is used as it is
_CHANGES: Final = 1_000_000


@dataclass(eq=False)
class Draw:
    """lineage: what draws it; found: how much was new that it reached; chosen: how often it was."""

    lineage: str
    found: int
    chosen: int = 0

    def energy(self) -> float:
        """How much it is worth to choose it."""
        return log2(1 + self.found) / (1 + self.chosen)


class Guide:
    """seed: of its choices. Called by one client, for any number of seeds that are under way at once."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(f"guide {seed}")
        self._corpus: dict[str, list[Draw]] = {}  # by test

    def settings(self, test: str, seed: int) -> dict[str, Any]:
        """What this seed of the test is to be tried with."""
        random = self._random
        corpus = self._corpus.get(test)
        if not corpus or random.random() < FRESH:
            return {}
        chosen = random.choices(corpus, [draw.energy() for draw in corpus])[0]
        chosen.chosen += 1
        change = random.randrange(_CHANGES)
        if random.random() < SAME or chosen.lineage.count("/") >= LONGEST:
            return {"drawn_by": chosen.lineage}
        return {"drawn_by": f"{chosen.lineage}/{change}"}

    def note(self, test: str, seed: int, settings: dict[str, Any], verdict: str, novelty: int) -> None:
        """It has been tried: how it ended, and how much that it reached nobody had reached before."""
        if novelty <= 0:
            return
        corpus = self._corpus.setdefault(test, [])
        lineage = str(settings.get("drawn_by", seed))
        known = next((draw for draw in corpus if draw.lineage == lineage), None)
        if known is not None:
            known.found += novelty
            return
        corpus.append(Draw(lineage, novelty))
        if len(corpus) > MOST:
            corpus.remove(min(corpus, key=Draw.energy))
