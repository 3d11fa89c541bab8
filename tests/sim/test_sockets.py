"""Sockets that a program binds inside a simulation: no kernel hears of it, and the host's port is what they stand for.

What a program sees of them beside the kernel's is played in tests/unit/aio/promises.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from synfin.sim import Network, SimulationEscape
from tests.sim.programs import two


@contextmanager
def fails(code: int) -> Iterator[None]:
    with pytest.raises(OSError) as failed:
        yield
    assert failed.value.errno == code


def of(family: int = socket.AF_INET) -> Any:
    made = socket.socket(family)
    made.setblocking(False)
    return closing(made)


def test_a_port_that_is_taken_on_the_machine_is_free_on_each_host() -> None:
    async def main(port: int) -> None:
        async def listen() -> None:
            with socket.create_server(("127.0.0.1", port)) as given:
                assert given.getsockname() == ("127.0.0.1", port)
                assert given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
                assert given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN, 4) == b"\1\0\0\0"

        for host in two(network):
            await host.start(listen())

    network = Network()
    with socket.create_server(("127.0.0.1", 0)) as real:
        network.run(main(real.getsockname()[1]))


async def test_a_name_and_no_name_are_what_they_are_for_the_simulation(network: Network) -> None:
    server, _ = two(network)

    async def bind() -> None:
        for family, name, address in (
            (socket.AF_INET, "server", server.addresses[0]),
            (socket.AF_INET, "localhost", "127.0.0.1"),
            (socket.AF_INET, "", "0.0.0.0"),
            (socket.AF_INET6, "", "::"),
            (socket.AF_INET6, "server", server.addresses[1]),
        ):
            with of(family) as sock:
                sock.bind((name, 99))
                assert sock.getsockname()[:2] == (address, 99)
                assert len(sock.getsockname()) == (2 if family == socket.AF_INET else 4)
        with of() as sock, pytest.raises(socket.gaierror):
            sock.bind(("nowhere.test", 99))

    await server.start(bind())


async def test_what_a_kernel_refuses_to_bind_is_refused(network: Network) -> None:
    server, client = two(network)

    async def bind() -> None:
        taken = await asyncio.start_server(lambda *_: None, port=80)
        for address, code in (
            ((client.addresses[0], 0), errno.EADDRNOTAVAIL),
            (("0.0.0.0", 80), errno.EADDRINUSE),
        ):
            with of() as sock, fails(code):
                sock.bind(address)
        with of() as sock:
            with pytest.raises(OverflowError):
                sock.bind(("", 65536))
            with pytest.raises(TypeError):
                sock.bind(("", "80"))
            sock.bind(("", 0))
            with fails(errno.EINVAL):
                sock.bind(("", 0))
        with fails(errno.EBADF):
            sock.bind(("", 0))
        with fails(errno.EBADF):
            sock.getsockname()
        taken.close()

    await server.start(bind())
    assert server.host.stack.census()["listeners"] == 0


async def test_a_port_that_was_taken_since_is_refused_to_the_server(network: Network) -> None:
    server, _ = two(network)

    async def serve() -> None:
        with of() as sock:
            sock.bind(("", 80))
            await asyncio.start_server(lambda *_: None, port=80)
            with fails(errno.EADDRINUSE):
                await asyncio.start_server(lambda *_: None, sock=sock)

    await server.start(serve())


async def test_without_a_host_or_for_datagrams_it_is_an_escape_and_closes_the_socket(network: Network) -> None:
    server, _ = two(network)
    for call in (lambda one: one.bind(("", 0)), lambda one: one.listen()):
        sock = socket.socket()
        with pytest.raises(SimulationEscape, match="in a simulation"):
            call(sock)
        assert sock.fileno() == -1

    async def bind() -> None:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        with pytest.raises(SimulationEscape):
            sock.bind(("", 0))
        assert sock.fileno() == -1

    await server.start(bind())


def test_the_port_that_is_chosen_is_the_seeds() -> None:
    async def main(network: Network) -> list[int]:
        async def bind() -> list[int]:
            ports = []
            for _ in range(3):
                with of() as sock:
                    sock.bind(("", 0))
                    ports.append(sock.getsockname()[1])
            return ports

        return await network.host("a").start(bind())

    chosen = []
    for seed in (1, 1, 2):
        network = Network(seed)
        chosen.append(network.run(main(network)))
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(set(chosen[0])) == 3


async def test_a_socket_that_waits_for_the_kernel_is_an_escape(network: Network) -> None:
    server, _ = two(network)

    async def wait() -> None:
        listening = socket.create_server(("", 0))
        with pytest.raises(SimulationEscape, match="accept"):
            listening.accept()

    await server.start(wait())
