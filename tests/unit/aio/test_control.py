"""The control socket: what it tells, to whom, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from synfin.aio import connection_rows, control
from synfin.aio.host import Host
from synfin.stack.stack import Stack
from synfin.tcp.config import Config

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where control sockets of this test are."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "synfin"


def a_host(**options: object) -> Host:
    return Host("10.0.0.1", send=lambda packet: None, **options)  # type: ignore[arg-type]


def path_of(name: str) -> Path:
    return control.control_path(name)


async def asked(path: Path) -> dict[str, Any]:
    return await asyncio.to_thread(control.ask, path)


def test_a_host_without_control_opens_no_socket(folder: Path) -> None:
    async def main() -> None:
        async with a_host():
            assert control.control_sockets() == []

    asyncio.run(main())
    assert not folder.exists()


def test_of_many_connections_it_tells_in_parts_between_which_the_loop_runs() -> None:
    async def main() -> None:
        async with a_host(control="web") as host:
            for port in range(1, 1001):
                host.stack.connect("10.0.0.9", port, host.clock())
            turns = 0

            async def count() -> None:
                nonlocal turns
                while True:
                    await asyncio.sleep(0)
                    turns += told.done() is False and host._control._callers != set()  # type: ignore[union-attr]

            told = asyncio.ensure_future(asked(path_of("web")))
            counting = asyncio.ensure_future(count())
            rows = (await told)["connections"]
            counting.cancel()
            assert {row["peer"] for row in rows} == {f"10.0.0.9:{port}" for port in range(1, 1001)}
            assert turns >= 1000 // connection_rows.ROWS

    asyncio.run(main())


def test_it_tells_connections_and_tables() -> None:
    async def main() -> None:
        async with a_host(control="web", name="web") as host:
            attempt = asyncio.ensure_future(host.open_connection("10.0.0.9", 443))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            told = await asked(path_of("web"))
            assert told["name"] == "web"
            assert told["pid"] == os.getpid()
            assert told["census"] == host.stack.census()
            (row,) = told["connections"]
            assert row["state"] == "SYN-SENT"
            assert row["peer"] == "10.0.0.9:443"
            assert row["local"].startswith("10.0.0.1:")
            assert row["timer_name"] == "syn"
            assert 0 < row["timer"] <= 1_000_000
            attempt.cancel()

    asyncio.run(main())


def test_only_its_owner_can_open_it(folder: Path) -> None:
    async def main() -> list[int]:
        async with a_host(control="web"):
            return [stat.S_IMODE(os.stat(path).st_mode) for path in (folder, path_of("web"))]

    assert asyncio.run(main()) == [0o700, 0o600]


def test_a_caller_with_another_user_id_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with a_host(control="web"):
            monkeypatch.setattr(control, "peer_uid", lambda caller: os.geteuid() + 1)
            with pytest.raises(ValueError, match="did not answer"):
                await asked(path_of("web"))

    asyncio.run(main())


def test_the_callers_user_id_is_the_kernels_word() -> None:
    left, right = socket.socketpair()
    with left, right:
        assert control.peer_uid(left) in (os.geteuid(), None)
    assert control.is_own(os.geteuid())
    assert not control.is_own(os.geteuid() + 1)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o770])
def test_a_folder_that_others_may_enter_is_refused(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)

    async def main() -> None:
        with pytest.raises(PermissionError, match="mode 0700"):
            a_host(control="web").open()

    asyncio.run(main())


def test_a_link_in_place_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError):
        control.prepared_path("web")


@pytest.mark.parametrize("ending", ["aclose", "close", "detach"])
def test_the_socket_goes_with_the_host(folder: Path, ending: str) -> None:
    async def main() -> None:
        host = a_host(control="web")
        host.open()
        assert control.control_sockets() == [path_of("web")]
        result = getattr(host, ending)()
        if result is not None:
            await result

    asyncio.run(main())
    assert not list(folder.iterdir())


def test_a_socket_that_a_dead_process_left_is_replaced(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path_of("web")))

    async def main() -> None:
        async with a_host(control="web"):
            assert (await asked(path_of("web")))["connections"] == []

    asyncio.run(main())


def test_a_caller_that_does_not_read_holds_up_nobody() -> None:
    async def main() -> None:
        async with a_host(control="web"):
            with socket.socket(socket.AF_UNIX) as idle:
                idle.connect(str(path_of("web")))
                assert (await asked(path_of("web")))["connections"] == []

    asyncio.run(main())


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "a\nb"])
def test_a_name_is_a_plain_word(name: str) -> None:
    with pytest.raises(ValueError, match="plain word"):
        control.control_path(name)


def test_the_timer_is_called_by_what_it_is_for() -> None:
    stack = Stack(["10.0.0.1"], Config(), entropy=lambda n: bytes(range(n)))
    stack.connect("10.0.0.2", 80, 0)
    stack.poll(0, 1 << 20)
    (row,) = connection_rows.describe(stack, 400_000)
    assert (row["timer_name"], row["timer"]) == ("syn", 600_000)
