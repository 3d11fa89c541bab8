"""Both ends of a close, the kernel's and synfin's: who is left in TIME-WAIT, and that nothing else is left anywhere."""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.harness import KERNEL, SYNFIN, Settings, SynfinSide, curl_command, run, wait_until
from tests.interop.payload import digest

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]

# tcp.completeness
SYN_ALONE = 1
COMPLETE_BUT_FIN = 15

# A client on the kernel's TCP: it connects to the synfin side, asks for a page, and goes on as a test says.
CLIENT = f"""
import socket, struct
ask = b"GET /100 HTTP/1.1\\r\\nConnection: %s\\r\\n\\r\\n"
to = socket.create_connection(({SYNFIN[4]!r}, 80), timeout=100)
def read(size=1 << 30):
    got = b""
    while len(got) < size and (data := to.recv(size - len(got))):
        got += data
    return got
def reset():
    to.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    to.close()
"""

CURL_CLOSES = ["--http1.1"]
SERVER_CLOSES = ["--http1.1", "-H", "Connection: close"]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("arguments", "mine", "theirs"), [(SERVER_CLOSES, 1, 0), (CURL_CLOSES, 0, 1)])
def test_whoever_closes_first_is_left_in_time_wait(
    require_program: Programs, device: str, tmp_path: Path, arguments: list[str], mine: int, theirs: int, version: int
) -> None:
    curl, tshark = require_program("curl"), require_program("tshark")
    settings = Settings(device=device, offload=False, capture=str(tmp_path / "close.pcapng"), annotated=True)
    with SynfinSide(settings) as side:
        run(side, *curl_command(curl), *arguments, "-o", "/dev/null", side.url(version, "/100"))
        report = side.finish()
        assert (report.census["time_wait"], side.kernel_states().count("TIME-WAIT")) == (mine, theirs)
    report.assert_clean()
    assert len(report.read_conversations(tshark)) == 1
    # Each packet of the capture carries what it caused.
    comments = "\n".join(report.read_capture(tshark).comments)
    states = ["SYN-RCVD", "ESTABLISHED", *(["FIN-WAIT-1", "FIN-WAIT-2"] if mine else ["CLOSE-WAIT", "LAST-ACK"])]
    for before, after in itertools.pairwise(states):
        assert f"{before} -> {after}" in comments


def test_nothing_is_left_once_time_wait_has_run_out(require_program: Programs, device: str) -> None:
    curl = require_program("curl")
    with SynfinSide(Settings(device=device, config={"msl_us": 100_000})) as side:
        urls = [side.url(version, "/100") for version in (4, 6)] * 10
        run(side, *curl_command(curl), *SERVER_CLOSES, *[part for url in urls for part in ("-o", "/dev/null", url)])
        wait_until(lambda: not any(side.ask("census").values()), lambda: f"left over: {side.ask('census')}")
        report = side.finish()
    report.assert_clean()
    assert report.counters["TW"] == report.served == len(urls)


def test_a_half_closed_client_gets_its_answer(require_program: Programs, device: str, tmp_path: Path) -> None:
    tshark = require_program("tshark")
    with SynfinSide(Settings(device=device, capture=str(tmp_path / "half.pcapng"))) as side:
        half = "to.sendall(ask % b'keep-alive'); to.shutdown(socket.SHUT_WR); print(read()[-100:].hex())"
        body = bytes.fromhex(run(side, sys.executable, "-c", f"{CLIENT}\n{half}"))
        report = side.finish()
        # The client's FIN came first.
        assert (report.census["time_wait"], side.kernel_states().count("TIME-WAIT")) == (0, 1)
    assert hashlib.sha256(body).hexdigest() == digest(100)
    report.assert_clean()
    assert len(report.read_conversations(tshark)) == 1


def test_a_reset_by_the_client_ends_the_connection_on_both_sides(
    require_program: Programs, device: str, tmp_path: Path
) -> None:
    tshark = require_program("tshark")
    with SynfinSide(Settings(device=device, capture=str(tmp_path / "reset.pcapng"))) as side:
        run(side, sys.executable, "-c", f"{CLIENT}\nto.sendall(ask % b'keep-alive'); read(100); reset()")
        report = side.finish()
        assert report.census["time_wait"] == 0
        assert side.kernel_states() == []
    assert report.problems == ["ConnectionResetError(104, 'Connection reset by peer')"]
    assert (report.counters["OutRsts"], report.kernel["OutRsts"]) == (0, 1)
    assert report.counters["EstabResets"] == 1
    (stream,) = report.read_capture(tshark).streams.values()
    assert stream.completeness == COMPLETE_BUT_FIN
    assert stream.resets == {KERNEL[4]}


def test_a_port_where_nobody_listens_refuses_in_both_directions(
    require_program: Programs, device: str, tmp_path: Path
) -> None:
    curl, tshark = require_program("curl"), require_program("tshark")
    with SynfinSide(Settings(device=device, capture=str(tmp_path / "refused.pcapng"))) as side:
        for version in (4, 6):
            url = side.url(version, "/100").replace(":80/", ":81/")
            done = side.network.run([*curl_command(curl), url], capture_output=True, text=True)
            assert done.returncode == 7, done.stderr
            assert "refused" in done.stderr or "Couldn't connect" in done.stderr
            (outcome,) = side.ask("fetch", version=version, path="/")
            assert outcome[0].startswith("ConnectionRefusedError(111,")
        report = side.finish()
    report.assert_clean(resets=2)
    for stream in report.read_capture(tshark).streams.values():
        assert (stream.completeness, len(stream.resets)) == (SYN_ALONE, 1)


@pytest.mark.parametrize("offload", [True, False], ids=["offload", "plain"])
def test_ping_is_answered(require_program: Programs, device: str, tmp_path: Path, offload: bool) -> None:
    ping, tshark = require_program("ping"), require_program("tshark")
    with SynfinSide(Settings(device=device, offload=offload, capture=str(tmp_path / "ping.pcapng"))) as side:
        for version in (4, 6):
            for size in (0, 56, 1400):
                command = [ping, "-c", "3", "-i", "0.01", "-W", "100", "-s", str(size), SYNFIN[version]]
                assert " 0% packet loss" in run(side, *command)
        report = side.finish()
    report.assert_clean()
    assert report.counters["InEchos"] == report.counters["OutEchoReps"] == 18
    assert report.read_capture(tshark).frames >= 36
