"""`synfin run`, as a person uses it, in a network that stands for the internet (tests/interop/internet.py)."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from synfin.sim import DROP, Network, Recording
from tests.conftest import ROOT
from tests.interop.errnos import SITUATIONS
from tests.interop.internet import DNS, NAME, WEB, WEB6
from tests.interop.test_tun_device import give_up_root, in_child

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]
PYTHON = sys.executable
SECONDS = 120


def internet(*command: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
    """A command in that network, without synfin."""
    done = subprocess.run(
        [PYTHON, "-m", "tests.interop.internet", *command],
        capture_output=True, text=True, cwd=ROOT, timeout=SECONDS, check=False, **more,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr
    return done


def run(*words: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
    """`synfin run` there, with these words."""
    return internet(PYTHON, "-m", "synfin.cli", "run", *words, check=check, **more)


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What --json told."""
    return [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("version", [4, 6])
def test_curl_gets_a_page_by_name(version: int, require_program: Programs) -> None:
    done = run("--json", "--", require_program("curl"), f"-{version}", "-sS", f"http://{NAME}/")
    assert done.stdout == "hello\n"
    [tcp] = [row for row in rows(done) if row["protocol"] == "tcp"]
    assert (tcp["address"], tcp["port"], tcp["opened_by"]) == (WEB if version == 4 else WEB6, 80, "inside")
    assert tcp["outcome"] == "closed"
    assert tcp["received"] > 6


def test_a_megabyte_comes_whole(require_program: Programs) -> None:
    done = run(
        "--", require_program("curl"), "-sS", "-o", "/dev/null", "-w", "%{size_download}", f"http://{WEB}/3000000"
    )
    assert done.stdout == "3000000"


@functools.cache
def outcomes(with_synfin: bool) -> dict[str, str]:
    command = (PYTHON, "-m", "tests.interop.errnos")
    done = run("--quiet", "--", *command) if with_synfin else internet(*command)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_goes_wrong_outside_goes_wrong_inside_as_the_kernel_tells_it(situation: str) -> None:
    assert outcomes(with_synfin=True)[situation] == outcomes(with_synfin=False)[situation]


def test_the_machines_loopback_is_out_of_reach_unless_it_is_allowed(require_program: Programs) -> None:
    curl = require_program("curl")
    script = (
        f"{PYTHON} -m http.server -b 127.0.0.1 8000 >/dev/null 2>&1 & server=$!;"
        "until curl -s -o /dev/null http://127.0.0.1:8000/; do sleep 0.1; done;"
        f"{PYTHON} -m synfin.cli run --quiet -- {curl} -sS -o /dev/null http://198.18.0.1:8000/ 2>/dev/null; echo $?;"
        f"{PYTHON} -m synfin.cli run --quiet --allow-host -- {curl} -sS -o /dev/null http://host.synfin:8000/; echo $?;"
        "kill $server"
    )
    assert internet("sh", "-c", script).stdout.split() == ["7", "0"]


def test_what_is_denied_is_refused_and_said(require_program: Programs) -> None:
    done = run(
        "--json", "--deny", "203.0.113.0/24:80", "--", require_program("curl"), "-sS", f"http://{WEB}/", check=False
    )
    assert done.returncode == 7
    assert [row["outcome"] for row in rows(done)] == ["denied"]


def test_a_published_server_is_reached_from_outside(require_program: Programs, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("from inside\n")
    curl = require_program("curl")
    server = f"{PYTHON} -m http.server -b 0.0.0.0 -d {tmp_path} 80"
    script = (
        f"{PYTHON} -m synfin.cli run --json --publish 8080:80 -- {server} 2>{tmp_path}/err >/dev/null & run=$!;"
        f"until {curl} -sS http://127.0.0.1:8080/page 2>/dev/null; do sleep 0.1; done;"
        "kill $run; wait $run; echo $?"
    )
    assert internet("sh", "-c", script).stdout.splitlines() == ["from inside", "143"]
    told = [json.loads(line) for line in (tmp_path / "err").read_text().splitlines() if line.startswith("{")]
    assert [row["opened_by"] for row in told if row["outcome"] == "closed"] == ["outside"]


# A UDP server inside that answers who asks; and one outside who asks until he is answered, and says by what.
ANSWERER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as server:
    server.bind((sys.argv[1], 53))
    while True:
        question, sender = server.recvfrom(2000)
        server.sendto(question.upper(), sender)
"""
ASKER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as client:
    client.settimeout(0.2)
    client.connect((sys.argv[1], 9053))
    while True:
        try:
            client.send(b"from outside")
            print(client.recv(2000).decode())
            break
        except (TimeoutError, ConnectionRefusedError):
            pass
"""


@pytest.mark.parametrize(
    ("publish", "outside", "inside"),
    [
        ("9053:53/udp", "127.0.0.1", "0.0.0.0"),
        (f"{WEB}:9053:53/udp", WEB, "0.0.0.0"),
        ("[::1]:9053:53/udp", "::1", "::"),
    ],
    ids=["IPv4", "an address of the machine's own", "IPv6"],
)
def test_a_published_udp_port_is_reached_from_outside(
    publish: str, outside: str, inside: str, require_program: Programs, tmp_path: Path
) -> None:
    (tmp_path / "answerer.py").write_text(ANSWERER)
    (tmp_path / "asker.py").write_text(ASKER)
    script = (
        f"{PYTHON} -m synfin.cli run --json --publish {publish} -- {PYTHON} {tmp_path}/answerer.py {inside}"
        f" 2>{tmp_path}/err & run=$!;"
        f"{require_program('timeout')} 60 {PYTHON} {tmp_path}/asker.py {outside}; kill $run; wait $run; echo $?"
    )
    assert internet("sh", "-c", script).stdout.splitlines() == ["FROM OUTSIDE", "143"]
    told = [json.loads(line) for line in (tmp_path / "err").read_text().splitlines() if line.startswith("{")]
    assert {(row["protocol"], row["opened_by"]) for row in told} == {("udp", "outside")}


@pytest.mark.parametrize("kind", ["", "/udp"])
def test_a_port_that_is_taken_is_said_in_a_line(kind: str) -> None:
    done = run("--publish", f"8080:80{kind}", "--publish", f"8080:81{kind}", "--", "true", check=False)
    assert done.returncode == 1
    assert done.stderr == f"synfin run: --publish 127.0.0.1:8080{kind} -> 81: Address already in use\n"


def test_where_places_are_allowed_nothing_else_is_reached(require_program: Programs) -> None:
    curl = require_program("curl")
    script = f"for port in 80 7; do {curl} -sS -o /dev/null -m 9 http://{WEB}:$port/; echo $?; done"
    done = run("--json", "--allow", f"{WEB}:80", "--", "sh", "-c", script)
    assert done.stdout.split() == ["0", "7"]
    assert [row["outcome"] for row in rows(done)] == ["closed", "denied"]


def test_what_is_allowed_is_an_exception_from_what_is_denied(require_program: Programs) -> None:
    curl = require_program("curl")
    words = ["--json", "--deny", "*", "--name", f"web={WEB}", "--allow", "web:80", "--"]
    script = f"{curl} -sS -o /dev/null http://web/; echo $?; {curl} -sS -o /dev/null -m 9 http://{DNS}:53/; echo $?"
    done = run(*words, "sh", "-c", script)
    assert done.stdout.split() == ["0", "7"]
    assert [(row["address"], row["outcome"]) for row in rows(done)] == [(WEB, "closed"), (DNS, "denied")]


# A question to the DNS outside: how many answers come before that to the next question.
COUNT_ANSWERS = f"""
import socket
question = bytes([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + b"\\3web\\4test\\0\\0\\1\\0\\1"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.connect(("{DNS}", 53))
    one.settimeout(60)
    one.send(b"\\0\\1" + question)
    answers = [one.recv(2000)]
    one.send(b"\\0\\2" + question)
    while answers[-1][1] == 1:
        answers.append(one.recv(2000))
    print(len(answers) - 1)
"""


@pytest.mark.parametrize(("option", "answers"), [("--duplicate", 4), ("--up-duplicate", 2), ("--down-duplicate", 2)])
def test_what_arrives_twice_is_answered_twice(option: str, answers: int) -> None:
    done = run("--quiet", option, "100%", "--", PYTHON, "-c", COUNT_ANSWERS)
    assert int(done.stdout) == answers


def test_duplicates_and_turned_bits_reach_no_program(require_program: Programs) -> None:
    """The checksums find them: half a megabyte comes whole, and some of it twice."""
    done = run(
        "--json", "--corrupt", "5%", "--duplicate", "5%", "--delay", "2ms", "--seed", "5", "--", "sh", "-c",
        f"{require_program('curl')} -sS http://{WEB}/500000 | {require_program('sha256sum')}",
    )  # fmt: skip
    assert done.stdout.split()[0] == hashlib.sha256(bytes(500_000)).hexdigest()
    [tcp] = [row for row in rows(done) if row["protocol"] == "tcp"]
    assert tcp["resent"] > 0


def test_a_rate_is_not_exceeded_and_what_finds_its_queue_full_is_lost(require_program: Programs) -> None:
    """A megabit a second: 125,000 bytes take a second at least."""
    done = run(
        "--down-rate", "1Mbit/s", "--down-queue", "10KB", "--report", "/dev/stderr", "--",
        require_program("curl"), "-sS", "-o", "/dev/null", "-w", "%{size_download} %{time_total}", f"http://{WEB}/125000",
    )  # fmt: skip
    size, seconds = done.stdout.split()
    assert (size, float(seconds) >= 1) == ("125000", True)
    [line] = [line for line in done.stderr.splitlines() if line.startswith("*: up")]
    up, down = line.split(";")
    assert " 0 lost" in up
    assert " 0 lost" not in down


def test_exit_status_and_streams_are_the_programs() -> None:
    done = run("--quiet", "--", "sh", "-c", "cat; echo wrong >&2; exit 7", input="in\n", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "in\n", "wrong\n")


def test_delay_and_loss_are_what_the_inside_measures() -> None:
    """50 ms each way: a round trip of 100 ms; 3 % of 2000 packets each way: within four standard deviations."""
    program = (
        "import socket, time\n"
        f"one = socket.create_connection(('{WEB}', 7))\n"
        "times = []\n"
        "for _ in range(20):\n"
        "    began = time.monotonic(); one.sendall(b'x'); one.recv(1); times.append(time.monotonic() - began)\n"
        "print(min(times))\n"
    )
    done = run("--delay", "50ms", "--seed", "1", "--", PYTHON, "-c", program)
    assert 0.1 <= float(done.stdout) < 0.2  # the least of twenty; delayed twice it would be 0.2
    flood = (
        "import socket\n"
        "one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for number in range(2000):\n"
        f"    one.sendto(bytes(100), ('{WEB}', 9))\n"
    )
    done = run("--loss", "3%", "--seed", "1", "--report", "/dev/stderr", "--", PYTHON, "-c", flood)
    [line] = [line for line in done.stderr.splitlines() if line.startswith("*: up")]
    lost = int(line.split("packets, ")[1].split()[0])
    assert 30 <= lost <= 90


def test_what_tcp_inside_measures_of_a_lossy_path_is_what_was_set() -> None:
    """50 ms and 3 % each way: Linux's own TCP_INFO of what the program sends, within four standard deviations.

    A segment is sent again when it was lost (3 %); those that were not, for an ACK was, are few, since ACKs are
    cumulative: the last ones of a flight. So between what was lost and twice that of about 2000 segments.
    """
    program = (
        "import socket, struct\n"
        f"one = socket.create_connection(('{WEB}', 11))\n"
        "for _ in range(20):\n"
        "    one.sendall(bytes(144_800))\n"
        "one.shutdown(socket.SHUT_WR)\n"
        "print(one.recv(100).decode().strip())\n"
        "info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)\n"
        "rtt, = struct.unpack_from('I', info, 68)\n"
        "again, = struct.unpack_from('I', info, 100)\n"
        "least, = struct.unpack_from('I', info, 148)\n"
        "sent, = struct.unpack_from('I', info, 136)\n"
        "print(rtt, least, again, sent)\n"
    )
    done = run("--loss", "3%", "--delay", "50ms", "--seed", "1", "--report", "/dev/stderr", "--", PYTHON, "-c", program)
    arrived, numbers = done.stdout.splitlines()
    assert int(arrived) == 20 * 144_800
    rtt, least, again, sent = map(int, numbers.split())
    assert 100_000 <= least < 130_000
    assert 100_000 <= rtt < 200_000
    deviation = (sent * 0.03 * 0.97) ** 0.5
    assert sent * 0.03 - 4 * deviation < again < 2 * sent * 0.03 + 4 * deviation
    [line] = [line for line in done.stderr.splitlines() if line.startswith("*: up")]
    up, down = (part.split("packets, ") for part in line.removeprefix("*: ").split(";"))
    for packets, lost in (up, down):
        count = int(packets.split()[1].replace(",", ""))
        assert abs(int(lost.split()[0]) - count * 0.03) < 4 * (count * 0.03 * 0.97) ** 0.5


def test_a_download_over_a_lossy_path_comes_whole(require_program: Programs) -> None:
    done = run(
        "--json", "--loss", "3%", "--delay", "5ms", "--seed", "3", "--",
        require_program("curl"), "-sS", "-o", "/dev/null", "-w", "%{size_download}", f"http://{WEB}/500000",
    )  # fmt: skip
    assert done.stdout == "500000"
    [tcp] = [row for row in rows(done) if row["protocol"] == "tcp"]
    assert tcp["resent"] > 0
    assert tcp["rtt"] > 0.009


def test_a_cut_lasts_as_long_as_it_was_said_to() -> None:
    program = f"import socket; socket.create_connection(('{WEB}', 7), timeout=60); print('connected')"
    done = run("--cut", "0s..4s", "--report", "/dev/stderr", "--", PYTHON, "-c", program)
    assert done.stdout == "connected\n"
    [line] = [line for line in done.stderr.splitlines() if line.startswith("*: up")]
    assert int(line.split("packets, ")[1].split()[0]) >= 1, "the first SYN came before the cut had begun"


def test_a_run_is_seen_and_its_network_changed_while_it_lasts(tmp_path: Path) -> None:
    asker = tmp_path / "asker"
    asker.write_text(
        f"#!{PYTHON}\n"
        "import socket, sys, time\n"
        f"one = socket.create_connection(('{WEB}', 7))\n"
        "print('ready', flush=True)\n"
        "for line in sys.stdin:\n"
        "    began = time.monotonic(); one.sendall(b'x'); one.recv(1); print(time.monotonic() - began, flush=True)\n"
    )
    asker.chmod(0o755)
    script = (
        "mkfifo $0/in $0/out; exec 4<>$0/in 5<>$0/out;"
        f"{PYTHON} -m synfin.cli run --quiet --delay 1ms -- $0/asker <&4 >&5 & run=$!;"
        f"read -r line <&5; {PYTHON} -m synfin.cli ss asker; echo ===; {PYTHON} -m synfin.cli fault asker delay=300ms;"
        "echo ===; echo >&4; read -r line <&5; echo $line; kill $run; wait $run"
    )
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = internet("bash", "-c", script, str(tmp_path), check=False, env=environment)
    seen, changed, took = done.stdout.split("===\n")
    assert WEB in seen
    assert "ESTABLISHED" in seen or "ESTAB" in seen
    assert "delay=300ms" in changed
    assert 0.6 <= float(took) < 60


def test_rules_of_a_file_decide_about_packets(require_program: Programs, tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text(
        "from synfin.sim import DROP, PASS\n"
        "def network(net):\n"
        "    net.rule(lambda packet: DROP if packet.receiver == 'web' and packet.flags == 'SYN' else PASS)\n"
    )
    words = ["--name", f"web={WEB}", "--rules", str(tmp_path / "rules.py"), "--quiet", "--"]
    done = run(*words, require_program("curl"), "-sS", "-m", "2", "http://web/", check=False)
    assert done.returncode == 28
    assert run(*words, require_program("curl"), "-sS", "-6", f"http://{NAME}/").stdout == "hello\n"


def test_a_diagram_and_a_capture_show_the_connection(require_program: Programs, tmp_path: Path) -> None:
    capture = tmp_path / "out.pcapng"
    done = run("--diagram", "--pcapng", str(capture), "--", require_program("curl"), "-sS", f"http://{WEB}/")
    assert "SYN seq=0" in done.stderr
    assert "ESTABLISHED" in done.stderr
    from synfin.links.captures import Capture

    with capture.open("rb") as file:
        assert len(list(Capture(file))) >= 8


def test_an_ordinary_user_needs_nothing_else(require_program: Programs) -> None:
    curl = require_program("curl")

    class Hello(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    def body() -> None:
        if os.geteuid() == 0:
            give_up_root()
        with tempfile.TemporaryDirectory() as home, HTTPServer(("127.0.0.1", 0), Hello) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            done = subprocess.run(
                [PYTHON, "-m", "synfin.cli", "run", "--quiet", "--allow-host", "--", "sh", "-c",
                 f"id -u; {curl} -sS http://host.synfin:{server.server_port}/"],
                capture_output=True, text=True, cwd=ROOT, timeout=SECONDS, check=False,
                env={**os.environ, "XDG_RUNTIME_DIR": home},
            )  # fmt: skip
            server.shutdown()
        assert (done.stdout, done.stderr) == (f"{os.geteuid()}\nhello", "")

    in_child(body)


def test_a_program_that_is_not_there_is_said_as_shells_say_it() -> None:
    done = run("--", "no-such-program", check=False)
    assert (done.returncode, done.stderr) == (127, "synfin run: there is no program no-such-program\n")


MANY = (  # as many connections at once as it is told, each an echo's, and how many were answered
    "import socket, sys, threading, time\n"
    "answered = []\n"
    "def one():\n"
    f"    with socket.create_connection(('{WEB}', 7), timeout=60) as made:\n"
    "        made.sendall(b'x')\n"
    "        answered.append(made.recv(1))\n"
    "        time.sleep(1)\n"
    "threads = [threading.Thread(target=one) for _ in range(int(sys.argv[1]))]\n"
    "for thread in threads: thread.start()\n"
    "for thread in threads: thread.join()\n"
    "print(len(answered), flush=True)\n"
)


def test_a_run_may_have_more_descriptors_than_its_program_begins_with() -> None:
    inner = 'ulimit -Sn; ulimit -Sn 4000; exec "$0" -c "$1" 200'
    script = f'ulimit -Sn 64; exec {PYTHON} -m synfin.cli run --json -- bash -c "$0" {PYTHON} "$1"'
    done = internet("bash", "-c", script, inner, MANY)
    assert done.stdout.split() == ["64", "200"]
    assert [row["outcome"] for row in rows(done)] == ["closed"] * 200
    assert "limit met" not in done.stderr


def test_where_descriptors_run_out_connections_wait_and_it_is_said() -> None:
    """The SYNs of those that find none come again, as on a network that has lost them."""
    inner = 'for _ in 1 2 3; do "$0" -c "$1" 20 & done; wait'
    script = f'ulimit -n 48; exec {PYTHON} -m synfin.cli run --json -- bash -c "$0" {PYTHON} "$1"'
    done = internet("bash", "-c", script, inner, MANY)
    assert done.stdout.split() == ["20", "20", "20"]
    assert "this machine had no descriptor (ulimit -Hn: 48)" in done.stderr
    assert sum(row["outcome"] == "closed" for row in rows(done)) == 60


def test_a_network_that_is_there_gets_synfin_too(require_program: Programs) -> None:
    """As a container without a network has: whoever is in it, started before or after."""
    script = (
        "from synfin.links.netns import PrivateNetwork\n"
        "import subprocess, sys\n"
        "with PrivateNetwork() as network:\n"
        f"    words = [sys.executable, '-m', 'synfin.cli', 'run', '--quiet', '--netns', str(network.pid)]\n"
        f"    inner = [{require_program('curl')!r}, '-sS', '--retry', '50', '--retry-all-errors']\n"
        f"    subprocess.run([*words, '--', *inner, 'http://{NAME}/'], check=True)\n"
        "    served = subprocess.Popen(words)\n"
        f"    network.run([*inner, 'http://{WEB}/'], check=True)\n"
        "    served.terminate()\n"
        "    print(served.wait())\n"
    )
    assert internet(PYTHON, "-c", script).stdout.split() == ["hello", "hello", "-15"]


BOX = """
import subprocess, sys
from synfin.links.netns import PrivateNetwork, add_pair, configure
with PrivateNetwork() as box:
    add_pair("box0", "eth0", box.pid)
    configure("box0", ["10.5.0.1/24", "fd05::1/64"])
    inside = "from synfin.links.netns import configure; configure('eth0', ['10.5.0.2/24', 'fd05::2/64'])"
    box.run([sys.executable, "-c", inside], check=True)
    for words in ("-4 route add default via 10.5.0.1", "-6 route add default via fd05::1"):
        box.run(["ip", *words.split()], check=True)
    limited = ["setpriv", "--bounding-set=-all,+net_admin,+setpcap", "--inh-caps=-all", "--"]
    words = [sys.executable, "-m", "synfin.cli", "run", "--netns", "here"]
"""


def test_with_cap_net_admin_alone_the_network_it_is_in_is_led_through_synfin(require_program: Programs) -> None:
    """As in a container that may make no namespace: over both families, names too, and all is undone at the end."""
    curl = require_program("curl")
    script = BOX + (
        f"    asked = '{curl} -4 -sS http://{NAME}/; {curl} -6 -sS http://{NAME}/;"
        f" {curl} -sS http://{WEB}:81/ 2> /dev/null; echo $?; grep CapEff /proc/self/status'\n"
        "    box.run([*limited, *words, '--json', '--', 'sh', '-c', asked], check=True)\n"
        "    for words in ('-4 rule', '-6 rule', 'route show table 5953'):\n"
        "        print(len(box.run(['ip', *words.split()], capture_output=True).stdout.splitlines()))\n"
    )
    done = internet(PYTHON, "-c", script)
    assert done.stdout.split() == ["hello", "hello", "7", "CapEff:", "0" * 16, "3", "2", "0"]
    seen = [(row["protocol"], row["address"], row["outcome"]) for row in rows(done)]
    assert ("tcp", WEB, "closed") in seen
    assert ("tcp", WEB6, "closed") in seen
    assert ("tcp", WEB, "refused") in seen
    assert DNS in [row[1] for row in seen if row[0] == "udp"]


def test_who_may_not_change_the_network_it_is_in_is_told_what_that_takes(require_program: Programs) -> None:
    limited = [require_program("setpriv"), "--bounding-set=-all", "--inh-caps=-all", "--"]
    words = [*limited, PYTHON, "-m", "synfin.cli", "run", "--netns", "here", "--", "true"]
    refused = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode != 0
    assert "takes CAP_NET_ADMIN" in refused.stderr


def test_a_network_that_is_led_through_synfin_still_serves_who_comes_from_outside(
    require_program: Programs, tmp_path: Path
) -> None:
    """Answers go the way that the question came; and after a run that was killed everything is as before."""
    (tmp_path / "page").write_text("from inside\n")
    curl = require_program("curl")
    script = BOX + (
        f"    server = [sys.executable, '-m', 'http.server', '-b', '0.0.0.0', '-d', '{tmp_path}', '8000']\n"
        "    run = box.popen([*limited, *words, '--quiet', '--', *server],"
        " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        f"    ask = ['{curl}', '-sS', '--retry', '100', '--retry-all-errors', '--retry-delay', '1']\n"
        "    print(subprocess.run([*ask, 'http://10.5.0.2:8000/page'], capture_output=True, text=True).stdout)\n"
        "    run.kill(); run.wait()\n"
        f"    print(box.run([*ask, 'http://{WEB}/'], capture_output=True, text=True).stdout)\n"
        f"    box.run([*limited, *words, '--json', '--', *ask, 'http://{WEB}/'], check=True)\n"
    )
    done = internet(PYTHON, "-c", script)
    assert done.stdout.split() == ["from", "inside", "hello", "hello"]
    assert [row["outcome"] for row in rows(done)] == ["closed"]


def test_what_a_run_lost_a_simulation_loses_again(tmp_path: Path) -> None:
    """400 datagrams, one after the other; of the same number the same are lost."""
    flood = (
        "import socket, time\n"
        "one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for number in range(400):\n"
        f"    one.sendto(bytes(100), ('{WEB}', 9))\n"
    )
    file = tmp_path / "network.json"
    run("--delay", "30ms", "--loss", "10%", "--seed", "3", "--record", str(file), "--", PYTHON, "-c", flood)
    recording = Recording.load(file)
    up, _ = recording.places["*"]
    lost = {number for number, fate, _, _ in up.packets if fate == DROP}
    assert up.known >= 400
    assert 10 <= len(lost) <= 80

    network = Network()
    program, server = network.host("program"), network.host("server")
    recording.install(network, "program", "server")
    arrived: dict[int, float] = {}

    class Door(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            number = int.from_bytes(data, "big")
            arrived[number] = network.now - number / 1000

    async def send() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("server", 9))
        for number in range(up.known):
            transport.sendto(number.to_bytes(2, "big"))
            await asyncio.sleep(0.001)
        await asyncio.sleep(1)
        transport.close()

    async def main() -> None:
        await server.start(asyncio.get_running_loop().create_datagram_endpoint(Door, local_addr=("0.0.0.0", 9)))
        await program.start(send())

    network.run(main())
    assert set(range(up.known)) - set(arrived) == lost
    assert {round(time, 6) for time in arrived.values()} == {0.03}


def test_a_run_without_faults_records_how_far_its_places_are(require_program: Programs, tmp_path: Path) -> None:
    file = tmp_path / "network.json"
    run("--quiet", "--record", str(file), "--", require_program("curl"), "-sS", f"http://{WEB}/")
    places = Recording.load(file).places
    assert set(places) == {"*", f"{WEB}:80"}
    assert all(way.settings[0][1].delay < 1_000_000 for way in places[f"{WEB}:80"])
