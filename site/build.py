"""`make site`: the whole site into build/site, from the docs, the lab, the source and the docstrings.

Static pages that read from a folder or any host; the search, and the playground, need http (`synfin site`). The same
input gives the same bytes. English stands at the root, Chinese with the same paths below zh-Hans.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

from synfin_site import api, lab, licences, pages, runs, state_diagram, textbook, tour, translations  # noqa: E402
from synfin_site.polish import polish  # noqa: E402

from synfin.view.words import CHINESE, Catalogue  # noqa: E402

LANGUAGES = {"en": "", "zh_CN": "zh-Hans"}
EPOCH = "1767225600"  # what a page may say of its time


def gather(folder: Path, language: str, draft: bool, draw: bool = True) -> None:
    """All sources of one language's pages, with their drawings."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(HERE / "conf.py", folder)
    claims = (ROOT / "docs" / "textbook.md").read_text(encoding="utf-8")
    questions = (HERE / "textbook.toml").read_text(encoding="utf-8")
    stops = (HERE / "tour.toml").read_text(encoding="utf-8")
    made = pages.written(HERE / "pages") | pages.documents(ROOT / "docs")
    made["index.md"] = pages.with_all(made["index.md"], [name for name in made if name.startswith("docs/")])
    made |= {f"{name}.md": text for name, text in textbook.pages(claims, questions).items()}
    made |= {f"{name}.md": text for name, text in lab.pages().items()}
    made |= {f"{name}.md": text for name, text in tour.pages(ROOT, stops).items()}
    made |= {"licences.md": licences.page(ROOT)}
    if language == "en" and not draft:
        made |= {f"{name}.rst": text for name, text in api.pages(ROOT / "src" / "synfin").items()}
    else:
        made |= {"api/index.rst": pages.reference_elsewhere()}
    whole = translations.complete(HERE / "locale")
    for name, text in made.items():
        if language != "en" and name.removesuffix(".md") not in whole and name.endswith(".md"):
            text = pages.untranslated(text)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    say = None if language == "en" else Catalogue.of(CHINESE)
    drawings = folder / "drawings"
    drawings.mkdir()
    for run in sorted({"whole-life", *textbook.runs(questions), *lab.runs(), *tour.runs(stops)}):
        text = runs.drawing(run, "", say) if draw else ""
        (drawings / f"{run.replace('/', '-')}.svg").write_text(text, encoding="utf-8")
    (drawings / "states.svg").write_text(state_diagram.drawing(say or str), encoding="utf-8")
    if say is not None and say.missing and not draft:
        raise SystemExit(f"{CHINESE} lacks: {sorted(say.missing)}")


def sphinx(builder: str, source: Path, out: Path, language: str) -> None:
    """Run Sphinx; every warning is an error."""
    environment = {
        **os.environ,
        "SYNFIN_SITE_FOLDER": str(HERE),
        "SYNFIN_SITE_LANGUAGE": language,
        "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", EPOCH),
        "PYTHONHASHSEED": "0",
        "SYNFIN_SITE_PLAY": "1" if with_play() else "0",
    }
    doctrees = out.parent / f"{out.name}.doctrees"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-b", builder, "-d", str(doctrees)]
    subprocess.run([*command, str(source), str(out)], env=environment, check=True)


def index_words(site: Path) -> None:
    """The search index, by Pagefind, for each language by itself."""
    command = [sys.executable, "-m", "pagefind", "--site", str(site), "--output-subdir", "pagefind", "--quiet"]
    subprocess.run(command, check=True)
    entry = site / "pagefind" / "pagefind-entry.json"  # whose languages come in any order
    entry.write_text(json.dumps(json.loads(entry.read_text()), sort_keys=True, ensure_ascii=False))


def build(out: Path, work: Path, draft: bool = False) -> None:
    """Everything, into `out`; `work` holds what comes before. draft: without the API reference and the checks."""
    begin = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - begin:6.1f} s  {what}", flush=True)

    shutil.rmtree(out, ignore_errors=True)
    for language, below in LANGUAGES.items():
        source = work / "source" / language
        gather(source, language, draft)
        tell(f"gathered the pages in {language}")
        if language != "en":
            sphinx("gettext", source, work / "words", "en")
            if not draft:
                translations.check(work / "words", HERE / "locale")
                tell("checked the translations")
        html = work / "html" / language
        shutil.rmtree(html, ignore_errors=True)
        sphinx("html", source, html, language)
        shutil.copytree(html, out / below, dirs_exist_ok=True)
        tell(f"wrote the pages in {language}")
    polish(out, LANGUAGES["zh_CN"])
    licences.copy(out)
    tell("polished them")
    _play(out)
    index_words(out)
    tell("indexed their words")
    _keep_order(out)


def with_play() -> bool:
    """Whether there is a playground: npm brings its interpreter."""
    return shutil.which("npm") is not None


def _play(out: Path) -> None:
    """The playground builds itself."""
    if with_play():
        subprocess.run([sys.executable, str(HERE / "play" / "build.py"), str(out / "play")], check=True)
    else:
        print("without the playground: its interpreter comes by npm, which is not installed")


def _keep_order(out: Path) -> None:
    """What no reader needs."""
    for unwanted in (".doctrees", ".buildinfo", "_sources", "searchindex.js"):
        for path in out.rglob(unwanted):
            _remove(path)(path)


def _remove(path: Path) -> Callable[[Path], None]:
    return shutil.rmtree if path.is_dir() else Path.unlink


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "site-work")
    parser.add_argument("--words", action="store_true", help="only gather what is to be translated; see site/words.py")
    parser.add_argument("--draft", action="store_true", help="for who writes pages: no API reference, no checks")
    arguments = parser.parse_args()
    if arguments.words:
        gather(arguments.work / "source" / "zh_CN", "zh_CN", draft=True, draw=False)
        sphinx("gettext", arguments.work / "source" / "zh_CN", arguments.work / "words", "en")
        return
    build(arguments.out.resolve(), arguments.work.resolve(), arguments.draft)
    print(f"the site is in {arguments.out}; `synfin site` serves it")


if __name__ == "__main__":
    main()
