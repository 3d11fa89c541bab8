"""Pages that are written by hand: those of site/pages, and the documents of docs/ with the site's links."""

from __future__ import annotations

import re
from pathlib import Path

# The textbook has pages of its own.
NOT_HERE = {"textbook.md"}
_ELSEWHERE = {"textbook.md": "../textbook/index.md"}


def written(folder: Path) -> dict[str, str]:
    """Name and text of each page of a folder."""
    files = sorted(folder.rglob("*.md"))
    return {str(file.relative_to(folder)): file.read_text(encoding="utf-8") for file in files}


def documents(folder: Path) -> dict[str, str]:
    found = {}
    for name, text in written(folder).items():
        if name not in NOT_HERE:
            found[f"docs/{name}"] = moved(text)
    return found


def moved(text: str) -> str:
    """The text with its links to what is elsewhere on the site.

    >>> moved("see [the chapter](textbook.md#why-wait-2msl)")
    'see [the chapter](../textbook/index.md)'
    """

    def link(match: re.Match[str]) -> str:
        return f"]({_ELSEWHERE.get(match[1], match[1] + (match[2] or ''))})"

    text = re.sub(r"```mermaid\nstateDiagram.*?```", "```{drawing} states\n```", text, flags=re.DOTALL)
    return re.sub(r"\]\(([\w-]+\.md)(#[\w-]+)?\)", link, text)


def untranslated(text: str) -> str:
    """The page with a word below its title that says so.

    >>> untranslated("# Title\\n\\nText\\n")
    '# Title\\n\\n:::{note}\\n本页尚未全部译成中文。\\n:::\\n\\nText\\n'
    """
    title, _, rest = text.partition("\n")
    return f"{title}\n\n:::{{note}}\n本页尚未全部译成中文。\n:::\n{rest}"


def with_all(index: str, names: list[str]) -> str:
    """The first page, with documents that none of its lists of pages names at the end of the last list.

    >>> with_all("docs/a\\nlicences\\n", ["docs/a.md", "docs/b.md"])
    'docs/a\\nlicences\\ndocs/b\\n'
    """
    more = [name.removesuffix(".md") for name in names if name.removesuffix(".md") not in index]
    return index.replace("\nlicences\n", "\n".join(["\nlicences", *more, ""]))


def reference_elsewhere() -> str:
    """The page that stands for the API reference where it is not translated."""
    title = "API reference"
    lines = [title, "=" * len(title), "", "The reference is made from the docstrings, and is in English.", ""]
    return "\n".join([*lines, ".. raw:: html", "", '   <p><a href="../../api/index.html">API reference</a></p>', ""])
