"""synfin as the client of nginx on the kernel's TCP."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.harness import SNAPLEN, Settings, SynfinSide
from tests.interop.nginx import start_nginx
from tests.interop.payload import MB, digest, write_file

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]


@pytest.mark.parametrize(("version", "offload", "mtu"), [(4, True, 1500), (6, False, 9000)])
def test_200_mb_cross_both_ways(
    require_program: Programs, device: str, tmp_path: Path, version: int, offload: bool, mtu: int
) -> None:
    nginx, tshark = require_program("nginx"), require_program("tshark")
    size = 200 * MB
    settings = Settings(
        device=device, offload=offload, mtu=mtu, capture=str(tmp_path / "client.pcapng"), snaplen=SNAPLEN
    )
    with SynfinSide(settings) as side:
        root = start_nginx(nginx, side, tmp_path)
        write_file(root / "down", size)
        assert side.ask("fetch", version=version, path="/down") == [[f"200 {digest(size)}", 1]]
        (root / "down").unlink()
        assert side.ask("put", version=version, path="/up", size=size).split()[0] == "201"
        with (root / "up").open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == digest(size)
        (root / "up").unlink()
        report = side.finish()
    report.assert_clean()
    assert len(report.read_conversations(tshark)) == 2
    Path(settings.capture).unlink()


@pytest.mark.parametrize(
    ("wish", "offload"),
    [("close", True), ("keep-alive", False)],
    ids=["server-closes-first-offload", "client-closes-first-plain"],
)
def test_1000_short_connections_all_bring_their_page(
    require_program: Programs, device: str, tmp_path: Path, wish: str, offload: bool
) -> None:
    nginx, tshark = require_program("nginx"), require_program("tshark")
    size, each = 2000, 500
    settings = Settings(device=device, offload=offload, capture=str(tmp_path / "client.pcapng"))
    with SynfinSide(settings) as side:
        root = start_nginx(nginx, side, tmp_path)
        write_file(root / "page", size)
        for version in (4, 6):
            got = side.ask("fetch", version=version, path="/page", count=each, at_once=50, wish=wish)
            assert got == [[f"200 {digest(size)}", each]]
        report = side.finish()
        theirs = side.kernel_states().count("TIME-WAIT")
    report.assert_clean()
    assert report.counters["ActiveOpens"] == 2 * each
    # TIME-WAIT is the part of whoever closes first, and of nobody else.
    assert (report.census["time_wait"], theirs) == ((0, 2 * each) if wish == "close" else (2 * each, 0))
    assert len(report.read_conversations(tshark)) == 2 * each
