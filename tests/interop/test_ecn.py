"""ECN with the kernel over a link that marks: each side hears of its marks and answers them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.harness import Report, Settings, SynfinSide, curl_get, curl_put
from tests.interop.payload import MB, digest, write_file

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]
SIZE = 5 * MB
MARK = 100  # one packet in so many
KERNEL_ASKS = {"classic": 1, "accurate": 3}  # tcp_ecn


def exchange(
    curl: str, folder: Path, settings: Settings, version: int, kernel_ecn: int
) -> tuple[Report, dict[str, int]]:
    """A body each way, from the kernel's client; what was marked."""
    body = write_file(folder / "body", SIZE)
    with SynfinSide(settings) as side:
        if not side.ask("set_kernel_ecn", value=kernel_ecn):
            pytest.skip(f"this kernel knows no tcp_ecn={kernel_ecn}")
        assert curl_get(side, curl, version, SIZE, folder) == digest(SIZE)
        assert curl_put(side, curl, version, body) == digest(SIZE)
        marked = side.ask("marked")
        report = side.finish()
    assert report.problems == []
    return report, marked


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("asks", KERNEL_ASKS)
@pytest.mark.parametrize("ecn", ["accept", "accurate"])
def test_the_kernels_client_gets_the_mode_it_asks_for_and_marks_are_heard_and_answered_both_ways(
    require_program: Programs, tmp_path: Path, version: int, asks: str, ecn: str
) -> None:
    curl = require_program("curl")
    settings = Settings(offload=False, mark=MARK, config={"ecn": ecn}, capture=str(tmp_path / "capture"))
    report, marked = exchange(curl, tmp_path, settings, version, KERNEL_ASKS[asks])
    assert min(marked.values()) > SIZE // 1500 // MARK // 2
    ours, kernel = report.counters, report.kernel
    assert ours["InCEPkts"] == marked["in"]
    assert 0 < ours["TCPEcnReductions"] <= marked["out"]
    # The kernel counts what it hears of marks on its own packets: by ECE all that an ACK covers, else exactly.
    if asks == ecn == "accurate":
        assert kernel["TCPDeliveredCE"] == marked["in"]
    else:
        assert kernel["TCPDeliveredCE"] >= marked["in"]
