"""SACK with the kernel over a link that loses: each side finds and mends its losses by the other's blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.harness import Settings, SynfinSide, curl_get, curl_put
from tests.interop.payload import MB, digest, write_file

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]
SIZE = 10 * MB
LOSE = 100


@pytest.mark.parametrize("version", [4, 6])
def test_a_body_arrives_whole_over_a_link_that_loses_one_packet_in_a_hundred(
    require_program: Programs, device: str, tmp_path: Path, version: int
) -> None:
    curl = require_program("curl")
    body = write_file(tmp_path / "body", SIZE)
    with SynfinSide(Settings(device=device, offload=False, lose=LOSE)) as side:
        assert curl_get(side, curl, version, SIZE, tmp_path) == digest(SIZE)
        assert curl_put(side, curl, version, body) == digest(SIZE)
        lost = side.ask("lost")
        report = side.finish()
    assert report.problems == []
    ours, kernel = report.counters, report.kernel
    assert min(lost.values()) > SIZE // 1500 // LOSE
    # We found our losses by the kernel's blocks, and sent again little more than what was lost.
    assert ours["TCPSackRecovery"] == ours["TCPFastRetrans"] > 0
    assert ours["TCPSACKDiscard"] == ours["TCPSACKReneging"] == 0
    assert lost["out"] <= ours["RetransSegs"] <= 2 * lost["out"]
    # So did the kernel by ours: it found no block that could not be true.
    assert ours["TCPOFOQueue"] > lost["in"]
    assert kernel["TCPSackRecovery"] > 0
    assert kernel["TCPSACKDiscard"] == kernel["TCPSACKReneging"] == kernel["TCPRenoRecovery"] == 0
    assert lost["in"] <= kernel["RetransSegs"] <= 2 * lost["in"]
