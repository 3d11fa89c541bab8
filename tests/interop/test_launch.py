"""A program launched on a network of its own: what it finds there, how it ends, and that nothing is left of it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.interop.test_tun_device import give_up_root, in_child

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

LAUNCHED = [sys.executable, "-m", "tests.interop.launched"]
SECONDS = 60


def launched(*argv: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload]
        [*LAUNCHED, *argv], capture_output=True, text=True, cwd=ROOT, timeout=SECONDS, check=False, **options
    )


def said(*argv: str) -> str:
    """What the program wrote; it must have succeeded."""
    done = launched(*argv)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def running(script: str) -> Iterator[subprocess.Popen[str]]:
    """A shell script launched, once it has written its first line, in a process group of its own."""
    process = subprocess.Popen(
        [*LAUNCHED, "sh", "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=SECONDS)


def ended(pid: int) -> None:
    """Wait until this process, which is nobody's child here, is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([handle], [], [], SECONDS)[0], f"process {pid} is still there"
    os.close(handle)


def test_it_reaches_the_host_by_name_over_both_families(require_program: Callable[[str], str]) -> None:
    curl = require_program("curl")
    assert said("sh", "-c", f"{curl} -sS http://db/ && {curl} -sS http://db6/") == "hello\nhello\n"


def test_it_has_no_other_way_out() -> None:
    devices = said("sh", "-c", "cat /proc/net/dev").splitlines()[2:]
    assert sorted(line.split(":")[0].strip() for line in devices) == ["lo", "synfin0"]


def test_its_names_are_found_by_what_was_bound_over_and_the_outside_keeps_its_own_files() -> None:
    before = Path("/etc/hosts").read_bytes()
    assert "198.18.0.1\tdb\n" in said("cat", "/etc/hosts")
    assert said("cat", "/etc/resolv.conf").startswith("nameserver 198.18.0.1\n")
    assert Path("/etc/hosts").read_bytes() == before


def test_the_runtime_folder_is_hidden(tmp_path: Path) -> None:
    folder = tmp_path / "synfin"
    folder.mkdir(mode=0o700)
    (folder / "serve-1.sock").touch()
    done = launched("ls", "-A", str(folder), env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, "")


def test_it_keeps_its_user_and_has_no_capability_and_gets_none_back() -> None:
    lines = said("sh", "-c", "id -u; cat /proc/self/status; unshare --net true && echo got one; true").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert lines[0] == str(os.geteuid())
    assert [status[name] for name in ("CapPrm", "CapEff", "CapAmb")] == ["0" * 16] * 3
    assert status["NoNewPrivs"] == "1"
    assert "got one" not in lines


def test_it_may_serve_a_low_port() -> None:
    said(sys.executable, "-c", "import socket; socket.create_server(('127.0.0.1', 80))")


def test_its_exit_status_and_its_streams_are_its_own() -> None:
    done = launched("sh", "-c", "cat; echo wrong >&2; exit 7", input="in and out\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, "in and out\n", "wrong\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGABRT])
def test_killed_by_a_signal_it_seems_so_from_outside_too(number: signal.Signals) -> None:
    assert launched("sh", "-c", f"kill -{int(number)} $$").returncode == -number


def test_what_cannot_be_started_is_said_as_shells_say_it(tmp_path: Path) -> None:
    missing, plain = launched("no-such-program"), launched(str(tmp_path))
    assert (missing.returncode, missing.stderr) == (127, "launched: no-such-program: No such file or directory\n")
    assert (plain.returncode, plain.stderr) == (126, f"launched: {tmp_path}: Permission denied\n")


def test_it_inherits_descriptors_as_any_child_does() -> None:
    reader, writer = os.pipe()
    done = launched(sys.executable, "-c", f"import os; os.write({writer}, b'through\\n')", pass_fds=[writer])
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert (done.returncode, pipe.read()) == (0, "through\n")


def test_a_signal_to_the_run_alone_is_passed_on() -> None:
    with running("trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=SECONDS) == 3


def test_a_signal_that_the_run_was_started_to_ignore_stays_ignored() -> None:
    done = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *LAUNCHED, "sh", "-c", "kill -INT $PPID; kill -INT $$; echo on"],
        capture_output=True, text=True, cwd=ROOT, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "on\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_killed_leaves_nothing_behind(number: signal.Signals) -> None:
    script = "(setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.1; done' &); read never < /dev/zero"
    with running(f"echo $$; {script}") as process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(2)]
        process.send_signal(number)
        process.wait(timeout=SECONDS)
        for pid in pids:
            ended(pid)


def test_what_a_program_leaves_running_ends_with_it() -> None:
    done = launched("sh", "-c", "setsid sleep 1000 > /dev/null 2>&1 & echo $!")
    assert done.returncode == 0
    ended(int(done.stdout))


def test_a_keeper_that_is_killed_takes_the_program_with_it_and_the_run_says_so() -> None:
    script = "echo $$; setsid sleep 1000 > /dev/null 2>&1 & kill -KILL $PPID; read never < /dev/zero"
    done = launched("sh", "-c", script)
    assert done.returncode == 1
    assert "was killed" in done.stderr
    ended(int(done.stdout))


def test_an_ordinary_user_has_it_all(require_program: Callable[[str], str]) -> None:
    curl = require_program("curl")

    def body() -> None:
        if os.geteuid() == 0:
            give_up_root()
        with tempfile.TemporaryDirectory() as home:
            os.environ.update(XDG_RUNTIME_DIR=home)
            lines = said("sh", "-c", f"id -u; {curl} -sS http://db/; grep CapEff /proc/self/status").splitlines()
        assert lines == [str(os.geteuid()), "hello", "CapEff:\t" + "0" * 16]

    in_child(body)
