"""Each page in a real browser, in both languages: no error, no request that leaves, nothing in a reader's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.site.conftest import IN_TEST_SITE, pages

PAGES = pages() if IN_TEST_SITE else []
# A machine may be busy: no verdict is a time.
PATIENCE_MS = 180_000
SERIOUS = {"serious", "critical"}


class Watched:
    """A page of the browser, and what it complained of."""

    def __init__(self, page: Any, address: str) -> None:
        page.set_default_timeout(PATIENCE_MS)
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("request", self._on_request)
        page.on("requestfailed", lambda request: self._note(f"failed: {request.url}"))

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._note(message.text)

    def _note(self, text: str) -> None:
        self.complaints.append(text)

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self._note(f"leaves: {request.url}")

    def open(self, path: str) -> Any:
        self.page.goto(self.address + path, wait_until="networkidle")
        return self.page


def serious(page: Any) -> list[str]:
    """What axe-core finds in a page as it is now."""
    from axe_playwright_python.base import AXE_FILE_PATH

    page.evaluate(AXE_FILE_PATH.read_text(encoding="utf-8"))
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
        for one in page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"][:3]
    ]


@pytest.fixture
def watched(browser: Any, address: str) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield Watched(context.new_page(), address)
    context.close()


@pytest.fixture(scope="module", params=PAGES)
def opened(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """Each page in turn, for all tests that look at any page."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    found = Watched(context.new_page(), address)
    found.open(request.param)
    yield found
    context.close()


def test_a_page_loads_without_complaint_and_asks_nobody_else(opened: Watched) -> None:
    assert opened.complaints == []


def test_on_a_narrow_screen_nothing_has_to_be_pushed_sideways(opened: Watched) -> None:
    opened.page.set_viewport_size({"width": 360, "height": 800})
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 360
    opened.page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(scheme: str, opened: Watched) -> None:
    opened.page.emulate_media(color_scheme=scheme)
    assert serious(opened.page) == []


@pytest.mark.parametrize(
    "path", ["index.html", "textbook/closing.html", "zh-Hans/lab/close.html", "api/synfin.wire.html"]
)
def test_each_page_leads_to_the_other_language_and_back(path: str, site: Path, watched: Watched) -> None:
    page = watched.open(path)
    language = page.evaluate("document.documentElement.lang")
    page.locator("a.language:visible").click()
    page.wait_for_url(lambda address: ("/zh-Hans/" in address) != path.startswith("zh-Hans"))
    assert page.evaluate("document.documentElement.lang") != language
    assert watched.complaints == []


@pytest.mark.parametrize(("path", "words"), [("search.html", "retransmission"), ("zh-Hans/search.html", "三次握手")])
def test_the_search_finds_a_word_in_each_language(path: str, words: str, watched: Watched) -> None:
    page = watched.open(f"{path}?q={words}")
    page.locator("#search-results li").first.wait_for(timeout=20_000)
    shown = page.locator("#search-results").inner_text()
    assert words in shown.replace(" ", "")
    links = page.evaluate("[...document.querySelectorAll('#search-results a')].map(a => a.href)")
    assert all(("zh-Hans/" in link) == path.startswith("zh-Hans") for link in links)
    assert watched.complaints == []


def test_a_guess_opens_the_answer_by_keyboard_and_is_marked(watched: Watched) -> None:
    page = watched.open("textbook/opening.html")
    wrong, right = page.locator(".guess").first.locator("button").nth(1), page.locator(".guess button.right")
    answer = page.locator("details.answer").first
    assert answer.get_attribute("open") is None
    wrong.focus()
    page.keyboard.press("Enter")
    assert answer.get_attribute("open") is not None
    assert "wrong" in (wrong.get_attribute("class") or "")
    assert right.count() == 1
    assert wrong.get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("path", ["index.html", "textbook/closing.html", "zh-Hans/lab/close.html"])
def test_pages_read_from_a_folder(path: str, site: Path, browser: Any) -> None:
    complaints: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto((site / path).as_uri())
    assert page.locator("svg.synfin-diagram").count() >= 1
    page.close()
    assert complaints == []


@pytest.mark.parametrize("path", ["play/index.html", "play/zh-Hans.html"])
def test_read_from_a_folder_the_playground_says_that_it_needs_a_server(path: str, site: Path, browser: Any) -> None:
    complaints: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto((site / path).as_uri())
    page.locator("#from-folder").wait_for(state="visible")
    assert "synfin site" in page.locator("#from-folder").inner_text()
    assert not page.locator("main").is_visible()
    page.close()
    assert complaints == []


def test_an_inline_script_or_style_is_refused(watched: Watched) -> None:
    page = watched.open("index.html")
    page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s);"
        "const t = document.createElement('style'); t.textContent = 'h1{display:none}'; document.head.append(t);"
    )
    assert page.evaluate("window.ran") is None
    assert page.locator("h1").first.is_visible()
    assert all("Content Security Policy" in text for text in watched.complaints)
    assert {word for word in ("script-src", "style-src") for text in watched.complaints if word in text} == {
        "script-src", "style-src",
    }  # fmt: skip
