"""Real programs under `synfin run`, unchanged, in a network that stands for the internet; all by an ordinary user.

Who runs the tests as root becomes one: nothing here has a capability that a user namespace of his own does not give.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.conftest import ROOT
from tests.interop.internet import NAME, WEB, WEB6
from tests.interop.test_run import PYTHON, SECONDS, rows
from tests.interop.test_tun_device import NOBODY

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]
RUN = f"{PYTHON} -m synfin.cli run"


@pytest.fixture
def folder() -> Iterator[Path]:
    """His."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        if os.geteuid() == 0:
            os.chown(made, NOBODY, NOBODY)
        yield Path(made)


def by_a_user(*command: str, home: Path = Path("/nonexistent")) -> subprocess.CompletedProcess[str]:
    """A command in that network, which he has made too, without synfin."""
    environment = {name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"}
    done = subprocess.run(
        [PYTHON, "-m", "tests.interop.ordinary", PYTHON, "-m", "tests.interop.internet", *command],
        capture_output=True, text=True, cwd=ROOT, timeout=SECONDS, check=False,
        env={**environment, "HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def run(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """`synfin run` there, with these words."""
    return by_a_user(PYTHON, "-m", "synfin.cli", "run", *words, **more)


def until_listening(port: int, address: str = WEB) -> str:
    """Shell: wait until somebody listens there."""
    return f"until (exec 3<>/dev/tcp/{address}/{port}) 2>/dev/null; do sleep 0.1; done;"


def test_it_is_an_ordinary_user_who_has_no_capability() -> None:
    user, *sets = run("--quiet", "--", "sh", "-c", "id -u; grep ^Cap[PE] /proc/$PPID/status").stdout.split()
    assert int(user) == (NOBODY if os.geteuid() == 0 else os.geteuid())
    assert sets == ["CapPrm:", "0" * 16, "CapEff:", "0" * 16]


@pytest.mark.parametrize(("version", "address"), [(4, WEB), (6, WEB6)])
def test_curl_gets_a_page_by_its_name(version: int, address: str, require_program: Programs) -> None:
    words = ("-sS", f"-{version}", "-w", "%{http_code} %{remote_ip}", "-o", "/dev/null", f"http://{NAME}/")
    assert run("--quiet", "--", require_program("curl"), *words).stdout == f"200 {address}"


def test_git_clones(require_program: Programs, folder: Path) -> None:
    git = require_program("git")
    script = (
        f"cd {folder}; {git} init -q made; cd made; echo text > file; {git} add file;"
        f"{git} -c user.name=a -c user.email=a@b commit -q -m one; cd ..;"
        f"{git} daemon --base-path={folder} --export-all --listen={WEB} --reuseaddr & daemon=$!;"
        f"{until_listening(9418)} {RUN} --quiet -- {git} clone -q git://{WEB}/made cloned;"
        "kill $daemon; cat cloned/file"
    )
    assert by_a_user("bash", "-c", script).stdout == "text\n"


@pytest.mark.parametrize("way", ["", "-R", "--bidir"])
def test_iperf3_measures_both_ways(way: str, require_program: Programs) -> None:
    iperf3 = require_program("iperf3")
    script = (
        f"{iperf3} -s -1 -B {WEB} > /dev/null &"
        "until ss -Htln sport = :5201 | grep -q .; do sleep 0.1; done;"  # to connect would be its one test
        f"{RUN} --quiet -- {iperf3} -c {WEB} -n 20M -J {way}"
    )
    said = json.loads(by_a_user("bash", "-c", script).stdout)
    assert "error" not in said
    assert said["end"]["sum_received"]["bytes"] > 0
    if way == "--bidir":
        assert said["end"]["sum_received_bidir_reverse"]["bytes"] > 0


def test_redis_benchmark_gets_its_answers(require_program: Programs) -> None:
    server, benchmark = require_program("redis-server"), require_program("redis-benchmark")
    script = (
        f"{server} --bind {WEB} --protected-mode no --save '' > /dev/null & server=$!; {until_listening(6379)}"
        f"{RUN} --quiet -- {benchmark} -h {WEB} -n 2000 -c 50 -t set,get --csv; kill $server"
    )
    lines = by_a_user("bash", "-c", script).stdout.splitlines()
    assert [line.split(",")[0] for line in lines[-2:]] == ['"SET"', '"GET"']


def test_a_browser_loads_a_page_with_a_hundred_scripts(require_program: Programs, folder: Path) -> None:
    chromium = require_program("chromium")
    done = run(
        "--json", "--", "sh", "-c", 'exec "$@" 2>/dev/null', "sh",
        chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}",
        "--virtual-time-budget=60000", "--dump-dom", f"http://{NAME}/page",
        home=folder,
    )  # fmt: skip
    assert "a page" in done.stdout
    loaded = [row for row in rows(done) if row["port"] == 80]
    assert len(loaded) >= 101
    assert {row["outcome"] for row in loaded} == {"closed"}


def test_a_thousand_connections_at_once_all_get_their_own_answer() -> None:
    program = (
        "import asyncio\n"
        "async def one(number, all_are_open):\n"
        f"    reader, writer = await asyncio.open_connection('{WEB}', 7)\n"
        "    writer.write(b'%d\\n' % number)\n"
        "    said = await reader.readline()\n"
        "    await all_are_open.wait()\n"
        "    writer.close()\n"
        "    return int(said) == number\n"
        "async def main():\n"
        "    all_are_open = asyncio.Barrier(1000)\n"
        "    print(sum(await asyncio.gather(*(one(number, all_are_open) for number in range(1000)))))\n"
        "asyncio.run(main())\n"
    )
    done = run("--json", "--", PYTHON, "-c", program)
    assert done.stdout == "1000\n"
    assert [row["outcome"] for row in rows(done)] == ["closed"] * 1000


def nginx_settings(folder: Path, listen: str) -> Path:
    """Of an nginx that serves a folder."""
    (folder / "index.html").write_text("x" * 1000)
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/log; events {{}}"
        f" http {{ access_log off;"
        f" client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;"
        f" uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e; server {{ {listen} root {folder}; }} }}"
    )
    return file


@pytest.mark.parametrize("version", [4, 6])
def test_http2_over_tls_multiplexes_many_requests(version: int, require_program: Programs, folder: Path) -> None:
    curl, nginx = require_program("curl"), require_program("nginx")
    authority = trustme.CA()
    trusted, key, chain = folder / "trusted.pem", folder / "key.pem", folder / "chain.pem"
    issued = authority.issue_cert(NAME)
    authority.cert_pem.write_to_path(trusted)
    issued.private_key_pem.write_to_path(key)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(chain, append=True)
    (folder / "big").write_bytes(bytes(1_000_000))
    settings = nginx_settings(
        folder,
        f"listen {WEB}:443 ssl http2; listen [{WEB6}]:443 ssl http2;"
        f" ssl_certificate {chain}; ssl_certificate_key {key};",
    )
    # All at once on one connection, where the server speaks HTTP/2; the certificate is checked.
    asked = f"{curl} -{version} -sS --http2 --parallel --cacert {trusted}"
    asked += " -w '%{http_version} %{response_code} %{size_download}\\n'"
    script = (
        f"{nginx} -c {settings} -p {folder} & server=$!; {until_listening(443)}"
        f"{RUN} --json -- {asked} " + " ".join([f"-o /dev/null https://{NAME}/big"] * 20) + "; kill $server"
    )
    done = by_a_user("bash", "-c", script)
    assert done.stdout.splitlines() == ["2 200 1000000"] * 20
    loaded = [row for row in rows(done) if row["port"] == 443]
    assert len(loaded) < 20, "a connection for each request is no HTTP/2"
    assert sum(row["received"] for row in loaded) > 20_000_000
    assert {row["outcome"] for row in loaded} == {"closed"}


def test_udp_dns_is_answered_and_a_name_that_is_not_is_said_not_to_be() -> None:
    program = (
        "import socket\n"
        f"print(sorted({{one[4][0] for one in socket.getaddrinfo('{NAME}', 80)}}))\n"
        "try:\n"
        "    socket.getaddrinfo('nobody.test', 80)\n"
        "except socket.gaierror as error:\n"
        "    print(error.errno == socket.EAI_NONAME)\n"
    )
    done = run("--json", "--", PYTHON, "-c", program)
    assert done.stdout.splitlines() == [str(sorted([WEB, WEB6])), "True"]
    asked = [row for row in rows(done) if row["protocol"] == "udp" and row["port"] == 53]
    assert asked
    assert all(row["received"] for row in asked)


def test_a_published_server_is_loaded_from_outside(require_program: Programs, folder: Path) -> None:
    wrk, nginx = require_program("wrk"), require_program("nginx")
    settings = nginx_settings(folder, "listen 80;")
    script = (
        f"{RUN} --quiet --publish 8080:80 -- {nginx} -c {settings} -p {folder} & run=$!;"
        "until curl -sS -o /dev/null http://127.0.0.1:8080/ 2>/dev/null; do sleep 0.1; done;"
        f"{wrk} -t1 -c20 -d1 http://127.0.0.1:8080/; kill $run; wait $run"
    )
    said = by_a_user("bash", "-c", script + "; true").stdout
    assert "requests in" in said
    assert "Socket errors" not in said
    assert "Non-2xx" not in said


def test_the_outer_network_may_go_and_come_back(folder: Path) -> None:
    """A connection that is open lives through it, as the kernel's own."""
    program = (
        "import socket, sys\n"
        f"one = socket.create_connection(('{WEB}', 7))\n"
        "one.sendall(b'before\\n'); print(one.recv(100), flush=True)\n"
        "sys.stdin.readline(); one.sendall(b'meanwhile\\n')\n"
        "print(one.recv(100), flush=True)\n"
    )
    script = (
        "mkfifo $0/in $0/out; exec 4<>$0/in 5<>$0/out;"
        f'{RUN} --quiet -- {PYTHON} -c "$1" <&4 >&5 & run=$!;'
        "read -r line <&5; echo $line; ip link set lo down; echo go >&4; sleep 0.5; ip link set lo up;"
        "read -r line <&5; echo $line; wait $run"
    )
    done = by_a_user("bash", "-c", script, str(folder), program)
    assert done.stdout.split() == ["b'before\\n'", "b'meanwhile\\n'"]
