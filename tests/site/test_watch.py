"""`synfin watch` in a real browser, beside a real host: what it shows while things happen, and who is let in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.site.test_browser import PATIENCE_MS, Watched, serious

CONNECTIONS = 30


class Running:
    """The host and the command, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
        script = Path(__file__).with_name("watched_host.py")
        pipe = subprocess.PIPE
        self._host = subprocess.Popen(
            [sys.executable, script, str(CONNECTIONS)], stdin=pipe, stdout=pipe, text=True, env=environment
        )
        assert self.line(self._host) == "ready"
        command = [sys.executable, "-m", "synfin.cli", "watch", "web"]
        self._watch = subprocess.Popen(command, stdout=pipe, text=True, env=environment)
        self.address = self.line(self._watch)
        assert self.line(self._watch).startswith("Open it")

    def line(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def next_address(self) -> str:
        """What the command prints when an address was used."""
        self.address = self.line(self._watch)
        return self.address

    def do(self, what: str) -> None:
        """Have the client do something; it is done."""
        assert self._host.stdin is not None
        self._host.stdin.write(f"{what}\n")
        self._host.stdin.flush()
        assert self.line(self._host) == what

    def close(self) -> None:
        for process in (self._watch, self._host):
            process.terminate()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    found = Running(tmp_path_factory.mktemp("run"))
    yield found
    found.close()


class Page(Watched):
    """The page of the command, as a reader has it."""

    def __init__(self, page: Any, running: Running) -> None:
        super().__init__(page, running.address.partition("#")[0])
        self.page.goto(running.address)
        self.page.locator("#rows tr").first.wait_for()
        running.next_address()

    def _note(self, text: str) -> None:
        # A question that waits for news is given up when something else is to be seen, or another page.
        if not text.startswith(f"failed: {self.address}state?"):
            super()._note(text)

    def until(self, holds: str, argument: Any = None) -> None:
        """Until a function of the page gives true; the page's policy forbids what Playwright has for it."""
        for _ in range(PATIENCE_MS // 50):
            if self.page.evaluate(holds, argument):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never: {holds} {argument!r}\n{self.page.inner_text('body')}")

    def follow_next(self) -> None:
        """By keyboard, as everything can be done."""
        self.page.locator("#next").focus()
        self.page.keyboard.press("Enter")
        self.until("() => document.getElementById('status').textContent !== ''")

    def until_drawn(self, *words: str) -> None:
        """Until the diagram says all of it."""
        self.until(
            "words => { const text = document.getElementById('diagram').textContent;"
            " return words.every(word => text.includes(word)); }",
            list(words),
        )

    def fact(self, name: str) -> str:
        return str(self.page.locator(f"#chosen-facts [data-fact='{name}']").inner_text())


@pytest.fixture
def new_page(browser: Any, running: Running) -> Iterator[Callable[..., Page]]:
    contexts = []

    def make(**options: Any) -> Page:
        contexts.append(browser.new_context(**options))
        return Page(contexts[-1].new_page(), running)

    yield make
    for context in contexts:
        context.close()


def test_a_connection_is_drawn_as_it_happens(new_page: Callable[..., Page], running: Running) -> None:
    shown = new_page()
    before = shown.page.locator("#rows tr").count()
    shown.follow_next()
    running.do("open")
    shown.until_drawn("SYN", "SYN,ACK", "ESTABLISHED")
    assert shown.page.locator("#rows tr").count() >= before
    running.do("talk")
    shown.until_drawn("len=12")
    assert shown.fact("State") == "ESTABLISHED"
    running.do("close")
    shown.until_drawn("FIN", "CLOSE-WAIT", "LAST-ACK")
    shown.until("() => document.getElementById('chosen-figure').querySelector('svg') !== null")
    assert "SYN" in str(shown.page.locator("#table").text_content())
    assert shown.complaints == []


def test_all_connections_are_listed_sorted_and_found(new_page: Callable[..., Page]) -> None:
    shown = new_page()
    page = shown.page
    shown.until("n => document.querySelectorAll('#rows tr').length >= n", CONNECTIONS)
    page.get_by_role("button", name="Peer").click()
    page.locator("th[aria-sort=ascending]").wait_for()
    peers = page.evaluate("[...document.querySelectorAll('#rows tr')].map(row => row.cells[5].textContent)")
    assert peers == sorted(peers)
    page.locator("#find").fill(peers[3])
    shown.until("() => document.querySelectorAll('#rows tr').length === 1")
    page.locator("#rows button").press("Enter")
    page.locator("#rows tr.followed").wait_for()
    shown.until("() => document.querySelector('#chosen-facts dd') !== null")
    assert page.evaluate("document.activeElement.dataset.focus") == page.locator("#rows tr").get_attribute("data-key")
    assert shown.complaints == []


def test_the_address_is_good_once_and_says_nothing_afterwards(
    browser: Any, new_page: Callable[..., Page], running: Running
) -> None:
    used = running.address
    shown = new_page()
    assert "#" not in shown.page.url
    shown.page.reload()  # the key stays with the tab
    shown.page.locator("#rows tr").first.wait_for()
    other = browser.new_page()
    other.goto(used)
    other.locator("#error:not([hidden])").wait_for()
    assert "good once" in other.locator("#error").inner_text()
    assert other.locator("#rows tr").count() == 0
    other.close()


def test_a_page_from_elsewhere_gets_nothing(browser: Any, running: Running, new_page: Callable[..., Page]) -> None:
    new_page()
    address = running.address.partition("#")[0]
    page = browser.new_page()
    page.route("http://evil.example/**", lambda route: route.fulfill(body="<p>evil", content_type="text/html"))
    page.goto("http://evil.example/")
    got = "async address => { try { return (await fetch(address)).status; } catch { return 'refused'; } }"
    assert page.evaluate(got, f"{address}state") == "refused"
    assert page.evaluate(got, address) == "refused"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["", "zh-Hans.html"])
def test_axe_finds_nothing_serious_and_a_phone_needs_no_push_sideways(
    scheme: str, language: str, new_page: Callable[..., Page], running: Running
) -> None:
    shown = new_page(viewport={"width": 360, "height": 800}, color_scheme=scheme)
    page = shown.page
    if language:
        page.locator("#other-language").click()
        page.wait_for_url(f"**/{language}")
        page.locator("#rows tr").first.wait_for()
    shown.follow_next()
    running.do("open")
    shown.until_drawn("SYN", "ESTABLISHED")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    if language:
        assert page.evaluate("document.documentElement.lang") == "zh-Hans"
        assert "主机" in page.inner_text("main")
    assert serious(page) == []
    assert shown.complaints == []


def test_a_browser_that_rests_gets_the_newest_and_nothing_in_between(
    new_page: Callable[..., Page], running: Running
) -> None:
    shown = new_page()
    page = shown.page
    page.locator("#pause").click()
    rows = page.locator("#rows tr").count()
    running.do("open")
    page.wait_for_timeout(1500)
    assert page.locator("#rows tr").count() == rows
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#pause").click()
    shown.until("n => document.querySelectorAll('#rows tr').length > n", rows)
    assert len([url for url in asked if "/state" in url]) <= 6
