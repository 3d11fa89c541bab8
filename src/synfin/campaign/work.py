"""What is to be done next in a campaign, and what is made of each answer.

Regressions come first, then the seeds, each through all tests; a failure's first seeds are shrunk as soon as they are
found. Everything that counts goes into the ledger before anybody is told of it.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from synfin.campaign.guide import Guide
from synfin.campaign.ledger import Key, Ledger, Row, settings_text
from synfin.campaign.program import DIED, HUNG, MEMORY, Answer, Json, Lost, Refused
from synfin.campaign.regressions import Regression
from synfin.campaign.signature import Signature, normalised
from synfin.campaign.sources import is_of_project
from synfin.campaign.verdicts import ERROR, FAILED
from synfin.campaign.verdicts import HUNG as HAS_HUNG

RUNS: Final = 2000  # of one failure that is shrunk
STOP: Final = 30.0  # seconds of the same
SHRUNK: Final = 50  # distinct failures that are
_SPARE: Final = 60.0  # seconds that the last run of a shrinking may take
_FRAME: Final = re.compile(r'File "(.+?)", line (\d+) in (\S+)')
_LOST: Final = {HUNG: "no answer", DIED: "process died", MEMORY: "too much memory"}


class Work:
    """seeds: of each test, from `first` on; None: without end, until `until` (as time.monotonic has it).

    shrink: how many seeds of one failure are made small. journal: have each run's journal, to compare it with another.
    """

    def __init__(
        self,
        ledger: Ledger,
        campaign: int,
        code: str,
        root: Path,
        tests: Sequence[str],
        *,
        seeds: int | None,
        first: int = 0,
        until: float | None = None,
        guide: Guide,
        regressions: Sequence[Regression] = (),
        shrink: int = 3,
        journal: bool = False,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.done = 0
        """Seeds run by this campaign."""
        self.known = 0
        """Seeds that one before it had run."""
        self.total = None if seeds is None else seeds * len(tests)
        self.bad = 0
        self.flaky: list[Key] = []
        self.features = ledger.features(code)
        self._ledger = ledger
        self._campaign = campaign
        self._code = code
        self._root = root
        self._tests = tests
        self._seeds = seeds
        self._first = first
        self._until = until
        self._guide = guide
        self._regressions = regressions
        self._shrink = shrink
        self._journal = journal
        self._say = say
        self._side: deque[Json] = deque()
        self._out = 0  # jobs without an answer
        self._failures: Counter[str] = Counter()  # seeds of a failure that were shrunk, or will be
        self._began = time.monotonic()
        self._next_growth = 0.0
        self._resume()

    @property
    def failures(self) -> int:
        """Distinct ones."""
        return len(self._failures)

    def jobs(self) -> Iterator[Json | None]:
        """For an engine."""
        seeds = self._plan()
        while True:
            job = self._side.popleft() if self._side else next(seeds, None)
            if job is None and not self._out:
                return
            self._out += job is not None
            yield job

    def take(self, batch: Sequence[tuple[Json, Answer]]) -> None:
        """What came back. Raises Refused where the code is no longer that which the campaign began with."""
        rows: list[tuple[Json, Row]] = []
        journals: list[tuple[Key, int]] = []
        for job, answer in batch:
            self._out -= 1
            if isinstance(answer, dict) and "late" in answer:
                self._note_late(answer["late"])
            if job.get("do") == "shrink":
                self._take_shrunk(job, answer)
                continue
            rows.append((job, self._row(job, answer)))
            if isinstance(answer, dict) and "journal" in answer:
                journals.append((rows[-1][1].key, answer["journal"]))
        if rows:
            self._take_rows(rows)
        if journals:
            self._ledger.note_journals(self._code, journals, second=False)
        self._grow()

    def end(self) -> None:
        """No more will come."""
        self._grow(at_once=True)

    # ---- what to do ----

    def _plan(self) -> Iterator[Json]:
        for one in self._regressions:
            job = self._job(one.test, one.seed, one.settings)
            if not self._is_known(job):
                yield job
            if one.parts is None:
                continue
            name = {"regression": f"{crc32(settings_text(one.parts).encode()):08x}"}
            if not self._is_known(small := {**job, "parts": one.parts, "name": name}):
                yield small
        seeds = count(self._first) if self._seeds is None else range(self._first, self._first + self._seeds)
        for seed in seeds:
            for test in self._tests:
                if self._until is not None and time.monotonic() >= self._until:
                    return
                job = self._job(test, seed, self._guide.settings(test, seed))
                if self._is_known(job):
                    self.known += 1
                else:
                    yield job

    def _job(self, test: str, seed: int, settings: Json) -> Json:
        job: Json = {"test": test, "seed": seed}
        if settings:
            job["settings"] = settings
        if self._journal:
            job["journal"] = True
        return job

    def _is_known(self, job: Json) -> bool:
        """What comes of it is in the ledger."""
        key = key_of(job)
        return self._ledger.has(self._code, key) and (not self._journal or self._ledger.has_journal(self._code, key))

    def _resume(self) -> None:
        """Failures that were found before, and not made small."""
        for group in self._ledger.groups(self._code, self._tests, seeds=self._shrink):
            self._failures[group.signature.key] = len(group.shrunk)
            small = [key for key, _ in group.shrunk]
            for key in group.seeds:
                if key not in small:
                    self._plan_shrinking(key, group.verdict, group.signature)

    def _plan_shrinking(self, key: Key, verdict: str, signature: Signature) -> None:
        """One of the first seeds of a failure is to be made small."""
        if signature.key not in self._failures:
            self._failures[signature.key] = 0
            self._say(f"new failure: {signature}, {key.test} with seed {key.seed}")
        if (
            verdict == FAILED
            and not is_regression(key)
            and self._failures[signature.key] < self._shrink
            and self.failures <= SHRUNK
        ):
            self._failures[signature.key] += 1
            self._side.append(shrinking(key, signature))

    # ---- what came of it ----

    def _note_late(self, folders: Mapping[str, str]) -> None:
        """Before its verdicts: who finds those knows of what else they depend on."""
        if other := self._ledger.note_late(self._code, folders):
            raise Refused(f"the code in {other[0]} is not that which the campaign began with")

    def _row(self, job: Json, answer: Answer) -> Row:
        key = key_of(job)
        if isinstance(answer, Lost):
            verdict = HAS_HUNG if answer.reason == HUNG else ERROR
            return Row(key, verdict, lost_signature(answer, self._root), detail=answer.text)
        signature = answer.get("signature")
        return Row(
            key,
            answer["verdict"],
            None if signature is None else Signature(*signature),
            answer["seconds"],
            answer.get("digest", 0),
            answer.get("detail", ""),
            answer.get("features", ()),
        )

    def _take_rows(self, rows: Sequence[tuple[Json, Row]]) -> None:
        novelty: list[int] = []
        reached: set[int] = set()
        for _, row in rows:
            new = set(row.features) - self.features - reached
            reached |= new
            novelty.append(len(new))
        differ = self._ledger.record(self._campaign, self._code, [row for _, row in rows], enumerate(novelty))
        self.features |= reached
        for row in differ:
            self._note_flaky(row.key, "of another campaign", _in_words(row))
        for (job, row), new_ones in zip(rows, novelty, strict=True):
            self.done += "parts" not in job
            self._guide.note(row.key.test, row.key.seed, job.get("settings", {}), row.verdict, new_ones)
            if row.signature is not None:
                self.bad += 1
                self._plan_shrinking(row.key, row.verdict, row.signature)

    def _take_shrunk(self, job: Json, answer: Answer) -> None:
        key, signature = key_of(job), Signature(*job["signature"])
        if isinstance(answer, Lost):
            self._say(f"{key.test} with seed {key.seed} could not be made small: {answer.text.partition(chr(10))[0]}")
        elif answer["again"] != job["signature"]:
            again = answer["verdict"] if answer["again"] is None else f"failed: {Signature(*answer['again'])}"
            self._note_flaky(key, f"failed: {signature}", again)
        else:
            self._ledger.note_shrunk(self._code, key, signature, answer)

    def _note_flaky(self, key: Key, one: str, other: str) -> None:
        self._ledger.note_flaky(self._code, key, one, other)
        self.flaky.append(key)
        self._say(f"flaky: {key.test} with seed {key.seed}: {one}; then: {other}")

    def _grow(self, at_once: bool = False) -> None:
        """The curve: not more than a point in each hundredth of its length."""
        seconds = time.monotonic() - self._began
        if seconds >= self._next_growth or at_once:
            self._next_growth = seconds + max(0.2, seconds / 100)
            self._ledger.note_growth(self._campaign, seconds, self.done, self.failures, len(self.features))


def key_of(job: Json) -> Key:
    """What a job is about."""
    return Key(job["test"], job["seed"], settings_text({**job.get("settings", {}), **job.get("name", {})}))


def job_of(key: Key) -> Json:
    """The same backwards: the job that a key names."""
    return {"test": key.test, "seed": key.seed, "settings": json.loads(key.settings)}


def is_regression(key: Key) -> bool:
    """Not a seed, but what is left of one in a file of regressions."""
    return '"regression"' in key.settings


def shrinking(key: Key, signature: Signature) -> Json:
    """The job of making a failure small."""
    return {
        **job_of(key),
        "do": "shrink",
        "signature": [signature.exception, signature.place, signature.text],
        "runs": RUNS,
        "stop": STOP,
        "seconds": STOP + _SPARE,
        "alone": True,
    }


def lost_signature(lost: Lost, root: Path) -> Signature:
    """Of a run whose child could not answer: its place is what faulthandler says of the project's code."""
    frames: list[tuple[str, Any, Any]] = _FRAME.findall(lost.text)
    found = next((frame for frame in frames if is_of_project(frame[0], root)), None)
    place = "" if found is None else f"{Path(found[0]).relative_to(root).as_posix()}:{found[1]} in {found[2]}"
    return Signature(_LOST[lost.reason], place, normalised(lost.text.partition("\n")[0]))


def _in_words(row: Row) -> str:
    return row.verdict if row.signature is None else f"{row.verdict}: {row.signature}"
