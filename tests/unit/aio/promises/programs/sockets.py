"""Kernel sockets that a program gives to the loop: sock_* calls, and what becomes of them in a transport or server."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import socket
import struct
import tempfile
import warnings
from typing import Any

from tests.unit.aio.promises.net import PLAIN, Net, Told, program

SOL, TCP = socket.SOL_SOCKET, socket.IPPROTO_TCP
FREEBIND = getattr(socket, "IP_FREEBIND", 15)
MUCH = bytes(range(256)) * 8192  # 2 MiB
OPTIONS = [
    (TCP, 18, 12345),  # TCP_USER_TIMEOUT
    (SOL, socket.SO_KEEPALIVE, 1),
    (TCP, socket.TCP_KEEPIDLE, 33),
    (SOL, socket.SO_SNDBUF, 5000),
    (SOL, socket.SO_RCVBUF, 7000),
    (TCP, 25, 9000),  # TCP_NOTSENT_LOWAT
    (socket.IPPROTO_IP, socket.IP_TOS, 0xB9),
]


def _socket(family: int = socket.AF_INET) -> socket.socket:
    made = socket.socket(family)
    made.setblocking(False)
    return made


def _listening(net: Net, family: int = socket.AF_INET, address: str = "0.0.0.0") -> socket.socket:
    """On a port that the kernel chose."""
    made = _socket(family)
    made.bind((address, 0))
    made.listen(5)
    net.near.made.append(made)
    return made


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def _connected(net: Net, **options: Any) -> tuple[socket.socket, Told]:
    """A socket at the near end, and the protocol at the far one."""
    far = net.told("far", **options)
    await net.far.create_server(lambda: far, net.far.address, net.port)
    given = _socket()
    net.near.made.append(given)
    await _loop().sock_connect(given, (net.far.address, net.port))
    await net.log.until("far", "made")
    return given, far


async def _accepted(net: Net, listening: socket.socket, address: str) -> tuple[socket.socket, Any, Told]:
    """What sock_accept() gives for a connection from the far end, and the protocol there."""
    far = net.told("far")
    accepting = asyncio.ensure_future(_loop().sock_accept(listening))
    await asyncio.sleep(0)
    await net.far.create_connection(lambda: far, address, listening.getsockname()[1])
    accepted, peer = await accepting
    net.near.made.append(accepted)
    return accepted, peer, far


def _reset(transport: Any) -> None:
    transport.get_extra_info("socket").setsockopt(SOL, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


# ---- connections ----


@program(worlds=PLAIN)
async def the_names_of_a_connected_socket(net: Net) -> None:
    given, _ = await _connected(net)
    net.log.note("near", "peer", net.address(given.getpeername()), given.fileno() > 2, isinstance(given, socket.socket))
    net.log.note("near", "kind", given.family, given.type, given.gettimeout())
    given.close()
    net.log.note("near", "fileno", given.fileno())
    for what, call in (
        ("getsockname", given.getsockname),
        ("getpeername", given.getpeername),
        ("getsockopt", lambda: given.getsockopt(SOL, socket.SO_TYPE)),
        ("recv", lambda: given.recv(1)),
        ("send", lambda: given.send(b"x")),
        ("accept", given.accept),
    ):
        with net.outcome("near", what):
            call()
    with net.outcome("near", "sock_recv"):
        await _loop().sock_recv(given, 1)
    given.close()


@program(worlds=PLAIN)
async def sock_connect_to_a_name(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)
    with _socket() as given, net.outcome("near", "sock_connect"):
        await _loop().sock_connect(given, ("far", net.port))
        net.log.note("near", "peer", net.address(given.getpeername()))


@program(worlds=PLAIN)
async def sock_connect_again(net: Net) -> None:
    given, _ = await _connected(net)
    with contextlib.suppress(OSError):  # Linux takes the first, since asyncio has not looked how the other one ended
        await _loop().sock_connect(given, (net.far.address, net.port))
    with net.outcome("near", "sock_connect"):
        await _loop().sock_connect(given, (net.far.address, net.port))
    with net.outcome("near", "connect"):
        given.connect((net.far.address, net.port))


@program(worlds=PLAIN)
async def sock_recv_takes_what_there_is(net: Net) -> None:
    given, far = await _connected(net)
    far.transport.write(b"abcdef")
    for size in (4, 100):
        net.log.note("near", "recv", await _loop().sock_recv(given, size))
    buffer = bytearray(10)
    far.transport.write(b"into")
    net.log.note("near", "into", await _loop().sock_recv_into(given, buffer), buffer)
    with net.outcome("near", "nothing"):
        given.recv(1)
    net.log.note("near", "none", await _loop().sock_recv(given, 0) if net.log.has("far", "data") else b"")
    with net.outcome("near", "a negative size"):
        await _loop().sock_recv(given, -1)
    far.transport.write(b"last")
    far.transport.close()
    for _ in range(3):
        net.log.note("near", "recv", await _loop().sock_recv(given, 100))


@program(worlds=PLAIN)
async def sock_recv_waits_and_is_cancelled(net: Net) -> None:
    given, far = await _connected(net)
    waiting = asyncio.ensure_future(_loop().sock_recv(given, 100))
    await net.rest()
    net.log.note("near", "done", waiting.done())
    waiting.cancel()
    await asyncio.wait([waiting])
    far.transport.write(b"kept")
    net.log.note("near", "recv", await _loop().sock_recv(given, 100))


@program(worlds=PLAIN)
async def sock_sendall_of_much_waits_for_the_reader(net: Net) -> None:
    given, far = await _connected(net)
    far.transport.pause_reading()
    sending = asyncio.ensure_future(_loop().sock_sendall(given, MUCH * 8))
    await net.rest()
    net.log.note("near", "done", sending.done())
    far.transport.resume_reading()
    await sending
    given.close()
    await net.log.until("far", "lost")


@program(worlds=PLAIN)
async def sock_sendall_takes_all_kinds_of_bytes(net: Net) -> None:
    given, _ = await _connected(net)
    for data in (b"bytes ", bytearray(b"bytearray "), memoryview(b"view "), memoryview(struct.pack("2i", 65, 66))):
        with net.outcome("near", "sock_sendall"):
            await _loop().sock_sendall(given, data)
    net.log.note("near", "send", given.send(b"at once"))
    given.close()
    await net.log.until("far", "lost")


@program(worlds=PLAIN)
async def sock_sendfile_sends_a_file(net: Net) -> None:
    given, _ = await _connected(net)
    with tempfile.TemporaryFile() as file:
        file.write(MUCH)
        file.seek(0)
        net.log.note("near", "sent", await _loop().sock_sendfile(given, file, 1000, 100_000))
        net.log.note("near", "at", file.tell())
    given.close()
    await net.log.until("far", "lost")


@program(worlds=PLAIN)
async def sock_calls_after_a_reset(net: Net) -> None:
    given, far = await _connected(net)
    _reset(far.transport)
    await net.rest()
    for what in ("first", "second"):
        with net.outcome("near", f"{what} recv"):
            net.log.note("near", what, await _loop().sock_recv(given, 100))
    with net.outcome("near", "sock_sendall"):
        await _loop().sock_sendall(given, b"x")


@program(worlds=PLAIN)
async def sock_sendall_after_a_reset(net: Net) -> None:
    given, far = await _connected(net)
    _reset(far.transport)
    await net.rest()
    for what in ("first", "second"):
        with net.outcome("near", f"{what} sock_sendall"):
            await _loop().sock_sendall(given, b"x")


@program(worlds=PLAIN)
async def sock_calls_after_shutdown(net: Net) -> None:
    given, far = await _connected(net, keep_open=True)
    given.shutdown(socket.SHUT_WR)
    await net.log.until("far", "eof")
    with net.outcome("near", "sock_sendall"):
        await _loop().sock_sendall(given, b"x")
    far.transport.write(b"answer")
    net.log.note("near", "recv", await _loop().sock_recv(given, 100))
    given.shutdown(socket.SHUT_RD)
    net.log.note("near", "recv", await _loop().sock_recv(given, 100))


@program(worlds=PLAIN)
async def sock_calls_of_a_wrong_kind(net: Net) -> None:
    given, _ = await _connected(net)
    with net.outcome("near", "sock_accept"):
        await _loop().sock_accept(given)
    with net.outcome("near", "settimeout"):
        given.settimeout(0)
    _loop().set_debug(True)
    try:
        with net.outcome("near", "blocking"):
            given.setblocking(True)
            await _loop().sock_recv(given, 1)
    finally:
        _loop().set_debug(False)


@program(worlds=PLAIN)
async def options_of_a_connected_socket_are_its_transports(net: Net) -> None:
    given, _ = await _connected(net)
    for option in OPTIONS:
        given.setsockopt(*option)
    net.log.note("near", "socket", [given.getsockopt(level, name) for level, name, _ in OPTIONS])
    transport, _ = await net.near.create_connection(lambda: net.told("near"), sock=given)
    face = transport.get_extra_info("socket")
    net.log.note("near", "face", [face.getsockopt(level, name) for level, name, _ in OPTIONS])
    given.setsockopt(SOL, socket.SO_KEEPALIVE, 0)
    net.log.note("near", "face", face.getsockopt(SOL, socket.SO_KEEPALIVE))


@program(worlds=PLAIN)
async def a_connected_socket_brings_what_has_come(net: Net) -> None:
    given, far = await _connected(net)
    far.transport.write(b"early")
    await net.rest()
    net.log.note("near", "recv", await _loop().sock_recv(given, 2))
    transport, _ = await net.near.create_connection(lambda: net.told("near"), sock=given)
    net.log.note("near", "returned")
    await net.log.until("near", "data")
    with net.outcome("near", "sock_recv"):
        async with asyncio.timeout(1):
            await _loop().sock_recv(given, 1)
    transport.close()
    await net.log.until("far", "lost")
    await net.log.until("near", "lost")
    net.log.note("near", "fileno", given.fileno())


@program(worlds=PLAIN)
async def a_factory_fails_for_a_connected_socket(net: Net) -> None:
    given, _ = await _connected(net)
    with net.outcome("near", "create_connection"):
        await net.near.create_connection(lambda: 1 // 0, sock=given)
    with net.outcome("near", "the socket is the program's"):
        await _loop().sock_sendall(given, b"still here")
    given.close()
    await net.log.until("far", "lost")


@program(worlds=PLAIN)
async def a_socket_is_closed_under_its_transport(net: Net) -> None:
    given, _ = await _connected(net)
    await net.near.create_connection(lambda: net.told("near"), sock=given)
    given.close()
    await net.log.until("far", "lost")
    await net.rest()


@program(worlds=PLAIN)
async def a_connected_socket_is_forgotten(net: Net) -> None:
    given, _ = await _connected(net)
    net.near.made.remove(given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del given
        gc.collect()
    await net.log.until("far", "lost")


@program(worlds=PLAIN)
async def a_socket_bound_to_an_address_connects_from_there(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)
    with _socket() as given:
        given.setsockopt(socket.IPPROTO_IP, FREEBIND, 1)
        given.bind((net.near.address, 0))
        port = given.getsockname()[1]
        await _loop().sock_connect(given, (net.far.address, net.port))
        net.log.note("near", "from", net.address(given.getsockname()), given.getsockname()[1] == port)


# ---- listeners ----


@program(worlds=PLAIN)
async def sock_accept_on_a_wildcard(net: Net) -> None:
    listening = _listening(net)
    port = listening.getsockname()[1]
    accepted, peer, far = await _accepted(net, listening, net.near.address)
    net.log.note("near", "listening", net.address(listening.getsockname()), listening.getsockname()[1] == port)
    net.log.note("near", "accepted", accepted.family, accepted.type, accepted.gettimeout(), accepted.fileno() > 2)
    net.log.note("near", "names", net.address(accepted.getsockname()), accepted.getsockname()[1] == port)
    net.log.note("near", "peer", peer == accepted.getpeername() == far.transport.get_extra_info("sockname"))
    far.transport.write(b"question")
    net.log.note("near", "recv", await _loop().sock_recv(accepted, 100))
    await _loop().sock_sendall(accepted, b"answer")
    accepted.close()
    await net.log.until("far", "lost")


@program(worlds=PLAIN)
async def sock_accept_on_an_address(net: Net) -> None:
    listening = _socket()
    listening.setsockopt(socket.IPPROTO_IP, FREEBIND, 1)
    listening.bind((net.near.address, 0))
    listening.listen()
    net.near.made.append(listening)
    accepted, _, _ = await _accepted(net, listening, net.near.address)
    net.log.note("near", "names", net.address(accepted.getsockname()), net.address(listening.getsockname()))


@program(worlds=PLAIN)
async def sock_accept_on_ipv6_alone(net: Net) -> None:
    listening = _socket(socket.AF_INET6)
    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listening.bind(("::", 0))
    listening.listen()
    net.near.made.append(listening)
    accepted, peer, _ = await _accepted(net, listening, net.near.address6)
    net.log.note("near", "names", net.address(accepted.getsockname()), net.address(peer))
    with net.outcome("far", "IPv4"):
        await net.far.create_connection(asyncio.Protocol, net.near.address, listening.getsockname()[1])


@program(worlds=PLAIN)
async def sock_accept_on_both_families(net: Net) -> None:
    listening = _socket(socket.AF_INET6)
    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listening.bind(("::", 0))
    listening.listen()
    net.near.made.append(listening)
    for address in (net.near.address6, net.near.address):
        accepted, peer, _ = await _accepted(net, listening, address)
        net.log.note("near", "names", net.address(accepted.getsockname()), len(peer), accepted.family)
        transport, _ = await _loop().connect_accepted_socket(lambda: net.told("near"), accepted)
        net.log.note("near", "transport's", net.address(transport.get_extra_info("sockname")))


@program(worlds=PLAIN)
async def sock_accept_gives_connections_one_by_one(net: Net) -> None:
    listening = _listening(net)
    accepted, _, _ = await _accepted(net, listening, net.near.address)
    for number in range(3):
        make = functools.partial(net.told, f"far {number}")
        await net.far.create_connection(make, net.near.address, listening.getsockname()[1])
    for _ in range(3):
        another, _ = await _loop().sock_accept(listening)
        another.close()
    with net.outcome("near", "accept"):
        listening.accept()
    waiting = asyncio.ensure_future(_loop().sock_accept(listening))
    await net.rest()
    net.log.note("near", "done", waiting.done())
    waiting.cancel()
    await asyncio.wait([waiting])
    accepted.close()
    await net.log.until("far", "lost")


@program(worlds=PLAIN)
async def options_of_a_listening_socket_are_its_connections(net: Net) -> None:
    listening = _listening(net)
    for option in OPTIONS[1:]:
        listening.setsockopt(*option)
    accepted, _, _ = await _accepted(net, listening, net.near.address)
    listening.setsockopt(*OPTIONS[0])
    again, _, _ = await _accepted(net, listening, net.near.address)
    for one in (listening, accepted, again):
        net.log.note("near", "options", [one.getsockopt(level, name) for level, name, _ in OPTIONS])
    net.log.note("near", "listens", listening.getsockopt(SOL, 30), accepted.getsockopt(SOL, 30))


@program(worlds=PLAIN)
async def an_accepted_socket_becomes_a_transport(net: Net) -> None:
    listening = _listening(net)
    accepted, _, far = await _accepted(net, listening, net.near.address)
    far.transport.write(b"early")
    await net.rest()
    transport, _ = await _loop().connect_accepted_socket(lambda: net.told("near"), accepted)
    net.log.note("near", "peer", transport.get_extra_info("peername") == far.transport.get_extra_info("sockname"))
    await net.log.until("near", "data")
    transport.write(b"answer")
    transport.close()
    await net.log.until("far", "lost")


@program(worlds=PLAIN)
async def closing_a_listening_socket_refuses_the_next(net: Net) -> None:
    listening = _listening(net)
    port = listening.getsockname()[1]
    accepted, _, far = await _accepted(net, listening, net.near.address)
    listening.close()
    with net.outcome("far", "connect"):
        await net.far.create_connection(asyncio.Protocol, net.near.address, port)
    far.transport.write(b"goes on")
    net.log.note("near", "recv", await _loop().sock_recv(accepted, 100))
    with net.outcome("near", "sock_accept"):
        await _loop().sock_accept(listening)


@program(worlds=PLAIN)
async def sock_accept_on_a_socket_that_does_not_listen(net: Net) -> None:
    with _socket() as given, net.outcome("near", "sock_accept"):
        given.bind(("0.0.0.0", 0))
        await _loop().sock_accept(given)


# ---- servers ----


@program(worlds=PLAIN)
async def a_server_on_a_socket_of_a_wildcard(net: Net) -> None:
    given = _socket()
    given.bind(("0.0.0.0", 0))
    port = given.getsockname()[1]
    for option in OPTIONS:
        given.setsockopt(*option)
    near: list[Any] = []

    def make() -> Told:
        near.append(net.told("near"))
        return near[-1]

    server = await net.near.create_server(make, sock=given)
    (face,) = server.sockets
    for one in (face, given):
        net.log.note("near", "listens on", net.address(one.getsockname()), one.getsockname()[1] == port)
    transport, _ = await net.far.create_connection(lambda: net.told("far"), net.near.address, port)
    await net.log.until("near", "made")
    served = near[0].transport.get_extra_info("socket")
    net.log.note("near", "options", [served.getsockopt(level, name) for level, name, _ in OPTIONS])
    server.close()
    net.log.note("near", "closed", given.fileno(), server.sockets)
    with net.outcome("far", "connect"):
        await net.far.create_connection(asyncio.Protocol, net.near.address, port)
    transport.close()
    await net.log.until("near", "lost")


@program(worlds=PLAIN)
async def a_server_on_a_socket_that_is_not_bound(net: Net) -> None:
    server = await net.near.create_server(lambda: net.told("near"), sock=_socket())
    port = server.sockets[0].getsockname()[1]
    net.log.note("near", "listens on", net.address(server.sockets[0].getsockname()), port > 0)
    transport, _ = await net.far.create_connection(lambda: net.told("far"), net.near.address, port)
    await net.log.until("near", "made")
    transport.close()
    await net.log.until("near", "lost")


@program(worlds=PLAIN)
async def a_server_on_a_socket_of_both_families(net: Net) -> None:
    given = _socket(socket.AF_INET6)
    given.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    given.bind(("::", 0))
    made: list[Any] = []

    def make() -> Told:
        made.append(net.told("near"))
        return made[-1]

    server = await net.near.create_server(make, sock=given)
    net.log.note("near", "sockets", [net.address(one.getsockname()) for one in server.sockets])
    for address in (net.near.address, net.near.address6):
        await net.far.create_connection(lambda: net.told("far"), address, given.getsockname()[1])
        await net.rest()
        name = made[-1].transport.get_extra_info("sockname")
        net.log.note("near", "name", net.address(name), len(made[-1].transport.get_extra_info("peername")))


@program(worlds=PLAIN)
async def a_server_on_a_socket_does_not_serve_yet(net: Net) -> None:
    given = _socket()
    given.bind(("0.0.0.0", 0))
    server = await net.near.create_server(lambda: net.told("near"), sock=given, start_serving=False)
    for serving in (False, True):
        if serving:
            await server.start_serving()
        with net.outcome("far", "connect"):
            await net.far.create_connection(lambda: net.told("far"), net.near.address, given.getsockname()[1])
    await net.log.until("near", "made")


@program(worlds=PLAIN)
async def start_server_on_a_socket(net: Net) -> None:
    given = _socket()
    given.bind(("0.0.0.0", 0))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    await net.near.start_server(answer, sock=given)
    transport, _ = await net.far.create_connection(lambda: net.told("far"), net.near.address, given.getsockname()[1])
    transport.write(b"echo")
    transport.write_eof()
    with contextlib.suppress(TimeoutError):
        await net.log.until("far", "data")
