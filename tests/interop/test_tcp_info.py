"""TCP_INFO of both ends of one connection: what synfin tells beside what the kernel tells."""

from __future__ import annotations

import pytest

from tests.interop.harness import Settings, SynfinSide
from tests.interop.payload import MB

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

SIZE = 16 * MB  # more than the windows of both


@pytest.mark.parametrize("offload", [True, False])
def test_both_ends_of_a_connection_tell_the_same_of_it(device: str, offload: bool) -> None:
    with SynfinSide(Settings(device=device, offload=offload)) as side:
        ours, kernels = ({name: value for name, (value,) in end.items()} for end in side.ask("tcp_infos", size=SIZE))
        report = side.finish()
    assert report.problems == []
    for name in ("state", "options", "snd_mss", "pmtu"):
        assert ours[name] == kernels[name], name
    assert ours["wscale"] >> 4 == kernels["wscale"] & 15 and ours["wscale"] & 15 == kernels["wscale"] >> 4
    for here, there in ((ours, kernels), (kernels, ours)):
        assert here["bytes_acked"] == there["bytes_received"] == SIZE
        assert here["bytes_sent"] == SIZE + here["bytes_retrans"]
        assert here["unacked"] == here["lost"] == here["notsent"] == 0
        assert here["busy_time"] >= here["rwnd_limited"] > 0
        assert 0 < here["min_rtt"] <= here["rtt"]
        assert here["delivery_rate"] > 0
        assert here["snd_wnd"] > 65535
