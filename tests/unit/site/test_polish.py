"""What every page has when it leaves: the policy, a way to the other language, and nothing that the policy forbids."""

from __future__ import annotations

from pathlib import Path

import pytest
from synfin_site.polish import page

from synfin.cli.pages import POLICY

PAGE = """<!doctype html><html lang="{}"><head><meta charset="utf-8"></head><body>
<script>document.body.dataset.theme = localStorage.getItem("theme") || "auto";</script>
<div class="theme-toggle-container theme-toggle-header"></div><article role="main"><pre>x</pre>{}</article>
</body></html>"""


def finished(body: str = "", language: str = "en", path: str = "lab/close.html") -> str:
    return page(PAGE.format(language, body), Path(path), language == "zh-CN", "../zh-Hans/lab/close.html")


def test_a_page_carries_the_policy_and_its_script_is_a_file() -> None:
    text = finished()
    assert POLICY.replace("'", "&#x27;") in text
    assert '<script src="../_static/theme.js"></script>' in text
    assert "<script>" not in text


def test_a_page_leads_to_its_counterpart_by_name() -> None:
    assert 'lang="zh-Hans" href="../zh-Hans/lab/close.html">中文</a>' in finished()
    chinese = finished(language="zh-CN", path="zh-Hans/lab/close.html")
    assert 'lang="zh-Hans"' in chinese
    assert ">English</a>" in chinese
    assert 'src="../_static/theme.js"' in chinese


def test_what_scrolls_sideways_can_be_reached_by_keyboard() -> None:
    assert '<pre tabindex="0">' in finished()


@pytest.mark.parametrize(
    "body",
    [
        "<script>alert(1)</script>",
        '<script type="module">x</script>',
        "<style>h1{}</style>",
        '<p style="color:red">x</p>',
        '<p onclick="x()">x</p>',
    ],
)
def test_a_page_that_would_break_its_policy_does_not_leave(body: str) -> None:
    with pytest.raises(ValueError, match=r"lab/close\.html"):
        finished(body)


def test_a_page_without_a_way_to_the_other_language_does_not_leave() -> None:
    with pytest.raises(ValueError, match="other language"):
        page("<html></html>", Path("x.html"), False, "zh-Hans/x.html")
