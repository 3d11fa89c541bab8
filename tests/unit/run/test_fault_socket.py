from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from synfin.run.fault_socket import ask, obey, serve
from synfin.run.network import INSIDE, RunNetwork


def network() -> RunNetwork:
    made = RunNetwork({"db": "10.1.2.3"}, 0)
    made.link(INSIDE, "*", delay="10ms")
    return made


def test_a_place_is_set_both_ways_or_one_and_all_is_told() -> None:
    changed = network()
    obey(changed, {"settings": ["loss=10%"]})
    said = obey(changed, {"place": "db:5432", "way": "up", "settings": ["delay=200ms", "rate=5Mbit/s"]})
    assert said == {
        "now": [
            "db:5432 up: delay=200ms loss=10% bandwidth=5Mbit/s (0 packets, 0 lost)",
            "db:5432 down: delay=10ms loss=10% (0 packets, 0 lost)",
            "* up: delay=10ms loss=10% (0 packets, 0 lost)",
            "* down: delay=10ms loss=10% (0 packets, 0 lost)",
        ]
    }


def test_without_a_setting_it_is_only_told() -> None:
    assert obey(network(), {"place": "db"})["now"] == [
        "* up: delay=10ms (0 packets, 0 lost)",
        "* down: delay=10ms (0 packets, 0 lost)",
    ]


@pytest.mark.parametrize(
    "asked", [{"settings": ["speed=1"]}, {"place": "nobody", "settings": ["loss=1%"]}, {"settings": ["loss=2"]}]
)
def test_what_makes_no_sense_changes_nothing_and_is_told(asked: dict[str, Any]) -> None:
    changed = network()
    assert set(obey(changed, asked)) == {"error"}
    assert len(changed.lanes()) == 1


def test_it_is_asked_over_a_socket_that_is_its_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "curl-1.fault"

    async def run() -> tuple[dict[str, Any], int]:
        async with await serve(path, network()):
            said = await asyncio.to_thread(ask, path, settings=["loss=5%"])
            return said, stat.S_IMODE(path.stat().st_mode)

    said, mode = asyncio.run(run())
    assert said["now"][0].startswith("* up: delay=10ms loss=5%")
    assert mode == 0o600
