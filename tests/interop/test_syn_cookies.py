"""SYN cookies against the kernel: connections of full speed by cookie alone, and clients that get through a flood."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from synfin.tcp.config import COOKIES_ALWAYS, COOKIES_WHEN_FULL
from tests.conftest import REQUIRE_ALL
from tests.interop.harness import HANG_SECONDS, SYNFIN, Settings, SynfinSide, curl_get, wait_until
from tests.interop.payload import MB, digest

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]

DOWNLOAD = 100 * MB if REQUIRE_ALL else 20 * MB
# The long flood on one of the devices: what it fills is the same behind both.
FLOOD = {"tun": 1_000_000 if REQUIRE_ALL else 50_000, "packet": 50_000}
CLIENTS = 100

# What the kernel says of its connection (linux/tcp.h, struct tcp_info), in the middle of a download.
OPTIONS = f"""
import socket, sys
to = socket.create_connection(({SYNFIN[4]!r}, 80), timeout={HANG_SECONDS})
to.sendall(b"GET /20000000 HTTP/1.1\\r\\nConnection: keep-alive\\r\\n\\r\\n")
left = 5_000_000
while left > 0:
    left -= len(to.recv(65536))
info = to.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
print(info[5], info[6] & 15, info[6] >> 4, flush=True)
sys.stdin.read()
"""
TIMESTAMPS, SACK, WSCALE = 1, 2, 4

# A client for each line that comes in: it connects, asks, reads all, and closes first; its outcome is a line.
CLIENT = f"""
import socket, sys, threading
def fetch():
    try:
        with socket.create_connection(({SYNFIN[4]!r}, 80), timeout={HANG_SECONDS}) as to:
            to.sendall(b"GET /1000 HTTP/1.1\\r\\n\\r\\n")
            got = b""
            while not (end := got.find(b"\\r\\n\\r\\n") + 4) > 3 or len(got) < end + 1000:
                data = to.recv(65536)
                if not data:
                    raise EOFError(len(got))
                got += data
        return "complete"
    except Exception as error:
        return repr(error)
def one():
    outcome = fetch()
    with lock:
        print(outcome, flush=True)
lock = threading.Lock()
threads = []
for line in sys.stdin:
    threads.append(threading.Thread(target=one))
    threads[-1].start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("version", [4, 6])
def test_a_kernel_client_downloads_100_mb_over_a_connection_made_by_cookie(
    require_program: Programs, device: str, tmp_path: Path, version: int
) -> None:
    curl = require_program("curl")
    with SynfinSide(Settings(device=device, config={"syn_cookies": COOKIES_ALWAYS})) as side:
        assert curl_get(side, curl, version, DOWNLOAD, tmp_path) == digest(DOWNLOAD)
        report = side.finish()
    report.assert_clean()
    counters = report.counters
    assert (counters["SyncookiesSent"], counters["SyncookiesRecv"], counters["SyncookiesFailed"]) == (1, 1, 0)
    assert counters["PassiveOpens"] == report.served == 1


def test_window_scale_sack_and_timestamps_survive_the_cookie(device: str) -> None:
    with SynfinSide(Settings(device=device, config={"syn_cookies": COOKIES_ALWAYS})) as side:
        command = [sys.executable, "-c", OPTIONS]
        with side.network.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            options, theirs, mine = map(int, client.stdout.readline().split())
            assert options & (TIMESTAMPS | SACK | WSCALE) == TIMESTAMPS | SACK | WSCALE
            assert mine > 0
            assert theirs == 7  # 65535 << 7 covers the largest receive buffer
            assert side.ask("widest_window") > 65535


def test_100_kernel_clients_all_get_through_a_flood_of_spoofed_syns_and_nothing_is_left_of_it(device: str) -> None:
    # A short queue whose entries end after seven seconds: the flood fills it at once and ever again, and a client whose
    # SYN found room there has the time it needs while a batch of the flood keeps this process busy.
    flood = FLOOD[device]
    config = {"syn_cookies": COOKIES_WHEN_FULL, "syn_queue_limit": 64, "synack_retries": 2}
    with SynfinSide(Settings(device=device, config=config)) as side:
        # A first round, so that what is made once is there before the objects are counted.
        side.ask("flood", first=2 * flood, count=5000)
        assert clients_through(side, 5, 1000) == ["complete"] * 5
        wait_until(lambda: not any(side.ask("census").values()), lambda: f"left over: {side.ask('census')}")
        before = side.ask("objects")
        full = side.report().counters["TCPReqQFullDoCookies"]
        assert clients_through(side, CLIENTS, flood // CLIENTS) == ["complete"] * CLIENTS
        wait_until(lambda: not any(side.ask("census").values()), lambda: f"left over: {side.ask('census')}")
        after = side.ask("objects")
        report = side.finish()
    assert report.problems == []
    assert report.served == report.counters["PassiveOpens"] == 5 + CLIENTS
    assert report.counters["TCPReqQFullDoCookies"] - full > flood // 2
    assert report.counters["SyncookiesSent"] + report.counters["OutDiscards"] >= report.counters["TCPReqQFullDoCookies"]
    assert report.counters["SyncookiesRecv"] > 0
    assert report.counters["ListenDrops"] == report.counters["SyncookiesFailed"] == 0
    assert abs(after - before) < 200, f"{before} objects before, {after} after"


def clients_through(side: SynfinSide, clients: int, flood: int) -> list[str]:
    """Each client connects while its own part of the flood goes on; what they say at their end."""
    child = side.network.popen([sys.executable, "-c", CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    for number in range(clients):
        child.stdin.write("\n")
        child.stdin.flush()
        side.ask("flood", first=number * flood, count=flood)
    said, _ = child.communicate(timeout=HANG_SECONDS)
    return said.split("\n")[:-1]


def test_a_download_goes_on_while_cookies_are_off_and_on(
    require_program: Programs, device: str, tmp_path: Path
) -> None:
    curl = require_program("curl")
    for mode, sent in ((0, 0), (COOKIES_WHEN_FULL, 0), (COOKIES_ALWAYS, 1)):
        with SynfinSide(Settings(device=device, config={"syn_cookies": mode})) as side:
            assert curl_get(side, curl, 4, MB, tmp_path) == digest(MB)
            report = side.finish()
        report.assert_clean()
        assert report.counters["SyncookiesSent"] == sent
