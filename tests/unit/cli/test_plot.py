"""`synfin plot`: what it draws, writes and refuses."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from synfin.cli.app import app
from synfin.tcp.trace import Event
from synfin.view.capture import AnnotatedCapture
from tests.conftest import need_library
from tests.unit.view.script import Script, opened
from tests.unit.view.transfer import lossy_transfer


def ask(*arguments: str | Path, stdin: bytes = b"") -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    result = CliRunner().invoke(
        app, ["plot", *map(str, arguments)], input=stdin, env={"COLUMNS": "100", "NO_COLOR": "1"}
    )
    return result.exit_code, result.stdout, result.stderr


def written(events: list[Event]) -> bytes:
    file = io.BytesIO()
    with AnnotatedCapture(file, both_ends=True, samples=True) as capture:
        for event in events:
            capture(event)
    return file.getvalue()


@pytest.fixture
def one(tmp_path: Path) -> Path:
    path = tmp_path / "one.pcapng"
    path.write_bytes(written(lossy_transfer().events()))
    return path


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A small connection, and the one with the transfer."""
    small = opened(Script(ports=(50000, 81)))
    small.send(50, "client", "PSH,ACK", 1, 1, 10)
    path = tmp_path / "two.pcapng"
    path.write_bytes(written(small.events()) + written(lossy_transfer().events()))
    return path


def test_a_capture_is_drawn_in_the_terminal(one: Path) -> None:
    status, said, warned = ask(one)
    assert (status, warned) == (0, "")
    assert said.startswith("client 10.0.0.1:49152 → server 10.0.0.2:80\n6,000 B in 120 ms")
    for part in ("sequence", "cwnd", "ssthresh", "in flight", "pacing rate", "smoothed", "R sent again", "120 ms"):
        assert part in said


def test_svg_and_png_are_written_side_by_side(one: Path, tmp_path: Path) -> None:
    need_library("resvg_py")
    svg, png = tmp_path / "a.svg", tmp_path / "a.png"
    status, said, _ = ask(one, "--svg", svg, "--png", png)
    assert status == 0
    assert said.splitlines()[-1] == f"written to {svg} and {png}"
    assert ElementTree.fromstring(svg.read_text(encoding="utf-8")).tag.endswith("svg")
    assert png.read_bytes().startswith(b"\x89PNG")


def test_dark_is_dark_for_every_reader(one: Path, tmp_path: Path) -> None:
    ask(one, "--svg", tmp_path / "a.svg", "--dark")
    assert "prefers-color-scheme" not in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_of_several_connections_the_one_that_carried_most_is_drawn(two: Path) -> None:
    status, said, warned = ask(two)
    assert status == 0
    assert "10.0.0.2:80\n" in said
    assert warned == "connection 2 of 2; --list shows all, --connection N draws one\n"


def test_another_connection_can_be_chosen_and_all_be_listed(two: Path) -> None:
    assert "10.0.0.2:81\n" in ask(two, "--connection", "1")[1]
    _, said, _ = ask(two, "--list")
    assert "   1    0.000000 s  client 10.0.0.1:50000 → server 10.0.0.2:81" in said
    assert "   2 " in said
    assert "1 of them sent again" in said


def test_the_other_direction_can_be_drawn(one: Path) -> None:
    assert ask(one, "--reverse")[1].startswith("server 10.0.0.2:80 → client 10.0.0.1:49152\n")


def test_a_part_of_the_time_can_be_drawn(one: Path) -> None:
    said = ask(one, "--from", "0.06", "--to", "0.08")[1]
    assert said.splitlines()[-1].split()[0] == "60"
    assert said.splitlines()[-1].split()[-2:] == ["80", "ms"]


def test_stdin_is_read_for_a_dash(one: Path) -> None:
    assert ask("-", stdin=one.read_bytes())[1] == ask(one)[1]


def test_a_capture_that_is_cut_off_is_drawn_as_far_as_it_goes(one: Path) -> None:
    status, said, warned = ask("-", stdin=one.read_bytes()[:-50])
    assert status == 0
    assert "sequence" in said
    assert warned == "the capture ends within a packet: drawn up to there\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["{missing}"], "No such file or directory"),
        (["{folder}"], "Is a directory"),
        (["{text}"], "neither pcapng nor pcap"),
        (["{one}", "--connection", "2"], "there is no connection 2: the file has 1"),
        (["{one}", "--from", "5"], "nothing is: it lasted 0.12 s"),
        (["{one}", "--from", "0.1", "--to", "0.05"], "--to 0.05 is not after --from 0.1"),
        (["{one}", "--svg", "{folder}"], "Is a directory"),
        (["{one}", "--svg", "{missing}/a.svg"], "No such file or directory"),
        (["{one}", "--connection", "0"], "Invalid value for '--connection'"),
        (["{one}", "--from", "-1"], "Invalid value for '--from'"),
        ([], "Missing argument 'CAPTURE'"),
    ],
)
def test_what_cannot_be_drawn_is_said_with_status_2(
    arguments: list[str], complaint: str, one: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text"
    text.write_text("not a capture")
    places = {"one": one, "missing": tmp_path / "missing", "folder": tmp_path, "text": text}
    status, _, warned = ask(*(argument.format(**places) for argument in arguments))
    assert status == 2
    assert complaint in warned
