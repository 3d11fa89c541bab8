"""aiohttp, client and server, as it is installed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import need_library
from tests.interop.payload import digest, write_file
from tests.libraries.world import NAME, NAME6, World

need_library("aiohttp")
import aiohttp  # noqa: E402
from aiohttp import web  # noqa: E402

SIZE = 300_000


@contextlib.asynccontextmanager
async def serving(world: World, app: web.Application) -> AsyncIterator[None]:
    """aiohttp's own runner and site, on the server, on all its addresses."""
    runner = web.AppRunner(app)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, port=8000).start()

    await world.on_server(start())
    try:
        yield
    finally:
        await world.on_server(runner.cleanup())


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), headers={"X-Peer": request.remote or ""})


def echo_app() -> web.Application:
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/echo", echo)
    return app


@pytest.mark.parametrize("version", [4, 6])
def test_a_body_goes_to_the_server_and_back(world: World, version: int) -> None:
    body = bytes(range(256)) * (SIZE // 256)

    async def main() -> None:
        async with serving(world, echo_app()), aiohttp.ClientSession() as session:
            answer = await session.post(world.url("/echo", version=version), data=body)
            assert answer.status == 200
            assert await answer.read() == body
            assert answer.headers["X-Peer"] == world.client_address(version)

    world.run(main())


@pytest.mark.parametrize("name", [NAME, NAME6])
def test_a_name_that_only_the_loop_knows_is_resolved(world: World, name: str) -> None:
    async def main() -> None:
        async with serving(world, echo_app()), aiohttp.ClientSession() as session:
            answer = await session.post(f"http://{name}:8000/echo", data=b"x" * SIZE)
            assert len(await answer.read()) == SIZE

    world.run(main())


def test_connections_are_kept_and_used_again(world: World) -> None:
    async def main() -> None:
        async with serving(world, echo_app()), aiohttp.ClientSession() as session:
            for number in range(60):
                async with session.post(world.url("/echo"), data=b"%d" % number) as answer:
                    assert await answer.read() == b"%d" % number
            assert world.server.stack.counters.as_dict()["PassiveOpens"] == 1

    world.run(main())


def test_a_hundred_requests_at_once(world: World) -> None:
    async def main() -> None:
        async with serving(world, echo_app()), aiohttp.ClientSession() as session:

            async def one(number: int) -> bytes:
                async with session.post(world.url("/echo"), data=b"%d" % number) as answer:
                    return await answer.read()

            assert await asyncio.gather(*map(one, range(100))) == [b"%d" % number for number in range(100)]

    world.run(main())


def test_static_files_come_whole_and_in_ranges(world: World, tmp_path: Path) -> None:
    path = write_file(tmp_path / "file.bin", SIZE)
    app = web.Application()
    app.router.add_static("/files", tmp_path)

    async def main() -> None:
        async with serving(world, app), aiohttp.ClientSession() as session:
            async with session.get(world.url("/files/file.bin")) as answer:
                assert answer.content_type == "application/octet-stream"
                assert hashlib.sha256(await answer.read()).hexdigest() == digest(SIZE)
            async with session.get(world.url("/files/file.bin"), headers={"Range": "bytes=1000-1999"}) as answer:
                assert answer.status == 206
                assert await answer.read() == path.read_bytes()[1000:2000]
            async with session.get(world.url("/files/none")) as answer:
                assert answer.status == 404

    world.run(main())


def test_a_websocket_of_aiohttp_speaks_both_ways(world: World) -> None:
    async def shout(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(message.data.upper())
        return socket

    app = web.Application()
    app.router.add_get("/ws", shout)

    async def main() -> None:
        async with serving(world, app), aiohttp.ClientSession() as session:
            socket = await session.ws_connect(world.url("/ws"))
            for number in range(40):
                await socket.send_bytes(b"message %d" % number * 100)
                assert await socket.receive_bytes() == b"MESSAGE %d" % number * 100
            await socket.close()

    world.run(main())


def test_nobody_listens_is_a_connector_error_at_once(world: World) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(30):
                with pytest.raises(aiohttp.ClientConnectorError) as caught:
                    await session.get(world.url("/"))
                assert isinstance(caught.value.os_error, ConnectionRefusedError)

    world.run(main())


def test_a_request_given_up_leaves_no_connection(world: World) -> None:
    gone = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            gone.set()
            raise
        return web.Response()

    app = web.Application()
    app.router.add_get("/", hang)

    async def main() -> None:
        async with serving(world, app), aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as session:
            for _ in range(15):
                with pytest.raises(asyncio.TimeoutError):
                    await session.get(world.url("/"))

    world.run(main())
