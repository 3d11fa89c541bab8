"""A campaign: which tests are run with which seeds, on what, and what is known in the end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

from synfin.campaign.engine import Engine, EngineError
from synfin.campaign.findings import FINISHED, INTERRUPTED, STOPPED, Findings, findings
from synfin.campaign.guide import Among, Blind, Guide
from synfin.campaign.ledger import Group, Ledger, LedgerError
from synfin.campaign.opening import open_engine
from synfin.campaign.program import Json, Limits, Program, Refused
from synfin.campaign.regressions import Regression, RegressionError, add, load
from synfin.campaign.slot import end_all, keep
from synfin.campaign.sources import with_late
from synfin.campaign.twice import Twice, under_hash_seed
from synfin.campaign.verdicts import BAD
from synfin.campaign.warm import Gone, Warm
from synfin.campaign.work import Work

LEDGER: Final = ".synfin/ledger.sqlite"
HASH_SEED: Final = 0  # under which everything runs
_PATIENCE: Final = 10  # how often a callback's patience a whole seed may take


class CampaignError(Exception):
    """It can't begin."""


@dataclass(frozen=True)
class Status:
    """How far a campaign is. total: None: until its time is over; left: seconds."""

    done: int
    known: int
    total: int | None
    seconds: float
    failures: int
    bad: int
    flaky: int
    features: int
    left: float | None
    what: str = "seeds"


class Campaign:
    """Tests as pytest names them, `seeds` of each from `first` on, or as many as go in `seconds`.

    settings: options of `Network` for every seed; guide: chooses more of them for each, by what others have reached.
    workers: slots of this machine (None: one a core); scheduler: of a Dask cluster, tls://HOST:PORT, or "none";
    insecure: also without TLS; tls: files of the CA, of our certificate and its key. shrink: seeds of each failure that
    are made small. regressions: run those that are kept with the tests first, and keep new ones. patience: real seconds
    that one callback of a program may take; memory: bytes of a process that runs tests. options: for pytest. folder:
    where it runs. say: told what happens, in words; watch: told how far it is. Raises CampaignError.
    """

    def __init__(
        self,
        *tests: str,
        seeds: int | None = None,
        seconds: float | None = None,
        first: int = 0,
        settings: Mapping[str, Any] | None = None,
        guide: Guide | None = None,
        workers: int | None = None,
        scheduler: str | None = None,
        insecure: bool = False,
        tls: tuple[str, str, str] | None = None,
        dashboard: bool = False,
        ledger: str | Path | None = None,
        shrink: int = 3,
        regressions: bool = True,
        check_determinism: bool = False,
        patience: float = 10.0,
        memory: int = 2 << 30,
        options: Sequence[str] = (),
        folder: str | Path = ".",
        say: Callable[[str], None] = lambda _: None,
        watch: Callable[[Status], None] = lambda _: None,
    ) -> None:
        if not tests:
            raise CampaignError("a campaign needs tests, as pytest names them")
        if (seeds is not None and seeds < 1) or (seconds is not None and seconds <= 0) or patience <= 0:
            raise CampaignError("seeds, seconds and patience are more than 0")
        self._seeds = 1000 if seeds is None and seconds is None else seeds
        self._seconds = seconds
        self._first = first
        self._guide = Among(settings or {}, guide or Blind())
        self._engine: Mapping[str, Any] = {
            "workers": workers,
            "scheduler": scheduler,
            "insecure": insecure,
            "tls": tls,
            "dashboard": dashboard,
            "say": say,
        }
        self._ledger = ledger
        self._shrink = shrink
        self._regressions = regressions
        self._twice = check_determinism
        self._limits = Limits(seconds=patience * _PATIENCE, memory=memory)
        self._say = say
        self._watch = watch
        arguments = {
            "tests": list(tests),
            "options": list(options),
            "settings": {"patience": patience, "features": guide is not None},
        }
        self._program = Program("synfin.campaign.under_pytest:serve", arguments, folder=os.path.abspath(folder))

    def run(self) -> Findings:
        """All of it. What it finds is in the ledger even if this never returns."""
        facts = self._collect()
        root, tests = Path(facts["root"]), list(facts["tests"])
        try:
            ledger = Ledger(root / LEDGER if self._ledger is None else Path(self._ledger))
        except LedgerError as error:
            end_all()
            raise CampaignError(str(error)) from error
        try:
            code = with_late(str(facts["code"]), root, ledger.late)
            regressions = load(root, tests) if self._regressions else []
            plan = {
                "seeds": self._seeds,
                "seconds": self._seconds,
                "first": self._first,
                "twice": self._twice,
                "seeded": facts["seeded"],
            }
            number = ledger.begin(code, tests, plan, str(root))
            work = Work(
                ledger,
                number,
                code,
                root,
                tests,
                seeds=self._seeds,
                first=self._first,
                until=None if self._seconds is None else time.monotonic() + self._seconds,
                guide=self._guide,
                regressions=regressions,
                shrink=self._shrink,
                journal=self._twice,
                say=self._say,
            )
            how = self._work(work, ledger, code, tests)
            with suppress(LedgerError):
                work.end()
                ledger.end(number, how, work.known)
            # What a full disk did not let it write, it tells all the same.
            found = findings(ledger, replace(ledger.campaign(number), how=how, known=work.known))
            if self._regressions:
                for path in add(root, _regressions(found.failures)):
                    self._say(f"kept for the next time, to be committed: {path}")
            return found
        except (LedgerError, RegressionError) as error:
            raise CampaignError(str(error)) from error
        finally:
            ledger.close()
            end_all()

    def _collect(self) -> Json:
        """What tests there are, and which code. The child that tells it runs the first of them, where that is here."""
        try:
            warm = Warm(under_hash_seed(self._program, HASH_SEED), self._limits)
        except Refused as why:
            raise CampaignError(str(why)) from None
        except Gone as gone:
            raise CampaignError(f"a process to run the tests does not become ready: {gone.text}") from None
        facts = warm.facts
        if not facts["tests"]:
            warm.end()
            what = f"{facts['others']} tests, none of which uses" if facts["others"] else "no test that uses"
            raise CampaignError(f"there is {what} the fixture `network`")
        if facts["others"]:
            self._say(f"{facts['others']} tests do not use the fixture `network`, and are left out")
        arguments = {**self._program.arguments, "code": facts["code"]}
        self._program = Program(self._program.target, arguments, folder=self._program.folder)
        keep(under_hash_seed(self._program, HASH_SEED), self._limits, warm)
        return facts

    def _work(self, work: Work, ledger: Ledger, code: str, tests: Sequence[str]) -> str:
        """Do it; how it ended."""
        jobs = work.jobs()
        engine: Engine | None = None
        try:
            first = next(jobs, None)
            if first is None and not self._twice:
                return FINISHED
            engine = open_engine(**self._engine)
            began = time.monotonic()
            program = under_hash_seed(self._program, HASH_SEED)
            for batch in engine.batches(program, jobs if first is None else chain([first], jobs), self._limits):
                work.take(batch)
                self._watch(_status(work, time.monotonic() - began, self._seconds))
            self._after(Twice(engine, self._program, self._limits, ledger, code), work, tests)
            return FINISHED
        except KeyboardInterrupt:
            return INTERRUPTED
        except (EngineError, Refused, LedgerError) as error:
            return f"{STOPPED}{error}"
        finally:
            if engine is not None:
                engine.close()

    def _after(self, twice: Twice, work: Work, tests: Sequence[str]) -> None:
        """Each seed once more, if that is wanted; and what made flaky ones differ."""
        flaky = list(work.flaky)
        if self._twice:
            self._say("each seed once more, in another process and under another hash seed")
            for key in twice.differing(tests):
                self._say(f"not deterministic: {key.test} with seed {key.seed}")
                flaky.append(key)
        if flaky:
            twice.explain(flaky)


def _regressions(groups: Sequence[Group]) -> Iterator[Regression]:
    """What is to be kept: of each failure, the seed with the fewest faults."""
    for group in groups:
        small = [(len(answer["words"]), key, answer) for key, answer in group.shrunk if answer["by_parts"]]
        if small and group.verdict in BAD:
            _, key, answer = min(small, key=lambda one: (one[0], one[1].seed))
            yield Regression(key.test, key.seed, json.loads(key.settings), str(group.signature), answer["parts"])


def _status(work: Work, seconds: float, limit: float | None) -> Status:
    left: float | None = None
    if work.total is not None and work.done:
        left = max(0, work.total - work.known - work.done) * seconds / work.done
    if limit is not None:
        left = max(0.0, limit - seconds) if left is None else min(left, max(0.0, limit - seconds))
    return Status(
        work.done, work.known, work.total, seconds, work.failures, work.bad, len(work.flaky), len(work.features), left
    )
