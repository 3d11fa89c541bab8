"""The same seeds once more, in other processes and under another hash seed: where does what happened differ first?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from synfin.campaign.engine import Engine
from synfin.campaign.ledger import Key, Ledger
from synfin.campaign.program import Json, Limits, Lost, Program
from synfin.campaign.work import is_regression, job_of, key_of
from synfin.sim.journal import first_difference

EXPLAINED: Final = 5  # seeds whose difference is looked for
_LINES: Final = 20_000  # of a journal that are compared
SAME: Final = (
    "run alone twice, under two hash seeds, it did the same: it depends on what ran before it in its process, "
    "or on real time"
)


def under_hash_seed(program: Program, seed: int) -> Program:
    """The same, whose sets of strings have another order."""
    return replace(program, environment={**program.environment, "PYTHONHASHSEED": str(seed)})


class Twice:
    """Compares journals that a campaign has written with those of another run."""

    def __init__(self, engine: Engine, program: Program, limits: Limits, ledger: Ledger, code: str) -> None:
        self._engine = engine
        self._programs = under_hash_seed(program, 0), under_hash_seed(program, 1)
        self._limits = limits
        self._ledger = ledger
        self._code = code

    def differing(self, tests: Sequence[str]) -> Iterator[Key]:
        """Run once more what was run once; the seeds that do something else. Each is noted as flaky."""
        keys = (key for key in self._ledger.unpaired(self._code, tests) if not is_regression(key))
        wanted = ({**job_of(key), "journal": True} for key in keys)
        for batch in self._engine.batches(self._programs[1], wanted, self._limits):
            journals = [(key_of(job), answer["journal"]) for job, answer in batch if not isinstance(answer, Lost)]
            for key in self._ledger.note_journals(self._code, journals, second=True):
                self._ledger.note_flaky(self._code, key, "one run", "another, under another hash seed")
                yield key

    def explain(self, keys: Sequence[Key]) -> None:
        """Note the first difference of some that are flaky."""
        journals: list[dict[Key, list[str]]] = []
        jobs: list[Json] = [
            {**job_of(key), "journal": "lines", "most": _LINES, "alone": True}
            for key in list(dict.fromkeys(keys))[:EXPLAINED]
            if not is_regression(key)
        ]
        for program in self._programs:
            answers = self._engine.run(program, iter(jobs), self._limits)
            journals.append({key_of(job): answer["lines"] for job, answer in answers if not isinstance(answer, Lost)})
        here, again = journals
        for key in here.keys() & again.keys():
            difference = first_difference(here[key], again[key]) or SAME
            self._ledger.note_flaky(self._code, key, "one run", "another, under another hash seed", difference)
