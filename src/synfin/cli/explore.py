"""`synfin explore`: every order in which a scenario's packets, timers and programs can follow each other."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path

from synfin.campaign.engine import Engine, EngineError
from synfin.campaign.opening import open_engine
from synfin.campaign.program import Refused
from synfin.cli.scenario import load
from synfin.cli.written import why_not
from synfin.explore.report import HEAD, as_test, failure_text, row, table_line
from synfin.explore.search import Explored, explore
from synfin.explore.starts import STARTS
from synfin.explore.world import Bounds
from synfin.scenario.checks import ScenarioError
from synfin.scenario.model import Scenario


def run(
    name: str | None,
    whole_suite: bool,
    bounds: tuple[int | None, int | None, int | None],
    max_states: int,
    engine: tuple[int, str | None, bool],
    record: Path | None,
    pytest: Path | None,
) -> int:
    """The command; its exit status: 1 for a law that does not hold, 2 for what can't be read.

    engine: how many workers (0: one for each core), or a scheduler and whether without TLS; (1, None, False): none.
    """
    if whole_suite == (name is not None):
        if whole_suite:
            return _wrong("--all explores the suite: no scenario is named besides")
        print("\n".join(_listing()))
        return 0
    unwritable = why_not(record=record, pytest=pytest)
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
            workers, scheduler, insecure = engine
            opened = None
            if workers != 1 or scheduler is not None:
                opened = stack.enter_context(
                    open_engine(workers=workers or None, scheduler=scheduler, insecure=insecure, say=_say)
                )
            return _explore(jobs, max_states, opened, record, pytest)
    except (EngineError, Refused, ValueError) as error:
        return _wrong(str(error))


def _explore(
    jobs: list[tuple[str, Scenario, Bounds]],
    max_states: int,
    engine: Engine | None,
    record: Path | None,
    pytest: Path | None,
) -> int:
    print("\n".join(HEAD))
    rows: list[dict[str, object]] = []
    status = 0
    for each, scenario, limits in jobs:
        found = explore(scenario, limits, max_states=max_states, engine=engine)
        rows.append(row(each, found))
        print(table_line(rows[-1]), flush=True)
        if record is not None:
            record.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        for failure in found.failures:
            status = 1
            print("", *failure_text(found, failure), sep="\n")
            _save(found, pytest)
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


def _save(found: Explored, pytest: Path | None) -> None:
    if pytest is not None:
        pytest.write_text(as_test(found, found.failures[0]), encoding="utf-8")


def _listing() -> list[str]:
    lines = ["The suite; explore one with `synfin explore NAME`, or a scenario of yours by its file:", ""]
    return lines + [f"  {name:22} {start.scenario.title}" for name, start in STARTS.items()]


def _say(text: str) -> None:
    print(f"synfin explore: {text}", file=sys.stderr)


def _wrong(text: str) -> int:
    print(f"synfin explore: {text}", file=sys.stderr)
    return 2
