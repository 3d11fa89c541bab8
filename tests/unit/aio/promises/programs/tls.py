"""TLS by `ssl=` and by start_tls, and what its end looks like on both sides."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from typing import Any

import trustme

from tests.unit.aio.promises.net import PLAIN, Net, Told, program

BIG = 4 << 20


@functools.cache
def _contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The client's and the server's."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("far.test").configure_cert(server)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    return client, server


async def _pair(net: Net, near: Told, far: Told) -> None:
    client, server = _contexts()
    await net.far.create_server(lambda: far, net.far.address, net.port, ssl=server)
    await net.near.create_connection(lambda: near, net.far.address, net.port, ssl=client, server_hostname="far.test")
    await net.log.until("far", "made")


@program()
async def tls_ends_in_order(net: Net) -> None:
    near, far = net.told("near"), net.told("far", wake=("data", "eof", "lost"))
    await _pair(net, near, far)
    near.transport.write(b"last")
    near.transport.close()
    await net.log.until("far", "task woken by lost")
    await net.log.until("near", "lost")


@program()
async def tls_ends_in_order_from_the_servers_side(net: Net) -> None:
    near, far = net.told("near", wake=("data", "eof", "lost")), net.told("far")
    await _pair(net, near, far)
    far.transport.write(b"last")
    far.transport.close()
    await net.log.until("near", "task woken by lost")
    await net.log.until("far", "lost")


@program()
async def tls_sends_all_of_a_large_buffer_before_it_ends(net: Net) -> None:
    near, far = net.told("near"), net.told("far")
    await _pair(net, near, far)
    far.transport.write(bytes(BIG))
    far.transport.close()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


@program()
async def tls_is_aborted(net: Net) -> None:
    near, far = net.told("near"), net.told("far")
    await _pair(net, near, far)
    far.transport.abort()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


@program()
async def tls_cannot_half_close(net: Net) -> None:
    near, far = net.told("near"), net.told("far")
    await _pair(net, near, far)
    net.log.note("near", "can", near.transport.can_write_eof())
    with net.outcome("near", "write_eof"):
        near.transport.write_eof()


@program()
async def tls_with_a_true_eof_received(net: Net) -> None:
    near, far = net.told("near"), net.told("far", keep_open=True)
    await _pair(net, near, far)
    near.transport.close()
    await net.log.until("far", "lost")
    await net.log.until("near", "lost")
    await net.log.until("loop", "logged")


@program()
async def tls_told_of_itself(net: Net) -> None:
    near, far = net.told("near"), net.told("far")
    await _pair(net, near, far)
    for told in (near, far):
        for name in ("peername", "sockname", "socket", "ssl_object", "cipher", "sslcontext", "peercert", "nothing"):
            net.log.note(told.name, name, told.transport.get_extra_info(name) is not None)


@program()
async def a_name_that_the_certificate_lacks(net: Net) -> None:
    client, server = _contexts()
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port, ssl=server)
    with net.outcome("near", "create_connection"):
        await net.near.create_connection(
            lambda: net.told("near"), net.far.address, net.port, ssl=client, server_hostname="other.test"
        )
    await net.rest()


@program()
async def the_servers_refusal_reaches_the_client(net: Net) -> None:
    demanding = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    demanding.minimum_version = ssl.TLSVersion.TLSv1_3
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port, ssl=demanding)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        await net.near.create_connection(
            lambda: net.told("near"), net.far.address, net.port, ssl=old, server_hostname="far.test"
        )
    except OSError as error:
        net.log.note("near", "refused", type(error).__name__, getattr(error, "reason", None))
    await net.rest()


@program()
async def a_peer_that_speaks_no_tls(net: Net) -> None:
    client, _ = _contexts()

    def answer(told: Told) -> None:
        told.transport.write(b"HTTP/1.0 400 no TLS here\r\n\r\n")
        told.transport.close()

    quiet = net.told("far", on_data=answer)
    quiet.data_received = lambda data: answer(quiet)  # type: ignore[method-assign]
    await net.far.create_server(lambda: quiet, net.far.address, net.port)
    with net.outcome("near", "create_connection"):
        await net.near.create_connection(
            lambda: net.told("near"), net.far.address, net.port, ssl=client, server_hostname="far.test"
        )


@program()
async def a_handshake_that_times_out(net: Net) -> None:
    client, _ = _contexts()

    def stay_silent(data: bytes) -> None:
        """A Client Hello, of a length that is TLS's business."""

    silent = net.told("far")
    silent.data_received = stay_silent  # type: ignore[method-assign]
    await net.far.create_server(lambda: silent, net.far.address, net.port)
    with net.outcome("near", "create_connection"):
        await net.near.create_connection(
            lambda: net.told("near"),
            net.far.address,
            net.port,
            ssl=client,
            server_hostname="far.test",
            ssl_handshake_timeout=0.05,
        )
    await net.log.until("far", "lost")


@program()
async def start_tls_upgrades_both_sides(net: Net) -> None:
    client, server = _contexts()
    loop = asyncio.get_running_loop()
    near, far = await net.pair()

    async def upgrade(told: Told, context: ssl.SSLContext, name: str, **options: Any) -> Told:
        inner = net.told(name)
        transport = await loop.start_tls(told.transport, inner, context, **options)
        assert transport is not None
        inner.connection_made(transport)
        return inner

    upgraded = await asyncio.gather(
        upgrade(far, server, "far inner", server_side=True),
        upgrade(near, client, "near inner", server_hostname="far.test"),
    )
    upgraded[1].transport.write(b"secret")
    await net.log.until("far inner", "data")
    upgraded[0].transport.close()
    await net.log.until("near inner", "lost")
    await net.log.until("far inner", "lost")


@program()
async def start_tls_of_a_writer(net: Net) -> None:
    client, server = _contexts()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        net.log.note("far", "asked", await reader.readline())
        writer.write(b"go ahead\n")
        await writer.drain()
        await writer.start_tls(server)
        net.log.note("far", "secret", await reader.readline(), writer.get_extra_info("ssl_object") is not None)
        writer.close()

    await net.far.start_server(serve, net.far.address, net.port)
    reader, writer = await net.near.open_connection(net.far.address, net.port)
    writer.write(b"STARTTLS\n")
    net.log.note("near", "answer", await reader.readline())
    await writer.start_tls(client, server_hostname="far.test")
    writer.write(b"secret\n")
    net.log.note("near", "rest", await reader.read())
    writer.close()
    with net.outcome("near", "wait_closed"):
        await writer.wait_closed()


@program()
async def sendfile_sends_a_file(net: Net) -> None:
    import tempfile

    near, _ = await net.pair()
    with tempfile.TemporaryFile() as file:
        file.write(bytes(100_000))
        file.flush()
        loop = asyncio.get_running_loop()
        net.log.note("near", "sent", await loop.sendfile(near.transport, file, 10, 1000))
        file.seek(0)  # asyncio's sendfile by reading does not, for an offset of 0
        net.log.note("near", "sent", await loop.sendfile(near.transport, file, 0, None))
    near.transport.close()
    await net.log.until("far", "lost")


@program(worlds=PLAIN)
async def tls_on_a_connected_socket(net: Net) -> None:
    client, server = _contexts()
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port, ssl=server)
    given = socket.socket()
    given.setblocking(False)
    await asyncio.get_running_loop().sock_connect(given, (net.far.address, net.port))
    for options in ({"ssl": client}, {"server_hostname": "far.test"}, {"ssl_handshake_timeout": 1}):
        with net.outcome("near", "create_connection"):
            await net.near.create_connection(lambda: net.told("near"), sock=given, **options)
    near = net.told("near")
    transport, _ = await net.near.create_connection(lambda: near, sock=given, ssl=client, server_hostname="far.test")
    transport.write(b"secret")
    transport.close()
    await net.log.until("far", "lost")
    await net.log.until("near", "lost")
    net.log.note("near", "fileno", given.fileno())


@program(worlds=PLAIN)
async def tls_on_a_connected_socket_fails(net: Net) -> None:
    client, _ = _contexts()
    await net.far.create_server(lambda: _HangsUp(net, "far"), net.far.address, net.port)
    given = socket.socket()
    given.setblocking(False)
    await asyncio.get_running_loop().sock_connect(given, (net.far.address, net.port))
    with net.outcome("near", "create_connection"):
        await net.near.create_connection(lambda: net.told("near"), sock=given, ssl=client, server_hostname="far.test")
    await net.rest()
    net.log.note("near", "fileno", given.fileno())


class _HangsUp(Told):
    """Knows no TLS."""

    def data_received(self, data: bytes) -> None:
        self.net.log.note(self.name, "hello")
        self.transport.close()


@program(worlds=PLAIN)
async def tls_on_an_accepted_socket(net: Net) -> None:
    client, server = _contexts()
    loop = asyncio.get_running_loop()
    listening = socket.socket()
    listening.setblocking(False)
    listening.bind(("0.0.0.0", 0))
    listening.listen()
    net.near.made.append(listening)
    accepting = asyncio.ensure_future(loop.sock_accept(listening))
    await asyncio.sleep(0)
    port = listening.getsockname()[1]
    far = net.told("far")
    connecting = asyncio.ensure_future(
        net.far.create_connection(lambda: far, net.near.address, port, ssl=client, server_hostname="far.test")
    )
    accepted, _ = await accepting
    with net.outcome("near", "a timeout without TLS"):
        await loop.connect_accepted_socket(asyncio.Protocol, accepted, ssl_handshake_timeout=1)
    transport, _ = await loop.connect_accepted_socket(lambda: net.told("near"), accepted, ssl=server)
    await connecting
    net.log.note("near", "cipher", transport.get_extra_info("cipher") is not None)
    far.transport.write(b"question")
    await net.log.until("near", "data")
    transport.close()
    await net.log.until("far", "lost")
