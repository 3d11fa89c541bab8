"""The playground's catalogues, types and build: nothing is missing, nothing is left over, the same bytes each time."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import string
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from synfin.lab.catalogue import EXPERIMENTS
from synfin.lab.experiment import Experiment
from synfin.scenario.examples import EXAMPLES
from synfin.scenario.model import ACTIONS
from synfin.tcp.states import NAMES
from synfin.view import svg
from synfin.view.diagram import connections
from synfin.view.words import Catalogue
from tests.conftest import ROOT, find_program, need
from tests.site.test_lab import SMALL

PLAY = ROOT / "site" / "play"
need(PLAY.exists(), "a source distribution has no site")
CATALOGUES = {path.name.split(".")[1]: json.loads(path.read_text("utf-8")) for path in PLAY.glob("strings.*.json")}
SHARED = ROOT / "src" / "synfin" / "cli" / "watch" / "page"
MODULES = [*sorted(PLAY.glob("*.js")), SHARED / "dom.js", SHARED / "words.js"]
SOURCES = "\n".join(path.read_text("utf-8") for path in MODULES)
MOST_EVENTS = 500  # of a scene that is drawn (site/synfin_site/scenes.py)
PAGE = (PLAY / "page.html").read_text("utf-8")


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("play_build", PLAY / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_that_is_not_ours_has_its_licence() -> None:
    told = json.loads((PLAY / "licences.json").read_text("utf-8"))
    for one in told:
        assert (ROOT / one["text"]).read_text("utf-8").strip(), one["name"]
    named = {file for one in told for file in one["files"]}
    assert named == {f"pyodide/{name}" for name in builder().PYODIDE} | {"synfin.zip"}
    package = json.loads((ROOT / "site" / "package.json").read_text("utf-8"))
    assert package["dependencies"]["pyodide"] in {one["version"] for one in told}


def test_each_language_says_the_same_things() -> None:
    assert set(CATALOGUES) == {"en", "zh-Hans"}
    english, chinese = CATALOGUES["en"], CATALOGUES["zh-Hans"]
    assert list(english) == list(chinese)
    for key, text in english.items():
        fields = {name for _, name, _, _ in string.Formatter().parse(text) if name}
        assert fields == {name for _, name, _, _ in string.Formatter().parse(chinese[key]) if name}, key


def test_nothing_is_said_that_a_catalogue_lacks_and_nothing_is_left_over() -> None:
    english = CATALOGUES["en"]
    whole = set(re.findall(r"\bt(?:Or)?\(\"([\w.-]+)\"", SOURCES)) | set(re.findall(r"\{\{([\w.-]+)\}\}", PAGE))
    either = re.findall(r"\? \"([\w.-]+)\" : \"([\w.-]+)\"", SOURCES)
    whole |= {key for pair in either for key in pair if key in english}
    assert whole <= set(english) | {""}, whole - set(english)
    begun = set(re.findall(r"\bt(?:Or)?\(`([\w.-]+?[.])\$\{", SOURCES))
    left = {key for key in english if key not in whole and not key.startswith(tuple(begun)) and key != "language"}
    assert left == set()


def test_what_python_names_has_a_word() -> None:
    english = CATALOGUES["en"]
    named = {f"example.{name}" for name in EXAMPLES} | {f"do.{name}" for name in ACTIONS}
    named |= {f"state.{name}" for name in NAMES}
    assert named <= set(english)


def test_the_page_has_no_script_and_no_style_of_its_own() -> None:
    assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=", PAGE)
    assert "default-src 'none'" in PAGE
    assert not re.search(r"innerHTML|eval\(|new Function|insertAdjacentHTML|document\.write", SOURCES)


@pytest.mark.skipif(os.environ.get("SYNFIN_SITE") != "1", reason="what npm brings is there in `make test-site`")
def test_the_modules_have_the_types_that_they_claim() -> None:
    node = find_program("node")
    need(node, "the program node is not installed")
    tsc = builder().modules() / "typescript" / "bin" / "tsc"
    done = subprocess.run([str(node), tsc, "-p", PLAY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(os.environ.get("SYNFIN_SITE") != "1", reason="what npm brings is there in `make test-site`")
def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    need(find_program("npm"), "the program npm is not installed")
    module = builder()
    found = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        module.build(folder)
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        found.append({path.relative_to(folder): path.read_bytes() for path in files})
    assert found[0] == found[1]
    assert "zh-Hans.html" in {path.name for path in found[0]}


@pytest.mark.skipif(os.environ.get("SYNFIN_SITE") != "1", reason="what reads catalogues is there in `make test-site`")
@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=list(EXPERIMENTS))
def test_with_other_numbers_all_that_an_experiment_tells_is_chinese(experiment: Experiment) -> None:
    """The site has the words for an experiment's own parameters; a reader sets others."""
    say = Catalogue(json.loads(builder().phrases("zh-Hans")))
    values = {
        one.name: 1 - one.default if one.high == 1 else min(one.high, one.default + 3) for one in experiment.parameters
    }
    finding = experiment.run(experiment.settings(values | SMALL.get(experiment.name, {}), seed=3))
    for sentence, _ in finding.expectations:
        say(sentence)
    if finding.figure is not None:
        say.figure(finding.figure)
    for scene in finding.scenes:
        if len(scene.events) <= MOST_EVENTS:
            say(scene.title)
            svg.drawing(connections(scene.events, only=scene.only), width=730, title=scene.title, say=say)
    assert say.missing == set()
