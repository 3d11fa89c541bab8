from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from synfin.links import netns
from tests.conftest import need

need(sys.platform == "linux", "namespaces are Linux's")


def test_a_process_with_threads_cannot_enter_a_private_network() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="one thread"):
            netns.enter_private_network()
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("addresses", "routes", "mtu"),
    [
        (["10.0.0.300/24"], [], None),
        (["nonsense"], [], None),
        ([], ["10.0.0.1/8"], None),
        ([], [], 575),
        ([], [], 65536),
        (["fd00::1/64"], [], 1279),
        ([], ["fd00::/64"], 576),
    ],
)
def test_configure_refuses_at_the_call_what_cannot_be_meant(
    addresses: list[str], routes: list[str], mtu: int | None
) -> None:
    with pytest.raises(ValueError):
        netns.configure("tun7", addresses, mtu, routes)


def test_an_unknown_interface_is_an_error_that_names_it() -> None:
    with pytest.raises(OSError, match="there is no interface 'synfin-none'"):
        netns.configure("synfin-none")


def test_a_probe_gives_the_reason_in_one_line() -> None:
    assert netns._probe("pass") is None
    assert netns._probe("raise OSError(1, 'because')") == "because"
    assert netns._probe("raise RuntimeError('because')") == "RuntimeError: because"
    assert netns._probe("import os; os._exit(3)") == "the probe ended with status 3"


def test_a_probe_that_hangs_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netns, "_PROBE_SECONDS", 0.01)
    assert netns._probe("import time; time.sleep(60)") == "the probe took longer than 0.01 s"


def test_a_network_that_cannot_be_had_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netns, "_python", lambda code: [sys.executable, "-c", "raise SystemExit('no network here')"])
    with pytest.raises(OSError, match="no network here"):
        netns.PrivateNetwork()


def test_the_command_line_says_what_it_wants() -> None:
    done = subprocess.run([sys.executable, netns.__file__], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "usage" in done.stderr


def test_importing_the_links_does_not_import_pyroute2() -> None:
    code = "import sys, synfin.links.tun, synfin.links.netns, synfin.links.pcapng; print('pyroute2' in sys.modules)"
    done = subprocess.run(netns._python(code), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
