"""Plain asyncio programs, which know nothing of a simulation; the tests run them in one."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Coroutine
from typing import Any

from synfin.sim import Network, SimHost, SimPacket

PORT = 7


async def echo() -> None:
    """Sends back what comes, on all addresses of the host it runs on."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, port=PORT)
    await server.serve_forever()


async def ask(host: str, data: bytes = b"hello") -> bytes:
    """Sends `data`, and gives what comes back until the other side closes."""
    reader, writer = await asyncio.open_connection(host, PORT)
    writer.write(data)
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def collect(got: bytearray) -> None:
    """Takes connections, and adds what they bring to `got`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            got.extend(data)
        writer.close()

    server = await asyncio.start_server(serve, port=PORT)
    await server.serve_forever()


async def send(host: str, data: bytes) -> None:
    """Sends `data`, and waits until the other side has read all and closed."""
    reader, writer = await asyncio.open_connection(host, PORT)
    writer.write(data)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes no two parts of which are alike."""
    return random.Random(f"noise {seed}").randbytes(size)


def two(network: Network, **settings: Any) -> tuple[SimHost, SimHost]:
    """A server and a client, joined by a link with these settings."""
    server, client = network.host("server"), network.host("client")
    if settings:
        network.link("client", "server", **settings)
    return server, client


def run_two(
    network: Network, server: Callable[[], Coroutine[Any, Any, None]], client: Coroutine[Any, Any, Any], **settings: Any
) -> Any:
    """Runs a program on each of two hosts; what the client's returns."""
    at_server, at_client = two(network, **settings)

    async def main() -> Any:
        at_server.start(server)
        await network.after("1ms")
        return await at_client.start(client)

    return network.run(main())


def fingerprint(network: Network) -> Callable[[], str]:
    """Hashes each packet of the network from now on, with its time; call what this returns for the hash."""
    digest = hashlib.sha256()

    def note(packet: SimPacket) -> None:
        digest.update(f"{packet.sender} {packet.time:.6f} ".encode() + packet.data)

    network.rule(note)
    return digest.hexdigest
