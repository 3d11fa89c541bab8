"""A Host that stands for every other: listeners on any port, verdicts before the handshake, flows of UDP, pings."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import synfin
from synfin.aio.admitting import Later
from synfin.aio.echo import Echo
from synfin.aio.host import Host
from synfin.stack.addresses import packed
from synfin.tcp.config import Config
from synfin.wire import icmp, udp
from synfin.wire.key import make_key
from tests.unit.aio.hosts import Wire
from tests.unit.aio.virtual import reported, run, settle

FAR = ("93.184.216.34", "2001:db8::1")
OnSyn = Callable[[Any, Any], Any]


@asynccontextmanager
async def world(on_syn: OnSyn | None = None, config: Config | None = None) -> AsyncIterator[tuple[Host, Host]]:
    """A client, and a gateway that hears every address."""
    wire = Wire()
    client = Host(["10.0.0.2", "fd00::2"], send=wire.from_client, name="client", entropy=random.Random(1).randbytes)
    gate = Host(
        "10.0.0.1", send=wire.from_server, name="server", entropy=random.Random(2).randbytes, any_destination=True,
        on_syn=on_syn, config=config if config is not None else Config(icmp_ratelimit_us=0),
    )  # fmt: skip
    wire.join(client, gate)
    async with client, gate:
        yield client, gate


async def say_where(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(str(writer.get_extra_info("sockname")[:2]).encode())
    writer.close()


async def ask_where(client: Host, address: str, port: int) -> str:
    reader, writer = await client.open_connection(address, port)
    answer = await reader.read()
    writer.close()
    return answer.decode()


@pytest.mark.parametrize("address", FAR)
def test_a_server_on_any_port_learns_where_each_client_meant_to_go(address: str) -> None:
    async def main() -> None:
        async with world() as (client, gate):
            server = await gate.start_server(say_where, port="*")
            for port in (1, 443, 65535):
                assert await ask_where(client, address, port) == str((address, port))
            server.close()
            with pytest.raises(ConnectionRefusedError):
                await client.open_connection(address, 443)

    run(main())


def test_a_server_on_one_port_hears_it_at_every_address() -> None:
    async def main() -> None:
        async with world() as (client, gate):
            await gate.start_server(say_where, port=443)
            assert await ask_where(client, FAR[0], 443) == str((FAR[0], 443))
            with pytest.raises(ConnectionRefusedError):
                await client.open_connection(FAR[0], 80)

    run(main())


def test_on_syn_is_told_who_asks_for_whom_and_its_verdict_is_what_the_client_gets() -> None:
    asked: list[Any] = []

    def on_syn(source: Any, destination: Any) -> int:
        asked.append((source[0], destination))
        return synfin.ACCEPT if destination[1] == 443 else synfin.REFUSE

    async def main() -> None:
        async with world(on_syn) as (client, gate):
            await gate.start_server(say_where, port="*")
            await ask_where(client, FAR[1], 443)
            with pytest.raises(ConnectionRefusedError):
                await client.open_connection(FAR[0], 80)

    run(main())
    assert asked == [("fd00::2", (FAR[1], 443)), ("10.0.0.2", (FAR[0], 80))]


def test_an_awaitable_verdict_holds_the_client_and_its_retransmissions_ask_nobody() -> None:
    asked = 0

    async def find_out(source: Any, destination: Any) -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(5)
        if destination[1] == 80:
            return synfin.REFUSE
        return synfin.ACCEPT

    async def main() -> None:
        async with world(find_out) as (client, gate):
            await gate.start_server(say_where, port="*")
            loop = asyncio.get_running_loop()
            begun = loop.time()
            assert await ask_where(client, FAR[0], 443) == str((FAR[0], 443))
            assert 5 < loop.time() - begun < 5.1
            assert asked == 1
            assert gate.stack.counters.SynsHeldAgain >= 2
            begun = loop.time()
            with pytest.raises(ConnectionRefusedError):
                await client.open_connection(FAR[0], 80)
            assert 5 < loop.time() - begun < 5.1

    run(main())


def test_a_hosts_unreachable_verdict_ends_the_attempt_of_a_client_when_it_gives_up() -> None:
    async def main() -> None:
        async with world(lambda *_: synfin.unreachable(errno.ENETUNREACH)) as (client, gate):
            await gate.start_server(say_where, port="*")
            with pytest.raises(OSError) as raised:
                await client.open_connection(FAR[0], 80)
            assert raised.value.errno in (errno.ENETUNREACH, errno.ETIMEDOUT)
            assert client.stack.counters.InDestUnreachs > 0

    run(main())


@pytest.mark.parametrize("what", ["raises", "says nonsense", "raises later", "says nonsense later"])
def test_an_on_syn_that_fails_is_reported_and_the_client_hears_nothing(what: str) -> None:
    async def later(value: object) -> Any:
        if value is None:
            raise LookupError("nobody knows")
        return value

    def on_syn(*_: object) -> Any:
        if what == "raises":
            raise LookupError("nobody knows")
        if what == "says nonsense":
            return "yes"
        return later(None if what == "raises later" else 99)

    async def main() -> None:
        async with world(None) as (client, gate):
            gate.decide_syns(on_syn)
            await gate.start_server(say_where, port="*")
            attempt = asyncio.create_task(client.open_connection(FAR[0], 80))
            await settle(0.5)
            assert not attempt.done()
            (report,) = reported()
            assert "gave no verdict" in report["message"]
            attempt.cancel()

    run(main())


def test_who_still_finds_out_is_cancelled_when_too_many_wait_and_when_the_host_ends() -> None:
    cancelled: list[int] = []

    async def for_ever(source: Any, destination: Any) -> int:
        try:
            await asyncio.sleep(1e6)
        except asyncio.CancelledError:
            cancelled.append(destination[1])
            raise
        return synfin.ACCEPT

    async def main() -> None:
        async with world(for_ever, Config(held_syn_limit=2)) as (client, gate):
            await gate.start_server(say_where, port="*")
            attempts = []
            for port in (1, 2, 3):
                attempts.append(asyncio.create_task(client.open_connection(FAR[0], port)))
                await settle(0.1)
            assert cancelled == [1]
            gate.close()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert sorted(cancelled) == [1, 2, 3]
            for attempt in attempts:
                attempt.cancel()

    run(main())


def test_a_verdict_that_comes_without_a_task_is_as_good_and_who_finds_out_hears_when_nobody_waits() -> None:
    class Finding(Later):
        def forgotten(self) -> None:
            forgotten.append(self)

    forgotten: list[Later] = []
    found: list[Finding] = []

    def on_syn(*_: object) -> Later:
        found.append(Finding())
        return found[-1]

    async def main() -> None:
        async with world(on_syn, Config(held_syn_limit=2)) as (client, gate):
            await gate.start_server(say_where, port="*")
            attempts = []
            for port in (1, 2, 3):
                attempts.append(asyncio.create_task(ask_where(client, FAR[0], port)))
                await settle(0.1)
            assert forgotten == [found[0]]
            for one, verdict in zip(found, (synfin.ACCEPT, synfin.ACCEPT, synfin.REFUSE), strict=True):
                one.settle(verdict)
                one.settle(synfin.ACCEPT)  # once is for all
            assert await attempts[1] == str((FAR[0], 2))
            with pytest.raises(ConnectionRefusedError):
                await attempts[2]
            attempts[0].cancel()

    run(main())


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="on_syn"):
        Host("10.0.0.1", on_syn=7)  # type: ignore[arg-type]


# ---- UDP ----


class Flow(asyncio.DatagramProtocol):
    made: list[Flow]

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.made.append(self)

    def datagram_received(self, data: bytes, _: Any) -> None:
        if data == b"nobody":
            self.transport.unreachable(errno.ECONNREFUSED)
        else:
            self.transport.sendto(data.upper())


class Answers(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: list[object] = []

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.heard.append((data, address[:2]))

    def error_received(self, exc: Exception) -> None:
        assert isinstance(exc, OSError)
        self.heard.append(exc.errno)


@pytest.mark.parametrize("address", FAR)
def test_each_pair_of_a_sender_and_a_destination_is_a_transport_of_its_own(address: str) -> None:
    class Made(Flow):
        made: list[Flow] = []  # noqa: RUF012

    async def main() -> None:
        async with world() as (client, gate):
            server = gate.create_datagram_server(Made)
            heard = Answers()
            near, _ = await client.create_datagram_endpoint(lambda: heard, remote_addr=(address, 53))
            near.sendto(b"one")
            near.sendto(b"two")
            await settle()
            near.sendto(b"nobody")
            await settle()
            assert heard.heard == [(b"ONE", (address, 53)), (b"TWO", (address, 53)), errno.ECONNREFUSED]
            (flow,) = Made.made
            assert flow.transport.get_extra_info("sockname")[:2] == (address, 53)
            assert flow.transport.get_extra_info("peername")[0] in ("10.0.0.2", "fd00::2")
            assert gate.stack.census()["datagram_flows"] == 1
            flow.transport.close()
            assert gate.stack.census()["datagram_flows"] == 0
            server.close()
            assert not server.is_serving()
            near.sendto(b"late")
            await settle()
            assert heard.heard[-1] == errno.ECONNREFUSED

    run(main())


def test_a_datagram_verdict_is_asked_of_a_function_too() -> None:
    async def main() -> None:
        async with world() as (client, gate):
            gate.create_datagram_server(
                asyncio.DatagramProtocol,
                lambda source, destination: synfin.REFUSE if destination[1] == 7 else synfin.DROP,
            )
            heard = Answers()
            for port in (7, 8):
                near, _ = await client.create_datagram_endpoint(lambda: heard, remote_addr=(FAR[0], port))
                near.sendto(b"?")
            await settle()
            assert heard.heard == [errno.ECONNREFUSED]

    run(main())


def test_an_endpoint_that_is_no_flow_has_nobody_to_tell() -> None:
    async def main() -> None:
        async with world() as (_, gate):
            endpoint, _ = await gate.create_datagram_endpoint(asyncio.DatagramProtocol, ("10.0.0.1", 5))
            with pytest.raises(RuntimeError, match="flow"):
                endpoint.unreachable(errno.ECONNREFUSED)  # type: ignore[attr-defined]

    run(main())


def test_a_protocol_factory_that_fails_is_reported_and_its_flow_is_gone() -> None:
    def fails() -> asyncio.DatagramProtocol:
        raise LookupError

    async def main() -> None:
        async with world() as (_, gate):
            gate.create_datagram_server(fails)
            gate.receive(udp.build(make_key(packed("10.0.0.2"), packed(FAR[0]), 1, 2), b"?"))
            await settle()
            assert "factory" in reported()[0]["message"]
            assert gate.stack.census()["datagram_flows"] == 0

    run(main())


# ---- pings ----


def test_a_ping_to_anywhere_can_be_answered_or_said_to_be_in_vain() -> None:
    async def main() -> None:
        heard: list[bytes] = []
        gate = Host("10.0.0.1", send=heard.append, any_destination=True, config=Config(icmp_ratelimit_us=0))
        asked: list[Echo] = []
        async with gate:
            gate.serve_echo(asked.append)
            gate.receive(icmp._build(4, icmp.V4_ECHO, 0, packed("10.0.0.2"), packed(FAR[0]), b"\x12\x34\0\x05hello", 0))
            (echo,) = asked
            assert (echo.src, echo.dst) == ("10.0.0.2", FAR[0])
            assert (echo.identifier, echo.sequence, echo.data) == (0x1234, 5, b"hello")
            echo.answer()
            await settle()
            assert heard.pop().endswith(b"\x12\x34\0\x05hello")
            echo.unreachable(errno.EHOSTUNREACH)
            await settle()
            assert heard.pop()[20] == icmp.V4_UNREACHABLE

    run(main())
