"""The synfin side of the tests with real programs: unmodified libraries on a TUN device, the kernel's TCP beside them.

    python -m tests.libraries.beside_kernel JOB [ARGUMENT ...]      # a job is an async function of this module

It runs in the private network of a test, and ends with status 0 if all it found was as it must be.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import synfin
from synfin.links.netns import configure
from synfin.links.tun import TunLink

T = TypeVar("T")

KERNEL = {4: "10.9.0.1", 6: "fd00:9::1"}
SYNFIN = {4: "10.9.0.2", 6: "fd00:9::2"}
PORT = 8000
READY_SECONDS = 60  # within which a program that was just started must listen
BIG = bytes(range(256)) * 8192  # 2 MiB


async def patiently(connect: Callable[[], Awaitable[T]], *not_yet: type[Exception]) -> T:
    """Connect to a server that may still be starting."""
    async with asyncio.timeout(READY_SECONDS):
        while True:
            try:
                return await connect()
            except not_yet:
                await asyncio.sleep(0.05)


async def redis(version: str) -> None:
    """redis-py against redis-server: commands, pipelines, large values, publish and subscribe, a wait that blocks."""
    from redis import asyncio as library
    from redis.exceptions import ConnectionError as NotYet

    client: Any = library.Redis(host=KERNEL[int(version)], port=6379)
    await patiently(client.ping, NotYet)
    async with client.pipeline(transaction=False) as pipeline:
        for number in range(2000):
            pipeline.set(f"key:{number}", number)
        assert await pipeline.execute() == [True] * 2000
    assert await client.mget([f"key:{number}" for number in range(2000)]) == [b"%d" % number for number in range(2000)]
    await client.set("big", BIG)
    assert await client.get("big") == BIG

    async with client.pubsub() as subscriber:
        await subscriber.subscribe("news")
        await subscriber.get_message(timeout=10)
        for number in range(100):
            await client.publish("news", number)
            message = await subscriber.get_message(timeout=10)
            assert message is not None
            assert message["data"] == b"%d" % number
        await subscriber.unsubscribe("news")

    waiting = asyncio.create_task(client.blpop(["queue"], timeout=30))
    await asyncio.sleep(0.05)
    await client.rpush("queue", "work")
    assert await waiting == (b"queue", b"work")
    counts = await asyncio.gather(*[client.incr("counter") for _ in range(80)])
    assert sorted(counts) == list(range(1, 81))
    await client.aclose()


async def postgres(version: str, authority: str = "") -> None:
    """asyncpg against PostgreSQL: COPY, cursors, many rows, NOTIFY, a query that is cancelled; TLS if it is trusted."""
    import asyncpg

    tls: Any = False
    if authority:
        tls = ssl.create_default_context(cafile=authority)

    async def connect() -> Any:
        return await asyncpg.connect(
            host=KERNEL[int(version)], port=5432, user="tester", database="postgres", password="secret", ssl=tls
        )

    not_yet = (OSError, asyncpg.CannotConnectNowError)
    connection = await patiently(connect, *not_yet)
    address = await connection.fetchval("select host(inet_client_addr())")
    assert address == SYNFIN[int(version)], address
    encrypted = await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
    assert encrypted is bool(authority)

    await connection.execute("create table samples (id int primary key, text text, blob bytea)")
    rows = [(number, f"row {number} æøå", bytes([number % 256]) * 50) for number in range(20_000)]
    assert await connection.copy_records_to_table("samples", records=rows) == "COPY 20000"
    assert [tuple(row) for row in await connection.fetch("select * from samples order by id")] == rows
    async with connection.transaction():
        seen = [row["id"] async for row in connection.cursor("select id from samples order by id", prefetch=1000)]
    assert seen == list(range(20_000))
    assert await connection.fetchval("select $1::bytea", BIG) == BIG
    await connection.executemany("update samples set text = $2 where id = $1", [(n, str(n)) for n in range(1000)])
    assert await connection.fetchval("select count(*) from samples where text = id::text") == 1000

    try:
        await connection.execute("select pg_sleep(600)", timeout=0.2)
    except TimeoutError:
        pass  # asyncpg has told the server over a second connection
    else:
        raise AssertionError("a query of ten minutes came to its end")
    assert await connection.fetchval("select 42") == 42

    heard: asyncio.Queue[str] = asyncio.Queue()
    await connection.add_listener("news", lambda *arguments: heard.put_nowait(arguments[3]))
    pool = await asyncpg.create_pool(
        host=KERNEL[int(version)],
        port=5432,
        user="tester",
        database="postgres",
        password="secret",
        ssl=tls,
        min_size=5,
        max_size=5,
    )
    async with pool:
        await asyncio.gather(*[pool.execute("select pg_notify('news', $1)", str(number)) for number in range(100)])
        assert sorted([int(await heard.get()) for _ in range(100)]) == list(range(100))
    await connection.execute("drop table samples")
    await connection.close()


async def serve_aiohttp(folder: str) -> None:
    """aiohttp: the files of a folder, and a POST that answers with the digest of its body. Until stdin ends."""
    from aiohttp import web

    async def receive(request: web.Request) -> web.Response:
        digest = hashlib.sha256()
        async for piece in request.content.iter_any():
            digest.update(piece)
        return web.Response(text=f"{digest.hexdigest()} {request.remote}")

    app = web.Application()
    app.router.add_static("/files", Path(folder))
    app.router.add_put("/body", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, None, PORT).start()
    await until_stdin_ends()
    await runner.cleanup()


async def serve_uvicorn(folder: str) -> None:
    """uvicorn with Starlette: the same. Until stdin ends."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    async def receive(request: Request) -> PlainTextResponse:
        digest = hashlib.sha256()
        body: AsyncIterator[bytes] = request.stream()
        async for piece in body:
            digest.update(piece)
        assert request.client is not None
        return PlainTextResponse(f"{digest.hexdigest()} {request.client.host}")

    app = Starlette(routes=[Mount("/files", StaticFiles(directory=folder)), Route("/body", receive, methods=["PUT"])])
    servers = [
        uvicorn.Server(uvicorn.Config(app, host=host, port=PORT, ws="none", lifespan="off", log_level="warning"))
        for host in SYNFIN.values()
    ]
    running = [asyncio.create_task(server.serve()) for server in servers]
    while not all(server.started for server in servers):  # noqa: ASYNC110 (uvicorn offers no event)
        await asyncio.sleep(0.01)
    await until_stdin_ends()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*running)


async def until_stdin_ends() -> None:
    """Say that the server is ready, and wait until the test has enough."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    await reader.read()


JOBS: dict[str, Callable[..., Awaitable[None]]] = {
    job.__name__: job for job in (redis, postgres, serve_aiohttp, serve_uvicorn)
}


def main(name: str, *arguments: str) -> None:
    """Run a job on a loop of `loop_factory`; then nothing may be left in the host."""
    link = TunLink("synfin0")
    configure(link.name, [f"{KERNEL[4]}/24", f"{KERNEL[6]}/64"])
    host = synfin.Host([f"{SYNFIN[4]}/24", f"{SYNFIN[6]}/64"], link=link)
    problems: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        await JOBS[name](*arguments)
        async with asyncio.timeout(READY_SECONDS):
            while host.stack.connections():  # noqa: ASYNC110 (the last segments of a close)
                await asyncio.sleep(0.02)

    with asyncio.Runner(loop_factory=synfin.loop_factory(host)) as runner:
        runner.run(watched())
    assert problems == [], problems
    counters = host.stack.counters.as_dict()
    assert counters["ActiveOpens"] + counters["PassiveOpens"] > 0, "synfin carried nothing"


if __name__ == "__main__":
    main(*sys.argv[1:])
