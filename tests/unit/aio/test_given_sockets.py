"""Kernel sockets given to a loop of loop_factory: which become the Host's, which stay the kernel's, what is left."""

from __future__ import annotations

import _socket
import asyncio
import errno
import gc
import os
import socket
import tempfile
import warnings
from asyncio.exceptions import SendfileNotAvailableError
from collections.abc import Callable
from typing import Any

import pytest

from synfin.aio import stand_in
from synfin.aio.held import HeldConnection
from synfin.aio.host import Host
from synfin.aio.server import Server
from tests.unit.aio.hosts import nothing_left
from tests.unit.aio.loops import OURS, PEER, echo, run_on

EVERYTHING = ["0.0.0.0/0", "::/0"]
ANY = "0.0.0.0"


def bound(address: str = ANY, port: int = 0, family: int = socket.AF_INET) -> socket.socket:
    made = socket.socket(family)
    made.setblocking(False)
    made.bind((address, port))
    return made


async def connected(peer: Host, port: int = 80) -> socket.socket:
    """A socket on the loop's Host, connected to an echo on the other."""
    await peer.start_server(echo, port=port)
    made = socket.socket()
    made.setblocking(False)
    await asyncio.get_running_loop().sock_connect(made, (PEER, port))
    return made


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


# ---- the kernel's stay the kernel's ----


def test_a_server_on_a_socket_of_an_address_of_the_kernels_is_the_kernels_however_wide_the_routes() -> None:
    async def main(host: Host, peer: Host) -> None:
        given = bound("127.0.0.1")
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, sock=given)
        assert not isinstance(server, Server)
        with socket.create_connection(given.getsockname()):
            pass
        assert host.stack.census()["listeners"] == 0
        server.close()

    run_on(main, EVERYTHING)


def test_sock_accept_on_an_address_of_the_kernels_is_the_kernels() -> None:
    async def main(host: Host, peer: Host) -> None:
        loop = asyncio.get_running_loop()
        with bound("127.0.0.1") as given, socket.socket() as client:
            given.listen()
            client.setblocking(False)
            await loop.sock_connect(client, given.getsockname())
            accepted, address = await loop.sock_accept(given)
            assert address == client.getsockname() and type(accepted) is socket.socket
            transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, accepted)
            assert not type(transport).__module__.startswith("synfin")
            transport.abort()

    run_on(main, EVERYTHING)


def test_a_socket_bound_to_an_address_of_the_kernels_connects_by_the_kernel() -> None:
    async def main(host: Host, peer: Host) -> None:
        await peer.start_server(echo, port=80)
        with bound("127.0.0.1") as given:
            with pytest.raises(OSError):
                await asyncio.get_running_loop().sock_connect(given, (PEER, 80))
            assert host.stack.counters.ActiveOpens == 0
            assert type(given) is socket.socket

    run_on(main)


def test_loopback_is_the_kernels_even_if_the_routes_are_all_there_is() -> None:
    async def main(host: Host, peer: Host) -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == b"hello"
        writer.close()
        server.close()
        assert host.stack.counters.ActiveOpens == 0

    run_on(main, EVERYTHING)


def test_sockets_of_unix_and_of_datagrams_are_the_kernels() -> None:
    async def main(host: Host, peer: Host) -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            right.setblocking(False)
            await loop.sock_sendall(left, b"x")
            assert await loop.sock_recv(right, 10) == b"x"
            await loop.sock_sendall(left, b"yz")
            buffer = bytearray(5)
            assert await loop.sock_recv_into(right, buffer) == 2
            with tempfile.TemporaryFile() as file:
                file.write(b"file")
                file.seek(0)
                assert await loop.sock_sendfile(left, file) == 4
        with socket.socket(type=socket.SOCK_DGRAM) as given:
            given.setblocking(False)
            await loop.sock_connect(given, (PEER, 80))
            assert type(given) is socket.socket
            with pytest.raises(ValueError, match="Stream Socket"):
                await loop.create_server(asyncio.Protocol, sock=given)

    run_on(main)


# ---- where the Host can't take over, it says so ----


def test_a_port_that_the_host_has_taken_is_eaddrinuse_and_the_socket_goes_on() -> None:
    async def main(host: Host, peer: Host) -> None:
        loop = asyncio.get_running_loop()
        for way in ("create_server", "sock_accept"):
            given = bound()
            given.listen()
            port = given.getsockname()[1]
            await host.start_server(echo, ANY, port)
            call: Any = loop.sock_accept(given)
            if way == "create_server":
                call.close()
                call = loop.create_server(asyncio.Protocol, sock=given)
            with pytest.raises(OSError, match=f"{port}.*can't take its place.*a listener") as refused:
                await call
            assert refused.value.errno == errno.EADDRINUSE
            with socket.create_connection(("127.0.0.1", port)):
                given.accept()[0].close()
            given.close()

    run_on(main)


def test_a_family_that_the_host_does_not_have_is_eaddrnotavail() -> None:
    async def main(host: Host, peer: Host) -> None:
        given = socket.socket(socket.AF_INET6)
        given.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        given.bind(("::", 0))
        with given, pytest.raises(OSError, match=r"can't take its place.*no IPv6 address") as refused:
            await asyncio.get_running_loop().create_server(asyncio.Protocol, sock=given)
        assert refused.value.errno == errno.EADDRNOTAVAIL

    run_on(main)


def test_of_both_families_the_one_that_the_host_has_is_enough() -> None:
    async def main(host: Host, peer: Host) -> None:
        given = socket.socket(socket.AF_INET6)
        given.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        given.bind(("::", 0))
        server = await asyncio.start_server(echo, sock=given)
        reader, writer = await peer.open_connection(OURS, given.getsockname()[1])
        writer.write_eof()
        assert await reader.read() == b""
        assert writer.get_extra_info("peername")[0] == OURS
        writer.close()
        server.close()

    run_on(main)


def test_a_socket_in_use_is_refused_for_another() -> None:
    async def main(host: Host, peer: Host) -> None:
        loop = asyncio.get_running_loop()
        given = bound()
        server = await loop.create_server(asyncio.Protocol, sock=given)
        with pytest.raises(OSError, match="in use"):
            await loop.create_server(asyncio.Protocol, sock=given)
        with pytest.raises(RuntimeError, match="in use"):
            await loop.create_connection(asyncio.Protocol, sock=given)
        server.close()
        with pytest.raises(OSError):
            await loop.create_server(asyncio.Protocol, sock=given)
        with pytest.raises(OSError, match="Bad file"):
            await loop.create_connection(asyncio.Protocol, sock=given)

    run_on(main)


def test_what_only_a_kernel_can_do_with_a_socket_is_eopnotsupp() -> None:
    async def main(host: Host, peer: Host) -> None:
        given = await connected(peer)
        calls: list[Callable[[], Any]] = [
            given.dup,
            given.detach,
            lambda: given.sendto(b"x", (PEER, 80)),
            lambda: given.recvfrom(1),
            lambda: given.recvmsg(1),
            lambda: given.sendmsg([b"x"]),
            lambda: given.bind((ANY, 0)),
            given.listen,
        ]
        for call in calls:
            with pytest.raises(OSError, match="synfin socket") as refused:
                call()
            assert refused.value.errno == errno.EOPNOTSUPP
        with tempfile.TemporaryFile() as file, pytest.raises(SendfileNotAvailableError):
            await asyncio.get_running_loop().sock_sendfile(given, file, fallback=False)
        given.close()

    run_on(main)


def test_a_socket_that_is_none_of_pythons_is_refused_and_its_connection_ends() -> None:
    async def main(host: Host, peer: Host) -> None:
        await peer.start_server(echo, port=80)
        given: Any = _socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
        given.setblocking(False)
        with pytest.raises(TypeError, match=r"no socket\.socket"):
            await asyncio.get_running_loop().sock_connect(given, (PEER, 80))
        given.close()
        await nothing_left(host, "time_wait")

    run_on(main)


# ---- what they are ----


def test_a_subclass_of_socket_stays_one_with_all_it_had() -> None:
    class Socket(socket.socket):
        def __init__(self) -> None:
            super().__init__()
            self.note = "kept"

        def shout(self) -> str:
            return self.note.upper()

    async def main(host: Host, peer: Host) -> None:
        await peer.start_server(echo, port=80)
        for _ in range(2):
            with Socket() as given:
                given.setblocking(False)
                await asyncio.get_running_loop().sock_connect(given, (PEER, 80))
                assert given.shout() == "KEPT" and type(given).__name__ == "Socket"

    run_on(main)


def test_the_kernel_listens_no_more_where_the_host_has_taken_over() -> None:
    async def main(host: Host, peer: Host) -> None:
        loop = asyncio.get_running_loop()
        for way in ("create_server", "sock_accept"):
            given = bound()
            given.listen()
            port = given.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)):
                pass
            if way == "create_server":
                await loop.create_server(asyncio.Protocol, sock=given)
            else:
                waiting = asyncio.ensure_future(loop.sock_accept(given))
                await asyncio.sleep(0)
                waiting.cancel()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            given.close()

    run_on(main)


def test_a_socket_polls_readable_for_a_selector_of_the_programs() -> None:
    async def main(host: Host, peer: Host) -> None:
        loop = asyncio.get_running_loop()
        given = await connected(peer)
        came = loop.create_future()
        loop.add_reader(given, came.set_result, None)
        given.send(b"x")
        given.shutdown(socket.SHUT_WR)
        await came
        loop.remove_reader(given)
        assert given.recv(10) == b"x"
        given.close()

    run_on(main)


def test_a_listening_socket_polls_readable_while_a_connection_waits() -> None:
    async def main(host: Host, peer: Host) -> None:
        loop = asyncio.get_running_loop()
        given = bound()
        given.listen()
        waiting = asyncio.ensure_future(loop.sock_accept(given))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        came = loop.create_future()
        loop.add_reader(given, came.set_result, None)
        _, writer = await peer.open_connection(OURS, given.getsockname()[1])
        await came
        loop.remove_reader(given)
        accepted, address = given.accept()
        assert address == writer.get_extra_info("sockname")
        writer.close()
        accepted.close()
        given.close()

    run_on(main)


# ---- the end ----


@pytest.mark.parametrize("waits_for", ["recv", "recv_into", "sendall", "accept"])
def test_who_waits_on_a_socket_hears_that_its_host_ends(waits_for: str) -> None:
    async def main(host: Host, peer: Host) -> None:
        loop = asyncio.get_running_loop()
        given = bound() if waits_for == "accept" else await connected(peer)
        if waits_for == "accept":
            given.listen()
            waiting: asyncio.Future[Any] = asyncio.ensure_future(loop.sock_accept(given))
        elif waits_for == "sendall":
            waiting = asyncio.ensure_future(loop.sock_sendall(given, bytes(64 << 20)))
        elif waits_for == "recv":
            waiting = asyncio.ensure_future(loop.sock_recv(given, 1))
        else:
            waiting = asyncio.ensure_future(loop.sock_recv_into(given, bytearray(1)))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        host.close()
        with pytest.raises(ConnectionAbortedError):
            await waiting
        given.close()

    run_on(main, ends_itself=True)


@pytest.mark.parametrize("waits_for", ["recv", "accept"])
def test_who_waits_on_a_socket_hears_that_it_is_closed(waits_for: str) -> None:
    async def main(host: Host, peer: Host) -> None:
        loop = asyncio.get_running_loop()
        given = await connected(peer) if waits_for == "recv" else bound()
        if waits_for == "accept":
            given.listen()
        call = loop.sock_recv(given, 1) if waits_for == "recv" else loop.sock_accept(given)
        waiting: asyncio.Future[Any] = asyncio.ensure_future(call)
        await asyncio.sleep(0.01)
        given.close()
        with pytest.raises(OSError) as closed:
            await waiting
        assert closed.value.errno == errno.EBADF

    run_on(main)


def test_a_socket_may_be_closed_after_the_loop() -> None:
    async def main(host: Host, peer: Host) -> list[socket.socket]:
        given = bound()
        await asyncio.get_running_loop().create_server(asyncio.Protocol, sock=given)
        return [given, await connected(peer)]

    for given in run_on(main):
        given.close()
        assert given.fileno() == -1


def test_sockets_leave_nothing() -> None:
    async def main(host: Host, peer: Host) -> None:
        loop = asyncio.get_running_loop()
        before = descriptors()
        for end in ("closed", "forgotten", "handed over", "served"):
            given = bound() if end == "served" else await connected(peer, 80 + len(end))
            assert given.fileno() > 2
            held = stand_in.behind(given)
            assert (held is None) == (end == "served")
            if end == "handed over":
                transport, _ = await loop.create_connection(asyncio.Protocol, sock=given)
                transport.close()
            elif end == "served":
                server = await loop.create_server(asyncio.Protocol, sock=given)
                server.close()
            elif end == "closed":
                given.close()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # as of every socket that is forgotten
                del given, held
                gc.collect()
        await nothing_left(host, "time_wait")
        assert len(stand_in._BEHIND) == 0
        assert descriptors() == before

    run_on(main)


def test_a_socket_that_is_closed_with_bytes_unread_resets_its_peer() -> None:
    async def main(host: Host, peer: Host) -> None:
        lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        class Talks(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                transport.write(b"nobody reads this")

            def connection_lost(self, exc: BaseException | None) -> None:
                lost.set_result(exc)

        await peer.create_server(Talks, port=80)
        with socket.socket() as given:
            given.setblocking(False)
            await asyncio.get_running_loop().sock_connect(given, (PEER, 80))
            held = stand_in.behind(given)
            assert isinstance(held, HeldConnection)
            await held.readable()
        assert isinstance(await lost, ConnectionResetError)

    run_on(main)
