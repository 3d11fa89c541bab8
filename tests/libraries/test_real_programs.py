"""Unmodified libraries on synfin, real programs on the kernel's TCP: redis-server, PostgreSQL, curl."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from synfin.links.netns import PrivateNetwork
from tests.conftest import ROOT, find_program, need, need_library
from tests.interop.payload import digest, write_file
from tests.libraries.beside_kernel import PORT, SYNFIN

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]
HANG_SECONDS: Final = 150
SIZE: Final = 5_000_000


def job_command(name: str, *arguments: str) -> list[str]:
    """The command line of a job of `beside_kernel`."""
    return [sys.executable, "-W", "error", "-m", "tests.libraries.beside_kernel", name, *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def run_job(network: PrivateNetwork, name: str, *arguments: str) -> None:
    """Run a job to its end, and demand that it found nothing wrong."""
    command = network.command(job_command(name, *arguments))
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stderr == ""


@contextlib.contextmanager
def running_job(network: PrivateNetwork, name: str, *arguments: str) -> Iterator[None]:
    """A job that serves, until the end of the block; then it must end by itself, and well."""
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile("w+") as complaints:
        child = network.popen(
            job_command(name, *arguments), cwd=ROOT, env=environment(), stdin=pipe, stdout=pipe, stderr=complaints
        )
        assert child.stdin is not None
        assert child.stdout is not None

        def said() -> str:
            complaints.seek(0)
            return complaints.read()

        with child.stdin, child.stdout:
            assert child.stdout.readline() == b"ready\n", said()
            yield
            child.stdin.close()
            assert child.wait(HANG_SECONDS) == 0, said()
        assert said() == ""


@pytest.fixture
def network() -> Iterator[PrivateNetwork]:
    with PrivateNetwork() as made:
        yield made


@pytest.mark.parametrize("version", ["4", "6"])
def test_redis_py_against_redis_server(
    network: PrivateNetwork, require_program: Programs, tmp_path: Path, version: str
) -> None:
    need_library("redis")
    options = ["--bind", "*", "-::*", "--port", "6379", "--protected-mode", "no", "--save", "", "--dir", str(tmp_path)]
    with (tmp_path / "log").open("w") as log:
        network.popen([require_program("redis-server"), *options], stdout=log, stderr=log)
        run_job(network, "redis", version)


def postgres_programs() -> Path | None:
    """The folder of the newest PostgreSQL server's programs, which Debian keeps out of every PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    plain = find_program("postgres")
    found = [folder for folder in folders if (folder / "postgres").exists()] + ([Path(plain).parent] if plain else [])
    return found[-1] if found else None


def not_as_root(folder: Path, command: Sequence[str]) -> list[str]:
    """The command line that runs `command`, which refuses to be root, with `folder` as its own.

    Root becomes the user postgres. Anybody else is root in the private network only, and becomes a user 1000 there.
    """
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--", *command]
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--", *command]


@contextlib.contextmanager
def running_postgres(network: PrivateNetwork, tls: bool) -> Iterator[str]:
    """A PostgreSQL with a data folder of its own; the path of the certificate authority to trust, or nothing."""
    programs = postgres_programs()
    need(programs, "PostgreSQL's server is not installed (on Debian: apt install postgresql)")
    need_library("trustme")
    import trustme

    assert programs is not None
    # Not below tmp_path, where the user postgres may not go.
    with tempfile.TemporaryDirectory(prefix="synfin-postgres-") as base:
        folder, password, authority = Path(base, "data"), Path(base, "password"), Path(base, "authority.pem")
        password.write_text("secret")
        password.chmod(0o644)
        made = [str(programs / "initdb"), "-D", str(folder), "-U", "tester", "--pwfile", str(password), "-N"]
        command = network.command(not_as_root(Path(base), [*made, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"]))
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=HANG_SECONDS)
        assert done.returncode == 0, done.stderr
        with (folder / "pg_hba.conf").open("a") as rules:
            rules.write(f"{'hostssl' if tls else 'host'} all all all scram-sha-256\n")
        signed = trustme.CA()
        signed.cert_pem.write_to_path(authority)
        certificate = signed.issue_cert("10.9.0.1", "fd00:9::1")
        certificate.cert_chain_pems[0].write_to_path(folder / "server.crt")
        certificate.private_key_pem.write_to_path(folder / "server.key")
        (folder / "server.key").chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(folder / "server.key", "postgres", "postgres")
            shutil.chown(folder / "server.crt", "postgres", "postgres")
        settings = {
            "listen_addresses": "*", "unix_socket_directories": "", "fsync": "off", "ssl": "on" if tls else "off",
        }  # fmt: skip
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with Path(base, "log").open("w") as log:
            server = network.popen(
                not_as_root(Path(base), [str(programs / "postgres"), "-D", str(folder), *options]),
                stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
        try:
            yield str(authority) if tls else ""
        except AssertionError as error:
            raise AssertionError(f"{error}\n{Path(base, 'log').read_text()}") from error
        finally:
            server.send_signal(signal.SIGINT)  # the fast shutdown, which leaves no shared memory behind
            server.wait(HANG_SECONDS)


@pytest.mark.parametrize(("version", "tls"), [("6", False), ("4", True)])
def test_asyncpg_against_postgresql(network: PrivateNetwork, version: str, tls: bool) -> None:
    need_library("asyncpg")
    with running_postgres(network, tls) as authority:
        run_job(network, "postgres", version, authority)


@pytest.mark.parametrize("server", ["aiohttp", "uvicorn"])
def test_curl_gets_files_from_a_library_on_synfin_and_puts_them(
    network: PrivateNetwork, require_program: Programs, tmp_path: Path, server: str
) -> None:
    for library in ("aiohttp",) if server == "aiohttp" else ("uvicorn", "starlette"):
        need_library(library)
    curl = [require_program("curl"), "-sS", "--fail", "--globoff", "--noproxy", "*", "-H", "Expect:", "-m", "120"]
    folder = tmp_path / "served"
    folder.mkdir()
    body = write_file(folder / "file.bin", SIZE)
    with running_job(network, f"serve_{server}", str(folder)):
        for version, address in SYNFIN.items():
            url = f"http://{address if version == 4 else f'[{address}]'}:{PORT}"
            got = network.run([*curl, f"{url}/files/file.bin"], capture_output=True, check=True).stdout
            assert hashlib.sha256(got).hexdigest() == digest(SIZE)
            got = network.run([*curl, "-r", "5000-5999", f"{url}/files/file.bin"], capture_output=True).stdout
            assert got == body.read_bytes()[5000:6000]
            told = network.run([*curl, "-T", str(body), f"{url}/body"], capture_output=True, text=True, check=True)
            assert told.stdout == f"{digest(SIZE)} {'10.9.0.1' if version == 4 else 'fd00:9::1'}"
