"""ECN with the kernel over a link that marks: each side hears of its marks and answers them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.harness import Report, Settings, SynfinSide, curl_get, curl_put
from tests.interop.nginx import start_nginx
from tests.interop.payload import MB, digest, write_file

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]
SIZE = 2 * MB
MARK = 50  # one packet in so many
KERNEL_ASKS = {"classic": 1, "accurate": 3}  # tcp_ecn


def set_kernel_ecn(side: SynfinSide, value: int) -> None:
    """Skips the test where the kernel knows no such value."""
    if not side.ask("set_kernel_ecn", value=value):
        pytest.skip(f"this kernel knows no tcp_ecn={value}")


def exchange(
    curl: str, folder: Path, settings: Settings, version: int, kernel_ecn: int
) -> tuple[Report, dict[str, int]]:
    """A body each way, from the kernel's client; what was marked."""
    body = write_file(folder / "body", SIZE)
    with SynfinSide(settings) as side:
        set_kernel_ecn(side, kernel_ecn)
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
    require_program: Programs, device: str, tmp_path: Path, version: int, asks: str, ecn: str
) -> None:
    curl = require_program("curl")
    settings = Settings(device=device, offload=False, mark=MARK, config={"ecn": ecn}, capture=str(tmp_path / "capture"))
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


@pytest.mark.parametrize("ecn", ["on", "accurate"])
@pytest.mark.parametrize("kernel_ecn", [0, 1, 2, 3])
def test_our_client_gets_the_mode_that_the_kernels_server_has(
    require_program: Programs, device: str, tmp_path: Path, ecn: str, kernel_ecn: int
) -> None:
    nginx = require_program("nginx")
    with SynfinSide(Settings(device=device, offload=False, mark=MARK, config={"ecn": ecn})) as side:
        set_kernel_ecn(side, kernel_ecn)
        root = start_nginx(nginx, side, tmp_path)
        write_file(root / "down", SIZE)
        assert side.ask("fetch", version=4, path="/down") == [[f"200 {digest(SIZE)}", 1]]
        assert side.ask("put", version=4, path="/up", size=SIZE).split()[0] == "201"
        marked = side.ask("marked")
        report = side.finish()
    assert report.problems == []
    if kernel_ecn == 0:
        assert marked == {"in": 0, "out": 0}
        return
    assert min(marked.values()) > SIZE // 1500 // MARK // 2
    assert report.counters["InCEPkts"] == marked["in"]
    assert 0 < report.counters["TCPEcnReductions"] <= marked["out"]
