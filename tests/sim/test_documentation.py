"""docs/simulation.md: its tests pass, and the bug it walks through is found, replayed, shrunk and fixed as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.sim.test_plugin import Pytest

TEXT = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
[BUGGY] = [block for block in BLOCKS if "def test_each_order_arrives_once" in block]
[FIX] = [block for block in BLOCKS if "uuid.uuid4()" in block]
[SHOWN_LINE] = {line for line in BUGGY.splitlines() if line.startswith("async def test_each_order")}


@pytest.fixture
def shop(tmp_path: Path) -> Pytest:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    return Pytest(tmp_path)


def write(shop: Pytest, text: str) -> None:
    (shop.folder / "test_it.py").write_text(text)


def test_the_tests_shown_pass(shop: Pytest) -> None:
    plain, swarm = (block for block in BLOCKS if "def test_" in block and block is not BUGGY)
    write(shop, plain)
    assert "200 of 200 seeds, 0 failed" in shop.run()
    write(shop, swarm)
    assert "50 of 50 seeds, 0 failed" in shop.run()


def test_the_bug_is_found_replayed_shrunk_and_fixed(shop: Pytest) -> None:
    write(shop, BUGGY)
    said = shop.run("--tb=short")
    assert "::test_over_loopback" not in said  # it passes
    found = re.search(r"replay: pytest '(\S+)' --synfin-seed (\d+)\n", said)
    assert found is not None
    assert "200 of 200 seeds" in said

    assert "1 failed" in shop.run(found[1], "--synfin-seed", found[2])

    shrunk = shop.shrink("test_it.py::test_each_order_arrives_once", found[2])
    assert shop.status == 0, shrunk
    assert int(re.search(r"(\d+) faults? (is|are) enough", shrunk)[1]) < 6  # type: ignore[index]
    rules = shrunk.partition(f"with seed {found[2]}:\n\n")[2]
    write(shop, BUGGY.replace(SHOWN_LINE, f"{SHOWN_LINE}\n{rules}"))
    assert "1 failed" in shop.run(found[1], "--synfin-seed", found[2])

    write(shop, f"{BUGGY}\n\n{FIX}")
    fixed = shop.run()
    assert "201 passed" in fixed
    assert "200 of 200 seeds, 0 failed" in fixed
