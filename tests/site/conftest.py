"""The site as `make site` has built it, in a browser: only in `make test-site`, which has what this needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, find_program, need

SITE = ROOT / "build" / "site"
IN_TEST_SITE = os.environ.get("SYNFIN_SITE") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if IN_TEST_SITE:
        return
    skip = pytest.mark.skip(reason="the site's own tests run in `make test-site`")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(skip)


def pages() -> list[str]:
    """The addresses of the pages; of those of a kind, one stands for all. The playground has tests of its own."""
    found = [str(path.relative_to(SITE)) for path in SITE.rglob("*.html")]
    of_a_kind = {"_modules/": "_modules/synfin/tcp/close.html", "api/synfin.": "api/synfin.wire.html", "play/": ""}
    return sorted(
        path for path in found if all(not path.startswith(kind) or path == stands for kind, stands in of_a_kind.items())
    )


@pytest.fixture(scope="session")
def site() -> Path:
    assert (SITE / "index.html").exists(), "`make site` has not been run"
    return SITE


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """Where `synfin site` serves it."""
    command = [sys.executable, "-m", "synfin.cli", "site", "--port", "0", "--folder", str(site)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line.startswith("http://127.0.0.1:"), line
        yield line
        process.terminate()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    path = find_program("chromium")
    need(path, "the program chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()
