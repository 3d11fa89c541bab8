"""The same programs, all run by an ordinary user: a user namespace beside the network namespace, and no root anywhere.

Run by an ordinary user, every other interop test shows this as well; run by root, these give up root first.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from synfin.links.netns import tun_available
from tests.interop.harness import SYNFIN, Settings, SynfinSide, curl_get, curl_put, run
from tests.interop.nginx import start_nginx
from tests.interop.payload import MB, digest, write_file
from tests.interop.test_tun_device import give_up_root, in_child

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]


def as_ordinary_user(body: Callable[[Path], None]) -> None:
    """Run `body` as one, in a process of its own where this is root, with a folder that is its own."""

    def in_own_folder() -> None:
        reason = tun_available()
        if reason is not None:
            pytest.skip(reason)
        assert os.geteuid() != 0
        with tempfile.TemporaryDirectory() as folder:
            body(Path(folder))

    def without_root() -> None:
        give_up_root()
        in_own_folder()

    in_child(without_root if os.geteuid() == 0 else in_own_folder)


@pytest.mark.parametrize("offload", [True, False], ids=["offload", "plain"])
def test_curl_and_ping_reach_an_ordinary_users_host(require_program: Programs, device: str, offload: bool) -> None:
    curl, ping, tshark = require_program("curl"), require_program("ping"), require_program("tshark")

    @as_ordinary_user
    def _(folder: Path) -> None:
        size = 4 * MB
        body = write_file(folder / "body", size)
        with SynfinSide(Settings(device=device, offload=offload, capture=str(folder / "curl.pcapng"))) as side:
            for version in (4, 6):
                assert curl_get(side, curl, version, size, folder) == digest(size)
                assert curl_put(side, curl, version, body) == digest(size)
                run(side, ping, "-c", "1", "-W", "100", SYNFIN[version])
            report = side.finish()
        report.assert_clean()
        assert len(report.read_conversations(tshark)) == 4


def test_an_ordinary_users_client_is_served_by_nginx(require_program: Programs, device: str) -> None:
    nginx, tshark = require_program("nginx"), require_program("tshark")

    @as_ordinary_user
    def _(folder: Path) -> None:
        size, each = 100_000, 20
        with SynfinSide(Settings(device=device, capture=str(folder / "client.pcapng"))) as side:
            write_file(start_nginx(nginx, side, folder) / "page", size)
            for version in (4, 6):
                got = side.ask("fetch", version=version, path="/page", count=each, at_once=each)
                assert got == [[f"200 {digest(size)}", each]]
            report = side.finish()
        report.assert_clean()
        assert len(report.read_conversations(tshark)) == 2 * each
