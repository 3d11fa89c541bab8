"""An HTTP service with its client and retries, both unmodified, while hosts crash and links fail: aiohttp and httpx.

Two writers share one connection, give up by a timeout of their own, and write again until it is answered.
What was answered is stored, an answer belongs to its question, and when the faults are over all is written: a pool that
has lost a place, or a connection that waits for ever, would keep some of it from being so.
"""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from synfin.sim import Network
from tests.conftest import need_library

need_library("aiohttp")
need_library("httpx")

import httpx  # noqa: E402 (if it is there)
from aiohttp import web  # noqa: E402

FAULTS_END = "10s"
WRITERS = 2
EACH = 3
Disk = dict[str, str]


async def serve(disk: Disk) -> None:
    """PUT stores a text, and answers with what is stored."""

    async def put(request: web.Request) -> web.Response:
        disk[request.match_info["key"]] = await request.text()
        return web.Response(text=f"{request.match_info['key']}={disk[request.match_info['key']]}")

    application = web.Application()
    application.router.add_put("/{key}", put)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "0.0.0.0", 80).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def write(done: set[str]) -> None:
    """All that is not done yet: a client that has crashed goes on."""
    places = httpx.Limits(max_connections=WRITERS - 1, max_keepalive_connections=WRITERS - 1)
    transport = httpx.AsyncHTTPTransport(verify=False, retries=2, limits=places)  # there is no TLS to verify
    async with httpx.AsyncClient(transport=transport, timeout=3) as client:

        async def one(writer: int) -> None:
            for number in range(EACH):
                key = f"k{writer}{number}"
                while key not in done:
                    try:
                        async with asyncio.timeout(2.5):
                            answer = await client.put(f"http://server/{key}", content=f"v{key}")
                    except (httpx.TransportError, TimeoutError):
                        await asyncio.sleep(0.3)
                        continue
                    assert (answer.status_code, answer.text) == (200, f"{key}=v{key}")
                    done.add(key)
                await asyncio.sleep(1)

        await asyncio.gather(*(one(writer) for writer in range(WRITERS)))


@pytest.mark.synfin(seeds=8, swarm=True, swarm_until=FAULTS_END, keep_events=2000)
async def test_what_was_answered_is_stored_and_when_the_faults_are_over_all_is_written(network: Network) -> None:
    disk: Disk = {}
    done: set[str] = set()
    network.host("server").start(partial(serve, disk))
    await network.after("10ms")
    network.host("client").start(partial(write, done))
    network.always(lambda: all(disk.get(key) == f"v{key}" for key in done))
    await network.eventually("60s", lambda: len(done) == WRITERS * EACH)
