"""The sample program that campaigns and the pytest plugin are tested and measured with: a line, and its echo.

Its source goes into projects of their own (`inspect.getsource`), so it imports nothing of ours.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

PORT: Final = 80


async def serve() -> None:
    """Send one line back to whoever connects."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    await (await asyncio.start_server(answer, port=PORT)).serve_forever()


async def ask() -> bytes:
    """What comes back of a line."""
    reader, writer = await asyncio.open_connection("server", PORT)
    writer.write(b"line\n")
    try:
        return await reader.readline()
    finally:
        writer.close()


async def talk(network: Any, loss: float, patience: float | None = 0.9) -> None:
    """Both, over a link that loses packets; it fails unless all is over within so many seconds."""
    network.host("server").start(serve)
    client = network.host("client")
    network.link("client", "server", delay="10ms", jitter="1ms", loss=loss)
    await network.after("1s")
    async with asyncio.timeout(patience):
        assert await client.start(ask()) == b"line\n"
