"""`synfin shrink`: which of the packets that a failing simulation lost or delayed matter, and which swaps of tasks.

pytest runs the test again and again inside this process, each time with a part of what chance had done.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TextIO

import pytest
from _pytest.runner import runtestprotocol

from synfin.sim.order import Swap
from synfin.sim.rules import DROP, PacketName, Verdict
from synfin.sim.shrink import as_code, in_words, smallest, swap_in_words

Fault = tuple[PacketName, Verdict]
Swapped = tuple[Swap, str]


class CannotShrink(Exception):
    """Why there is nothing to shrink."""


class OutOfRuns(Exception):
    """As many runs as were allowed."""


def run(test: str, seed: int, runs: int) -> int:
    """The command; its exit status."""
    said = io.StringIO()
    shrinker = Shrinker(seed, runs, sys.stdout)
    arguments = [test, "--synfin-seed", str(seed), "--capture=no", "--tb=no", *_plugins()]
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


def _plugins() -> list[str]:
    """Options that make pytest load our plugin where it does not by itself, and keep it in one process."""
    by_itself = not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    known = by_itself and any(one.name == "synfin" for one in entry_points(group="pytest11"))
    options = [] if known else ["-p", "synfin.pytest_plugin"]
    return [*options, "-n0"] if by_itself and find_spec("xdist") else options


class Shrinker:
    """A plugin of pytest that takes the one test there is, and runs it as often as it wants."""

    def __init__(self, seed: int, runs: int, out: TextIO) -> None:
        self.problem = ""
        self.answer: str | None = None
        self._seed = seed
        self._runs_left = runs
        self._runs = 0
        self._out = out
        self._began = time.perf_counter()
        self._best: Sequence[Fault] = ()
        self._swaps: Sequence[Swapped] = ()
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
        self._best, self._swaps = list(made.faults.items()), list(made.swaps.items())
        del stash[pytest_plugin.keep_faults]
        done = f"{len(self._best)} faults" + (f" and {len(self._swaps)} swaps of tasks" if self._swaps else "")
        self._say(f"{item.nodeid} fails with seed {self._seed} ({self._wanted}); chance did {done}\n")

        def fails(faults: Sequence[Fault], swaps: Sequence[Swapped]) -> bool:
            if self._runs_left <= 0:
                raise OutOfRuns
            self._runs_left -= 1
            self._runs += 1
            self._failure = ""
            stash[pytest_plugin.only_faults] = dict(faults)
            stash[pytest_plugin.only_swaps] = [swap for swap, _ in swaps]
            runtestprotocol(item, log=False, nextitem=None)
            if failed := self._failure == self._wanted:
                self._best, self._swaps = faults, swaps
            self._progress()
            return failed

        if not fails(self._best, self._swaps):
            raise CannotShrink(
                f"{item.nodeid} does not fail again by its {done} alone: it depends on something that the "
                f"seed does not decide (docs/simulation.md lists what that may be)"
            )
        try:
            self._shrink_faults(fails)
            if self._swaps and not fails(self._best, []):
                smallest(self._swaps, lambda part: fails(self._best, part))
                self._shrink_faults(fails)
        except OutOfRuns:
            self._say(f"stopped after {self._runs} runs (--runs allows more): this may not be the smallest set\n")
        return self._report(self._best, self._swaps)

    def _shrink_faults(self, fails: Callable[[Sequence[Fault], Sequence[Swapped]], bool]) -> None:
        """The fewest faults, with the swaps that there are."""
        found = self._best
        if not found or fails([], self._swaps):
            return
        losses = [fault for fault in found if fault[1] == DROP]
        alone = 0 < len(losses) < len(found) and fails(losses, self._swaps)
        smallest(losses if alone else found, lambda part: fails(part, self._swaps))

    def _report(self, faults: Sequence[Fault], swaps: Sequence[Swapped]) -> str:
        seconds = time.perf_counter() - self._began
        counts = [_counted(len(faults), "fault")] if faults or not swaps else []
        counts += [_counted(len(swaps), "swap") + " of tasks"] if swaps else []
        enough = "is" if len(faults) + len(swaps) == 1 else "are"
        lines = [f"{' and '.join(counts)} {enough} enough ({self._runs} runs, {seconds:.1f} s):"]
        if not faults and not swaps:
            lines = [f"It fails without any fault of the network ({self._runs} runs, {seconds:.1f} s)."]
        lines += [f"  {in_words(name, verdict)}" for name, verdict in faults]
        lines += [f"  {swap_in_words(swap, places)}" for swap, places in swaps]
        lines += ["", f"For the beginning of the test, which fails the same way with seed {self._seed}:", ""]
        code = as_code(dict(faults), [swap for swap, _ in swaps])
        lines += [f"    {line}".rstrip() for line in code.splitlines()]
        return "\n".join(lines)

    def _progress(self) -> None:
        line = f"{self._runs} runs, {len(self._best)} faults left"
        line += f", {len(self._swaps)} swaps" if self._swaps else ""
        if self._out.isatty():
            self._out.write(f"\r{line:<{self._line}}")
            self._line = len(line)
            self._out.flush()
        elif self._runs % 20 == 0:
            self._say(f"{line}\n")

    def clear(self) -> None:
        """Erase the progress line."""
        if self._line:
            self._say(f"\r{'':<{self._line}}\r")

    def _say(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
