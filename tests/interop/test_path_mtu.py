"""A tunnel before the kernel that swallows large packets: what the kernel asks for arrives, in packets that pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.harness import Settings, SynfinSide, curl_get
from tests.interop.payload import MB, digest

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]
SIZE = 10 * MB


@pytest.mark.parametrize(("mtu", "hole"), [(1500, 1400), (9000, 8200)])
def test_the_kernel_gets_a_body_through_a_hole(
    require_program: Programs, device: str, tmp_path: Path, mtu: int, hole: int
) -> None:
    curl = require_program("curl")
    with SynfinSide(Settings(device=device, mtu=mtu, offload=False, hole=hole)) as side:
        assert curl_get(side, curl, 4, SIZE, tmp_path) == digest(SIZE)
        report = side.finish()
    assert report.problems == []
    ours = report.counters
    assert ours["TCPBlackHoles"] == 1
    assert ours["TCPMTUPSuccess"] >= 1
    assert ours["TCPTimeouts"] <= 4
