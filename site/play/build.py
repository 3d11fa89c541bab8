"""Builds the playground into a folder: pages, modules, the interpreter, and synfin itself in a zip.

`python site/play/build.py FOLDER`. The same input gives the same bytes. The interpreter comes from npm, by the lock
file's integrity, into build/npm; it is in no wheel and in no repository.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
SITE: Final = HERE.parent
ROOT: Final = SITE.parent
MODULES: Final = ROOT / "build" / "npm"
LANGUAGES: Final = {"en": "index.html", "zh-Hans": "zh-Hans.html"}
PYODIDE: Final = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
SOURCES: Final = ("*.js", "*.css")
SHARED: Final = ("base.css", "dom.js", "icon.svg", "theme.js", "words.js")  # they are the page's of `synfin watch`
_DATE: Final = (1980, 1, 1, 0, 0, 0)


def modules() -> Path:
    """node_modules with what the lock file names, fetched once."""
    wanted = {name: (SITE / name).read_bytes() for name in ("package.json", "package-lock.json")}
    done = MODULES / "node_modules" / ".package-lock.json"
    if done.exists() and all((MODULES / name).read_bytes() == text for name, text in wanted.items()):
        return MODULES / "node_modules"
    MODULES.mkdir(parents=True, exist_ok=True)
    for name, text in wanted.items():
        (MODULES / name).write_bytes(text)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=MODULES, check=True, stdout=subprocess.DEVNULL)
    return MODULES / "node_modules"


def page(language: str) -> str:
    """The page in a language: what stands in double braces is of its catalogue."""
    words = strings(language)
    template = (HERE / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{([\w.-]+)\}\}", lambda found: words[found[1]], template)


def strings(language: str) -> dict[str, str]:
    """A language's catalogue."""
    found: dict[str, str] = json.loads((HERE / f"strings.{language}.json").read_text(encoding="utf-8"))
    return found


def phrases(language: str) -> str:
    """The words of drawings, reasons and what experiments find in a language, as the site has them."""
    from synfin.view.words import CHINESE

    if language != "zh-Hans":
        return "{}"
    known = json.loads(CHINESE.read_text(encoding="utf-8"))
    return json.dumps(claims() | known, ensure_ascii=False, sort_keys=True)


def claims() -> dict[str, str]:
    """What the lab's pages say, in Chinese, and as phrases for what other parameters give."""
    from babel.messages.pofile import read_po

    from synfin.view.words import phrases_of

    found: dict[str, str] = {}
    for path in sorted((SITE / "locale" / "zh_CN" / "LC_MESSAGES" / "lab").glob("*.po")):
        with path.open("rb") as file:
            messages = [(str(one.id), str(one.string)) for one in read_po(file) if one.id and one.string]
        for pair in messages:
            found |= phrases_of(*(re.sub(r"\\([*_<>\[\]|])", r"\1", text).removeprefix("✓ ") for text in pair))
    return found


def archive(path: Path) -> None:
    """synfin's sources, what they import, and what the page asks of them."""
    import synfin

    package = Path(synfin.__file__).resolve().parent
    found = {f"synfin/{each.relative_to(package).as_posix()}": each for each in package.rglob("*.py")}
    extensions = importlib.util.find_spec("mypy_extensions")
    assert extensions is not None and extensions.origin is not None
    found["mypy_extensions.py"] = Path(extensions.origin)
    found["playground.py"] = HERE / "playground.py"
    for shared in ("state_diagram.py", "scenes.py"):
        found[shared] = SITE / "synfin_site" / shared
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, source in sorted(found.items()):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            out.writestr(entry, source.read_bytes())


def build(folder: Path) -> None:
    """Write all of it into `folder`, which is made anew."""
    from synfin.cli.watch.pages import FOLDER as shared
    from synfin.view.stylesheet import page_stylesheet

    shutil.rmtree(folder, ignore_errors=True)
    (folder / "pyodide").mkdir(parents=True)
    for pattern in SOURCES:
        for source in sorted(HERE.glob(pattern)):
            if source.name != "types.js":
                shutil.copyfile(source, folder / source.name)
    for name in SHARED:
        shutil.copyfile(shared / name, folder / name)
    (folder / "synfin.css").write_text(page_stylesheet(), encoding="utf-8")
    for language, name in LANGUAGES.items():
        (folder / name).write_text(page(language), encoding="utf-8")
        shutil.copyfile(HERE / f"strings.{language}.json", folder / f"strings.{language}.json")
        (folder / f"phrases.{language}.json").write_text(phrases(language), encoding="utf-8")
    for name in PYODIDE:
        shutil.copyfile(modules() / "pyodide" / name, folder / "pyodide" / name)
    archive(folder / "synfin.zip")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    build(parser.parse_args().folder)


if __name__ == "__main__":
    main()
