"""Brings the Chinese catalogues up to date with the pages: `.venv-site/bin/python site/words.py`, after `make site`.

An entry whose English has changed keeps its old text and is marked as fuzzy, and what is new is empty: both fail the
build of a page that locale/complete.txt names. With --missing PAGE what is to be translated is listed;
with --fill FILE translations are taken from a JSON object {English: Chinese}.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from babel.messages.catalog import Catalog  # noqa: E402
from babel.messages.pofile import write_po  # noqa: E402
from synfin_site import translations  # noqa: E402

WORDS = HERE.parent / "build" / "site-work" / "words"
LOCALE = HERE / "locale"
NEVER = datetime(2000, 1, 1, tzinfo=UTC)  # a catalogue says nothing of when it was written


def path_of(page: str) -> Path:
    return LOCALE / translations.LANGUAGE / "LC_MESSAGES" / f"{page}.po"


def updated(page: str, known: dict[str, str], given: dict[str, str]) -> Catalog:
    """The page's catalogue with the entries that it has now; `given` holds, `known` fills what is empty."""
    template = translations.catalogue(WORDS / f"{page}.pot")
    path = path_of(page)
    catalogue = translations.catalogue(path) if path.exists() else Catalog()
    catalogue.locale = translations.LANGUAGE
    catalogue.update(template)
    catalogue.obsolete.clear()
    for message in catalogue:
        words = given.get(str(message.id), "")
        if not words and (message.fuzzy or not message.string):
            words = known.get(str(message.id), "")
        if message.id and words:
            message.string = words
            message.flags.discard("fuzzy")
        if message.id and message.fuzzy and not translations.needs_words(str(message.id)):
            message.string = ""  # a number takes no other number's place
            message.flags.discard("fuzzy")
        message.locations, message.auto_comments, message.user_comments = [], [], []
    return catalogue


def memory() -> dict[str, str]:
    """What other pages say of the same words."""
    found: dict[str, str] = {}
    for path in sorted(LOCALE.rglob("*.po")):
        for message in translations.catalogue(path):
            if message.id and message.string and not message.fuzzy:
                found[str(message.id)] = str(message.string)
    return found


def write(page: str, catalogue: Catalog) -> None:
    catalogue.header_comment = f"# The words of {page} in Chinese."
    catalogue.project, catalogue.version = "synfin", ""
    catalogue.creation_date = catalogue.revision_date = NEVER
    catalogue.fuzzy = False
    path = path_of(page)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = io.BytesIO()
    write_po(written, catalogue, width=0, no_location=True, omit_header=False)
    lines = written.getvalue().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if not line.startswith(b'"Generated-By:')))  # by which Babel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--missing", metavar="PAGE")
    parser.add_argument("--fill", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    known = memory()
    given: dict[str, str] = json.loads(arguments.fill.read_text(encoding="utf-8")) if arguments.fill else {}
    if arguments.missing:
        for number, text in enumerate(translations.lacking(WORDS, LOCALE, arguments.missing)):
            if text not in known:
                print(f"{number}\t{text}")
        return
    for pot in sorted(WORDS.rglob("*.pot")):
        page = str(pot.relative_to(WORDS).with_suffix(""))
        catalogue = updated(page, known, given)
        if any(message.id and message.string for message in catalogue):
            write(page, catalogue)


if __name__ == "__main__":
    main()
