"""The textbook's pages: the claims of docs/textbook.md, each behind a question, with the run that answers it.

The claims and what is said of them stand in docs/textbook.md alone; textbook.toml adds question, guesses and run.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Any

VERDICTS = {
    "✓": "It holds.",
    "≈": "It holds, and something has to be added.",
    "✗": "It is wrong, or something is missing.",
}


@dataclass(frozen=True)
class Claim:
    """A row of a table: the sign, what the chapter says, what shows or corrects it."""

    sign: str
    text: str
    shown: str


@dataclass
class Chapter:
    """What stands below a heading: prose, claims, prose."""

    before: str
    claims: list[Claim]
    after: str


def chapters(text: str) -> dict[str, Chapter]:
    """The sections of docs/textbook.md by their titles."""
    found: dict[str, Chapter] = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        rows = re.findall(r"^\| ([✓≈✗]) \| (.*?) \| (.*) \|$", body, re.MULTILINE)
        claims = [Claim(sign, claim.strip(), shown.strip()) for sign, claim, shown in rows]
        table = re.search(r"^\| \| claim .*?(?=\n\n|\Z)", body, re.MULTILINE | re.DOTALL)
        before = body[: table.start()] if table else body
        after = body[table.end() :] if table else ""
        found[title.strip()] = Chapter(before.strip(), claims, after.strip())
    return found


def introduction(text: str) -> str:
    """What stands above the first section, below the title."""
    return re.split(r"^## ", text, flags=re.MULTILINE)[0].partition("\n")[2].strip()


def sections(toml: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(toml)["section"]
    return found


def pages(text: str, toml: str) -> dict[str, str]:
    """Name and text of each page."""
    text = text.replace("](lab.md)", "](../lab/index.md)")
    by_title = chapters(text)
    found = {"textbook/index": _index(introduction(text), sections(toml))}
    for section in sections(toml):
        found[f"textbook/{section['name']}"] = _page(section, by_title[section["title"]])
    return found


def runs(toml: str) -> list[str]:
    """All runs that the pages show."""
    named = []
    for section in sections(toml):
        named += section.get("runs", [])
        named += [item["run"] for key in ("claim", "after") for item in section.get(key, []) if "run" in item]
    return sorted(set(named))


def _index(opening: str, parts: list[dict[str, Any]]) -> str:
    lines = ["# The textbook, claim by claim", "", opening, ""]
    lines += ["Each claim stands behind a question. Guess first; then open the answer, and see the run.", ""]
    lines += ["```{toctree}", ":maxdepth: 1", "", *(part["name"] for part in parts), "```", ""]
    return "\n".join(lines)


def _page(section: dict[str, Any], chapter: Chapter) -> str:
    lines = [f"# {section['title']}", "", chapter.before, ""]
    for run in section.get("runs", []):
        lines += _drawing(run)
    for item, claim in zip(section.get("claim", []), chapter.claims, strict=True):
        lines += _claim(item, claim)
    lines += [chapter.after, ""]
    for item in section.get("after", []):
        lines += [item["text"], "", *_drawing(item["run"])]
    return "\n".join(lines)


def _claim(item: dict[str, Any], claim: Claim) -> list[str]:
    lines = [f"## {item['question']}", ""]
    lines += [f":::{{guess}}\n:right: {item['right']}\n", *(f"- {guess}" for guess in item["guesses"]), ":::", ""]
    lines += [":::{answer}", *_told(claim), ""]
    if "run" in item:
        lines += _drawing(item["run"])
    if "play" in item:
        lines += [f"```{{play}} {item['play']}", "```", ""]
    return [*lines, ":::", ""]


def _told(claim: Claim) -> list[str]:
    if claim.text == "(Left out.)":
        return ["**✗ The chapter leaves it out.**", "", claim.shown]
    return [f"> {claim.text}", "", f"**{claim.sign} {VERDICTS[claim.sign]}**", "", claim.shown]


def _drawing(run: str) -> list[str]:
    return [f"```{{drawing}} {run.replace('/', '-')}", "```", ""]
