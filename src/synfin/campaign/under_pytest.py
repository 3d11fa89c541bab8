"""What a warm child of a campaign runs: pytest collects once, and each job runs one test with one seed.

Fixtures, parameters, marks and conftest files are as ever. What belongs to a function is made anew for every seed; what
belongs to a module or the session lasts from one seed to the next, until another test's turn.
"""

from __future__ import annotations

import copy
import io
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any, Final
from zlib import crc32

import pytest
from _pytest.config import parse_warning_filter
from _pytest.runner import runtestprotocol

from synfin.campaign.program import Json, Link
from synfin.campaign.signature import Signature, signature_of
from synfin.campaign.sources import Late, code_hash
from synfin.campaign.verdicts import ERROR, ESCAPED, FAILED, HUNG, PASSED, SKIPPED

_DETAILS: Final = 3  # failures of one signature whose traceback a child tells
_DETAIL: Final = 8000  # characters
_NO_FAILURES: Final = (pytest.skip.Exception, pytest.xfail.Exception)
_SAID: Final = 4000  # characters of pytest's own words, where it could not begin


def serve(arguments: Mapping[str, Any], link: Link) -> None:
    """arguments: `tests` and `options` for pytest; `code`, what the hash must be, if given; `settings` for each job."""
    said = io.StringIO()
    serving = Serving(arguments, link)
    command = [*arguments["tests"], "--capture=no", "--tb=short", "-q", "-p", "no:cacheprovider", *plugins()]
    # This process has imported synfin already: no news to whoever runs it.
    command += ["-W", "ignore::pytest.PytestAssertRewriteWarning", *arguments.get("options", ())]
    with redirect_stdout(said), redirect_stderr(said):
        status = pytest.main(command, plugins=[serving])
    if not serving.told:
        link.refuse(f"pytest could not begin (status {int(status)}):\n{said.getvalue().strip()[-_SAID:]}")


def plugins() -> list[str]:
    """Options that make pytest load our plugin where it does not by itself, and keep it in one process."""
    by_itself = not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    known = by_itself and any(one.name == "synfin" for one in entry_points(group="pytest11"))
    options = [] if known else ["-p", "synfin.pytest_plugin"]
    return [*options, "-n0"] if by_itself and find_spec("xdist") else options


class Serving:
    """A plugin of pytest that runs what its parent wants in the place of what was collected."""

    def __init__(self, arguments: Mapping[str, Any], link: Link) -> None:
        self.told = False
        self._settings: Mapping[str, Any] = arguments.get("settings", {})
        self._code = arguments.get("code")
        self._link = link
        self._problems: list[str] = []
        self._items: dict[str, tuple[pytest.Item, pytest.Item]] = {}
        self._last: pytest.Item | None = None
        self._error: BaseException | None = None
        self._seen: set[int] = set()
        self._details: Counter[str] = Counter()

    # ---- pytest's hooks ----

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Before anything is collected: one item of each test."""
        from synfin import pytest_plugin  # not before pytest has it

        self._plugin = pytest_plugin
        config.stash[pytest_plugin.given] = pytest_plugin.Given()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """What could not be collected."""
        if report.failed:
            self._problems.append(f"{report.nodeid}:\n{report.longreprtext}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In the place of running each once."""
        self._root = session.config.rootpath
        self.told = True
        if self._problems:
            self._link.refuse("not all can be collected:\n" + "\n".join(self._problems)[-_SAID:])
            return True
        ours = [item for item in session.items if "network" in getattr(item, "fixturenames", ())]
        code = code_hash(self._root)
        if self._code not in (None, code):
            where = f"{self._root} on {os.uname().nodename if hasattr(os, 'uname') else 'this machine'}"
            self._link.refuse(f"the code in {where} is not that which the campaign began with")
            return True
        for item in ours:
            # Who is told that a sibling is next tears down what is the function's alone.
            self._items[item.nodeid] = item, copy.copy(item)
        self._link.ready(
            {
                "tests": [item.nodeid for item in ours],
                "seeded": [item.nodeid for item in ours if self._plugin.has_many_seeds(item)],
                "others": len(session.items) - len(ours),
                "code": code,
                "root": str(self._root),
            }
        )
        with open(os.devnull, "w", encoding="utf-8") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
            late = Late(self._root)
            for job in self._link.jobs():
                outcome = self._do(job)
                if loaded := late.take():
                    outcome["late"] = loaded
                self._link.answer(outcome)
            session._setupstate.teardown_exact(None)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Remember what failed first; its traceback, which costs more than the run, is wanted a few times only."""
        if call.excinfo is not None and self._error is None and not call.excinfo.errisinstance(_NO_FAILURES):
            self._error = call.excinfo.value
            known = self._details[signature_of(self._error, self._root).key] >= _DETAILS
            item.config.option.tbstyle = "value" if known else "short"
        return (yield)

    # ---- jobs ----

    def _do(self, job: Json) -> Json:
        item, _ = self._items[job["test"]]
        if job.get("do") == "shrink":
            from synfin.campaign.shrinking import shrunk

            return shrunk(job, lambda **how: self._run(item, job, **how))
        outcome, made = self._run(item, job, keep_journal=bool(job.get("journal")), parts=_parts(job))
        if job.get("journal"):
            journal = [] if made is None else made.journal
            outcome["journal"] = crc32("\n".join(journal).encode())
            if job["journal"] == "lines":
                outcome["lines"] = journal[: job["most"]]
        return outcome

    def _run(
        self, item: pytest.Item, job: Json, *, keep_journal: bool = False, keep_faults: bool = False, parts: Any = None
    ) -> tuple[Json, Any]:
        """A test with a seed, and maybe with just these parts of what chance did; the outcome, and its network."""
        plugin, stash = self._plugin, item.config.stash
        settings = {**self._settings, **job.get("settings", {})}
        stash[plugin.given] = plugin.Given(int(job["seed"]), settings, keep_journal)
        stash[plugin.keep_faults] = keep_faults
        for key, value in (
            (plugin.only_faults, None if parts is None else dict(parts.faults)),
            (plugin.only_swaps, None if parts is None else [swap for swap, _ in parts.swaps]),
            (plugin.only_episodes, None if parts is None else parts.episodes),
        ):
            stash[key] = value
        if self._last is not item:
            self._turn_to(item)
        self._error = None
        began = time.perf_counter()
        with _warnings_of(item):
            reports = runtestprotocol(item, log=False, nextitem=self._items[item.nodeid][1])
        outcome: Json = {"seconds": round(time.perf_counter() - began, 6)}
        made = item.stash.get(plugin.the_network, None)
        if made is not None:
            del item.stash[plugin.the_network]
            outcome["digest"] = made.digest
            features = getattr(made, "features", ())
            if new := [feature for feature in features if feature not in self._seen]:
                self._seen.update(new)
                outcome["features"] = new
        self._judge(reports, outcome)
        self._error = None
        item._report_sections.clear()
        item.user_properties.clear()
        return outcome, made

    def _turn_to(self, item: pytest.Item) -> None:
        """Another test's turn: what the last one's module or class had made and this one's has not, ends."""
        if self._last is not None:
            try:
                item.session._setupstate.teardown_exact(item)
            except BaseException as error:
                print(f"the end of {self._last.nodeid}'s fixtures: {error!r}", file=sys.__stderr__)
        self._last = item

    def _judge(self, reports: list[pytest.TestReport], outcome: Json) -> None:
        """Adds the verdict, and of a failure its signature and, of the first ones, its traceback."""
        failed = next((report for report in reports if report.failed), None)
        if failed is None:
            skipped = any(report.skipped and not hasattr(report, "wasxfail") for report in reports)
            outcome["verdict"] = SKIPPED if skipped else PASSED
            return
        error = self._error
        signature = Signature(f"failed in {failed.when}", "", "") if error is None else signature_of(error, self._root)
        outcome["verdict"] = _verdict(error, failed.when)
        outcome["signature"] = [signature.exception, signature.place, signature.text]
        self._details[signature.key] += 1
        if self._details[signature.key] <= _DETAILS:
            outcome["detail"] = failed.longreprtext[-_DETAIL:]


@contextmanager
def _warnings_of(item: pytest.Item) -> Iterator[None]:
    """The filters of its marks, which pytest's own protocol of a test sets around what is run here."""
    with warnings.catch_warnings():
        for mark in item.iter_markers("filterwarnings"):
            for text in mark.args:
                warnings.filterwarnings(*parse_warning_filter(text, escape=False))
        yield


def _verdict(error: BaseException | None, when: str) -> str:
    from synfin.sim.errors import Hung, SimulationEscape

    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, Hung):
        return HUNG
    if isinstance(error, SimulationEscape):
        return ESCAPED
    return FAILED if when == "call" else ERROR


def _parts(job: Json) -> Any:
    if "parts" not in job:
        return None
    from synfin.campaign.plain import parts_of

    return parts_of(job["parts"])
