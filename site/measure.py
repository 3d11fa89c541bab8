"""How large the built site is, and how long a real browser takes for it: `.venv-site/bin/python site/measure.py`.

The figures of docs/performance.md. Each time is the median of several loads by a new context, which has nothing of the
site yet; the server is on the same machine.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from synfin.scenario import Scenario, run, to_fragment
from synfin.scenario.examples import EXAMPLES

SITE = Path(__file__).resolve().parent.parent / "build" / "site"
PAGES = ("index.html", "textbook/opening.html", "zh-Hans/textbook/opening.html", "docs/performance.html")
SEGMENTS = (10, 100, 300)
PATIENCE_MS = 300_000
LOADED = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"
TAKEN = (
    "() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
    ".reduce((sum, one) => sum + one.encodedBodySize, 0)"
)
DRAWN = "() => new Set([...document.querySelectorAll('g.segment')].map(one => one.dataset.segment)).size"
FORGET = "() => performance.clearMeasures()"
TIMES = "name => performance.getEntriesByName(name).map(one => one.duration)"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of the site, as `synfin site` serves it."""
    command = [sys.executable, "-m", "synfin.cli", "site", "--port", "0", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def sizes(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.is_file()]
    parts = dict.fromkeys(("play/pyodide", "pagefind", "zh-Hans", "api", "_modules", "_static"), 0)
    for path in files:
        for name in parts:
            if path.is_relative_to(site / name):
                parts[name] += path.stat().st_size
    pages = sum(path.suffix == ".html" for path in files)
    whole = sum(path.stat().st_size for path in files)
    print(f"{pages} pages, {len(files)} files, {whole / 1e6:.1f} MB; of them")
    for name, size in parts.items():
        print(f"  {name:14} {size / 1e6:6.1f} MB")


def pages(browser: Any, address: str, loads: int) -> None:
    for path in PAGES:
        times, taken = [], 0
        for _ in range(loads):
            context = browser.new_context()
            page = context.new_page()
            page.goto(address + path, wait_until="load")
            page.wait_for_timeout(100)  # the event that is asked for ends
            times.append(page.evaluate(LOADED))
            taken = page.evaluate(TAKEN)
            context.close()
        print(f"{path:32} {statistics.median(times):6.0f} ms, {taken / 1e3:5.0f} kB")


def of_segments(count: int) -> Scenario:
    """A transfer that takes just so many, or the next number above."""
    wide = EXAMPLES["slow-start"]

    def carrying(size: int) -> Scenario:
        return replace(wide, steps=tuple(replace(step, bytes=size) if step.bytes > 1 else step for step in wide.steps))

    least, most = 2, 400_000
    while least < most:
        size = (least + most) // 2
        if len(run(carrying(size)).segments) < count:
            least = size + 1
        else:
            most = size
    return carrying(least)


def playground(browser: Any, address: str, loads: int) -> None:
    ready = []
    for _ in range(loads):
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(address + "play/index.html")
        page.locator("body[data-ready=true]").wait_for()
        ready.append(page.evaluate("performance.now()"))
        context.close()
    print(f"{'play/index.html':32} {statistics.median(ready):6.0f} ms until the first run is drawn")
    for count in SEGMENTS:
        page = browser.new_context().new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(address + f"play/index.html#{to_fragment(of_segments(count))}")
        page.locator("body[data-ready=true]").wait_for()
        first, *_ = page.evaluate(TIMES, "run")
        shown, *_ = page.evaluate(TIMES, "draw")
        page.evaluate(FORGET)
        page.locator("g.segment[data-segment=s2] .hit").first.click(force=True)
        for _ in range(loads):  # an edit, compared with the run before, and another that takes it back
            for fate in ("delay", "pass"):
                address_now = page.evaluate("location.hash")
                page.locator(f"#inspector [data-do={fate}]").click()
                while page.evaluate("location.hash") == address_now:
                    page.wait_for_timeout(20)
                page.wait_for_timeout(500)
        edit, draw = (statistics.median(page.evaluate(TIMES, name)) for name in ("run", "draw"))
        for _ in range(loads):  # another width, and back: the same run is drawn anew
            for width in (1400, 700):
                page.set_viewport_size({"width": width, "height": 900})
                page.wait_for_timeout(1000)
        redraw = statistics.median(page.evaluate(TIMES, "redraw"))
        drawn = page.evaluate(DRAWN)
        print(
            f"{drawn} segments: the first run takes Python {first:.0f} ms and the page {shown:.0f} ms, an edit "
            f"{edit:.0f} and {draw:.0f} ms; another width is drawn in {redraw:.0f} ms, the page's part of it included"
        )
        page.context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, default=SITE)
    parser.add_argument("--loads", type=int, default=5)
    arguments = parser.parse_args()
    sizes(arguments.site)
    with served(arguments.site) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        pages(browser, address, arguments.loads)
        playground(browser, address, arguments.loads)
        browser.close()


if __name__ == "__main__":
    main()
