"""The textbook chapter names experiments and tests: they exist, and the figures it quotes are what they find."""

from __future__ import annotations

import re

from synfin.lab.catalogue import EXPERIMENTS
from synfin.lab.experiment import Finding
from synfin.tcp.config import Config
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "textbook.md").read_text(encoding="utf-8")


def found(name: str) -> Finding:
    return EXPERIMENTS[name].run(EXPERIMENTS[name].settings())


def test_each_test_it_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"def (test_\w+)\(", sources))
    assert len(named) > 30
    assert not named - defined


def test_it_names_every_experiment_and_no_other() -> None:
    assert set(re.findall(r"`synfin lab ([a-z-]+)`", TEXT)) == set(EXPERIMENTS)


def test_each_setting_it_names_exists() -> None:
    for name in re.findall(r"`Config\.(\w+)`", TEXT):
        assert hasattr(Config(), name)


def test_the_figures_of_the_isn_experiment_are_those_it_quotes() -> None:
    data = found("isn").data
    assert f"{data['fixed']['taken']} of {data['fixed']['trials']}\n".strip() in TEXT
    assert f"taken in {data['clock of 4 ms']['taken']} of {data['clock of 4 ms']['trials']} runs" in TEXT
    assert data["clock of 4 µs"]["taken"] == 0
