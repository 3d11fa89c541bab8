"""Whether the Chinese pages are whole: no entry missing, none fuzzy, for each page that locale/complete.txt names.

`python site/words.py` brings the catalogues up to date.
"""

from __future__ import annotations

import re
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

LANGUAGE = "zh_CN"
_NO_WORDS = re.compile(
    r"`[^`]*`|https?://\S+|RFC \d+|\([^()]*\d{4} [\d.]+[^()]*\)|\b(seq|ack|win)=|\b[A-Z][A-Z0-9-]+\b|\b(synfin|Linux)\b"
)


def complete(locale: Path) -> list[str]:
    """The names of the pages that are translated as a whole."""
    lines = (locale / "complete.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file)


def needs_words(text: str) -> bool:
    """Whether a translator has anything to do: not for code, names, numbers, sections and links alone.

    >>> [needs_words(text) for text in ("`synfin lab close`", "100,000", "seq=x, ack=x", "RFC 9293 3.4.1", "a clock")]
    [False, False, False, False, True]
    """
    return bool(re.search(r"[A-Za-z]{2,}", _NO_WORDS.sub("", text)))


def lacking(words: Path, locale: Path, page: str) -> list[str]:
    """What the page says in English only, or what is marked as fuzzy."""
    template = catalogue(words / f"{page}.pot")
    path = locale / LANGUAGE / "LC_MESSAGES" / f"{page}.po"
    translated = catalogue(path) if path.exists() else Catalog()
    found = []
    for message in template:
        if not message.id or not needs_words(str(message.id)):
            continue
        mine = translated.get(message.id)
        if mine is None or not mine.string or mine.fuzzy:
            found.append(str(message.id))
    return found


def check(words: Path, locale: Path) -> None:
    """Raise SystemExit with what is missing."""
    missing = {page: lacking(words, locale, page) for page in complete(locale)}
    text = [f"{page}: {message[:100]!r}" for page, messages in missing.items() for message in messages]
    if text:
        raise SystemExit(f"{len(text)} entries are missing or fuzzy in Chinese:\n  " + "\n  ".join(text[:40]))
