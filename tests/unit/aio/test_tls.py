"""TLS by `ssl=` and by start_tls, in both roles, and TLS inside TLS. The certificates are made for the test."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable

import pytest
import trustme

from tests.unit.aio.hosts import PORT, SERVER, Recorder, assert_nothing_left, hosts, reset
from tests.unit.aio.virtual import reported, run, settle

NAME = "synfin.test"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME, SERVER).configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


async def echoes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int = 200_000) -> None:
    """Send `size` bytes through and have them back."""
    data = random.Random(size).randbytes(size)
    writer.write(data)
    assert await reader.readexactly(size) == data


@pytest.mark.parametrize("hostname", [NAME, None], ids=["by name", "by address"])
def test_tls_by_ssl_in_both_roles(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, hostname: str | None) -> None:
    async def main() -> None:
        async with hosts() as pair:
            await pair.server.start_server(echo, port=PORT, ssl=server_tls)
            reader, writer = await pair.client.open_connection(SERVER, PORT, ssl=client_tls, server_hostname=hostname)
            assert writer.get_extra_info("peername") == (SERVER, PORT)
            assert writer.get_extra_info("cipher")
            assert writer.get_extra_info("ssl_object").version().startswith("TLS")
            assert writer.get_extra_info("socket").getpeername() == (SERVER, PORT)
            await echoes(reader, writer)
            writer.close()
            await writer.wait_closed()
            await settle()
            assert_nothing_left(pair.server, "time_wait", "listeners")
            assert_nothing_left(pair.client, "time_wait")

    run(main())


def test_tls_over_a_link_that_loses(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with hosts() as pair:
            pair.wire.loss = 0.05
            pair.wire.delay = 0.02
            await pair.server.start_server(echo, port=PORT, ssl=server_tls)
            reader, writer = await pair.client.open_connection(SERVER, PORT, ssl=client_tls, server_hostname=NAME)
            await echoes(reader, writer)
            pair.wire.loss = 0.0
            writer.close()
            await writer.wait_closed()

    run(main())


def test_a_wrong_name_fails_with_the_certificates_error_and_leaves_nothing(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with hosts() as pair:
            await pair.server.start_server(echo, port=PORT, ssl=server_tls)
            with pytest.raises(ssl.SSLCertVerificationError):
                await pair.client.create_connection(
                    Recorder, SERVER, PORT, ssl=client_tls, server_hostname="other.test"
                )
            await settle()
            reported()  # the server's side of the failed handshake, as asyncio reports it
            assert_nothing_left(pair.client, "time_wait")
            assert_nothing_left(pair.server, "time_wait", "listeners")

    run(main())


def test_a_peer_that_speaks_no_tls_fails_the_handshake_and_leaves_nothing(client_tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with hosts() as pair:

            async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(b"220 not TLS\r\n")
                await writer.drain()
                writer.close()

            await pair.server.start_server(rude, port=PORT)
            with pytest.raises((ssl.SSLError, OSError)):
                await pair.client.open_connection(SERVER, PORT, ssl=client_tls, server_hostname=NAME)
            await settle()
            assert_nothing_left(pair.client, "time_wait")

    run(main())


def test_a_silent_peer_fails_the_handshake_by_its_timeout(client_tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with hosts() as pair:
            await pair.server.create_server(Recorder, port=PORT)
            with pytest.raises(ConnectionAbortedError, match="3"):
                await pair.client.open_connection(
                    SERVER, PORT, ssl=client_tls, server_hostname=NAME, ssl_handshake_timeout=3
                )
            await settle()
            reported()
            assert_nothing_left(pair.client, "time_wait")

    run(main())


def test_a_cancelled_handshake_leaves_nothing(client_tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with hosts() as pair:
            await pair.server.create_server(Recorder, port=PORT)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(
                    pair.client.open_connection(SERVER, PORT, ssl=client_tls, server_hostname=NAME), 2
                )
            await settle()
            assert_nothing_left(pair.client, "time_wait")
            await settle(100)

    run(main())


async def upgrade(
    transport: asyncio.Transport, context: ssl.SSLContext, server_side: bool, protocol: Recorder
) -> asyncio.Transport:
    upgraded = await asyncio.get_running_loop().start_tls(
        transport, protocol, context, server_side=server_side, server_hostname=None if server_side else NAME
    )
    assert upgraded is not None
    return upgraded


@pytest.mark.parametrize("layers", [1, 2], ids=["TLS", "TLS in TLS"])
def test_start_tls_in_both_roles(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, layers: int) -> None:
    async def main() -> None:
        async with hosts() as pair:
            client, server = Recorder(), Recorder()
            left: asyncio.Transport
            right: asyncio.Transport
            left, right, _ = await pair.connect(client, server)
            left.write(b"STARTTLS\n")
            await settle()
            assert server.data == b"STARTTLS\n"
            for _ in range(layers):
                left, right = await asyncio.gather(
                    upgrade(left, client_tls, False, client), upgrade(right, server_tls, True, server)
                )
            data = random.Random(7).randbytes(300_000)
            left.write(data)
            right.write(data[::-1])
            await settle(30)
            assert server.data == b"STARTTLS\n" + data
            assert client.data == data[::-1]
            assert b"STARTTLS" not in client.data
            assert left.get_extra_info("peername") == (SERVER, PORT)
            left.close()
            await settle(100)
            assert client.calls[-1] == server.calls[-1] == "lost"
            assert_nothing_left(pair.client, "time_wait")

    run(main())


def test_tls_by_ssl_carries_a_second_tls_by_start_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    """A client that reaches an HTTPS server through an HTTPS proxy."""

    async def main() -> None:
        async with hosts() as pair:

            async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                assert await reader.readline() == b"CONNECT\n"
                writer.write(b"OK\n")
                await writer.start_tls(server_tls)
                await echo(reader, writer)

            await pair.server.start_server(proxy, port=PORT, ssl=server_tls)
            reader, writer = await pair.client.open_connection(SERVER, PORT, ssl=client_tls, server_hostname=NAME)
            writer.write(b"CONNECT\n")
            assert await reader.readline() == b"OK\n"
            await writer.start_tls(client_tls, server_hostname=NAME)
            await echoes(reader, writer)
            writer.close()
            await settle(100)

    run(main())


def test_a_reset_inside_tls_is_connection_reset_error(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with hosts() as pair:

            async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readexactly(1)
                reset(writer.transport)

            await pair.server.start_server(handler, port=PORT, ssl=server_tls)
            reader, writer = await pair.client.open_connection(SERVER, PORT, ssl=client_tls, server_hostname=NAME)
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await reader.read()

    run(main())


def test_arguments_of_tls_are_checked_at_the_call(client_tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with hosts() as pair:
            connect: Callable[..., object] = pair.client.create_connection
            sent = pair.wire.sent["client"]
            with pytest.raises(ValueError, match="server_hostname"):
                await connect(Recorder, SERVER, PORT, server_hostname=NAME)  # type: ignore[misc]
            with pytest.raises(TypeError, match="ssl"):
                await connect(Recorder, SERVER, PORT, ssl="yes")  # type: ignore[misc]
            with pytest.raises(ValueError, match="ssl_handshake_timeout"):
                await connect(Recorder, SERVER, PORT, ssl_handshake_timeout=3)  # type: ignore[misc]
            with pytest.raises(TypeError, match="ssl"):
                await pair.server.create_server(Recorder, port=PORT, ssl=True)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="ssl"):
                await pair.server.create_server(Recorder, port=PORT, ssl="yes")  # type: ignore[arg-type]
            await settle()
            assert pair.wire.sent["client"] == sent

    run(main())
