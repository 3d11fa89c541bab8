"""`synfin run` of programs that mean harm: its tables and its memory are bounded, and other connections go on.

What it keeps is read from /proc inside: it is the parent of the program's parent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

from tests.interop.internet import SILENT, WEB
from tests.interop.test_run import internet, run

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]
PYTHON = sys.executable
MB = 1 << 20

# `kept()` is what the run has in memory, `other()` an honest connection, which has to be answered.
PROGRAM = f"""
import errno, os, random, socket, struct, time
def status(pid, name):
    [line] = [line for line in open(f"/proc/{{pid}}/status") if line.startswith(name + ":")]
    return int(line.split()[1])
RUN = status(os.getppid(), "PPid")
def kept():
    return status(RUN, "VmRSS") * 1024
def other():
    with socket.create_connection(("{WEB}", 7), timeout=60) as one:
        one.sendall(b"still here"); print(one.recv(100).decode(), flush=True)
"""


def test_a_flood_from_inside_ends_at_limits_and_leaves_other_connections_alone() -> None:
    program = PROGRAM + (
        "sockets = []\n"
        "for number in range(600):\n"  # to an address that answers nothing
        "    one = socket.socket(); one.setblocking(False); sockets.append(one)\n"
        f"    assert one.connect_ex(('{SILENT}', 1000 + number)) == errno.EINPROGRESS\n"
        "flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for number in range(3000):\n"
        "    flood.sendto(b'x', (f'203.0.113.{number % 200 + 20}', 2000 + number))\n"
        "other()\n"
    )
    assert "still here" in run("--quiet", "--", PYTHON, "-c", program).stdout


def test_connections_that_never_read_keep_little_and_leave_others_alone() -> None:
    """400 that ask for 100 MB and read nothing, and 20 that send as much as goes to a server that reads nothing."""
    program = PROGRAM + (
        "before, sockets = kept(), []\n"
        "for port in [80] * 400 + [19] * 20:\n"
        "    one = socket.socket(); one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)\n"
        f"    one.connect(('{WEB}', port)); one.setblocking(False); sockets.append(one)\n"
        "    if port == 80: one.send(b'GET /100000000 HTTP/1.0\\r\\n\\r\\n')\n"
        "sent = quiet = 0\n"
        "while quiet < 10:\n"  # half a second in which nobody took anything
        "    quiet += 1\n"
        "    for one in sockets[400:]:\n"
        "        try:\n"
        "            sent += one.send(bytes(262144)); quiet = 0\n"
        "        except BlockingIOError: pass\n"
        "    time.sleep(0.05)\n"
        "other()\n"
        "print(sent, kept() - before)\n"
    )
    done = run("--quiet", "--", PYTHON, "-c", program)
    answer, numbers = done.stdout.splitlines()
    assert answer == "still here"
    sent, more = map(int, numbers.split())
    assert sent > 20 * 262144, "what goes to them was not held up by the program's own kernel"
    assert more < 400 * MB


@pytest.mark.skipif(os.geteuid() != 0, reason="in a namespace that is there only who has rights over it forges")
def test_forged_senders_are_forgotten_for_who_is_there(require_program: Programs) -> None:
    """4,400 SYNs of as many senders to a server that answers, which is more than there may be connections."""
    forge = (
        "import random, socket, struct\n"
        "raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)\n"
        "def checksum(data):\n"
        "    total = sum(struct.unpack(f'!{len(data) // 2}H', data))\n"
        "    total = (total & 65535) + (total >> 16); return 65535 - ((total & 65535) + (total >> 16))\n"
        f"there = socket.inet_aton('{WEB}')\n"
        "for number in range(4400):\n"
        "    here = socket.inet_aton(f'10.{number >> 8}.{number & 255}.7')\n"
        "    tcp = struct.pack('!HHIIBBHHH', 1000, 7, number, 0, 5 << 4, 2, 1000, 0, 0)\n"
        "    tcp = tcp[:16] + struct.pack('!H', checksum(here + there + struct.pack('!HH', 6, 20) + tcp)) + tcp[18:]\n"
        "    ip = struct.pack('!BBHHHBBH', 0x45, 0, 40, 0, 0, 64, 6, 0) + here + there\n"
        f"    raw.sendto(ip + tcp, ('{WEB}', 0))\n"
    )
    script = (
        "from synfin.links.netns import PrivateNetwork\n"
        "import subprocess, sys, time\n"
        "with PrivateNetwork() as network:\n"
        "    words = [sys.executable, '-m', 'synfin.cli', 'run', '--netns', str(network.pid), '--',"
        " 'sh', '-c', 'echo up; exec sleep 1000']\n"
        "    run = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)\n"
        "    run.stdout.readline()\n"
        f"    network.run([sys.executable, '-c', {forge!r}], check=True)\n"
        "    patient = ['--connect-timeout', '3', '--retry', '20', '--retry-all-errors']\n"
        f"    ask = [{require_program('curl')!r}, '-sS', *patient, 'http://{WEB}/']\n"
        "    network.run(ask, check=True)\n"
        "    memory = [line for line in open(f'/proc/{run.pid}/status') if line.startswith('VmHWM')]\n"
        "    run.terminate()\n"
        "    print(int(memory[0].split()[1]))\n"
    )
    done = internet(PYTHON, "-c", script)
    hello, memory = done.stdout.split()
    assert hello == "hello"
    assert int(memory) * 1024 < 400 * MB
