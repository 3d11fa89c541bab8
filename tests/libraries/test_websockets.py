"""The library websockets, client and server, as it is installed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.conftest import need_library
from tests.libraries.world import NAME, World

need_library("websockets")
from websockets.asyncio.client import connect  # noqa: E402
from websockets.asyncio.server import Server, ServerConnection, serve  # noqa: E402
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK  # noqa: E402


@contextlib.asynccontextmanager
async def serving(world: World, handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[Server]:
    """The library's own server, on the server, on all its addresses."""

    async def start() -> Server:
        return await serve(handler, None, 8000)

    async def stop() -> None:
        server.close()
        await server.wait_closed()

    server = await world.on_server(start())
    try:
        yield server
    finally:
        await world.on_server(stop())


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@pytest.mark.parametrize("version", [4, 6])
def test_messages_of_all_sizes_come_back(world: World, version: int) -> None:
    async def main() -> None:
        async with serving(world, echo), connect(world.url("/", "ws", version)) as connection:
            assert connection.remote_address[:2] == (world.address(version), 8000)
            for size in (0, 1, 125, 126, 1460, 65535, 65536, 300_000):
                await connection.send(b"\xa5" * size)
                assert await connection.recv() == b"\xa5" * size

    world.run(main())


def test_both_ends_speak_at_once(world: World) -> None:
    async def counting(connection: ServerConnection) -> None:
        async def send() -> None:
            for number in range(300):
                await connection.send(f"server {number}")

        async def receive() -> list[object]:
            return [await connection.recv() for _ in range(300)]

        _, heard = await asyncio.gather(send(), receive())
        assert heard == [f"client {number}" for number in range(300)]

    async def main() -> None:
        async with serving(world, counting), connect(f"ws://{NAME}:8000/") as connection:

            async def send() -> None:
                for number in range(300):
                    await connection.send(f"client {number}")
                    await asyncio.sleep(0.001)

            async def receive() -> list[object]:
                return [await connection.recv() for _ in range(300)]

            _, heard = await asyncio.gather(send(), receive())
            assert heard == [f"server {number}" for number in range(300)]

    world.run(main())


def test_pings_are_answered_and_keep_a_silent_connection(world: World) -> None:
    async def main() -> None:
        async with serving(world, echo), connect(world.url("/", "ws"), ping_interval=20) as connection:
            for _ in range(15):
                await (await connection.ping())
            await asyncio.sleep(600)
            await connection.send("still here")
            assert await connection.recv() == "still here"

    world.run(main())


def test_a_server_that_ends_closes_its_connections_properly(world: World) -> None:
    async def main() -> None:
        async with serving(world, echo) as server:
            connections = [await connect(world.url("/", "ws")) for _ in range(12)]
            await world.on_server(_close(server))
            for connection in connections:
                with pytest.raises(ConnectionClosedOK) as caught:
                    await connection.recv()
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.code == 1001

    async def _close(server: Server) -> None:
        server.close()

    world.run(main())


def test_a_reset_is_an_error_and_no_proper_end(world: World) -> None:
    async def main() -> None:
        async with serving(world, echo):
            for _ in range(15):
                connection = await connect(world.url("/", "ws"))
                connection.transport.abort()
                with pytest.raises(ConnectionClosedError):
                    await connection.recv()

    world.run(main())
