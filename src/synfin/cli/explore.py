"""`synfin explore`: every order in which a scenario's packets, timers and programs can follow each other."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synfin.campaign.engine import Engine, EngineError
from synfin.campaign.opening import open_engine
from synfin.campaign.program import Refused
from synfin.cli.scenario import load
from synfin.cli.written import why_not
from synfin.explore.report import HEAD, as_test, failure_text, row, table_line
from synfin.explore.saved import NotSaved, as_scenario
from synfin.explore.search import Explored, Failure, explore
from synfin.explore.starts import STARTS
from synfin.explore.world import Bounds
from synfin.scenario.checks import ScenarioError
from synfin.scenario.codec import MAX_FRAGMENT, to_fragment, to_json
from synfin.scenario.model import Scenario


@dataclass(frozen=True)
class Files:
    """What is written where; of failures the last one's."""

    record: Path | None = None
    pytest: Path | None = None
    save: Path | None = None


@dataclass(frozen=True)
class Workers:
    """How many (0: one for each core; 1: none but this process), or whose: a scheduler's, and how that is reached."""

    count: int = 1
    scheduler: str | None = None
    insecure: bool = False
    tls: tuple[str, str, str] | None = None

    @property
    def wanted(self) -> bool:
        """There is an engine."""
        return self.count != 1 or self.scheduler is not None

    def open(self) -> Engine:
        """That engine. Raises EngineError."""
        more: dict[str, Any] = {"insecure": self.insecure, "tls": self.tls, "say": _say}
        return open_engine(workers=self.count or None, scheduler=self.scheduler, **more)


def run(
    name: str | None,
    whole_suite: bool,
    bounds: tuple[int | None, int | None, int | None],
    max_states: int,
    workers: Workers,
    files: Files,
) -> int:
    """The command; its exit status: 1 for a law that does not hold, 2 for what can't be read."""
    if whole_suite == (name is not None):
        if whole_suite:
            return _wrong("--all explores the suite: no scenario is named besides")
        print("\n".join(_listing()))
        return 0
    unwritable = why_not(record=files.record, pytest=files.pytest, save=files.save)
    if unwritable:
        return _wrong(unwritable)
    try:
        chosen = list(STARTS) if name is None else [name]
        jobs = [(each, *_job(each, bounds, whole_suite)) for each in chosen]
    except FileNotFoundError:
        return _wrong(f"{name} is none of the suite (`synfin explore` lists it), no example, and no file")
    except OSError as error:
        return _wrong(f"{error.strerror or error}: {error.filename or name}")
    except ScenarioError as error:
        return _wrong(f"{name}: {error}")
    try:
        with ExitStack() as stack:
            engine = stack.enter_context(workers.open()) if workers.wanted else None
            return _explore(jobs, max_states, engine, files)
    except (EngineError, Refused, ValueError) as error:
        return _wrong(str(error))


def _explore(
    jobs: list[tuple[str, Scenario, Bounds]],
    max_states: int,
    engine: Engine | None,
    files: Files,
) -> int:
    print("\n".join(HEAD))
    rows: list[dict[str, object]] = []
    status = 0
    for each, scenario, limits in jobs:
        found = explore(scenario, limits, max_states=max_states, engine=engine)
        rows.append(row(each, found))
        print(table_line(rows[-1]), flush=True)
        if files.record is not None:
            files.record.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        for failure in found.failures:
            status = 1
            print("", *failure_text(found, failure), sep="\n")
            _save(found, failure, files)
    return status


def _job(name: str, bounds: tuple[int | None, int | None, int | None], large: bool) -> tuple[Scenario, Bounds]:
    start = STARTS.get(name) if not Path(name).exists() else None
    usual = Bounds(1, 1, 1) if start is None else start.large if large else start.small
    losses, duplicates, early = bounds
    return start.scenario if start is not None else load(name), Bounds(
        usual.losses if losses is None else losses,
        usual.duplicates if duplicates is None else duplicates,
        usual.early_timers if early is None else early,
    )


def _save(found: Explored, failure: Failure, files: Files) -> None:
    """What is to be written of a failure, and where it can be looked at."""
    if files.pytest is not None:
        files.pytest.write_text(as_test(found, failure), encoding="utf-8")
    try:
        saved = as_scenario(found, failure)
    except NotSaved as why:
        _say(f"not saved as a scenario: {why}")
        return
    fragment = to_fragment(saved)
    if len(fragment) <= MAX_FRAGMENT:
        print("", "In the playground (`synfin site`): play/index.html#" + fragment, sep="\n")
    if files.save is not None:
        files.save.write_text(to_json(saved), encoding="utf-8")


def _listing() -> list[str]:
    lines = ["The suite; explore one with `synfin explore NAME`, or a scenario of yours by its file:", ""]
    return lines + [f"  {name:22} {start.scenario.title}" for name, start in STARTS.items()]


def _say(text: str) -> None:
    print(f"synfin explore: {text}", file=sys.stderr)


def _wrong(text: str) -> int:
    print(f"synfin explore: {text}", file=sys.stderr)
    return 2
