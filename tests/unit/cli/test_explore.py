"""`synfin explore`: its table, what it shows of a failure, and what it says of a file that is no scenario."""

import json
from pathlib import Path

import pytest

from synfin.cli.explore import Files, Workers, run
from synfin.cli.scenario import run as run_scenario
from synfin.explore import STARTS
from synfin.scenario import Host, Scenario, Step, from_fragment, from_json, to_json

pytest_plugins = ["pytester"]

AS_USUAL = (None, None, None)
HERE, NO_FILES = Workers(), Files()
# It waits for a connection that nobody opens.
IN_VAIN = Scenario(
    title="In vain",
    hosts=(Host(name="A"), Host(name="B")),
    steps=(Step(host="B", do="listen"), Step(host="B", do="accept")),
)


def test_without_a_scenario_the_suite_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(None, False, AS_USUAL, 0, HERE, NO_FILES) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in STARTS)


def test_the_table_is_printed_and_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "explored.json"
    assert run("nobody", False, (0, 0, 0), 0, HERE, Files(record=record)) == 0
    (row,) = json.loads(record.read_text())
    assert row["whole"] and row["states"] > 1 and (row["losses"], row["early_timers"]) == (0, 0)
    assert f"| Nobody listens (`nobody`) | 0 | 0 | 0 | {row['states']} |" in capsys.readouterr().out


def test_a_search_that_was_stopped_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("open", False, AS_USUAL, 5, HERE, NO_FILES) == 0
    assert "| first 5 |" in capsys.readouterr().out


def test_an_example_of_the_scenarios_is_explored(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nobody-listens", False, (0, 0, 0), 0, HERE, NO_FILES) == 0
    assert "(`nobody-listens`)" in capsys.readouterr().out


def test_a_failure_is_shown_and_its_test_fails_as_long_as_it_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pytester: pytest.Pytester
) -> None:
    file, saved = tmp_path / "in_vain.json", tmp_path / "saved.py"
    file.write_text(to_json(IN_VAIN))
    assert run(str(file), False, AS_USUAL, 0, HERE, Files(pytest=saved)) == 1
    told = capsys.readouterr().out
    assert "B accept waits for ever" in told
    assert "after 0 steps" in told
    pytester.makepyfile(test_saved=saved.read_text())
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(failed=1)


def test_a_failure_is_saved_as_a_scenario_and_its_address_opens_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, saved = tmp_path / "in_vain.json", tmp_path / "saved.json"
    file.write_text(to_json(IN_VAIN))
    assert run(str(file), False, AS_USUAL, 0, HERE, Files(save=saved)) == 1
    *_, fragment = capsys.readouterr().out.strip().partition("play/index.html#")
    found = from_json(saved.read_text())
    assert from_fragment(fragment) == found
    assert "B accept waits for ever" in found.about
    assert run_scenario(str(saved), False, None, None, None, False) == 0


@pytest.mark.parametrize("text", ["{", '{"version": 1}', "[]"])
def test_what_is_no_scenario_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "wrong.json"
    file.write_text(text)
    assert run(str(file), False, AS_USUAL, 0, HERE, NO_FILES) == 2
    assert capsys.readouterr().err.startswith(f"synfin explore: {file}: ")


def test_a_file_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("no-such-file.json", False, AS_USUAL, 0, HERE, NO_FILES) == 2
    assert "no-such-file.json is none of the suite" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["record", "pytest", "save"])
def test_a_file_that_can_not_be_written_is_told_before_anything_is_explored(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "missing" / "file"
    assert run("open", False, AS_USUAL, 0, HERE, Files(**{option: file})) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"synfin explore: --{option} {file}: No such file or directory\n")


def test_the_suite_is_explored_whole_or_one_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("open", True, AS_USUAL, 0, HERE, NO_FILES) == 2
    assert "no scenario is named besides" in capsys.readouterr().err


def test_it_runs_on_a_campaign_s_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("cookie", False, (0, 0, 0), 0, Workers(scheduler="none"), NO_FILES) == 0
    assert "(`cookie`)" in capsys.readouterr().out


def test_a_scheduler_that_anybody_may_use_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("distributed")
    assert run("cookie", False, (0, 0, 0), 0, Workers(scheduler="tcp://127.0.0.1:1"), NO_FILES) == 2
    assert "tcp://127.0.0.1:1 is not tls://" in capsys.readouterr().err
