"""The page of `synfin watch` and what it loads, of this package alone: no secret is in any of it.

The words of each language are a catalogue; what stands in double braces in the page is of it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Final

from synfin.cli.http_answer import Resource
from synfin.cli.site import content_type
from synfin.view.stylesheet import page_stylesheet

FOLDER: Final = Path(__file__).with_name("page")
LANGUAGES: Final = {"/": "en", "/zh-Hans.html": "zh-Hans"}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
FIELDS: Final = (
    ("Content-Security-Policy", f"{POLICY}; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
_LOADED: Final = re.compile(r"/[a-z-]+\.(?:js|css|svg)|/strings\.[A-Za-z-]+\.json")


class Pages:
    """What may be had without a key."""

    def find(self, path: str) -> Resource | None:
        """As a Site gives it."""
        body = _body(path)
        if body is None:
            return None
        kind = "text/html; charset=utf-8" if path in LANGUAGES else content_type(path)
        return Resource(len(body), kind, lambda start, stop: iter((body[start:stop],)))


@cache
def strings(language: str) -> dict[str, str]:
    """A language's catalogue."""
    found: dict[str, str] = json.loads((FOLDER / f"strings.{language}.json").read_text(encoding="utf-8"))
    return found


def page(language: str) -> str:
    """The page in a language."""
    words = strings(language)
    template = (FOLDER / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{([\w.-]+)\}\}", lambda found: POLICY if found[1] == "policy" else words[found[1]], template)


def _body(path: str) -> bytes | None:
    language = LANGUAGES.get(path)
    if language is not None:
        return page(language).encode()
    if path == "/synfin.css":
        return page_stylesheet().encode()
    if _LOADED.fullmatch(path) and (FOLDER / path[1:]).is_file():
        return (FOLDER / path[1:]).read_bytes()
    return None
