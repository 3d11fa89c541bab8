"""`synfin site`: the built pages on loopback, each answer with the policy; without them it says what to type."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from synfin.cli.http_server import HttpServer
from synfin.cli.pages import FIELDS, POLICY, run
from synfin.cli.site import DirectorySite


def answer_of(folder: Path, path: str) -> str:
    async def ask() -> bytes:
        server = HttpServer(DirectorySite(folder), more=FIELDS)
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        async with listening:
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            text = await reader.read()
            writer.close()
            await writer.wait_closed()
            return text

    return asyncio.run(ask()).decode()


def test_without_a_site_it_says_what_to_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, 0) == 1
    assert "make site" in capsys.readouterr().err


def test_each_answer_carries_the_policy(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>here</h1>", encoding="utf-8")
    for path, status in (("/", "200"), ("/nothing", "404")):
        head = answer_of(tmp_path, path).partition("\r\n\r\n")[0]
        assert head.startswith(f"HTTP/1.1 {status}")
        assert f"Content-Security-Policy: {POLICY}; frame-ancestors 'none'" in head
        assert "X-Content-Type-Options: nosniff" in head


def test_the_policy_allows_nothing_from_elsewhere_and_nothing_inline() -> None:
    assert POLICY.startswith("default-src 'none'; ")
    assert "unsafe-inline" not in POLICY
    assert "http" not in POLICY


def test_modules_and_webassembly_have_the_types_that_a_browser_insists_on(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("", encoding="utf-8")
    for name, kind in (("a.js", "text/javascript"), ("a.mjs", "text/javascript"), ("a.wasm", "application/wasm")):
        (tmp_path / name).write_bytes(b"x")
        assert f"content-type: {kind}" in answer_of(tmp_path, f"/{name}").lower()


def test_a_port_in_use_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    (tmp_path / "index.html").write_text("", encoding="utf-8")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run(tmp_path, taken.getsockname()[1]) == 1
    assert "--port" in capsys.readouterr().err
