"""`synfin scenario`: what it draws and writes, and what it says of a file that is no scenario."""

import json
from pathlib import Path

import pytest

from synfin.cli.scenario import run
from synfin.scenario import from_json
from synfin.scenario import run as run_scenario
from synfin.scenario.examples import EXAMPLES


def test_without_a_file_the_examples_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(None, False, None, None, None, False) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in EXAMPLES)


def test_an_example_is_printed_as_a_file_that_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("syn-ack-lost", False, None, None, None, True) == 0
    file = tmp_path / "mine.json"
    file.write_text(capsys.readouterr().out)
    assert from_json(file.read_bytes()) == EXAMPLES["syn-ack-lost"]
    assert run(str(file), False, None, None, None, False) == 0
    told = capsys.readouterr().out
    assert "lost ╳" in told
    assert "client open: done at 1.020000" in told
    assert "Ended at " in told


def test_json_is_the_whole_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("figure-12", True, None, None, None, False) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == run_scenario(EXAMPLES["figure-12"]).digest()


def test_what_was_asked_for_is_written(tmp_path: Path) -> None:
    capture, test, picture = tmp_path / "a.pcapng", tmp_path / "test_a.py", tmp_path / "a.svg"
    assert run("figure-12", False, capture, test, picture, False) == 0
    assert capture.read_bytes()[:4] == b"\n\r\r\n"
    assert "def test_the_same_happens_again" in test.read_text()
    assert picture.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is no JSON"),
        ('{"version": 9}', "version: 9 is of a newer synfin"),
        ('{"version": 1, "hosts": [{"name": "a"}, {"name": 1}]}', "hosts[1].name: must be a name"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(
    text: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    assert run(str(file), False, None, None, None, False) == 2
    assert why in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(tmp_path / "no.json"), False, None, None, None, False) == 2
    assert run("figure-12", False, tmp_path / "no" / "a.pcapng", None, None, False) == 2
    assert capsys.readouterr().err.count("No such file") == 2
