"""`synfin shrink`: which faults of a failing simulation matter: of packets, crashes and the like, and swaps of tasks.

pytest runs the test again and again inside this process, each time with a part of what chance had done.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Generator
from contextlib import redirect_stderr, redirect_stdout
from typing import TextIO

import pytest
from _pytest.runner import runtestprotocol

from synfin.campaign.under_pytest import plugins
from synfin.sim.shrink import OutOfRuns, Parts, Search


class CannotShrink(Exception):
    """Why there is nothing to shrink."""


def run(test: str, seed: int, runs: int, settings: str = "") -> int:
    """The command; its exit status."""
    said = io.StringIO()
    shrinker = Shrinker(seed, runs, sys.stdout)
    arguments = [test, "--synfin-seed", str(seed), "--capture=no", "--tb=no", *plugins()]
    arguments += ["--synfin-settings", settings] if settings else []
    # This process has imported synfin already: no news to whoever runs it.
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    with redirect_stdout(said), redirect_stderr(said):
        status = pytest.main(arguments, plugins=[shrinker])
    shrinker.clear()
    if shrinker.problem:
        print(f"synfin shrink: {shrinker.problem}", file=sys.stderr)
        return 1
    if shrinker.answer is None:
        print(said.getvalue().strip(), file=sys.stderr)
        print(f"synfin shrink: pytest could not run {test} with seed {seed} (status {int(status)})", file=sys.stderr)
        return 2
    print(shrinker.answer)
    return 0


class Shrinker:
    """A plugin of pytest that takes the one test there is, and runs it as often as it wants."""

    def __init__(self, seed: int, runs: int, out: TextIO) -> None:
        self.problem = ""
        self.answer: str | None = None
        self._seed = seed
        self._runs = runs
        self._out = out
        self._began = time.perf_counter()
        self._failure = ""
        self._wanted = ""
        self._line = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """There must be one test."""
        if len(items) > 1:
            names = "\n  ".join(item.nodeid for item in items[:10])
            self.problem = f"that names {len(items)} tests, and one is needed:\n  {names}"
            items.clear()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool:
        """In the place of running it once."""
        try:
            self.answer = self._shrink(item)
        except CannotShrink as problem:
            self.problem = str(problem)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Remember how it failed."""
        report = yield
        if report.failed and call.excinfo is not None:
            self._failure = call.excinfo.type.__qualname__
            statement = getattr(call.excinfo.value, "statement", "")
            if statement:  # of a Violation
                self._failure += f" of {statement}"
            elif call.excinfo.errisinstance(AssertionError):
                self._failure += f" at line {call.excinfo.traceback[-1].lineno + 1}"
        return report

    def _shrink(self, item: pytest.Item) -> str:
        from synfin import pytest_plugin  # not before pytest has it

        stash = item.config.stash
        stash[pytest_plugin.keep_faults] = True
        reports = runtestprotocol(item, log=False, nextitem=None)
        made = item.stash.get(pytest_plugin.the_network, None)
        if made is None:
            raise CannotShrink(f"{item.nodeid} does not use the fixture `network`, or could not be set up")
        if not any(report.failed for report in reports):
            what = "is skipped" if any(report.skipped for report in reports) else "passes"
            raise CannotShrink(f"{item.nodeid} {what} with seed {self._seed}: there is nothing to shrink")
        self._wanted = self._failure
        found = Parts(list(made.faults.items()), list(made.swaps.items()), list(made.episodes))
        del stash[pytest_plugin.keep_faults]
        done = " and ".join(_counts(found))
        self._say(f"{item.nodeid} fails with seed {self._seed} ({self._wanted}); chance did {done}\n")

        def fails(parts: Parts) -> bool:
            self._failure = ""
            stash[pytest_plugin.only_faults] = dict(parts.faults)
            stash[pytest_plugin.only_swaps] = [swap for swap, _ in parts.swaps]
            stash[pytest_plugin.only_episodes] = parts.episodes
            runtestprotocol(item, log=False, nextitem=None)
            failed = self._failure == self._wanted
            self._progress(search.done, parts if failed else search.best)
            return failed

        search = Search(found, fails, self._runs)
        try:
            if not search.again():
                raise CannotShrink(
                    f"{item.nodeid} does not fail again by its {done} alone: it depends on something that the "
                    f"seed does not decide (docs/simulation.md lists what that may be)"
                )
            search.run()
        except OutOfRuns:
            self._say(f"stopped after {search.done} runs (--runs allows more): this may not be the smallest set\n")
        return self._report(search)

    def _report(self, search: Search) -> str:
        seconds = time.perf_counter() - self._began
        best = search.best
        enough = "is" if len(best) == 1 else "are"
        lines = [f"{' and '.join(_counts(best))} {enough} enough ({search.done} runs, {seconds:.1f} s):"]
        if not best:
            lines = [f"It fails without any fault of the network ({search.done} runs, {seconds:.1f} s)."]
        lines += [f"  {words}" for words in best.in_words()]
        lines += ["", f"For the beginning of the test, which fails the same way with seed {self._seed}:", ""]
        lines += [f"    {line}".rstrip() for line in best.as_code().splitlines()]
        return "\n".join(lines)

    def _progress(self, runs: int, best: Parts) -> None:
        line = f"{runs} runs, {', '.join(_counts(best))} left"
        if self._out.isatty():
            self._out.write(f"\r{line:<{self._line}}")
            self._line = len(line)
            self._out.flush()
        elif runs % 20 == 0:
            self._say(f"{line}\n")

    def clear(self) -> None:
        """Erase the progress line."""
        if self._line:
            self._say(f"\r{'':<{self._line}}\r")

    def _say(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def _counts(parts: Parts) -> list[str]:
    """How many there are of each."""
    numbers = {"fault": len(parts.faults), "episode": len(parts.episodes), "swap": len(parts.swaps)}
    said = [_counted(number, what) for what, number in numbers.items() if number or (what == "fault" and not parts)]
    return [f"{text} of tasks" if "swap" in text else text for text in said]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
