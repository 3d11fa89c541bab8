"""What the site's pages are made of: questions for every claim, code by its name, and a phrase for every reason."""

from __future__ import annotations

import ast
import doctest
import json
import re

import pytest
from synfin_site import docstrings, pages, runs, textbook, tour

from synfin.lab.catalogue import EXPERIMENTS
from synfin.scenario.examples import EXAMPLES
from synfin.view.words import CHINESE, Catalogue, key_of
from tests.conftest import ROOT

CLAIMS = textbook.chapters((ROOT / "docs" / "textbook.md").read_text(encoding="utf-8"))
QUESTIONS = (ROOT / "site" / "textbook.toml").read_text(encoding="utf-8")
TOUR = (ROOT / "site" / "tour.toml").read_text(encoding="utf-8")
PHRASES = json.loads(CHINESE.read_text(encoding="utf-8"))


def test_every_claim_of_the_textbook_has_its_question_in_its_order() -> None:
    assert [section["title"] for section in textbook.sections(QUESTIONS)] == list(CLAIMS)
    for section in textbook.sections(QUESTIONS):
        asked = section.get("claim", [])
        claims = CLAIMS[section["title"]].claims
        assert len(asked) == len(claims)
        for item, claim in zip(asked, claims, strict=True):
            assert claim.text.startswith(item["claim"])


def test_each_question_has_a_right_guess_and_a_wrong_one() -> None:
    for section in textbook.sections(QUESTIONS):
        for item in section.get("claim", []):
            assert item["question"].endswith("?")
            assert len(item["guesses"]) >= 2
            assert 1 <= item["right"] <= len(item["guesses"])


def test_the_right_guess_is_not_always_at_the_same_place() -> None:
    places = [item["right"] for section in textbook.sections(QUESTIONS) for item in section.get("claim", [])]
    assert len(set(places)) >= 3


@pytest.mark.parametrize("run", sorted({"whole-life", *textbook.runs(QUESTIONS), *tour.runs(TOUR)}))
def test_each_run_that_a_page_shows_exists(run: str) -> None:
    assert run in runs.OWN or run.partition("/")[0] in EXPERIMENTS
    if run in runs.OWN:
        assert runs.scene(run)[0]


def test_each_example_that_a_page_leads_to_exists() -> None:
    named = {
        item["play"] for section in textbook.sections(QUESTIONS) for item in section.get("claim", []) if "play" in item
    }
    assert len(named) >= 6
    assert named <= set(EXAMPLES)


@pytest.mark.parametrize("stop", tour.stops(TOUR), ids=lambda stop: f"{stop['module']}:{stop['symbol']}")
def test_each_stop_of_the_tour_finds_its_code_and_its_test_by_name(stop: dict[str, str]) -> None:
    place = tour.find(ROOT, stop["module"], stop["symbol"])
    line = place.file.read_text(encoding="utf-8").splitlines()[place.first - 1]
    assert re.search(rf"\b{stop['symbol'].rpartition('.')[2]}\b", line)
    assert tour.find_test(ROOT, stop["test"]).file.exists()


def test_what_is_not_there_is_not_found() -> None:
    for module, symbol in (("synfin.tcp.nothing", "x"), ("synfin.tcp.close", "Closer.nothing")):
        with pytest.raises(LookupError):
            tour.find(ROOT, module, symbol)
    with pytest.raises(LookupError):
        tour.find_test(ROOT, "test_nothing_of_this_name")


# What tells the trace a reason.
TELLING = ("note", "_note", "_fail", "_end", "_to_closing_state", "_trace")


def reasons() -> set[str]:
    """Every text that the core gives to the trace as a reason."""
    found: set[str] = set()
    for part in ("tcp", "stack"):
        for file in (ROOT / "src" / "synfin" / part).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _name(node) in TELLING:
                    found |= {one for argument in node.args for one in _texts(argument) if " " in one}
    return {text for text in found if not re.match(r"\d+ [\d.]+|RFC|Linux ", text)}


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _texts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return _texts(node.body) + _texts(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def test_every_reason_of_the_trace_has_its_phrase_in_chinese() -> None:
    assert len(reasons()) > 30
    assert sorted(text for text in reasons() if text not in PHRASES and key_of(text) not in PHRASES) == []


def test_numbers_of_a_phrase_stay() -> None:
    say = Catalogue({"{} s later, {} more": "{} 秒后，再 {}"})
    assert say("1.5 s later, 2,000 more") == "1.5 秒后，再 2,000"
    assert say("seq=1 (2)") == "seq=1 (2)"
    assert say("never heard of") == "never heard of"
    assert say.missing == {"never heard of"}


def test_a_phrase_has_as_many_numbers_in_both_languages() -> None:
    assert [key for key, value in PHRASES.items() if key.count("{}") != len(re.findall(r"\{\d*\}", value))] == []
    assert all(PHRASES.values())


def test_the_examples_of_the_site_hold() -> None:
    for module in (docstrings, pages):
        assert doctest.testmod(module).failed == 0


def test_docstrings_keep_their_examples_and_lose_their_stars() -> None:
    text = docstrings.as_rst(["About *args, `x`th:", "", "    code(*args)", "", "- one", "- two", "after"])
    assert "About \\*args, `x`\\ th:" in text
    assert "    code(*args)" in text
