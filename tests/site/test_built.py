"""The built site as files: every link leads somewhere, it is the same each time, and says whose work it ships."""

from __future__ import annotations

import filecmp
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.conftest import ROOT


class Links(HTMLParser):
    """What a page names (ids) and where it leads (links)."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.ids.add(value)
            if name in ("href", "src") and value and tag != "use":
                self.links.append(value)


def test_every_link_within_leads_to_a_page_and_a_place_on_it(site: Path) -> None:
    parsed = {path: Links(path) for path in site.rglob("*.html")}
    broken = []
    for path, page in parsed.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            place = unquote(parts.fragment)
            # The playground's fragments are scenarios, and the theme's "#" is the top.
            if not target.exists() or (
                place and target in parsed and "play" not in target.parts and place not in parsed[target].ids
            ):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_what_comes_from_elsewhere_is_only_linked(site: Path) -> None:
    loaded = []
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded += [f"{path}: {word}" for word in ('src="http', 'src="//', "@import", "<iframe") if word in text]
    assert loaded == []


def test_the_same_input_gives_the_same_bytes(site: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    command = [sys.executable, str(ROOT / "site" / "build.py"), "--out", str(out), "--work", str(tmp_path / "work")]
    subprocess.run(command, check=True, capture_output=True, timeout=1800)
    first, second = ({str(p.relative_to(d)) for p in d.rglob("*") if p.is_file()} for d in (site, out))
    assert first == second
    _, different, unread = filecmp.cmpfiles(site, out, sorted(first), shallow=False)
    assert different == []
    assert unread == []


def test_the_page_of_licences_has_the_text_of_each(site: Path) -> None:
    text = (site / "licences.html").read_text(encoding="utf-8")
    for name in ("synfin", "furo", "sphinx", "pygments", "pagefind"):
        assert f">{name}<" in text
    assert "TERMS AND CONDITIONS FOR USE" in text
    assert "Permission is hereby granted" in text


def test_what_is_shipped_in_other_names_is_on_the_page_of_licences(site: Path) -> None:
    """Whoever adds a folder of others' work adds its licence."""
    known = {"_static", "_modules", "api", "docs", "lab", "pagefind", "play", "textbook", "tour", "zh-Hans"}
    assert {path.name for path in site.iterdir() if path.is_dir()} <= known
