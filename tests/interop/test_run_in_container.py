"""`synfin run` in a container that may change its own network and nothing else (tests/interop/container.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.interop.internet import NAME, WEB, WEB6
from tests.interop.test_run import internet, rows

pytestmark = [
    pytest.mark.interop,
    pytest.mark.usefixtures("require_tun"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes containers whose devices have modes"),
]

Programs = Callable[[str], str]
USER = "65534"

# A network for it, routed to that which stands for the internet; what `contained` gives runs in it.
BOX = """
import os, signal, subprocess, sys, time
from synfin.links.netns import PrivateNetwork, add_pair, configure
network = PrivateNetwork()
add_pair("box0", "eth0", network.pid)
configure("box0", ["10.5.0.1/24", "fd05::1/64"])
inside = "from synfin.links.netns import configure; configure('eth0', ['10.5.0.2/24', 'fd05::2/64'])"
network.run([sys.executable, "-c", inside], check=True)
for words in ("-4 route add default via 10.5.0.1", "-6 route add default via fd05::1"):
    network.run(["ip", *words.split()], check=True)
contained = [sys.executable, "-m", "tests.interop.container"]
run = [sys.executable, "-m", "synfin.cli", "run"]
def rules():
    listed = [network.run(["ip", version, "rule"], capture_output=True).stdout for version in ("-4", "-6")]
    return b"".join(listed).count(b"\\n")
before = rules()
"""


def boxed(script: str) -> subprocess.CompletedProcess[str]:
    return internet(sys.executable, "-c", BOX + script + "\nnetwork.close()\n")


@pytest.mark.parametrize(("user", "mode"), [("0", "600"), (USER, "666")], ids=["root", "user"])
def test_with_cap_net_admin_alone_it_is_led_through_synfin(user: str, mode: str, require_program: Programs) -> None:
    """Over both families, by name, and as root with a device that is nobody else's; nothing stays behind."""
    curl = require_program("curl")
    asked = (
        f"{curl} -4 -sS http://{NAME}/; {curl} -6 -sS http://{NAME}/; {curl} -sS http://{WEB}:81/ 2> /dev/null;"
        " echo $?; id -u; grep CapEff /proc/self/status"
    )
    done = boxed(
        f"box = [*contained, '{user}', '{mode}', *run, '--json', '--netns', 'here', '--', 'sh', '-c', {asked!r}]\n"
        "print(network.run(box).returncode, rules() - before)"
    )
    assert done.stdout.split() == ["hello", "hello", "7", user, "CapEff:", "0" * 16, "0", "0"], done.stderr
    seen = [(row["address"], row["outcome"]) for row in rows(done) if row["protocol"] == "tcp"]
    assert sorted(seen) == sorted([(WEB, "closed"), (WEB6, "closed"), (WEB, "refused")])


@pytest.mark.parametrize(
    ("user", "mode", "words", "told"),
    [
        ("0", "666", [], "--netns here leads all of this network through synfin"),
        (USER, "600", ["--netns", "here"], "this user may not open /dev/net/tun"),
        (USER, "none", ["--netns", "here"], "docker: --device /dev/net/tun"),
    ],
    ids=["no namespace", "mode 600", "no device"],
)
def test_what_it_lacks_there_is_said_with_what_to_do(user: str, mode: str, words: list[str], told: str) -> None:
    done = boxed(
        f"box = [*contained, '{user}', '{mode}', *run, *{words!r}, '--', 'echo', 'began']\n"
        "done = network.run(box, capture_output=True, text=True)\n"
        "print(done.returncode, rules() - before, done.stdout, done.stderr)"
    )
    status, left, text = done.stdout.split(" ", 2)
    assert (status, left) == ("1", "0")
    assert told in text
    assert "began" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("killed", ["os.kill(at.pid, signal.SIGKILL)", "os.killpg(at.pid, signal.SIGKILL)"])
def test_a_run_that_is_killed_leaves_no_rule_in_the_network_that_it_led(killed: str) -> None:
    """Alone, or with all of its process group."""
    done = boxed(
        "words = [*run, '--quiet', '--netns', 'here', '--', 'sh', '-c', 'echo up; exec sleep 1000']\n"
        "at = network.popen(words, stdout=subprocess.PIPE, start_new_session=True)\n"
        "print(at.stdout.readline(), rules() > before)\n"
        f"{killed}\n"
        "at.wait()\n"
        "while rules() != before: time.sleep(0.05)\n"
        "print(at.stdout.read())"
    )
    assert done.stdout.split() == ["b'up\\n'", "True", "b''"]
