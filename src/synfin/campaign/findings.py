"""What is known of a campaign's tests and code, as the ledger has it: from this campaign and those before it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from synfin.campaign.ledger import Flaky, Group, Key, Ledger, Told
from synfin.campaign.verdicts import HUNG

FINISHED: Final = "finished"
INTERRUPTED: Final = "interrupted"
STOPPED: Final = "stopped: "

CLEAN, FAILURES, UNUSABLE, ONLY_HUNG, NOT_ALL, BY_SIGNAL = 0, 1, 2, 3, 4, 130  # exit status


@dataclass(frozen=True)
class Findings:
    """told: the campaign; done: seeds that it ran itself; counts: by test and verdict, how many and their seconds."""

    told: Told
    done: int
    counts: Mapping[str, Mapping[str, tuple[int, float]]]
    failures: list[Group]
    flaky: list[Flaky]
    growth: list[tuple[float, int, int, int]]

    @property
    def status(self) -> int:
        """As a command ends: 0 all well, 1 failures, 3 nothing failed but some hung, 4 stopped before its end, 130."""
        if self.told.how == INTERRUPTED:
            return BY_SIGNAL
        if self.told.how != FINISHED:
            return NOT_ALL
        verdicts = {group.verdict for group in self.failures}
        if verdicts - {HUNG} or self.flaky:
            return FAILURES
        return ONLY_HUNG if verdicts else CLEAN

    @property
    def seconds(self) -> float:
        """That it took."""
        return max(0.0, (self.told.ended or time.time()) - self.told.began)

    def total(self, verdict: str = "") -> int:
        """Seeds that there are a verdict of."""
        return sum(
            count for of_test in self.counts.values() for name, (count, _) in of_test.items() if verdict in ("", name)
        )

    def replay(self, key: Key) -> str:
        """The command that runs a seed alone."""
        settings = "" if key.settings == "{}" else f" --synfin-settings {shlex.quote(key.settings)}"
        return f"pytest {shlex.quote(self._name(key))} --synfin-seed {key.seed}{settings}"

    def shrink(self, key: Key) -> str:
        """The command that makes it small again."""
        settings = "" if key.settings == "{}" else f" --settings {shlex.quote(key.settings)}"
        return f"synfin shrink {shlex.quote(self._name(key))} --seed {key.seed}{settings}"

    def _name(self, key: Key) -> str:
        """As pytest names the test where it is told a seed: a test with many seeds has it in its name."""
        if key.test not in self.told.plan.get("seeded", ()):
            return key.test
        name, bracket, rest = key.test.partition("[")
        return f"{name}[seed{key.seed}{'-' if bracket else ']'}{rest}"


def findings(ledger: Ledger, told: Told) -> Findings:
    """Of a campaign."""
    return Findings(
        told,
        ledger.ran(told.number),
        ledger.counts(told.code, told.tests),
        ledger.groups(told.code, told.tests),
        ledger.flaky(told.code, told.tests),
        ledger.growth(told.number),
    )
