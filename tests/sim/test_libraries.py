"""Libraries that know nothing of synfin, unmodified, on simulated hosts with loss between them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import pytest

from synfin.sim import Network
from tests.conftest import need_library
from tests.sim.programs import two

LOSSY = {"delay": "20ms", "jitter": "5ms", "loss": 0.03}
BODY = bytes(range(256)) * 400


@pytest.fixture
def library() -> Callable[[str], Any]:
    """Import a library, or skip the test."""

    def load(name: str) -> Any:
        need_library(name.partition(".")[0])
        return import_module(name)

    return load


async def run_aiohttp_server(web: Any) -> None:
    async def upper(request: Any) -> Any:
        return web.Response(body=(await request.read()).upper(), headers={"X-Peer": request.remote})

    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/upper", upper)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=80).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def asgi_app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    assert scope["type"] == "http"
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-peer", scope["client"][0].encode())]})
    await send({"type": "http.response.body", "body": body.upper()})


async def run_uvicorn(uvicorn: Any) -> None:
    config = uvicorn.Config(asgi_app, host="0.0.0.0", port=80, lifespan="off", log_config=None)
    await uvicorn.Server(config).serve()


async def test_aiohttp_talks_to_aiohttp(network: Network, library: Callable[[str], Any]) -> None:
    aiohttp, web = library("aiohttp"), library("aiohttp.web")
    server, client = two(network, **LOSSY)
    server.start(run_aiohttp_server(web))
    await network.after("1s")

    async def ask() -> None:
        async with aiohttp.ClientSession() as session:
            for number in range(10):
                async with session.post("http://server/upper", data=BODY * number) as answer:
                    assert answer.status == 200
                    assert await answer.read() == (BODY * number).upper()
                    assert answer.headers["X-Peer"] in client.addresses

    await client.start(ask())
    assert network.direction("client", "server").lost > 5
    assert server.host.stack.counters.as_dict()["PassiveOpens"] == 1


async def test_an_aiohttp_server_that_crashes_is_an_error_of_the_client(
    network: Network, library: Callable[[str], Any]
) -> None:
    aiohttp, web = library("aiohttp"), library("aiohttp.web")
    server, client = two(network, delay="20ms")
    server.start(lambda: run_aiohttp_server(web))
    await network.after("1s")
    errors: list[str] = []

    async def ask() -> int:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            for _ in range(3):
                try:
                    async with session.post("http://server/upper", data=b"x") as answer:
                        await answer.read()
                except (aiohttp.ClientError, TimeoutError) as error:
                    errors.append(type(error).__name__)
                await asyncio.sleep(10)
            async with session.post("http://server/upper", data=b"x") as answer:
                return int(answer.status)

    asking = client.start(ask())
    await network.after("5s")
    server.crash()
    await network.after("20s")
    server.restart()
    assert await asking == 200
    assert errors == ["TimeoutError"]


async def test_httpx_talks_to_uvicorn(network: Network, library: Callable[[str], Any]) -> None:
    httpx, uvicorn = library("httpx"), library("uvicorn")
    server, client = two(network, **LOSSY)
    serving = server.start(run_uvicorn(uvicorn))
    await network.after("1s")

    async def ask() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as session:
            for number in range(5):
                answer = await session.post("http://server/", content=BODY * number)
                assert answer.status_code == 200
                assert answer.content == (BODY * number).upper()
                assert answer.headers["X-Peer"] in client.addresses

    await client.start(ask())
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    assert network.direction("client", "server").lost > 2


async def test_aiohttp_asks_hypercorn_from_an_address_of_its_choice(
    network: Network, library: Callable[[str], Any]
) -> None:
    aiohttp, hypercorn, settings = library("aiohttp"), library("hypercorn.asyncio"), library("hypercorn.config")
    server, client = two(network, **LOSSY)
    config = settings.Config()
    config.bind = ["0.0.0.0:80"]
    config.errorlog = None
    ends = asyncio.Event()
    serving = server.start(hypercorn.serve(lifeless, config, shutdown_trigger=ends.wait))
    await network.after("1s")

    async def ask(local: tuple[str, int]) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=local)) as session:
            for number in range(5):
                async with session.post("http://server/", data=BODY * number) as answer:
                    assert await answer.read() == (BODY * number).upper()
                    assert answer.headers["X-Peer"] == client.addresses[0]

    await client.start(ask(("0.0.0.0", 0)))
    await client.start(ask((client.addresses[0], 4000)))
    ends.set()
    await serving
    assert network.direction("client", "server").lost > 2


async def lifeless(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """asgi_app, for a server that asks whether there is a lifespan."""
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await asgi_app(scope, receive, send)


async def test_anyio_listens_and_connects(network: Network, library: Callable[[str], Any]) -> None:
    anyio = library("anyio")
    server, client = two(network, **LOSSY)

    async def shout(stream: Any) -> None:
        async with stream:
            async for text in stream:
                await stream.send(text.upper())

    async def listen() -> None:
        async with await anyio.create_tcp_listener(local_port=7) as listener:
            await listener.serve(shout)

    async def call() -> bytes:
        async with await anyio.connect_tcp("server", 7) as stream:
            await stream.send(BODY)
            await stream.send_eof()
            return b"".join([piece async for piece in stream])

    serving = server.start(listen())
    await network.after("1s")
    for _ in range(3):
        assert await client.start(call()) == BODY.upper()
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    await network.after("5min")
    assert not server.host.stack.census()["listeners"]


async def test_websockets_talk_both_ways(network: Network, library: Callable[[str], Any]) -> None:
    client_side, server_side = library("websockets.asyncio.client"), library("websockets.asyncio.server")
    server, client = two(network, **LOSSY)

    async def shout(connection: Any) -> None:
        async for message in connection:
            await connection.send(message.upper())

    async def serve() -> None:
        async with server_side.serve(shout, "0.0.0.0", 80):
            await asyncio.Event().wait()

    server.start(serve())
    await network.after("1s")

    async def talk() -> None:
        async with client_side.connect("ws://server/", proxy=None) as connection:
            for number in range(30):
                await connection.send(f"message {number} " * 100)
                assert await connection.recv() == f"MESSAGE {number} " * 100

    await client.start(talk())
    assert network.direction("client", "server").lost > 1


async def test_keepalive_of_websockets_notices_a_partition(network: Network, library: Callable[[str], Any]) -> None:
    client_side, server_side = library("websockets.asyncio.client"), library("websockets.asyncio.server")
    exceptions = library("websockets.exceptions")
    server, client = two(network, delay="20ms")

    async def serve() -> None:
        async with server_side.serve(lambda connection: connection.wait_closed(), "0.0.0.0", 80):
            await asyncio.Event().wait()

    server.start(serve())
    await network.after("1s")

    async def wait() -> float:
        async with client_side.connect("ws://server/", proxy=None, ping_interval=20, ping_timeout=20) as connection:
            with pytest.raises(exceptions.ConnectionClosedError):
                await connection.recv()
        return network.now

    waiting = client.start(wait())
    await network.after("100s")
    network.partition("client", "server")
    assert 100 < await waiting < 200
