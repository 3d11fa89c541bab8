"""Real programs under `synfin run`, unchanged, in a network that stands for the internet."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.internet import NAME, WEB
from tests.interop.test_run import PYTHON, internet, rows, run

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]
RUN = f"{PYTHON} -m synfin.cli run"


def until_listening(port: int, address: str = WEB) -> str:
    """Shell: wait until somebody listens there."""
    return f"until (exec 3<>/dev/tcp/{address}/{port}) 2>/dev/null; do sleep 0.1; done;"


def test_git_clones(require_program: Programs, tmp_path: Path) -> None:
    git = require_program("git")
    script = (
        f"cd {tmp_path}; {git} init -q made; cd made; echo text > file; {git} add file;"
        f"{git} -c user.name=a -c user.email=a@b commit -q -m one; cd ..;"
        f"{git} daemon --base-path={tmp_path} --export-all --listen={WEB} --reuseaddr & daemon=$!;"
        f"{until_listening(9418)} {RUN} --quiet -- {git} clone -q git://{WEB}/made cloned;"
        "kill $daemon; cat cloned/file"
    )
    assert internet("bash", "-c", script).stdout == "text\n"


@pytest.mark.parametrize("way", ["", "-R", "--bidir"])
def test_iperf3_measures_both_ways(way: str, require_program: Programs, tmp_path: Path) -> None:
    iperf3 = require_program("iperf3")
    script = (
        f"{iperf3} -s -1 -B {WEB} --pidfile {tmp_path}/pid > /dev/null &"
        f"until [ -s {tmp_path}/pid ]; do sleep 0.1; done;"
        f"{RUN} --quiet -- {iperf3} -c {WEB} -n 20M -J {way}"
    )
    said = json.loads(internet("bash", "-c", script).stdout)
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
    lines = internet("bash", "-c", script).stdout.splitlines()
    assert [line.split(",")[0] for line in lines[-2:]] == ['"SET"', '"GET"']


def test_a_browser_loads_a_page_with_a_hundred_scripts(require_program: Programs, tmp_path: Path) -> None:
    chromium = require_program("chromium")
    done = run(
        "--json", "--", "sh", "-c", 'exec "$@" 2>/dev/null', "sh",
        chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=60000", "--dump-dom", f"http://{NAME}/page",
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


def test_a_published_server_is_loaded_from_outside(require_program: Programs, tmp_path: Path) -> None:
    wrk, nginx = require_program("wrk"), require_program("nginx")
    (tmp_path / "index.html").write_text("x" * 1000)
    (tmp_path / "nginx.conf").write_text(
        f"user root; daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}"
        f" http {{ access_log off;"
        f" client_body_temp_path {tmp_path}/a; proxy_temp_path {tmp_path}/b; fastcgi_temp_path {tmp_path}/c;"
        f" uwsgi_temp_path {tmp_path}/d; scgi_temp_path {tmp_path}/e; server {{ listen 80; root {tmp_path}; }} }}"
    )
    script = (
        f"{RUN} --quiet --publish 8080:80 -- {nginx} -c {tmp_path}/nginx.conf -p {tmp_path} & run=$!;"
        "until curl -sS -o /dev/null http://127.0.0.1:8080/ 2>/dev/null; do sleep 0.1; done;"
        f"{wrk} -t1 -c20 -d1 http://127.0.0.1:8080/; kill $run; wait $run"
    )
    said = internet("bash", "-c", script, check=False).stdout
    assert "requests in" in said
    assert "Socket errors" not in said
    assert "Non-2xx" not in said


def test_the_outer_network_may_go_and_come_back(tmp_path: Path) -> None:
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
    done = internet("bash", "-c", script, str(tmp_path), program)
    assert done.stdout.split() == ["b'before\\n'", "b'meanwhile\\n'"]
