"""What Sphinx and its theme leave to be done: a policy that forbids inline style and script, and the other language.

Rule for the next editor: a page that would break its own policy does not leave here; `polish` raises instead.
"""

from __future__ import annotations

import os
import re
from html import escape
from pathlib import Path

from synfin.cli.pages import POLICY
from synfin.view.stylesheet import page_stylesheet

_META = f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
_INLINE_SCRIPT = re.compile(r"<script>\s*document\.body\.dataset\.theme.*?</script>", re.DOTALL)
_STYLES = {
    'style="display: none;"': 'class="sprites"',
    'style="opacity: 50%"': 'opacity=".5"',
}
# What the theme says in English only.
_IN_CHINESE = {
    "Toggle site navigation sidebar": "打开或收起导航栏",
    "Toggle table of contents sidebar": "打开或收起目录",
    "Toggle Light / Dark / Auto color theme": "切换浅色、深色或自动方案",
    "Toggle navigation of ": "展开或收起：",
    "Skip to content": "跳到正文",
    "Back to top": "回到顶部",
    "On this page": "本页目录",
    "<span>Next</span>": "<span>下一页</span>",
    "<span>Previous</span>": "<span>上一页</span>",
    '<div class="title">Home</div>': '<div class="title">首页</div>',
    "Made with ": "制作工具：",
}
UNSEARCHED = ("genindex.html", "py-modindex.html", "search.html", "licences.html")
_SWITCH = '<div class="theme-toggle-container'


def polish(site: Path, chinese: str) -> None:
    """Work on all pages of the site; those in Chinese are below the folder `chinese`."""
    for file in sorted(site.rglob("*.html")):
        path = file.relative_to(site)
        text = file.read_text(encoding="utf-8")
        in_chinese = path.parts[0] == chinese
        other = _other(site, path, chinese)
        file.write_text(page(text, path, in_chinese, other), encoding="utf-8")
    for folder in (site / "_static", site / chinese / "_static"):
        (folder / "synfin.css").write_text(page_stylesheet(), encoding="utf-8")


def _other(site: Path, path: Path, chinese: str) -> str:
    """The same page in the other language, or its beginning where there is none; relative to this page."""
    if path.parts[0] == chinese:
        there = Path(*path.parts[1:])
        there = there if (site / there).exists() else Path("index.html")
    else:
        there = chinese / path if (site / chinese / path).exists() else Path(chinese, "index.html")
    return os.path.relpath(there, path.parent)


def page(text: str, path: Path, in_chinese: bool, other: str) -> str:
    """One page, finished. Raises ValueError where its own policy would forbid something of it."""
    root = "../" * (len(path.parts) - (2 if in_chinese else 1))
    text = _INLINE_SCRIPT.sub(f'<script src="{root}_static/theme.js"></script>', text)
    # Sphinx's own words for its search; it makes a function of a text, which the policy forbids.
    text = re.sub(r'<script src="[^"]*translations\.js[^"]*"></script>', "", text)
    for old, new in _STYLES.items():
        text = text.replace(old, new)
    text = text.replace('<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">')
    text = re.sub(r'(<(?:col|table|td)) style="[^"]*"', r"\1", text)
    text = text.replace('<meta charset="utf-8">', f'<meta charset="utf-8">{_META}', 1)
    if in_chinese:
        text = text.replace('lang="zh-CN"', 'lang="zh-Hans"', 1)
        for english, chinese in _IN_CHINESE.items():
            text = text.replace(english, chinese)
    language, words = ("en", "English") if in_chinese else ("zh-Hans", "中文")
    link = f'<a class="language" hreflang="{language}" lang="{language}" href="{other}">{words}</a>'
    text = text.replace(_SWITCH, link + _SWITCH)
    text = text.replace('<a class="headerlink"', '<a data-pagefind-ignore class="headerlink"')
    if path.name not in UNSEARCHED and "_modules" not in path.parts:
        text = text.replace('<article role="main"', '<article data-pagefind-body role="main"')
    text = re.sub(r"<pre>(?!</pre>)", '<pre tabindex="0">', text)
    text = text.replace('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper')  # a wide one scrolls
    _check(text, path)
    return text


def _check(text: str, path: Path) -> None:
    found = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|<style|<[^>]+\sstyle=[^>]*>|<[^>]+\son\w+=[^>]*>", text)
    if found:
        raise ValueError(f"{path}: {found[0][:200]}")
    if 'class="language"' not in text:
        raise ValueError(f"{path}: no way to the other language")
