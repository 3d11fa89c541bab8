"""httpx against uvicorn with Starlette, as they are installed."""

from __future__ import annotations

import pytest

from tests.conftest import need_library
from tests.libraries.world import NAME, World

for library in ("httpx", "uvicorn", "starlette"):
    need_library(library)
import httpx  # noqa: E402

from tests.libraries.starlette_app import app, serving  # noqa: E402


def test_one_connection_serves_a_hundred_requests(world: World) -> None:
    async def main() -> None:
        async with serving(world, app), httpx.AsyncClient() as client:
            ports = set()
            for number in range(100):
                answer = await client.post(world.url("/echo"), content=b"%d" % number)
                assert answer.content == b"%d" % number
                ports.add(answer.headers["x-client-port"])
            assert len(ports) == 1
            assert world.server.stack.counters.as_dict()["PassiveOpens"] == 1

    world.run(main())


def test_a_kept_connection_that_the_server_closed_is_noticed_and_replaced(world: World) -> None:
    async def main() -> None:
        async with serving(world, app, timeout_keep_alive=5), httpx.AsyncClient(timeout=60) as client:
            ports = set()
            for _ in range(8):
                answer = await client.post(world.url("/echo"), content=b"x" * 20_000)
                assert len(answer.content) == 20_000
                ports.add(answer.headers["x-client-port"])
                await world.pause(30)
            assert len(ports) == 8

    world.run(main())


def test_a_streamed_answer_comes_piece_by_piece(world: World) -> None:
    async def main() -> None:
        async with serving(world, app), httpx.AsyncClient(timeout=60) as client:
            request = client.build_request("GET", f"http://{NAME}:8000/count?to=40")
            answer = await client.send(request, stream=True)
            assert [line async for line in answer.aiter_lines()] == [str(number) for number in range(40)]

    world.run(main())


def test_nobody_listens_is_a_connect_error(world: World) -> None:
    async def main() -> None:
        async with httpx.AsyncClient() as client:
            for _ in range(30):
                with pytest.raises(httpx.ConnectError):
                    await client.get(world.url("/"))

    world.run(main())
