"""The pytest plugin: the fixture `network`, tests that are coroutines, seeds, and a report of what failed.

    @pytest.mark.synfin(seeds=200, shuffle=True)
    async def test_client_survives_a_partition(network): ...

It costs other tests nothing: the simulation is imported by the first test that asks for it.
"""

from __future__ import annotations

import inspect
import json
import os
import shlex
import sys
import time
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from synfin.sim.episodes import Episode
    from synfin.sim.network import Network
    from synfin.sim.order import Swap
    from synfin.sim.rules import Faults

MARKER: Final = (
    "synfin(seeds=N, seed=N, **options): run a test of `network` with N seeds (or a list), beginning with seed; "
    "options (shuffle, swarm, swarm_until, delay, time_limit, turn_limit, patience, keep_events, check) are those of "
    "synfin.sim.Network"
)
OPTIONS: Final = frozenset(
    "shuffle swarm swarm_until drawn_by features delay time_limit turn_limit patience keep_events check".split()
)
PROPERTY: Final = "synfin_seeds"  # of a report: how many seeds its test has


@dataclass(frozen=True)
class Given:
    """A seed, and settings that go before the marker's options: what a campaign runs a test with."""

    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    keep_journal: bool = False


given: pytest.StashKey[Given] = pytest.StashKey()
"""Of the config, set by a campaign before tests are collected, and before each is run: the marker's seeds do not count,
and whoever runs the tests tells of failures."""
only_faults: pytest.StashKey[Faults] = pytest.StashKey()
"""Of the config, set by `synfin shrink`: every network does just these faults."""
only_swaps: pytest.StashKey[Collection[Swap]] = pytest.StashKey()
"""Likewise: with just these swaps of tasks."""
only_episodes: pytest.StashKey[Collection[Episode]] = pytest.StashKey()
"""Likewise: with just these crashes, partitions and the like."""
keep_faults: pytest.StashKey[bool] = pytest.StashKey()
"""Of the config, set by `synfin shrink`: every network remembers its faults."""
the_network: pytest.StashKey[Network] = pytest.StashKey()
"""Of an item: the network its fixture gave it."""
_the_progress: pytest.StashKey[Progress] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """What can be said of all networks of a run."""
    group = parser.getgroup("synfin", "networks in virtual time")
    group.addoption("--synfin-seed", type=int, metavar="N", help="Run each test of `network` with this seed only.")
    group.addoption("--synfin-settings", metavar="JSON", help="Options of each network, before those of its marker.")
    group.addoption("--synfin-cwnd", action="store_true", help="Draw cwnd and its like over time where a test failed.")


def pytest_configure(config: pytest.Config) -> None:
    """The marker is known; the one process that has a terminal shows how far seeds are."""
    config.addinivalue_line("markers", MARKER)
    if not hasattr(config, "workerinput"):  # a worker of pytest-xdist has no terminal
        config.stash[_the_progress] = progress = Progress(config)
        config.pluginmanager.register(progress, "synfin-progress")


# ---- seeds ----


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test is there once for each seed of its marker."""
    marker = metafunc.definition.get_closest_marker("synfin")
    if marker is None or "synfin_seed" not in metafunc.fixturenames or given in metafunc.config.stash:
        return
    seeds = _seeds(marker)
    forced = metafunc.config.getoption("--synfin-seed")
    if forced is not None:
        seeds = [forced] if len(seeds) > 1 else []  # a test with one seed keeps its name
    if seeds:
        metafunc.parametrize("synfin_seed", seeds, indirect=True, ids=[f"seed{seed}" for seed in seeds])


def has_many_seeds(item: pytest.Item) -> bool:
    """Its marker asks for more than one: told of one of them, pytest has it in the test's name."""
    marker = item.get_closest_marker("synfin")
    return marker is not None and len(_seeds(marker)) > 1


def _settings(config: pytest.Config) -> Mapping[str, Any]:
    """Those of the command line."""
    text = config.getoption("--synfin-settings")
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.keys() - OPTIONS:
        raise pytest.UsageError(f"--synfin-settings is a JSON object of {', '.join(sorted(OPTIONS))}, not {text!r}")
    return found


def _seeds(marker: pytest.Mark) -> list[int]:
    """The seeds that a marker asks for; none for a test that has but one, and no need to be told which."""
    options = dict(marker.kwargs)
    first, wanted = options.pop("seed", None), options.pop("seeds", None)
    unknown = options.keys() - OPTIONS
    if marker.args or unknown:
        what = f"not {', '.join(sorted(unknown))}" if unknown else "by name"
        raise pytest.UsageError(f"@pytest.mark.synfin takes seeds, seed, {', '.join(sorted(OPTIONS))}; {what}")
    if wanted is None:
        return []
    if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0:
        return list(range(first or 0, (first or 0) + wanted))
    if isinstance(wanted, (list, tuple, range)) and wanted and all(isinstance(seed, int) for seed in wanted):
        return list(wanted)
    raise pytest.UsageError(f"@pytest.mark.synfin(seeds=...) is a number from 1 on or a list of seeds, not {wanted!r}")


@pytest.fixture
def synfin_seed(request: pytest.FixtureRequest) -> int:
    """The seed of the test: a campaign's, or of --synfin-seed, of the marker's seeds, or its seed, or 0."""
    if given in request.config.stash:
        return request.config.stash[given].seed
    if hasattr(request, "param"):
        return int(request.param)
    forced = request.config.getoption("--synfin-seed")
    marker = request.node.get_closest_marker("synfin")
    return int(forced if forced is not None else marker.kwargs.get("seed", 0) if marker is not None else 0)


@pytest.fixture
def network(request: pytest.FixtureRequest, synfin_seed: int) -> Iterator[Network]:
    """A synfin.sim.Network with the test's seed. A test that is a coroutine function runs inside it."""
    from synfin.sim.network import Network

    marker = request.node.get_closest_marker("synfin")
    chosen = {} if marker is None else {name: marker.kwargs[name] for name in OPTIONS & marker.kwargs.keys()}
    chosen.update(_settings(request.config))
    stash = request.config.stash
    if given in stash:
        its = stash[given]
        chosen = {**chosen, **its.settings, "check": False, "keep_journal": its.keep_journal}
    made = Network(
        synfin_seed,
        keep_faults=stash.get(keep_faults, False),
        only_faults=stash.get(only_faults, None),
        only_swaps=stash.get(only_swaps, None),
        only_episodes=stash.get(only_episodes, None),
        **chosen,
    )
    if chosen.get("check"):
        made.again = _again(request.node, synfin_seed), 0
    request.node.stash[the_network] = made
    yield made
    made.close()


def _again(item: pytest.Item, seed: int) -> list[str]:
    """The command that runs a test again by itself, in this folder."""
    has_plugin = item.config.pluginmanager.has_plugin
    apart = ["-n0"] if has_plugin("xdist") else []
    settings = item.config.getoption("--synfin-settings")
    with_settings = ["--synfin-settings", settings] if settings else []
    test = [_from_here(item), "--synfin-seed", str(seed), *with_settings, "-p", "no:cacheprovider"]
    loaded = [] if has_plugin("synfin") else ["-p", "synfin.pytest_plugin"]
    return [sys.executable, "-m", "pytest", *test, *loaded, *apart]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Run a test that is a coroutine function and asks for the network."""
    if the_network not in pyfuncitem.stash or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    pyfuncitem.stash[the_network].run(pyfuncitem.obj(**arguments))
    return True


# ---- the report ----


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows its network beside the traceback; a seed of many is told to the progress."""
    report = yield
    made = item.stash.get(the_network, None)
    if made is None or call.when != "call":
        return report
    marker = item.get_closest_marker("synfin")
    seeds = _seeds(marker) if marker is not None else []
    if len(seeds) > 1 and item.config.getoption("--synfin-seed") is None:
        report.user_properties.append((PROPERTY, len(seeds)))
    stash = item.config.stash
    if report.failed and only_faults not in stash and keep_faults not in stash and given not in stash:
        report.sections.append(("synfin", _failure(item, made)))
    return report


def _failure(item: pytest.Item, made: Network) -> str:
    """What a failed test shows beside its traceback."""
    test = shlex.quote(_from_here(item))
    cwnd = bool(item.config.getoption("--synfin-cwnd"))
    settings = shlex.quote(item.config.getoption("--synfin-settings") or "")
    under = ("", "") if settings == "''" else (f" --synfin-settings {settings}", f" --settings {settings}")
    lines = [
        f"replay: pytest {test} --synfin-seed {made.seed}{under[0]}",
        f"shrink: synfin shrink {test} --seed {made.seed}{under[1]}",
    ]
    if made.events:
        factory: pytest.TempPathFactory = item._request.getfixturevalue("tmp_path_factory")  # type: ignore[attr-defined]
        name = "".join(letter if letter.isalnum() else "-" for letter in item.name)[:60]
        try:
            path = made.save_capture(factory.mktemp("synfin") / f"{name}-{made.seed}.pcapng", samples=cwnd)
        except OSError as error:
            lines.append(f"capture: not written: {error}")
        else:
            lines.append(f"capture: {path}")
            lines.append(f"plot: synfin plot {shlex.quote(str(path))}")
    return "\n".join([*lines, made.report(cwnd=cwnd)])


def _from_here(item: pytest.Item) -> str:
    """The test's name for a pytest that is started where this one was."""
    config = item.config
    if config.invocation_params.dir == config.rootpath:
        return str(item.nodeid)
    _, _, test = str(item.nodeid).partition("::")
    return f"{os.path.relpath(item.path, config.invocation_params.dir)}::{test}"


# ---- progress ----


class Progress:
    """One line for all seeds of a test, in the place of a dot for each."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._counts: dict[str, Count] = {}
        self._unfinished = False  # the line on the terminal is ours, and may be written over

    def pytest_report_teststatus(self, report: Any, config: pytest.Config) -> tuple[str, str, str] | None:
        """A seed that passed is counted, and shown in the line."""
        if report.when == "call" and report.passed and self._of(report) and config.get_verbosity() == 0:
            return "passed", "", "PASSED"
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A seed is counted; the line is written over where the terminal can, and kept when all are done."""
        seeds = self._of(report)
        if not seeds or report.when != "call":
            return
        test = report.nodeid.partition("[")[0]
        count = self._counts.setdefault(test, Count(seeds))
        count.done += 1
        count.failed += report.failed
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None or self._config.get_verbosity() != 0:
            return
        line = f"{test}: {count.text()}"
        if count.done == count.seeds:
            terminal.rewrite(line, erase=True) if self._unfinished else terminal.ensure_newline()
            terminal.write_line("" if self._unfinished else line)
            self._unfinished = False
        elif terminal.isatty:
            if not self._unfinished:
                terminal.ensure_newline()
            terminal.rewrite(line, erase=True)
            self._unfinished = True

    @staticmethod
    def _of(report: Any) -> int:
        """How many seeds the test of a report has; 0 for another test."""
        return next((int(value) for name, value in report.user_properties if name == PROPERTY), 0)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Once more for the tests that failed with some of their seeds."""
        for test, count in self._counts.items():
            if count.failed:
                terminalreporter.write_line(f"synfin: {test} fails with {count.failed} of {count.done} seeds")


class Count:
    """How far the seeds of one test are."""

    def __init__(self, seeds: int) -> None:
        self.seeds = seeds
        self.done = 0
        self.failed = 0
        self._began = time.perf_counter()

    def text(self) -> str:
        """How many are done and failed, and how many a second."""
        rate = self.done / max(time.perf_counter() - self._began, 1e-3)
        return f"{self.done} of {self.seeds} seeds, {self.failed} failed, {rate:.0f} seeds/s"
