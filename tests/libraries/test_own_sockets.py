"""Servers and clients that make and bind sockets of their own, and give them to the loop: hypercorn, anyio, aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import pytest

from tests.conftest import need_library
from tests.libraries.world import World

for library in ("aiohttp", "anyio", "httpx", "hypercorn", "starlette"):
    need_library(library)
import aiohttp  # noqa: E402
import anyio  # noqa: E402
import httpx  # noqa: E402
from anyio.abc import SocketStream  # noqa: E402
from anyio.streams.stapled import MultiListener  # noqa: E402

from tests.libraries.starlette_app import app  # noqa: E402

FREEBIND = getattr(socket, "IP_FREEBIND", 15)
BODY = bytes(range(256)) * 800


@contextlib.asynccontextmanager
async def hypercorn(world: World, host: str) -> AsyncIterator[None]:
    """hypercorn on the server, until the end of the block."""
    config = import_module("hypercorn.config").Config()
    config.bind = [f"{host if ':' not in host else f'[{host}]'}:8000"]
    config.errorlog = None
    ends = asyncio.Event()
    serve = import_module("hypercorn.asyncio").serve
    running = asyncio.ensure_future(world.on_server(serve(app, config, shutdown_trigger=ends.wait)))
    await asyncio.sleep(1)
    try:
        yield
    finally:
        ends.set()
        await running


@pytest.mark.parametrize(("version", "host"), [(4, "0.0.0.0"), (6, "::")])
def test_hypercorn_serves_on_the_sockets_that_it_binds(world: World, version: int, host: str) -> None:
    async def main() -> None:
        async with hypercorn(world, host), httpx.AsyncClient(trust_env=False, timeout=60) as session:
            for number in range(20):
                answer = await session.post(world.url("/echo", version=version), content=BODY[: number * 1000])
                assert answer.content == BODY[: number * 1000]
            told = (await session.get(world.url("/addresses", version=version))).json()
            assert told == {"client": world.client_address(version), "server": [world.address(version), 8000]}

    world.run(main())


@pytest.mark.parametrize(("version", "prefix"), [(4, "::ffff:"), (6, "")])
def test_what_anyio_listens_on_is_accepted_one_by_one_and_ends_with_its_listener(
    world: World, version: int, prefix: str
) -> None:
    """One socket for both families, which names IPv4 as every such socket does."""

    async def shout(stream: SocketStream) -> None:
        async with stream:
            async for text in stream:
                await stream.send(text.upper())
            await stream.send(str(stream.extra(anyio.abc.SocketAttribute.remote_address)[0]).encode())

    async def listen(listener: MultiListener[SocketStream]) -> None:
        async with listener:
            await listener.serve(shout)

    async def listening() -> Any:
        return await anyio.create_tcp_listener(local_port=0)

    async def main() -> None:
        listener = await world.on_server(listening())
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        running = asyncio.ensure_future(world.on_server(listen(listener)))
        await asyncio.sleep(1)
        for _ in range(15):
            async with await anyio.connect_tcp(world.address(version), port) as stream:
                await stream.send(b"text " * 100)
                await stream.send_eof()
                said = b"".join([piece async for piece in stream])
                assert said == b"TEXT " * 100 + f"{prefix}{world.client_address(version)}".encode()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        with pytest.raises(OSError):
            await anyio.connect_tcp(world.address(version), port)

    world.run(main())


def test_aiohttp_leaves_from_an_address_that_the_kernel_does_not_have(world: World) -> None:
    """A kernel binds to an address that is not its own where IP_FREEBIND is set, which aiohttp's socket_factory can."""

    def make(info: Any) -> socket.socket:
        made = socket.socket(*info[:3])
        made.setsockopt(socket.IPPROTO_IP, FREEBIND, 1)
        return made

    async def main() -> None:
        local = (world.client_address(), 0)
        async with (
            hypercorn(world, "0.0.0.0"),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=local, socket_factory=make)) as session,
        ):
            for _ in range(30):
                async with session.get(world.url("/addresses"), headers={"Connection": "close"}) as answer:
                    assert (await answer.json())["client"] == world.client_address()

    world.run(main())
