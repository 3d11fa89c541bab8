"""What the documents show works: each python block runs as it stands, each command of a sh or console block exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import synfin
from tests.conftest import ROOT, find_program, need

# What a reader's system has or has not; the blocks show how it is used, and nothing here depends on it.
ELSEWHERE = {"sudo", "git", "pip", "dask", "openssl", "python", "python3", "export", "cd", ".", "source"}
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(*languages: str) -> list[object]:
    """(file, text) of every fenced block in one of the languages, named by file and line."""
    found: list[object] = []
    for file in [ROOT / "README.md", ROOT / "README.zh.md", *sorted((ROOT / "docs").glob("**/*.md"))]:
        text = file.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            if match[1] in languages:
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match[2], id=f"{file.relative_to(ROOT)}:{line}"))
    return found


@pytest.mark.parametrize("source", blocks("python"))
def test_a_python_block_runs_as_it_stands(source: str, tmp_path: Path) -> None:
    """In a process and a folder of its own, with every warning an error."""
    script = tmp_path / "block.py"
    script.write_text(source, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(synfin.__path__[0]).resolve().parent)},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr


def commands(block: str) -> list[str]:
    """The commands of a block: those after a prompt where there is one, else every line."""
    lines = block.replace("\\\n", " ").splitlines()
    if block.startswith("$ "):
        lines = [line[2:] for line in lines if line.startswith(("$ ", "# "))]
    lines = [line.split(" #")[0].strip() for line in lines]
    parts = [part.strip() for line in lines if not line.startswith("#") for part in re.split(r"&&|\|\|?|;|&$", line)]
    return [part for part in parts if part]


def check_command(command: str) -> None:
    words = command.split()
    while words and (re.fullmatch(r"\w+=\S*", words[0]) or words[0] == "sudo"):
        words = words[1:]
    if not words or words[0] in ELSEWHERE:
        return
    program, options = words[0], words[1:]
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert [word for word in options if not re.search("=|^-", word)], command
        assert {word for word in options if not re.search("=|^-", word)} <= set(targets), command
    elif program == "synfin":
        pytest.importorskip("typer")
        # A long help: every option's name must fit.
        environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
        chosen = [word for word in options[:1] if not word.startswith("-")]
        if chosen == ["campaign"]:
            chosen.append(options[1] if options[1] in ("ls", "show", "report") else "run")  # as without a command
        said = subprocess.run(
            [sys.executable, "-m", "synfin.cli", *chosen, "--help"],
            capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
        assert said.returncode == 0, f"{command}: {said.stderr}"
        for option in (word.split("=")[0] for word in options if word.startswith("--")):
            assert option in said.stdout, f"{command}: no option {option}"
    elif program.startswith(("./", "bench/", ".venv/")):
        assert program.startswith(".venv/") or (ROOT / program).exists(), command
    else:
        need(find_program(program), f"the program {program} of the documents is not installed")


@pytest.mark.parametrize("source", blocks("sh", "bash", "shell", "console"))
def test_the_commands_shown_exist(source: str) -> None:
    for command in commands(source):
        check_command(command)


def test_the_readme_in_chinese_leads_nowhere_else_and_names_no_other_code() -> None:
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))
    for pattern in (r"\]\(((?!README)[^)]+)\)", r"`[^`\n]+`"):
        assert set(re.findall(pattern, chinese)) <= set(re.findall(pattern, english))
