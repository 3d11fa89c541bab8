"""`synfin lab`: what it lists, writes and refuses, and its exit status."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synfin.cli.app import app
from synfin.lab.catalogue import EXPERIMENTS


def ask(*arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    result = CliRunner().invoke(app, ["lab", *arguments], env={"COLUMNS": "200", "NO_COLOR": "1"})
    return result.exit_code, result.stdout, result.stderr


def test_without_a_name_it_lists_all_experiments_with_their_parameters() -> None:
    status, said, _ = ask()
    assert status == 0
    for experiment in EXPERIMENTS.values():
        assert f"  {experiment.name} " in said
        assert experiment.question in said
        assert all(f"--set {one.name}={one.default}" in said for one in experiment.parameters)


def test_an_experiment_prints_its_question_diagram_findings_and_why() -> None:
    status, said, _ = ask("handshake")
    assert status == 0
    assert said.startswith("handshake: Which three segments")
    assert "SYN,ACK" in said
    assert "✓ three segments, and no more, open the connection" in said
    assert "RFC 9293 3.5" in said


def test_the_exit_status_is_1_if_the_outcome_did_not_happen() -> None:
    status, said, _ = ask("time-wait", "--set", "msl_ms=0")
    assert status == 1
    assert "✗ with 2MSL" in said


def test_json_is_one_object() -> None:
    status, said, _ = ask("close", "--json", "--seed", "7", "--set", "bytes=5000")
    assert status == 0
    told = json.loads(said)
    assert told["seed"] == 7
    assert told["parameters"] == {"think_ms": 60, "bytes": 5000}
    assert told["ok"] is True


def test_all_as_json_is_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in EXPERIMENTS if name not in ("handshake", "close")]:
        monkeypatch.delitem(EXPERIMENTS, name)
    status, said, _ = ask("all", "--json")
    assert status == 0
    assert [told["experiment"] for told in json.loads(said)] == ["handshake", "close"]


def test_all_says_at_the_end_how_each_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in EXPERIMENTS if name not in ("handshake", "close")]:
        monkeypatch.delitem(EXPERIMENTS, name)
    status, said, _ = ask("all")
    assert status == 0
    assert [line.split()[:2] for line in said.splitlines()[-2:]] == [["✓", "handshake"], ["✓", "close"]]


def test_pcapng_has_a_section_for_each_scene_with_comments(tmp_path: Path) -> None:
    file = tmp_path / "lab.pcapng"
    status, _, _ = ask("handshake", "--pcapng", str(file))
    assert status == 0
    written = file.read_bytes()
    assert written.count(bytes.fromhex("0a0d0d0a")) == 2
    assert b"SYN-SENT -> ESTABLISHED" in written


@pytest.mark.parametrize("name", ["handshake", "syn-flood"])
def test_svg_is_a_document(name: str, tmp_path: Path) -> None:
    file = tmp_path / "lab.svg"
    small = ["--set", "seconds=10", "--set", "queue=8"] if name == "syn-flood" else []
    status, _, _ = ask(name, *small, "--svg", str(file))
    assert status == 0
    assert ElementTree.fromstring(file.read_text(encoding="utf-8")).tag.endswith("svg")


def test_cwnd_draws_each_scene_over_time_below_the_report() -> None:
    plain, drawn = ask("close")[1], ask("close", "--cwnd")[1]
    assert drawn.startswith(plain)
    below = drawn[len(plain) :]
    assert below.count("  sequence ") == below.count("\n── ") == plain.count("\n── ") == 4
    assert "⠒ cwnd" in below


def test_with_cwnd_the_svg_is_the_plot_and_the_capture_has_the_samples(tmp_path: Path) -> None:
    svg, pcapng = tmp_path / "lab.svg", tmp_path / "lab.pcapng"
    ask("close", "--svg", str(svg), "--pcapng", str(pcapng))
    assert "sequence" not in svg.read_text(encoding="utf-8")
    assert b", ssthresh " not in pcapng.read_bytes()
    ask("close", "--svg", str(svg), "--pcapng", str(pcapng), "--cwnd")
    assert ">sequence</text>" in svg.read_text(encoding="utf-8")
    assert b", ssthresh unlimited, " in pcapng.read_bytes()


WRONG = [
    (["no-such"], "there is no experiment 'no-such'; there are: handshake, "),
    (["close", "--set", "speed=3"], "no parameter 'speed'; there are: think_ms, bytes"),
    (["close", "--set", "bytes=-1"], "--set takes PARAMETER=N"),
    (["close", "--set", "bytes"], "--set takes PARAMETER=N"),
    (["close", "--set", "bytes=99999999"], "bytes is within 0 and 1000000"),
    (["all", "--set", "bytes=1"], "--set and --svg are for one experiment"),
    (["handshake", "--pcapng", "/no/such/folder/file"], "can't write the file"),
]


@pytest.mark.parametrize(("arguments", "complaint"), WRONG)
def test_wrong_arguments_are_named_with_status_2(arguments: list[str], complaint: str) -> None:
    status, _, said = ask(*arguments)
    assert status == 2
    assert complaint in said
