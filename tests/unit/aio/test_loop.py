"""loop_factory: what goes to the Host, what goes to the kernel, for programs that know nothing of synfin."""

from __future__ import annotations

import asyncio
import gc
import socket
import tempfile
from typing import Any

import pytest

import synfin
from synfin.aio.host import Host
from synfin.aio.loop import HostLoop
from synfin.aio.server import Server
from tests.unit.aio.hosts import nothing_left
from tests.unit.aio.loops import OURS, PEER, ask, echo, run_on


def is_synfins(writer: asyncio.StreamWriter) -> bool:
    return type(writer.transport).__module__.startswith("synfin")


def test_an_address_within_the_routes_goes_to_the_host() -> None:
    async def main(host: Host, peer: Host) -> None:
        assert isinstance(asyncio.get_running_loop(), HostLoop)
        await peer.start_server(echo, port=80)
        writer = await ask(PEER, 80)
        assert is_synfins(writer)
        assert writer.get_extra_info("sockname")[0] == OURS

    run_on(main)


def test_loopback_goes_to_the_kernel_both_ways() -> None:
    async def main(host: Host, peer: Host) -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        assert not isinstance(server, Server)
        port = server.sockets[0].getsockname()[1]
        writer = await ask("127.0.0.1", port)
        assert not is_synfins(writer)
        server.close()
        await server.wait_closed()

    run_on(main)


@pytest.mark.parametrize("address", [None, "", "0.0.0.0", OURS])
def test_the_wildcards_and_the_hosts_own_addresses_listen_on_the_host(address: str | None) -> None:
    async def main(host: Host, peer: Host) -> None:
        server = await asyncio.start_server(echo, address, 80)
        assert isinstance(server, Server)
        reader, writer = await peer.open_connection(OURS, 80)
        writer.write(b"from outside")
        writer.write_eof()
        assert await reader.read() == b"from outside"
        writer.close()
        server.close()

    run_on(main)


def test_listening_partly_here_and_partly_there_is_refused() -> None:
    async def main(host: Host, peer: Host) -> None:
        with pytest.raises(ValueError, match="make two servers"):
            await asyncio.start_server(echo, [OURS, "127.0.0.1"], 80)

    run_on(main)


def test_routes_decide_instead_of_the_hosts_networks() -> None:
    async def main(host: Host, peer: Host) -> None:
        await peer.start_server(echo, port=80)
        task = asyncio.create_task(asyncio.open_connection("192.0.2.9", 80))
        await asyncio.sleep(0.01)
        (connection,) = host.stack.connections()
        assert connection.snapshot().state == "SYN-SENT"
        task.cancel()
        await asyncio.wait([task])
        assert is_synfins(await ask(PEER, 80))

    run_on(main, ["192.0.2.0/24", "10.5.0.1/32"])


def test_names_given_are_resolved_and_routed() -> None:
    async def main(host: Host, peer: Host) -> None:
        await peer.start_server(echo, port=80)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("printer.lan", 80, type=socket.SOCK_STREAM)
        assert {entry[4][0] for entry in found} == {PEER}
        assert is_synfins(await ask("Printer.LAN", 80))

    run_on(main, names={"printer.lan": PEER})


def test_localhost_is_the_kernels() -> None:
    async def main(host: Host, peer: Host) -> None:
        server = await asyncio.start_server(echo, "localhost", 0, family=socket.AF_INET)
        port = server.sockets[0].getsockname()[1]
        assert not is_synfins(await ask("localhost", port, family=socket.AF_INET))
        server.close()
        await server.wait_closed()

    run_on(main)


def test_a_kernel_socket_connected_by_sock_connect_becomes_a_connection_of_the_host() -> None:
    async def main(host: Host, peer: Host) -> None:
        await peer.start_server(echo, port=80)
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, (PEER, 80))
        writer = await ask(None, None, sock=sock)  # type: ignore[arg-type]
        assert is_synfins(writer)
        await writer.wait_closed()
        assert sock.fileno() == -1
        assert writer.get_extra_info("peername") == (PEER, 80)

    run_on(main)


def test_sock_connect_beyond_the_routes_is_the_kernels() -> None:
    async def main(host: Host, peer: Host) -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, server.sockets[0].getsockname())
        assert not is_synfins(await ask(None, None, sock=sock))  # type: ignore[arg-type]
        server.close()
        await server.wait_closed()

    run_on(main)


def test_a_socket_dropped_after_sock_connect_leaves_no_connection() -> None:
    async def main(host: Host, peer: Host) -> None:
        await peer.start_server(echo, port=80)
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, (PEER, 80))
        assert host.stack.census()["connections"] == 1
        sock.close()
        del sock
        gc.collect()
        await nothing_left(host, "time_wait")

    run_on(main)


def test_a_refused_sock_connect_is_connection_refused_error() -> None:
    async def main(host: Host, peer: Host) -> None:
        with socket.socket() as sock:
            sock.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.get_running_loop().sock_connect(sock, (PEER, 81))

    run_on(main)


def test_datagrams_follow_the_same_rules() -> None:
    class Questions(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.got.set_result(data)

    async def main(host: Host, peer: Host) -> None:
        loop = asyncio.get_running_loop()
        await peer.create_datagram_endpoint(Questions, local_addr=(PEER, 53))
        for arguments, ours in (
            ({"remote_addr": (PEER, 53)}, True),
            ({"local_addr": ("0.0.0.0", 5353)}, True),
            ({"local_addr": ("127.0.0.1", 0)}, False),
        ):
            transport, _ = await loop.create_datagram_endpoint(Questions, **arguments)  # type: ignore[arg-type]
            assert type(transport).__module__.startswith("synfin") is ours
            transport.close()
        await asyncio.sleep(0)

    run_on(main)


def test_sendfile_and_start_tls_find_the_hosts_transport() -> None:
    async def main(host: Host, peer: Host) -> None:
        got = asyncio.get_running_loop().create_future()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got.set_result(await reader.read())
            writer.close()

        await peer.start_server(take, port=80)
        _, writer = await asyncio.open_connection(PEER, 80)
        with tempfile.TemporaryFile() as file:
            file.write(b"a file" * 1000)
            file.seek(0)
            await asyncio.get_running_loop().sendfile(writer.transport, file)
        writer.close()
        assert await got == b"a file" * 1000

    run_on(main)


def test_a_connect_that_is_cancelled_through_the_loop_leaves_nothing() -> None:
    async def main(host: Host, peer: Host) -> None:
        await peer.aclose()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.open_connection(PEER, 80), 0.05)
        await nothing_left(host)

    run_on(main)


def test_the_runners_end_resets_what_is_open() -> None:
    async def main(host: Host, peer: Host) -> Any:
        await peer.start_server(echo, port=80)
        _, writer = await asyncio.open_connection(PEER, 80)
        return writer

    writer = run_on(main)
    assert writer.transport.is_closing()


def test_a_factory_makes_one_loop() -> None:
    make = synfin.loop_factory(Host(OURS))
    loop = make()
    try:
        with pytest.raises(RuntimeError, match="is open already"):
            make()
    finally:
        loop.close()
