"""What belongs to the code of a verdict: what was loaded, and what a test loads while it runs, once that was seen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest

from synfin.campaign.ledger import Ledger
from synfin.campaign.sources import Late, code_hash, folder_hash, with_late


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two packages, none of them loaded yet."""
    for name in ("early_package", "late_package"):
        (tmp_path / name / "inner").mkdir(parents=True)
        for folder in (tmp_path / name, tmp_path / name / "inner"):
            (folder / "__init__.py").write_text("")
        (tmp_path / name / "inner" / "part.py").write_text("one = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith(("early_package", "late_package"))]:
        del sys.modules[name]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        yield ledger


def test_all_modules_of_a_loaded_package_count_and_nothing_of_one_that_is_not_loaded(project: Path) -> None:
    import_module("early_package")
    before = code_hash(project)
    (project / "late_package" / "inner" / "part.py").write_text("one = 2\n")
    assert code_hash(project) == before
    (project / "early_package" / "inner" / "part.py").write_text("one = 2\n")
    assert code_hash(project) != before


def test_a_package_that_is_loaded_later_is_told_once_with_its_hash(project: Path) -> None:
    import_module("early_package")
    late = Late(project)
    import_module("early_package.inner.part")
    assert late.take() == {}
    import_module("late_package.inner")
    assert late.take() == {"late_package": folder_hash(project, "late_package")}
    import_module("late_package.inner.part")
    assert late.take() == {}


def test_what_was_loaded_late_counts_the_next_time_and_an_edit_of_it_is_other_code(
    project: Path, ledger: Ledger
) -> None:
    assert with_late("code", project, ledger.late) == "code"
    ledger.note_late("code", {"late_package": folder_hash(project, "late_package")})
    assert with_late("code", project, ledger.late) == "code"
    part = project / "late_package" / "inner" / "part.py"
    part.write_text("one = 2\n")
    second = with_late("code", project, ledger.late)
    assert second != "code"
    ledger.note_late(second, {"late_package": folder_hash(project, "late_package")})
    assert with_late("code", project, ledger.late) == second
    part.write_text("one = 3\n")
    assert with_late("code", project, ledger.late) not in ("code", second)
    part.write_text("one = 1\n")
    assert with_late("code", project, ledger.late) == "code"
    part.unlink()
    assert with_late("code", project, ledger.late) not in ("code", second)


def test_a_late_package_that_is_another_in_the_same_campaign_is_told(ledger: Ledger) -> None:
    assert ledger.note_late("code", {"one": "1", "two": "2"}) == []
    assert ledger.note_late("code", {"one": "1", "two": "3"}) == ["two"]
    assert ledger.late("code") == {"one": "1", "two": "2"}
    assert ledger.late("other") == {}
