"""Campaigns as a user has them: the command, in a folder with tests. No verdict is lost, and none is there twice."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench import sample
from tests.conftest import ROOT, find_program, need

COMMON = (
    inspect.getsource(sample)
    + """
import os, signal, warnings
import pytest

LOG = os.path.join(os.path.dirname(__file__), "log")

def log(seed):
    with open(LOG, "a") as file:
        file.write(f"{seed}\\n")

def once(name):
    try:
        os.close(os.open(os.path.join(os.path.dirname(__file__), name), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
"""
)
PLAIN = """
def test_it(network, synfin_seed):
    log(synfin_seed)
"""


class Project:
    """A folder with tests, and campaigns in it."""

    def __init__(self, folder: Path, tests: str) -> None:
        self.folder = folder
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_it.py").write_text(COMMON + tests)
        self.out = ""

    def command(self, *options: str) -> list[str]:
        return [sys.executable, "-m", "synfin", "campaign", "test_it.py", *options]

    def campaign(self, *options: str, timeout: float = 300) -> int:
        """Its exit status."""
        done = subprocess.run(
            self.command(*options), cwd=self.folder, capture_output=True, text=True, timeout=timeout, check=False
        )
        self.out = done.stdout + done.stderr
        return done.returncode

    def begin(self, *options: str) -> subprocess.Popen[str]:
        """The same, without waiting; in a group of its own, as a terminal's."""
        return subprocess.Popen(
            self.command(*options),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def verdicts(self) -> Counter[tuple[int, str]]:
        """(seed, verdict) as often as the ledger has them."""
        with sqlite3.connect(self.folder / ".synfin" / "ledger.sqlite") as db:
            found = Counter(db.execute("SELECT seed, verdict FROM verdict").fetchall())
        db.close()
        return found

    def runs(self) -> Counter[int]:
        """How often each seed was run."""
        return Counter(int(line) for line in (self.folder / "log").read_text().split())


def verdicts_of(ledger: Path) -> int:
    with sqlite3.connect(ledger) as db:
        [count] = db.execute("SELECT count(*) FROM verdict WHERE verdict = 'passed'").fetchone()
    db.close()
    return int(count)


def passed(seeds: Sequence[int]) -> Counter[tuple[int, str]]:
    return Counter((seed, "passed") for seed in seeds)


@pytest.fixture(scope="module")
def dask() -> None:
    need(find_spec("distributed"), "Dask is not installed (pip install -e '.[campaign]')")


# ---- what it does ----


def test_a_campaign_groups_failures_makes_them_small_and_keeps_them(tmp_path: Path) -> None:
    project = Project(
        tmp_path,
        """
@pytest.fixture(scope="module")
def lossy():
    return 0.05

@pytest.mark.parametrize("name", ["a"])
@pytest.mark.synfin(seeds=3)
async def test_it(network, lossy, name):
    await talk(network, lossy)

def test_of_something_else():
    assert False
""",
    )
    assert project.campaign("--seeds", "40", "--scheduler", "none", "--junit", "junit.xml") == 1
    assert "1 tests do not use the fixture `network`" in project.out
    assert re.search(r"1 distinct failure \(\d+ of 40 seeds\)", project.out)
    assert "failed: TimeoutError (test_it.py:" in project.out
    assert "SYN" in project.out
    found = re.search(r"replay: pytest '(\S+)' --synfin-seed (\d+)", project.out)
    assert found is not None
    again = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", found[1], "--synfin-seed", found[2], "-p", "no:cacheprovider"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 failed" in again.stdout
    assert ET.parse(tmp_path / "junit.xml").getroot()[0].get("failures") == "1"
    page = (tmp_path / ".synfin" / "campaign-1.html").read_text()
    assert "<svg" in page
    kept = json.loads((tmp_path / "synfin_regressions.json").read_text())
    [entry] = kept["regressions"]
    assert (entry["test"], str(entry["seed"])) == ("test_it.py::test_it[a]", found[2])
    assert entry["parts"]["faults"]

    before = sum(project.verdicts().values())
    assert project.campaign("--seeds", "40", "--scheduler", "none") == 1  # known, and what was kept
    assert "40 were known" in project.out
    assert sum(project.verdicts().values()) == before + 1
    listed = subprocess.run(
        [sys.executable, "-m", "synfin", "campaign", "ls"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert len(listed.stdout.splitlines()) == 2


def test_other_code_is_tried_again_also_of_a_package_that_a_test_imports_while_it_runs(tmp_path: Path) -> None:
    project = Project(
        tmp_path,
        """
from helper import *

def test_it(network, synfin_seed):
    if synfin_seed == 3:
        import later.part
    log(synfin_seed)
""",
    )
    part = tmp_path / "later" / "part.py"
    part.parent.mkdir()
    (part.parent / "__init__.py").touch()
    for tried, (helper, later) in enumerate(((1, 1), (2, 1), (2, 2)), 1):
        (tmp_path / "helper.py").write_text(f"one = {helper}\n")
        part.write_text(f"one = {later}\n")
        assert project.campaign("--seeds", "5", "--scheduler", "none") == 0, project.out
        assert project.runs() == dict.fromkeys(range(5), tried)
    assert project.campaign("--seeds", "5", "--scheduler", "none") == 0
    assert "5 were known" in project.out


def test_a_process_collects_once_marks_hold_and_fixtures_of_a_module_last_from_seed_to_seed(
    tmp_path: Path,
) -> None:
    project = Project(
        tmp_path,
        """
made = []
log(0)  # as often as it is collected

@pytest.fixture(scope="module")
def of_module():
    made.append("module")
    yield

@pytest.fixture
def of_function():
    made.append("function")
    yield
    made.append("end")

@pytest.mark.filterwarnings("error:marked")
def test_it(network, of_module, of_function, synfin_seed):
    with pytest.raises(UserWarning):
        warnings.warn("marked")
    assert made.count("module") == 1
    assert made.count("function") == made.count("end") + 1 == synfin_seed + 1
""",
    )
    assert project.campaign("--seeds", "8", "--scheduler", "none") == 0, project.out
    assert project.runs() == {0: 1}  # what collects runs the seeds, too


def test_verdicts_tell_failures_from_errors_escapes_and_hung_seeds(tmp_path: Path) -> None:
    project = Project(
        tmp_path,
        """
@pytest.fixture
def fails(synfin_seed):
    if synfin_seed == 2:
        raise OSError("no room")

async def test_it(network, fails, synfin_seed):
    if synfin_seed == 1:
        assert 1 == 2
    if synfin_seed == 3:
        await asyncio.create_subprocess_exec("true")
    if synfin_seed == 4:
        spins()
    if synfin_seed == 5:
        pytest.skip("not today")
    if synfin_seed == 6:
        os._exit(3)

def spins():
    while True:
        pass
""",
    )
    assert project.campaign("--seeds", "8", "--scheduler", "none", "--patience", "2s") == 1
    assert dict(project.verdicts().keys()) == dict(
        enumerate("passed failed error escaped hung skipped error passed".split())
    )
    assert re.search(r"hung: synfin.sim.errors.Hung: one callback has run for # s .* It is at .*spins", project.out)


def test_only_hung_seeds_have_an_exit_status_of_their_own(tmp_path: Path) -> None:
    project = Project(
        tmp_path, "import ctypes\n\ndef test_it(network, synfin_seed):\n    while synfin_seed == 1: pass\n"
    )
    assert project.campaign("--seeds", "3", "--scheduler", "none", "--patience", "1s") == 3
    assert "hung: no answer: no answer for # s of real time (test_it.py:" in project.out


def test_seeds_that_differ_when_run_twice_are_told_with_the_first_difference(tmp_path: Path) -> None:
    project = Project(
        tmp_path,
        """
async def test_it(network, synfin_seed):
    await talk(network, 0)

async def test_by_hash(network):
    for name in {"a", "b", "c", "d", "e", "f"}:
        network.host(name).start(asyncio.sleep(1))
    await talk(network, 0)
""",
    )
    assert project.campaign("--seeds", "3", "--scheduler", "none", "--check-determinism") == 1
    assert "not deterministic: test_it.py::test_by_hash with seed 0" in project.out
    assert "test_it.py::test_it with" not in project.out
    assert re.search(r"here: .*\n.*again: ", project.out)


def test_a_seed_that_passes_when_it_is_tried_again_is_flaky(tmp_path: Path) -> None:
    project = Project(
        tmp_path,
        """
async def test_it(network, synfin_seed):
    await network.after("1s")
    assert synfin_seed != 3 or not once("flag")
""",
    )
    assert project.campaign("--seeds", "6", "--scheduler", "none") == 1
    assert "flaky: test_it.py::test_it with seed 3: failed: AssertionError" in project.out
    assert "it did the same: it depends on what ran before it" in project.out


def test_a_guided_campaign_changes_draws_that_reached_something_new_and_its_seeds_are_replayed(tmp_path: Path) -> None:
    project = Project(
        tmp_path,
        """
@pytest.mark.synfin(swarm=True)
async def test_it(network):
    server, client = network.host("server"), network.host("client")
    server.start(serve)
    await network.after("1s")
    try:
        async with asyncio.timeout(60):
            await client.start(ask())
    except OSError:
        assert not [episode for episode in network.episodes if "crash" in str(episode)]
    except TimeoutError:
        pass
""",
    )
    assert project.campaign("--seeds", "60", "--scheduler", "none", "--guided", "--shrink", "1") in (0, 1), project.out
    with sqlite3.connect(tmp_path / ".synfin" / "ledger.sqlite") as db:
        used = db.execute("SELECT json FROM settings WHERE id IN (SELECT settings FROM verdict)").fetchall()
        [features] = db.execute("SELECT count(*) FROM feature").fetchone()
        [novel] = db.execute("SELECT count(*) FROM verdict WHERE novelty > 0").fetchone()
    db.close()
    assert any("drawn_by" in text for (text,) in used)
    assert features > novel > 0


@pytest.mark.parametrize(
    ("tests", "options", "told"),
    [
        ("def test_it(): pass", (), "there is 1 tests, none of which uses the fixture `network`"),
        ("import nothing_like_this", (), "not all can be collected"),
        (PLAIN, ("--scheduler", "tcp://127.0.0.1:1"), "not tls://: whoever reaches such a scheduler runs code as you"),
        (PLAIN, ("--for", "8 parsecs"), "--for '8 parsecs' is not understood"),
        (PLAIN, ("--set", "shuffle"), "write it NAME=VALUE"),
    ],
)
def test_what_cannot_begin_says_why(tmp_path: Path, tests: str, options: tuple[str, ...], told: str) -> None:
    project = Project(tmp_path, tests)
    assert project.campaign("--seeds", "2", *options) in (2, 4)
    assert told in project.out


# ---- what may go wrong ----


def test_interrupted_and_begun_again_each_seed_is_run_and_stands_once(tmp_path: Path) -> None:
    project = Project(
        tmp_path,
        """
def test_it(network, synfin_seed):
    log(synfin_seed)
    if synfin_seed == 60 and once("flag"):
        with open(os.path.join(os.path.dirname(__file__), "pid")) as file:
            os.kill(int(file.read()), signal.SIGINT)
""",
    )
    begun = project.begin("--seeds", "300", "--scheduler", "none")
    (tmp_path / "pid").write_text(str(begun.pid))
    out, _ = begun.communicate(timeout=300)
    assert begun.returncode == 130, out
    assert "interrupted: the same command goes on" in out
    kept = sum(project.verdicts().values())
    assert 0 < kept < 300
    assert project.campaign("--seeds", "300", "--scheduler", "none") == 0
    assert f"{kept} were known" in project.out
    assert project.verdicts() == passed(range(300))
    again = [seed for seed, count in project.runs().items() if count > 1]
    assert len(again) <= 300 - kept
    assert all(project.runs()[seed] == 1 for seed in range(4))  # the first chunk was kept


def test_a_campaign_that_is_killed_loses_no_verdict_that_it_had(tmp_path: Path, dask: None) -> None:
    project = Project(
        tmp_path,
        """
def test_it(network, synfin_seed):
    log(synfin_seed)
    if synfin_seed == 100 and once("flag"):
        with open(os.path.join(os.path.dirname(__file__), "pid")) as file:
            os.kill(int(file.read()), signal.SIGKILL)
""",
    )
    begun = project.begin("--seeds", "400", "--workers", "2")
    (tmp_path / "pid").write_text(str(begun.pid))
    begun.communicate(timeout=300)
    assert begun.returncode == -signal.SIGKILL
    assert project.campaign("--seeds", "400", "--scheduler", "none") == 0
    assert project.verdicts() == passed(range(400))


def test_a_worker_that_is_killed_costs_a_few_seeds_twice_and_no_verdict(tmp_path: Path, dask: None) -> None:
    project = Project(
        tmp_path,
        """
def test_it(network, synfin_seed):
    log(synfin_seed)
    if synfin_seed == 100 and once("flag"):
        os.kill(os.getppid(), signal.SIGKILL)
""",
    )
    assert project.campaign("--seeds", "400", "--workers", "2") == 0, project.out
    assert (tmp_path / "flag").exists()
    assert project.verdicts() == passed(range(400))


def test_a_full_disk_ends_a_campaign_and_the_next_goes_on(tmp_path: Path) -> None:
    need(os.geteuid() == 0, "only root mounts a small file system")
    project = Project(tmp_path, PLAIN)
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=False).returncode:
        pytest.skip("no right to mount")
    try:
        command = ("--seeds", "1000", "--scheduler", "none", "--ledger", str(small / "ledger.sqlite"))
        assert project.campaign(*command) == 4
        assert "the disk is full" in project.out
        kept = verdicts_of(small / "ledger.sqlite")
        assert 0 < kept < 1000
        subprocess.run(["mount", "-o", "remount,size=8m", str(small)], check=True)
        assert project.campaign(*command) == 0
        assert f"{kept:,} were known" in project.out
        assert verdicts_of(small / "ledger.sqlite") == 1000
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


# ---- the cluster ----


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """The process of a campaign with a local cluster that goes on once nobody looks any more."""
    project = Project(
        folder,
        """
import time
def test_it(network, synfin_seed):
    if synfin_seed == 0:
        open(os.path.join(os.path.dirname(__file__), "running"), "w").close()
        while not os.path.exists(os.path.join(os.path.dirname(__file__), "go")):
            time.sleep(0.05)
""",
    )
    begun = project.begin("--seeds", "3", "--workers", "1")
    try:
        until = time.monotonic() + 300
        while not (folder / "running").exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        yield begun.pid
    finally:
        (folder / "go").touch()
        out, _ = begun.communicate(timeout=300)
    assert begun.returncode == 0, out


def test_nobody_else_reaches_a_local_cluster(tmp_path: Path, dask: None) -> None:
    """All its ports are on loopback, and whoever has not its keys is refused; without a dashboard none speaks HTTP."""
    with held(tmp_path) as campaign:
        ports = listening(campaign)
        assert ports
        assert {host for host, _ in ports} == {"127.0.0.1"}
        assert asked(INTRUDER, *(str(port) for _, port in ports)) == ["refused"] * len(ports)
        assert not readable_by_others(campaign)


def test_another_user_of_the_machine_reaches_no_port_file_or_process_of_a_local_cluster(
    tmp_path: Path, dask: None
) -> None:
    need(os.geteuid() == 0, "only root can become another user")
    with held(tmp_path) as campaign:
        ports = [str(port) for _, port in listening(campaign)]
        assert asked(ANOTHER + INTRUDER, *ports) == ["refused"] * len(ports)
        places = [*map(str, cluster_folders()), *shown_of(campaign)]
        assert asked(READER, *places) == ["read"] * len(places), "root does"
        assert asked(ANOTHER + READER, *places) == ["refused"] * len(places)


def asked(program: str, *arguments: str) -> list[str]:
    """What a program finds out of each argument."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=200, check=True
    )
    return done.stdout.split()


# Python itself may be where another user can't read it: all of Dask that is needed is there before we are another one.
ANOTHER = """
import os
from distributed import Client, Security
from distributed.comm import connect, listen, tcp
Security.temporary()
try:
    Client("tls://127.0.0.1:1", security=Security.temporary(), timeout=1)
except OSError:
    pass
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
"""

READER = """
import os, sys
for place in sys.argv[1:]:
    try:
        os.listdir(place) if os.path.isdir(place) else open(place, "rb").read(1)
        print("read")
    except OSError:
        print("refused")
"""

INTRUDER = """
import logging, socket, ssl, sys, warnings
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
from distributed import Client, Security
def tried(port):
    for address, security in (
        (f"tcp://127.0.0.1:{port}", None),
        (f"tls://127.0.0.1:{port}", Security.temporary()),
    ):
        try:
            Client(address, security=security, timeout=3)
            return f"connected with {address}"
        except (OSError, TimeoutError):
            pass
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.settimeout(3)
        try:
            plain.sendall(b"GET /health HTTP/1.0\\r\\n\\r\\n")
            said = plain.recv(100)
        except OSError:
            said = b""
    return "it speaks HTTP" if said.startswith(b"HTTP") else "refused"
for port in sys.argv[1:]:
    print(tried(port))
"""


def listening(process: int) -> set[tuple[str, int]]:
    """Where a process and those that it has begun listen."""
    import psutil

    family = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    return {
        (connection.laddr.ip, connection.laddr.port)
        for one in family
        for connection in one.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def cluster_folders() -> list[Path]:
    folders = [folder for folder in Path(tempfile.gettempdir()).glob("synfin-campaign-*") if folder.is_dir()]
    assert folders
    return folders


def shown_of(process: int) -> list[str]:
    """Where the kernel shows what processes were begun with, and have open."""
    import psutil

    family = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    return [f"/proc/{one.pid}/{what}" for one in family for what in ("environ", "fd")]


def readable_by_others(process: int) -> list[str]:
    """What a key could be read from: folders of a cluster that are not its owner's alone, and words of commands."""
    import psutil

    family = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    folders = cluster_folders()
    return [
        *(str(folder) for folder in folders if stat.S_IMODE(folder.stat().st_mode) != 0o700),
        *(word for one in family for word in one.cmdline() if "PRIVATE KEY" in word),
    ]


# ---- a cluster by the commands of the documents ----

DOCUMENT = (ROOT / "docs" / "campaigns.md").read_text(encoding="utf-8")
COMMANDS = [
    line.replace("\\\n", " ").split()
    for block in re.findall(
        r"^```sh\n(.*?)^```$", (ROOT / "docs" / "campaigns.md").read_text(), re.MULTILINE | re.DOTALL
    )
    for line in re.findall(r"(?:.*\\\n)*.*\n", block)
]


class Cluster:
    """A scheduler and two workers, begun as docs/campaigns.md says, each in a folder of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.processes: list[subprocess.Popen[bytes]] = []
        folder.mkdir()
        [openssl] = [command for command in COMMANDS if command[0] == "openssl"]
        subprocess.run(openssl, cwd=folder, check=True, capture_output=True)

    def arguments(self, *begin: str) -> list[str]:
        """Of the command that begins so, for our port and our certificate."""
        [command] = [one for one in COMMANDS if one[: len(begin)] == list(begin) and "--tls-key" in one]
        files = {name: str(self.folder / name) for name in ("cluster.pem", "cluster.key")}
        return [files.get(word, word.replace("8786", str(self.port))) for word in command[len(begin) :]]

    def begin(self) -> None:
        for number, what in enumerate(("scheduler", "worker", "worker")):
            folder = self.folder / f"{what}{number}"
            folder.mkdir(exist_ok=True)
            command = [sys.executable, "-m", "dask", what, *self.arguments("dask", what)]
            with (folder / "log").open("ab") as log:
                self.processes.append(subprocess.Popen(command, cwd=folder, stdout=log, stderr=log))
        until = time.monotonic() + 300
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.1)

    @property
    def scheduler(self) -> subprocess.Popen[bytes]:
        return self.processes[0]

    def end(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()


@pytest.fixture
def cluster(tmp_path: Path, dask: None) -> Iterator[Cluster]:
    need(find_program("openssl"), "openssl is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = Cluster(tmp_path / "cluster", port)
    yield found
    found.end()


def test_a_cluster_of_the_documents_runs_a_campaign_whose_scheduler_is_killed(tmp_path: Path, cluster: Cluster) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(
        folder,
        """
def test_it(network, synfin_seed):
    log(synfin_seed)
    if synfin_seed == 150 and once("flag"):
        with open(os.path.join(os.path.dirname(__file__), "pid")) as file:
            os.kill(int(file.read()), signal.SIGKILL)
""",
    )
    cluster.begin()
    (folder / "pid").write_text(str(cluster.scheduler.pid))
    options = cluster.arguments("synfin", "campaign", "tests/test_shop.py", "--seeds", "100000")
    begun = project.begin("--seeds", "400", *options)
    try:
        assert cluster.scheduler.wait(timeout=200) == -signal.SIGKILL
        cluster.end()
        cluster.begin()
    finally:
        out, _ = begun.communicate(timeout=200)
    assert begun.returncode == 0, out
    assert "the engine has gone; what it had not answered is run again" in out
    assert project.verdicts() == passed(range(400))


def test_a_cluster_of_the_documents_explores_every_order_and_finds_what_one_process_does(
    tmp_path: Path, cluster: Cluster
) -> None:
    import psutil

    cluster.begin()
    over = cluster.arguments("synfin", "campaign", "tests/test_shop.py", "--seeds", "100000")
    found: list[dict[str, object]] = []
    for options in ([], over):
        record = tmp_path / f"{len(found)}.json"
        command = [sys.executable, "-m", "synfin", "explore", "full-queue", "--losses", "1", "--duplicates", "1"]
        done = subprocess.run(
            [*command, "--early-timers", "0", "--record", str(record), *options],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done
        [row] = json.loads(record.read_text())
        found.append({name: value for name, value in row.items() if name != "seconds"})
    assert found[0] == found[1]
    for worker in cluster.processes[1:]:
        children = psutil.Process(worker.pid).children(recursive=True)
        assert any("synfin.campaign.child" in each.cmdline() for each in children), "it had a part in it"
