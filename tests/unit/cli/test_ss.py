"""`synfin ss`: hosts that can be asked, those that can't, and its exit status."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synfin.aio.host import Host
from synfin.cli import ss
from synfin.cli.app import app

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where control sockets of this test are."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "synfin"


def ask_with_hosts(*arguments: str) -> tuple[int, str]:
    """Exit status and stdout while two hosts run, of which one connects to nobody."""

    async def main() -> tuple[int, str]:
        one = Host("10.0.0.1", send=lambda packet: None, name="one", control="one")
        two = Host("10.0.0.2", send=lambda packet: None, name="two", control="two")
        async with one, two:
            attempt = asyncio.ensure_future(one.open_connection("10.0.0.9", 443))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            result = await asyncio.to_thread(CliRunner().invoke, app, ["ss", *arguments])
            attempt.cancel()
            return result.exit_code, result.stdout

    return asyncio.run(main())


def test_it_shows_each_host_with_its_connections() -> None:
    status, said = ask_with_hosts()
    assert status == 0
    lines = said.splitlines()
    assert lines[0].startswith("one (process ")
    assert lines[0].endswith("1 connections, listeners 0, half-open 0, time-wait 0")
    assert lines[1].split()[:2] == ["State", "Recv-Q"]
    assert lines[2].split()[0] == "SYN-SENT"
    assert "10.0.0.9:443" in lines[2]
    assert lines[3].startswith("two (process ")


def test_a_name_chooses() -> None:
    status, said = ask_with_hosts("two")
    assert status == 0
    assert "one (process" not in said


def test_json_is_one_line_a_host() -> None:
    _, said = ask_with_hosts("--json")
    assert [json.loads(line)["name"] for line in said.splitlines()] == ["one", "two"]


def test_without_a_running_host_it_says_where_it_looked_with_status_1(folder: Path) -> None:
    result = CliRunner().invoke(app, ["ss"])
    assert result.exit_code == 1
    assert f"no running host in {folder}" in " ".join(result.stderr.split())


def test_a_folder_of_somebody_elses_making_is_not_believed(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    result = CliRunner().invoke(app, ["ss"])
    assert result.exit_code == 1
    assert "mode 0700" in " ".join(result.stderr.split())


def test_a_socket_whose_process_is_dead_is_passed_over(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(folder / "gone-1.sock"))
    assert ss.gather("") == []


def test_watching_shows_it_again_until_ctrl_c(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    assert ss.run(None, 2.0, False, pause) == 0
    assert pauses == [2.0] * 3
    assert capsys.readouterr().out.count("\x1b[2J") == 3
