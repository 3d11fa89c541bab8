"""uvicorn with Starlette, as they are installed: what the application learns, and what it streams."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import need_library
from tests.libraries.world import World

for library in ("aiohttp", "uvicorn", "starlette"):
    need_library(library)
import aiohttp  # noqa: E402

from tests.libraries.starlette_app import app, serving  # noqa: E402


@pytest.mark.parametrize(("version", "listen_on"), [(4, "0.0.0.0"), (4, "own"), (6, "::"), (6, "own")])
def test_the_application_is_told_both_addresses(world: World, version: int, listen_on: str) -> None:
    host = world.address(version) if listen_on == "own" else listen_on

    async def main() -> None:
        async with serving(world, app, host), aiohttp.ClientSession() as session:
            for _ in range(30):
                async with session.get(world.url("/addresses", version=version)) as answer:
                    told = await answer.json()
                assert told == {"client": world.client_address(version), "server": [world.address(version), 8000]}

    world.run(main())


def test_requests_at_once_on_many_connections(world: World) -> None:
    async def main() -> None:
        async with serving(world, app), aiohttp.ClientSession() as session:

            async def one(number: int) -> bytes:
                async with session.post(world.url("/echo"), data=b"%d " % number * 2000) as answer:
                    return await answer.read()

            bodies = await asyncio.gather(*map(one, range(30)))
            assert bodies == [b"%d " % number * 2000 for number in range(30)]

    world.run(main())


def test_a_client_that_goes_away_is_noticed_by_the_application(world: World) -> None:
    heard = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        heard.set()

    async def main() -> None:
        async with serving(world, application):
            for _ in range(15):
                heard.clear()
                _, writer = await asyncio.open_connection(world.address(), 8000)
                writer.write(b"GET / HTTP/1.1\r\nHost: server\r\n\r\n")
                await asyncio.sleep(1)
                assert not heard.is_set()
                writer.transport.abort()
                await heard.wait()

    # uvicorn tells the log that this application never answered, as it should.
    world.run(main())
