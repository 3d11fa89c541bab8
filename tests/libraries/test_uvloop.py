"""A loop that refuses transports which are not its own: TLS begun in the middle, and files, over a Host on it."""

from __future__ import annotations

import asyncio
import importlib
import io
import ssl
from collections.abc import Awaitable, Callable

import pytest
import trustme

from synfin.aio.host import Host
from tests.conftest import need_library

need_library("uvloop")
uvloop = importlib.import_module("uvloop")

ADDRESS = "10.0.0.1"
FILE = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(server's, client's), which trust each other."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("server.test").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


def play(program: Callable[[Host, Host], Awaitable[None]]) -> None:
    """Run `program` with two hosts that are each other's network."""

    async def main() -> None:
        def to_client(packet: bytes) -> None:
            client.receive(packet)

        server = Host(ADDRESS, send=to_client)
        client = Host("10.0.0.2", send=server.receive)
        async with server, client:
            await asyncio.wait_for(program(server, client), 60)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def test_start_tls_of_streams_works_in_both_roles(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def program(server: Host, client: Host) -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readline() == b"STARTTLS\n"
            writer.write(b"go\n")
            await writer.drain()
            await writer.start_tls(contexts[0])
            writer.write((await reader.readline()).upper())
            writer.close()

        await server.start_server(handler, ADDRESS, 80)
        reader, writer = await client.open_connection(ADDRESS, 80)
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b"go\n"
        await writer.start_tls(contexts[1], server_hostname="server.test")
        writer.write(b"secret\n")
        assert await reader.readline() == b"SECRET\n"
        assert writer.get_extra_info("ssl_object") is not None
        writer.close()
        await writer.wait_closed()

    play(program)


@pytest.mark.parametrize(("offset", "count"), [(0, None), (100, 50_000)])
def test_sendfile_of_the_host_sends_a_part_of_a_file(offset: int, count: int | None) -> None:
    async def program(server: Host, client: Host) -> None:
        sent = asyncio.get_running_loop().create_future()

        async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sent.set_result(await server.sendfile(writer.transport, io.BytesIO(FILE), offset, count))
            writer.close()

        await server.start_server(handler, ADDRESS, 80)
        reader, writer = await client.open_connection(ADDRESS, 80)
        wanted = FILE[offset:][:count]
        assert await reader.read() == wanted
        assert await sent == len(wanted)
        writer.close()

    play(program)
