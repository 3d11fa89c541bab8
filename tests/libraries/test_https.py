"""HTTPS with a certificate made here: TLS of asyncio's own over synfin, in both roles, by unmodified libraries."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import need_library
from tests.libraries.world import CLIENT, NAME, SERVER, World

for library in ("aiohttp", "httpx", "starlette", "trustme", "uvicorn", "websockets"):
    need_library(library)
import aiohttp  # noqa: E402
import httpx  # noqa: E402
import trustme  # noqa: E402
from aiohttp import web  # noqa: E402
from websockets.asyncio.client import connect  # noqa: E402
from websockets.asyncio.server import Server, ServerConnection, serve  # noqa: E402

from tests.libraries import starlette_app  # noqa: E402

SIZE = 300_000


@dataclass(frozen=True)
class Tls:
    """Of a server with a certificate, and of a client that trusts who signed it."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    folder: Path


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    authority = trustme.CA()
    certificate = authority.issue_cert(NAME, *SERVER.values(), *CLIENT.values())
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    folder = tmp_path_factory.mktemp("tls")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(folder / "chain.pem", append=number > 0)
    return Tls(server, client, folder)


@contextlib.asynccontextmanager
async def serving(world: World, tls: Tls, root: Path) -> AsyncIterator[None]:
    """aiohttp's server: /echo and the files of `root`."""

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/echo", echo)
    app.router.add_static("/files", root)
    runner = web.AppRunner(app)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, port=8000, ssl_context=tls.server).start()

    await world.on_server(start())
    try:
        yield
    finally:
        await world.on_server(runner.cleanup())


@pytest.mark.parametrize("version", [4, 6])
def test_aiohttp_speaks_to_aiohttp(world: World, tls: Tls, tmp_path: Path, version: int) -> None:
    body = bytes(range(256)) * (SIZE // 256)
    (tmp_path / "file").write_bytes(body)

    async def main() -> None:
        async with serving(world, tls, tmp_path), aiohttp.ClientSession() as session:
            for _ in range(3):
                async with session.post(world.url("/echo", "https", version), data=body, ssl=tls.client) as answer:
                    assert await answer.read() == body
            async with session.get(world.url("/files/file", "https", version), ssl=tls.client) as answer:
                assert await answer.read() == body

    world.run(main())


def test_httpx_speaks_to_uvicorn_over_one_connection(world: World, tls: Tls) -> None:
    files = {"ssl_keyfile": str(tls.folder / "key.pem"), "ssl_certfile": str(tls.folder / "chain.pem")}

    async def main() -> None:
        serving = starlette_app.serving(world, starlette_app.app, **files)
        async with serving, httpx.AsyncClient(verify=tls.client) as client:
            for number in range(40):
                answer = await client.post(f"https://{NAME}:8000/echo", content=b"%d" % number * 100)
                assert answer.content == b"%d" % number * 100
            assert world.server.stack.counters.as_dict()["PassiveOpens"] == 1

    world.run(main())


def test_websockets_speak_over_tls(world: World, tls: Tls) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def main() -> None:
        async def start() -> Server:
            return await serve(echo, None, 8000, ssl=tls.server)

        async def stop() -> None:
            server.close()
            await server.wait_closed()

        server = await world.on_server(start())
        async with connect(f"wss://{NAME}:8000/", ssl=tls.client) as connection:
            for size in (1, 1000, 300_000):
                await connection.send(b"\x5a" * size)
                assert await connection.recv() == b"\x5a" * size
        await world.on_server(stop())

    world.run(main())


def test_a_certificate_that_nobody_trusts_is_refused(world: World, tls: Tls, tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(world, tls, tmp_path), aiohttp.ClientSession() as session:
            for _ in range(10):
                with pytest.raises(aiohttp.ClientConnectorCertificateError):
                    await session.get(world.url("/", "https"))

    world.run(main())
