"""Many clients at once against a synfin server: 200 curls, ab, wrk."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REQUIRE_ALL
from tests.interop.harness import SNAPLEN, Settings, SynfinSide, curl_command, run, run_all
from tests.interop.payload import chunks

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]
LONG_SECONDS = {"tun": 30 if REQUIRE_ALL else 5, "packet": 5}


@pytest.mark.parametrize("offload", [True, False], ids=["offload", "plain"])
def test_200_curls_at_once_all_get_their_body(
    require_program: Programs, device: str, tmp_path: Path, offload: bool
) -> None:
    curl, tshark = require_program("curl"), require_program("tshark")
    size = 20_000
    settings = Settings(device=device, offload=offload, capture=str(tmp_path / "curls.pcapng"))
    with SynfinSide(settings) as side:
        # The server answers none before all have asked.
        targets = [(4 if number % 2 else 6, tmp_path / f"got{number}") for number in range(200)]
        commands = [
            [*curl_command(curl), "-o", str(path), side.url(version, f"/together/200/{size}")]
            for version, path in targets
        ]
        assert run_all(side, commands) == [(0, "")] * 200
        report = side.finish()
    (body,) = chunks(size)
    assert all(path.read_bytes() == body for _, path in targets)
    report.assert_clean()
    assert report.served == report.counters["PassiveOpens"] == 200
    assert len(report.read_conversations(tshark)) == 200


def test_ab_finds_no_error_in_connections_of_one_request(
    require_program: Programs, device: str, tmp_path: Path
) -> None:
    ab, tshark = require_program("ab"), require_program("tshark")
    settings = Settings(device=device, offload=False, capture=str(tmp_path / "ab.pcapng"), snaplen=SNAPLEN)
    requests = 1000
    with SynfinSide(settings) as side:
        for version in (4, 6):
            said = run(side, ab, "-n", str(requests), "-c", "100", "-s", "150", side.url(version, "/5000"))
            assert f"Complete requests:      {requests}" in said
            assert "Failed requests:        0" in said
            assert "Non-2xx" not in said
        report = side.finish()
    # ab may open connections too many before it knows that it has enough; when it exits, its kernel resets those.
    report.assert_clean(resets=None)
    assert (report.problems, report.counters["OutRsts"]) == ([], 0)
    assert report.served == 2 * requests
    # HTTP/1.0: the server closes first, so TIME-WAIT is its part, until the kernel takes the same port again.
    left = report.census["time_wait"] + report.counters["TWRecycled"]
    assert left == 2 * requests, (report.counters, report.kernel)
    assert len(report.read_conversations(tshark, if_with_data=True)) == 2 * requests


@pytest.mark.parametrize("offload", [True, False], ids=["offload", "plain"])
def test_wrk_finds_no_error_in_connections_of_many_requests(
    require_program: Programs, device: str, offload: bool
) -> None:
    wrk = require_program("wrk")
    seconds = LONG_SECONDS[device] if offload else 3
    with SynfinSide(Settings(device=device, offload=offload)) as side:
        said = run(side, wrk, "-t", "1", "-c", "50", "-d", f"{seconds}s", "--timeout", "60s", side.url(4, "/1000"))
        assert "Socket errors" not in said, said
        assert "Non-2xx" not in said, said
        (requests,) = re.findall(r"(\d+) requests in", said)
        # wrk ends in the midst of answers: its kernel resets what it has not read.
        report = side.finish()
    assert 0 < int(requests) <= report.served
    report.assert_clean(resets=None)
