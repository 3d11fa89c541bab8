"""The lab's pages in a real browser: an experiment finds there what `synfin lab` finds here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synfin.lab.catalogue import EXPERIMENTS
from tests.site.test_browser import serious

PATIENCE_MS = 300_000  # an interpreter loads, and an experiment runs, on a busy machine
# What keeps a run short; each experiment that is not here has its own parameters.
SMALL = {
    "isn": {"trials": 4},
    "syn-data": {"syns": 200},
    "syn-flood": {"seconds": 10, "queue": 20},
    "congestion": {"seconds": 2},
}
# The browser's Python has no numpy.
COMMAND = "import sys; sys.modules['numpy'] = None; from synfin.cli.main import main; main()"


class Lab:
    """An experiment's page as a reader has it, and what it complained of."""

    def __init__(self, page: Any, address: str) -> None:
        page.set_default_timeout(PATIENCE_MS)
        self.page, self.address = page, address
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)
        self.page.locator("form.experiment[data-ready=true]").wait_for()

    def set(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            self.page.locator(f"#parameter-{name}").fill(str(value))

    def run(self) -> None:
        self.page.locator("form.experiment button[type=submit]").click()

    def told(self) -> Any:
        found = self.page.locator("pre.told")
        found.wait_for(state="attached")
        return json.loads(found.text_content())


@pytest.fixture
def lab(browser: Any, address: str) -> Iterator[Lab]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    found = Lab(context.new_page(), address)
    yield found
    complaints, asked = list(found.complaints), list(found.asked)
    context.close()  # a spare interpreter may still be loading
    assert complaints == []
    assert all(url.startswith((address, "blob:")) for url in asked)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_finds_the_same_as_the_command(name: str, lab: Lab) -> None:
    values = SMALL.get(name, {})
    seed = len(name)
    lab.open(f"lab/{name}.html")
    assert not any("pyodide" in url for url in lab.asked)
    lab.set({**values, "seed": seed})
    lab.run()
    told = lab.told()
    assert told["seed"] == seed
    sets = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-c", COMMAND, "lab", name, "--json", "--seed", str(seed), *sets]
    assert told == json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    claims = lab.page.locator(".results > ul > li").all_text_contents()
    assert claims == [f"{'✓' if one['held'] else '✗'} {one['expected']}" for one in told["expectations"]]
    assert lab.page.locator(".results .drawing > svg").count() >= 1
    assert serious(lab.page) == []


def test_a_value_that_cannot_be_is_told_at_its_field_by_keyboard_alone(lab: Lab) -> None:
    lab.open("lab/close.html")
    lab.set({"think_ms": "many", "bytes": 20, "seed": "9" * 5000})
    lab.page.locator("#parameter-think_ms").press("Enter")
    lab.page.locator("#parameter-think_ms[aria-invalid=true]").wait_for()
    assert lab.page.locator("#parameter-think_ms-wrong").inner_text() == "a whole number from 0 to 10000"
    assert lab.page.locator("#parameter-bytes").get_attribute("aria-invalid") == "false"
    assert lab.page.locator("#parameter-seed").get_attribute("aria-invalid") == "true"
    assert serious(lab.page) == []
    assert lab.page.evaluate("document.activeElement.id") == "parameter-think_ms"
    lab.set({"think_ms": 5, "seed": 0})
    lab.page.keyboard.press("Enter")
    assert lab.told()["parameters"] == {"think_ms": 5, "bytes": 20}


def test_a_run_is_stopped_and_another_one_follows(lab: Lab) -> None:
    lab.open("lab/congestion.html")
    lab.set({"seconds": 300})
    lab.run()
    status = lab.page.locator("form.experiment [role=status]")
    status.filter(has_text="Running…").wait_for()
    lab.page.locator("form.experiment button[type=button]").click()
    status.filter(has_text="Stopped.").wait_for()
    lab.set({"seconds": 100_000_000})
    lab.run()
    lab.page.locator("#parameter-seconds[aria-invalid=true]").wait_for()
    assert status.inner_text() == "A parameter can't be that."


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_chinese_the_findings_are_chinese_and_axe_finds_nothing_serious(scheme: str, lab: Lab) -> None:
    lab.page.emulate_media(color_scheme=scheme)
    lab.page.set_viewport_size({"width": 360, "height": 800})
    lab.open("zh-Hans/lab/close.html")
    lab.run()
    assert lab.told()["ok"]
    assert "四个报文段" in lab.page.locator(".results > ul > li").first.inner_text()
    assert serious(lab.page) == []
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_read_from_a_folder_the_page_says_that_it_needs_a_server(site: Path, browser: Any) -> None:
    page = browser.new_page()
    page.goto((site / "lab" / "close.html").as_uri())
    assert "synfin site" in page.locator("p.needs-http").inner_text()
    assert page.locator("form.experiment button").count() == 0
    page.close()
