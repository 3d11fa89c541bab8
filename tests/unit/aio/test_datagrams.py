"""create_datagram_endpoint: the minimum of UDP, as asyncio has it."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextvars import ContextVar
from typing import Any, cast

import pytest

from synfin.aio.host import Host
from synfin.stack.datagrams import QUEUE_LIMIT
from tests.unit.aio.hosts import CLIENT, SERVER, assert_nothing_left, hosts
from tests.unit.aio.virtual import reported, run, settle

VALUE: ContextVar[str] = ContextVar("VALUE", default="nobody's")


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.transport: asyncio.DatagramTransport
        self.received: list[tuple[bytes, Any]] = []
        self.errors: list[Exception] = []
        self.lost: list[Exception | None] = []
        self.contexts: set[str] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.contexts.add(VALUE.get())

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append((data, addr))
        self.contexts.add(VALUE.get())

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)
        self.contexts.add(VALUE.get())

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)
        self.contexts.add(VALUE.get())


async def endpoint(host: Host, **options: Any) -> tuple[asyncio.DatagramTransport, Datagrams]:
    protocol = Datagrams()
    transport, same = await host.create_datagram_endpoint(lambda: protocol, **options)
    assert same is protocol is transport.get_protocol()
    return transport, protocol


def test_a_question_is_answered() -> None:
    async def main() -> None:
        async with hosts() as pair:
            server, asked = await endpoint(pair.server, local_addr=("0.0.0.0", 53))
            client, answered = await endpoint(pair.client, remote_addr=(SERVER, 53))
            assert client.get_extra_info("peername") == (SERVER, 53)
            assert server.get_extra_info("sockname") == ("0.0.0.0", 53)
            for kind in (bytes, bytearray, memoryview):
                client.sendto(kind(b"question"))
            client.sendto(b"")
            await settle()
            assert [data for data, _ in asked.received] == [b"question"] * 3 + [b""]
            sender = asked.received[0][1]
            assert sender == client.get_extra_info("sockname")
            server.sendto(b"answer", sender)
            await settle()
            assert answered.received == [(b"answer", (SERVER, 53))]

    run(main())


def test_only_the_remote_is_heard_by_a_connected_endpoint() -> None:
    async def main() -> None:
        async with hosts() as pair:
            _, heard = await endpoint(pair.client, local_addr=(CLIENT, 5000), remote_addr=(SERVER, 53))
            stranger, _ = await endpoint(pair.server, local_addr=(SERVER, 54))
            stranger.sendto(b"forged", (CLIENT, 5000))
            friend, _ = await endpoint(pair.server, local_addr=(SERVER, 53))
            friend.sendto(b"true", (CLIENT, 5000))
            await settle()
            assert heard.received == [(b"true", (SERVER, 53))]

    run(main())


def test_a_port_unreachable_is_connection_refused_error() -> None:
    async def main() -> None:
        async with hosts() as pair:
            client, heard = await endpoint(pair.client, remote_addr=(SERVER, 53))
            client.sendto(b"anybody?")
            await settle()
            (error,) = heard.errors
            assert isinstance(error, ConnectionRefusedError) and error.errno == errno.ECONNREFUSED
            client.sendto(b"goes on")
            await settle()
            assert len(heard.errors) == 2 and not heard.lost

    run(main())


def test_more_than_a_packet_holds_is_emsgsize() -> None:
    async def main() -> None:
        async with hosts() as pair:
            client, heard = await endpoint(pair.client, remote_addr=(SERVER, 53))
            client.sendto(bytes(1500 - 28))
            client.sendto(bytes(1500 - 27))
            assert heard.errors == [], "no callback inside a user's call"
            await settle()
            assert [type(error) for error in heard.errors] == [OSError, ConnectionRefusedError]
            assert cast(OSError, heard.errors[0]).errno == errno.EMSGSIZE

    run(main())


def test_the_queue_is_bounded_and_what_it_drops_is_counted() -> None:
    async def main() -> None:
        async with hosts() as pair:
            _, heard = await endpoint(pair.server, local_addr=(SERVER, 53))
            client, _ = await endpoint(pair.client, remote_addr=(SERVER, 53))
            pair.wire.delay = 1
            for number in range(QUEUE_LIMIT + 50):
                client.sendto(b"%d" % number)
            await settle()
            assert [data for data, _ in heard.received] == [b"%d" % number for number in range(QUEUE_LIMIT)]
            assert pair.server.stack.counters.RcvbufErrors == 50

    run(main())


def test_callbacks_run_in_the_context_of_create_datagram_endpoint() -> None:
    async def main() -> None:
        async with hosts() as pair:
            VALUE.set("the maker's")
            client, heard = await endpoint(pair.client, local_addr=(CLIENT, 5000), remote_addr=(SERVER, 53))
            VALUE.set("a caller's")
            client.sendto(b"x")
            client.sendto(bytes(5000))
            server, _ = await endpoint(pair.server, local_addr=(SERVER, 53))
            server.sendto(b"y", (CLIENT, 5000))
            await settle()
            client.close()
            await settle()
            assert heard.received and heard.errors and heard.lost == [None]
            assert heard.contexts == {"the maker's"}

    run(main())


@pytest.mark.parametrize("end", ["close", "abort"])
def test_closing_frees_the_port_and_tells_connection_lost_once(end: str) -> None:
    async def main() -> None:
        async with hosts() as pair:
            client, heard = await endpoint(pair.client, local_addr=(CLIENT, 5000))
            with pytest.raises(OSError) as caught:
                await endpoint(pair.client, local_addr=(CLIENT, 5000))
            assert caught.value.errno == errno.EADDRINUSE
            getattr(client, end)()
            client.close()
            client.abort()
            assert client.is_closing() and heard.lost == []
            client.sendto(b"ignored", (SERVER, 53))
            await settle()
            assert heard.lost == [None]
            await endpoint(pair.client, local_addr=(CLIENT, 5000))

    run(main())


def test_the_end_of_the_host_ends_its_endpoints() -> None:
    async def main() -> None:
        async with hosts() as pair:
            _, heard = await endpoint(pair.client, local_addr=(CLIENT, 5000))
            await pair.client.aclose()
            assert heard.lost == [None]
            assert_nothing_left(pair.client)

    run(main())


def test_a_callback_that_raises_is_reported_and_the_endpoint_goes_on() -> None:
    async def main() -> None:
        async with hosts() as pair:

            class Broken(Datagrams):
                def datagram_received(self, data: bytes, addr: Any) -> None:
                    super().datagram_received(data, addr)
                    raise ZeroDivisionError

            heard = Broken()
            await pair.server.create_datagram_endpoint(lambda: heard, local_addr=(SERVER, 53))
            client, _ = await endpoint(pair.client, remote_addr=(SERVER, 53))
            client.sendto(b"x")
            client.sendto(b"y")
            await settle()
            assert [data for data, _ in heard.received] == [b"x", b"y"] and not heard.lost
            for report in reported():
                assert isinstance(report["exception"], ZeroDivisionError)

    run(main())


def test_wrong_arguments_are_errors_at_the_call() -> None:
    async def main() -> None:
        async with hosts() as pair:
            connected, _ = await endpoint(pair.client, remote_addr=(SERVER, 53))
            free, _ = await endpoint(pair.client, family=socket.AF_INET)
            for wrong in ("text", None, 7):
                with pytest.raises(TypeError, match="bytes-like"):
                    connected.sendto(wrong)  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="must be None or"):
                connected.sendto(b"x", (SERVER, 54))
            with pytest.raises(ValueError, match="needs one"):
                free.sendto(b"x")
            with pytest.raises(ValueError, match="does not appear to be"):
                free.sendto(b"x", ("nowhere", 53))
            for port in (0, -1, 65536):
                with pytest.raises(ValueError, match="port"):
                    free.sendto(b"x", (SERVER, port))
            with pytest.raises(TypeError, match="callable"):
                await pair.client.create_datagram_endpoint(5)  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="address family"):
                await endpoint(pair.client)
            with pytest.raises(TypeError, match="2-tuple"):
                await endpoint(pair.client, local_addr=CLIENT)
            with pytest.raises(ValueError, match="can not get address information"):
                await endpoint(pair.client, local_addr=("fd00::1", 0), remote_addr=(SERVER, 53))
            with pytest.raises(OSError) as caught:
                await endpoint(pair.client, local_addr=("10.0.0.99", 0))
            assert caught.value.errno == errno.EADDRNOTAVAIL
            with pytest.raises(OSError) as caught:
                await endpoint(pair.client, remote_addr=("fd00::1", 53))
            assert caught.value.errno == errno.ENETUNREACH
            assert pair.client.stack.census()["datagram_ports"] == 2

    run(main())
