"""A small Starlette application, and uvicorn that serves it on a world's server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.libraries.world import World


async def echo(request: Request) -> Response:
    """The body, and the port it came from."""
    assert request.client is not None
    return Response(await request.body(), headers={"X-Client-Port": str(request.client.port)})


async def addresses(request: Request) -> Response:
    """What the application is told of both ends."""
    assert request.client is not None
    return JSONResponse({"client": request.client.host, "server": request.scope["server"]})


async def count(request: Request) -> Response:
    """Numbers, a line each, one every tenth of a second."""

    async def lines() -> AsyncIterator[str]:
        for number in range(int(request.query_params["to"])):
            yield f"{number}\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(lines())


app = Starlette(routes=[Route("/echo", echo, methods=["POST"]), Route("/addresses", addresses), Route("/count", count)])


@contextlib.asynccontextmanager
async def serving(world: World, application: Any, host: str = "0.0.0.0", **options: Any) -> AsyncIterator[None]:
    """uvicorn with its defaults, on the server, until the end of the block."""
    server = uvicorn.Server(
        uvicorn.Config(application, host=host, port=8000, log_level="warning", ws="none", lifespan="off", **options)
    )
    running = asyncio.ensure_future(world.on_server(server.serve()))
    while not server.started and not running.done():  # noqa: ASYNC110 (uvicorn offers no event)
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await running
