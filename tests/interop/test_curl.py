"""curl against a synfin server: whole bodies both ways, and captures in which tshark finds nothing to blame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.harness import SNAPLEN, Settings, SynfinSide, curl_get, curl_put
from tests.interop.payload import MB, digest, write_file

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]
OFFLOAD = pytest.mark.parametrize("offload", [True, False], ids=["offload", "plain"])


@OFFLOAD
@pytest.mark.parametrize("mtu", [576, 1500, 9000])
def test_curl_gets_and_puts_whole_bodies_and_tshark_finds_nothing_wrong(
    require_program: Programs, device: str, tmp_path: Path, mtu: int, offload: bool
) -> None:
    curl, tshark = require_program("curl"), require_program("tshark")
    size = 4 * MB
    body = write_file(tmp_path / "body", size)
    settings = Settings(device=device, mtu=mtu, offload=offload, capture=str(tmp_path / "curl.pcapng"))
    with SynfinSide(settings) as side:
        for version in settings.versions:
            assert curl_get(side, curl, version, size, tmp_path) == digest(size)
            assert curl_put(side, curl, version, body) == digest(size)
        report = side.finish()
    report.assert_clean()
    assert len(report.read_conversations(tshark)) == report.served == 2 * len(settings.versions)
    capture = report.read_capture(tshark)
    segments = report.counters["InSegs"] + report.counters["OutSegs"]
    assert capture.tcp_frames < segments / 2 if offload else capture.tcp_frames == segments


# tshark reads 10,000 packets a second: the one with most of them is not captured
@pytest.mark.parametrize(
    ("version", "mtu", "offload", "captured"),
    [(4, 1500, True, True), (6, 1500, True, True), (4, 1500, False, False), (6, 9000, False, True)],
)
def test_curl_gets_and_puts_200_mb(
    require_program: Programs, device: str, tmp_path: Path, version: int, mtu: int, offload: bool, captured: bool
) -> None:
    curl = require_program("curl")
    size = 200 * MB
    body = write_file(tmp_path / "body", size)
    capture = tmp_path / "curl.pcapng"
    settings = Settings(
        device=device, mtu=mtu, offload=offload, capture=str(capture) if captured else "", snaplen=SNAPLEN
    )
    with SynfinSide(settings) as side:
        assert curl_get(side, curl, version, size, tmp_path) == digest(size)
        assert curl_put(side, curl, version, body) == digest(size)
        report = side.finish()
    body.unlink()
    report.assert_clean()
    if captured:
        assert len(report.read_conversations(require_program("tshark"))) == 2
        capture.unlink()
