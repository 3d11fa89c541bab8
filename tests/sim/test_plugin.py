"""The pytest plugin, as a user has it: in a pytest of its own."""

from __future__ import annotations

import inspect
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import pytest

import synfin
from bench import sample
from synfin.cli import shrink
from tests.conftest import need

PROGRAM = f"{inspect.getsource(sample)}\nimport pytest\n"


class Pytest:
    """A folder with tests, and a pytest that runs them: within this process, or `apart` in one of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.status = 0

    def write(self, text: str) -> None:
        (self.folder / "test_it.py").write_text(PROGRAM + text)

    def run(self, *arguments: str) -> str:
        """What it says."""
        known = any(one.name == "synfin" for one in entry_points(group="pytest11"))
        options = [] if known else ["-p", "synfin.pytest_plugin"]
        return self._inside(lambda: pytest.main([*options, "-p", "no:cacheprovider", *arguments]))

    def shrink(self, test: str, seed: str, runs: int = 2000) -> str:
        """What `synfin shrink` says."""
        return self._inside(lambda: shrink.run(test, int(seed), runs))

    def _inside(self, call: Callable[[], int]) -> str:
        said = io.StringIO()
        environment = {"NO_COLOR": "1", "COLUMNS": "150"}
        with redirect_stdout(said), redirect_stderr(said), chdir(self.folder), mock.patch.dict(os.environ, environment):
            self.status = int(call())
        sys.modules.pop("test_it", None)
        return said.getvalue()

    def apart(self, *command: str) -> str:
        """What `python -m ...` says, with no plugins but those that it is told of."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        environment["PYTHONPATH"] = str(Path(synfin.__path__[0]).parent)  # the one under test
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = environment["NO_COLOR"] = "1"
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        self.status = done.returncode
        return done.stdout + done.stderr


@pytest.fixture
def inner(tmp_path: Path) -> Pytest:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    return Pytest(tmp_path)


def test_a_coroutine_test_runs_inside_its_network(inner: Pytest) -> None:
    inner.write("async def test_it(network):\n    await talk(network, 0)\n    assert network.now < 2\n")
    assert "1 passed" in inner.run()


def test_a_failure_shows_seed_replay_transitions_diagram_and_capture(inner: Pytest) -> None:
    inner.write("async def test_it(network):\n    await talk(network, 1)\n")
    said = inner.run("--synfin-seed", "1234", "--basetemp", "build")
    assert inner.status == 1
    assert "replay: pytest test_it.py::test_it --synfin-seed 1234" in said
    assert "shrink: synfin shrink test_it.py::test_it --seed 1234" in said
    assert "1.000000  CLOSED -> SYN-SENT: active OPEN (RFC 9293 3.10.1)" in said
    assert "SYN seq=0" in said
    found = re.search(r"capture: (\S+\.pcapng)", said)
    assert found is not None
    assert Path(inner.folder, found[1]).read_bytes().startswith(b"\x0a\x0d\x0d\x0a")


def test_cwnd_over_time_is_drawn_where_it_is_asked_for(inner: Pytest) -> None:
    inner.write("async def test_it(network):\n    await talk(network, 0)\n    assert network is None\n")
    said = inner.run("--basetemp", "build")
    found = re.search(r"plot: synfin plot (\S+\.pcapng)", said)
    assert found is not None
    assert "windows   " not in said
    assert b", ssthresh " not in Path(inner.folder, found[1]).read_bytes()
    said = inner.run("--basetemp", "build", "--synfin-cwnd")
    assert "windows   ░ in flight   ⠒ cwnd" in said
    assert b", ssthresh " in Path(inner.folder, found[1]).read_bytes()


def test_the_command_of_a_failure_replays_it(inner: Pytest) -> None:
    inner.write("@pytest.mark.synfin(seeds=40)\nasync def test_it(network):\n    await talk(network, 0.05)\n")
    said = inner.run()
    assert inner.status == 1
    first = re.search(r"replay: pytest '?(\S+?)'? --synfin-seed (\d+)\n", said)
    assert first is not None
    report = said[first.start() :].partition("\n___")[0]
    again = inner.run(first[1], "--synfin-seed", first[2])
    assert "1 failed" in again

    def without_path(text: str) -> str:
        return re.sub(r"(capture|plot): .*", "", text).partition("\nsynfin: ")[0].partition("\n====")[0].strip()

    assert without_path(again[again.index("replay: ") :]) == without_path(report)


def test_many_seeds_have_one_line(inner: Pytest) -> None:
    inner.write("@pytest.mark.synfin(seeds=40, seed=100)\nasync def test_it(network):\n    await talk(network, 0.2)\n")
    said = inner.run("--tb=no")
    assert re.search(r"test_it\.py::test_it: 40 of 40 seeds, \d+ failed, \d+ seeds/s", said)
    failed = said.count("FAILED test_it.py::test_it[seed1")
    assert 0 < failed < 40
    assert f"synfin: test_it.py::test_it fails with {failed} of 40 seeds" in said
    assert "." * 10 not in said


def test_many_seeds_run_in_parallel(inner: Pytest) -> None:
    need(find_spec("xdist"), "pytest-xdist is not installed")
    inner.write("@pytest.mark.synfin(seeds=40)\nasync def test_it(network):\n    await talk(network, 0.05)\n")
    alone = inner.run("--tb=no")
    parallel = inner.apart("pytest", "-p", "synfin.pytest_plugin", "-p", "xdist.plugin", "-n2", "--tb=no")

    def failures(said: str) -> list[str]:
        return sorted(line for line in said.splitlines() if line.startswith("FAILED"))

    assert failures(alone) == failures(parallel) != []
    assert re.search(r"40 of 40 seeds, \d+ failed", parallel)


@pytest.mark.parametrize(
    ("marker", "seeds"),
    [
        ("seeds=3", [0, 1, 2]),
        ("seeds=[5, 9]", [5, 9]),
        ("seed=7", [7]),
        ("shuffle=True", [0]),
        ("seeds=2, seed=3, delay='5ms', time_limit='1h', keep_events=0", [3, 4]),
    ],
)
def test_the_marker_says_which_seeds(inner: Pytest, marker: str, seeds: list[int]) -> None:
    inner.write(f"@pytest.mark.synfin({marker})\ndef test_it(network):\n    print('seed', network.seed)\n")
    said = inner.run("-s")
    assert [int(seed) for seed in re.findall(r"seed (\d+)", said)] == seeds


@pytest.mark.parametrize(
    ("marker", "what"),
    [("seeds=0", "is a number from 1 on"), ("sees=3", "not sees"), ("3", "by name"), ("seeds='many'", "not 'many'")],
)
def test_a_marker_that_makes_no_sense_is_refused_in_words(inner: Pytest, marker: str, what: str) -> None:
    inner.write(f"@pytest.mark.synfin({marker})\nasync def test_it(network):\n    pass\n")
    said = inner.run()
    assert what in said
    assert "INTERNALERROR" not in said


def test_other_tests_do_not_import_the_simulation(inner: Pytest) -> None:
    (inner.folder / "test_it.py").write_text(
        "import sys\ndef test_it():\n    assert not any(name.startswith('synfin.sim') for name in sys.modules)\n"
        "    assert 'synfin.stack.stack' not in sys.modules\n"
    )
    assert "1 passed" in inner.apart("pytest", "-p", "synfin.pytest_plugin")


def test_a_fixture_of_the_same_name_is_the_users(inner: Pytest) -> None:
    inner.write("@pytest.fixture\ndef network():\n    return 5\n\ndef test_it(network):\n    assert network == 5\n")
    assert "1 passed" in inner.run()


# ---- synfin shrink ----


LOSSY = "@pytest.mark.synfin(seeds=100)\nasync def test_it(network):\n    await talk(network, 0.05)\n"


def failing_seed(inner: Pytest) -> str:
    found = re.search(r"FAILED test_it\.py::test_it\[seed(\d+)\]", inner.run("--tb=no"))
    assert found is not None
    return found[1]


def test_shrink_prints_rules_that_fail_the_same_way(inner: Pytest) -> None:
    inner.write(LOSSY)
    seed = failing_seed(inner)
    said = inner.apart("synfin.cli", "shrink", "test_it.py::test_it", "--seed", seed)
    assert inner.status == 0, said
    assert f"fails with seed {seed} (TimeoutError)" in said
    assert "1 fault is enough" in said
    assert ": dropped" in said
    code = re.search(r"with seed \d+:\n\n(.*)", said, re.DOTALL)
    assert code is not None
    inner.write(f"async def test_it(network):\n{code[1]}\n    await talk(network, 0.05)\n")
    assert "TimeoutError" in inner.run("--synfin-seed", seed)
    inner.write("async def test_it(network):\n    network.calm()\n    await talk(network, 0.05)\n")
    assert "1 passed" in inner.run("--synfin-seed", seed)


def test_shrink_stops_after_as_many_runs_as_it_may(inner: Pytest) -> None:
    inner.write(
        "async def test_it(network):\n    network.host('server').start(serve)\n    client = network.host('client')\n"
        "    network.link('client', 'server', delay='10us', jitter='1ms')\n    await network.after('1s')\n"
        "    for _ in range(20):\n        await client.start(ask())\n"
        "    assert network.now < 1.01\n"
    )
    said = inner.shrink("test_it.py::test_it", "1", 5)
    assert "stopped after 5 runs" in said, said


RACE = """
async def race(network):
    balance, ready = 100, asyncio.Event()

    async def first():
        nonlocal balance
        await ready.wait()
        balance -= 90

    async def second():
        nonlocal balance
        await ready.wait()
        balance -= 20 if balance >= 20 else 0

    async def idle():
        for _ in range(5):
            await asyncio.sleep(0.1)

    tasks = asyncio.gather(first(), second(), *(idle() for _ in range(10)))
    await network.after("1s")
    ready.set()
    await tasks
    assert balance == 10
"""


def test_shrink_finds_the_swap_of_tasks_that_matters(inner: Pytest) -> None:
    inner.write(
        RACE + "\n@pytest.mark.synfin(seeds=50, shuffle=True)\nasync def test_it(network):\n    await race(network)\n"
    )
    seed = failing_seed(inner)
    said = inner.shrink("test_it.py::test_it", seed)
    assert inner.status == 0, said
    assert re.search(r"chance did \d\d+ swaps of tasks", said)
    assert "1 swap of tasks is enough" in said
    assert re.search(r"  race\.\S+( #\d+)? \(step \d\) and race\.\S+( #\d+)? \(step \d\) exchange places: ", said)
    assert re.search(r"places: race\.\S+, at \S+test_it\.py:\d+ in race", said)
    code = re.search(r"with seed \d+:\n\n(.*)", said, re.DOTALL)
    assert code is not None
    for calm, outcome in ((code[1], "1 failed"), ("    network.calm()", "1 passed")):
        mark = "@pytest.mark.synfin(shuffle=True)\n"
        inner.write(f"{RACE}\n{mark}async def test_it(network):\n{calm}\n    await race(network)\n")
        assert outcome in inner.run("--synfin-seed", seed)


@pytest.mark.parametrize(
    ("test", "seed", "status", "what"),
    [
        ("test_it.py::test_none", "1", 2, "not found: "),
        ("test_other.py", "1", 2, "test_other.py"),
        ("test_it.py::test_passes", "1", 1, "passes with seed 1: there is nothing to shrink"),
        ("test_it.py::test_skips", "1", 1, "is skipped with seed 1"),
        ("test_it.py::test_plain", "1", 1, "does not use the fixture `network`"),
        ("test_it.py", "1", 1, "that names 4 tests, and one is needed:\n  test_it.py::test_passes\n"),
        ("test_it.py::test_always", "1", 0, "It fails without any fault of the network"),
    ],
)
def test_shrink_says_what_is_wrong(inner: Pytest, test: str, seed: str, status: int, what: str) -> None:
    always = "async def test_always(network):\n    await talk(network, 0.05)\n    assert False\n"
    inner.write(
        "async def test_passes(network):\n    await talk(network, 0)\n"
        "async def test_skips(network):\n    pytest.skip()\n"
        "def test_plain():\n    assert False\n" + (always if "always" in test else "def test_more():\n    pass\n")
    )
    said = inner.shrink(test, seed)
    assert what in said
    assert inner.status == status
    assert "Traceback" not in said
