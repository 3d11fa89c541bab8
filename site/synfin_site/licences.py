"""The page of third-party licences: what the site ships that others wrote, each with its text."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """Something that is shipped: who made it, under which licence, and the text of that."""

    name: str
    version: str
    licence: str
    what: str
    text: str


# (distribution, its part of the name of the licence's file, licence, what of it is shipped)
_PYTHON_PARTS = (
    ("furo", "LICENSE", "MIT", "the theme: stylesheets and a script"),
    ("sphinx", "LICENSE", "BSD-2-Clause", "scripts and stylesheets of the pages"),
    ("sphinx-basic-ng", "LICENSE", "MIT", "the skeleton of the theme"),
    ("pygments", "LICENSE", "BSD-2-Clause", "classes and colours of the code"),
    ("accessible-pygments", "LICENSE", "BSD-3-Clause", "colours of the code"),
)


def parts(root: Path) -> list[Part]:
    found = []
    for name, file, licence, what in _PYTHON_PARTS:
        found.append(Part(name, distribution(name).version, licence, what, _text(name, file)))
    pagefind = (root / "site" / "licences" / "pagefind.txt").read_text(encoding="utf-8")
    found.append(Part("pagefind", distribution("pagefind").version, "MIT", "the search and its index", pagefind))
    listed = root / "site" / "play" / "licences.json"
    if listed.exists():
        for item in json.loads(listed.read_text(encoding="utf-8")):
            text = (root / item["text"]).read_text(encoding="utf-8")
            what = ", ".join(f"`{file}`" for file in item["files"])
            found.append(Part(item["name"], item["version"], item["licence"], what, text))
    return found


def _text(name: str, file: str) -> str:
    files = [path for path in distribution(name).files or [] if path.name.upper().startswith(file)]
    if not files:
        raise LookupError(f"{name} has no {file}")
    return Path(str(files[0].locate())).read_text(encoding="utf-8")


def page(root: Path) -> str:
    """The page, with the texts as they stand."""
    lines = ["# Licences", "", "synfin is under the Apache License 2.0. The site also ships what others wrote.", ""]
    lines += ["There is no font among it: pages use those of the reader's system.", ""]
    every = [Part("synfin", "", "Apache-2.0", "", (root / "LICENSE").read_text(encoding="utf-8")), *parts(root)]
    for part in every:
        lines += ["", f"## `{part.name}`", "", f"`{part.licence}` `{part.version}`".removesuffix(" ``"), ""]
        lines += [part.what, ""] if part.what else []
        lines += ["````{code-block} text", *part.text.rstrip().splitlines(), "````"]
    return "\n".join([*lines, ""])


def copy(out: Path) -> None:
    """The licence of synfin itself, beside the pages."""
    shutil.copy(Path(__file__).resolve().parents[2] / "LICENSE", out / "LICENSE.txt")
