"""What `synfin run` and `synfin fault` say to wrong arguments. Nothing is started for these."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synfin.cli.app import app
from tests.conftest import need

need(sys.platform == "linux", "namespaces are Linux's")


def ask(*arguments: str) -> tuple[int, list[str]]:
    """Exit status and what was said, line by line."""
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "NO_COLOR": "1"})
    return result.exit_code, result.output.splitlines()


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--loss", "two"], "--loss: loss is a probability such as 2% or 0.02, not 'two'"),
        (["--up-delay", "5"], "--up-delay: delay '5' is not understood"),
        (["--down-queue", "-1"], "--down-queue: queue '-1' is not understood"),
        (["--rate", "fast"], "--rate: bandwidth 'fast' is not understood"),
        (["--mtu-hole", "12"], "--mtu-hole: mtu is from 576"),
        (["--rule", "db:5432"], "sets nothing"),
        (["--rule", ""], "sets nothing"),
        (["--rule", "db delay=1s"], "'db' is no place"),
        (["--rule", "* speed=1"], "no setting 'speed'"),
        (["--deny", "nobody"], "--deny: 'nobody' is no place"),
        (["--allow", "*:0"], "--allow: '*:0': a port is"),
        (["--publish", "80"], "--publish: '80'"),
        (["--name", "db"], "--name: a name is given as db=10.1.2.3"),
        (["--name", "db=there"], "'there' is no address"),
        (["--cut", "3s"], "--cut: a cut is written as 5s..8s"),
        (["--rules", "/nowhere.py"], "--rules /nowhere.py: No such file"),
        (["--record", "/nowhere/file"], "--record /nowhere/file: No such file"),
        (["--report", "/nowhere/file"], "--report /nowhere/file: No such file"),
        (["--mtu", "100"], "--mtu is from"),
        (["--seed", "1"], "no option says that anything happens by it"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_line(words: list[str], said: str) -> None:
    status, lines = ask("run", *words, "--", "true")
    assert status == 2
    [line] = lines
    assert line.startswith("synfin run: ")
    assert said in line


@pytest.mark.parametrize(
    ("text", "said"),
    [("1 +", "SyntaxError"), ("network = 3", "no function network(net)"), ("raise ValueError('why')", "why")],
)
def test_a_file_of_rules_that_fails_is_said_before_anything_starts(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "rules.py"
    file.write_text(text)
    status, lines = ask("run", "--rules", str(file), "--", "true")
    assert status == 2
    assert said in lines[0]


def test_options_behind_the_program_are_the_programs() -> None:
    status, lines = ask("run", "no-such-program", "--loss", "two")
    assert (status, lines) == (127, ["synfin run: there is no program no-such-program"])


def test_the_help_names_every_option_for_one_way() -> None:
    text = "\n".join(ask("run", "--help")[1])
    assert "--up-loss" in text
    assert "--down-mtu-hole" in text


def test_a_fault_needs_a_run_that_is_there(tmp_path: Path) -> None:
    status, lines = ask("fault", "curl", "loss=1%")
    assert status == 1
    assert lines[0].startswith("synfin fault: there is no run called 'curl'")
    (tmp_path / "synfin").mkdir(mode=0o700, exist_ok=True)
    for number in (1, 2):
        (tmp_path / "synfin" / f"curl-{number}.fault").touch()
    assert ask("fault", "curl")[1] == ["synfin fault: which of them? curl-1, curl-2"]


def test_a_fault_goes_one_way_or_the_other_or_both() -> None:
    assert ask("fault", "curl", "--up", "--down")[0] == 2


def test_without_a_program_there_is_nothing_to_run() -> None:
    status, lines = ask("run", "--loss", "1%")
    assert (status, lines) == (2, ["synfin run: say which program is to run: synfin run [OPTIONS] -- PROGRAM [ARGS]"])
