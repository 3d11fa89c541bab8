"""Cancellation at any await leaves nothing behind."""

from __future__ import annotations

import asyncio
import random
from typing import cast

import pytest

import synfin
from synfin.aio.host import Host
from synfin.tcp.config import Config
from synfin.wire import ip as ip_layer
from synfin.wire.ip import IpHeader
from synfin.wire.segment import Segment, parse_untrusted
from synfin.wire.tcp_header import RST
from tests.conftest import REQUIRE_ALL
from tests.unit.aio.hosts import PORT, SERVER, Recorder, assert_nothing_left, hosts
from tests.unit.aio.virtual import run, settle

CONNECTIONS = 20_000 if REQUIRE_ALL and synfin.compiled() else 2000  # many in one form of the package, the fast one
AT_ONCE = 200


def flags_of(packet: bytes) -> int:
    ip, seg = IpHeader(), Segment()
    ip_layer.parse_untrusted(packet, ip)
    parse_untrusted(packet, ip, seg, False, 0)
    return int(seg.flags)


def test_a_cancelled_connect_is_gone_at_once() -> None:
    async def main() -> None:
        async with hosts() as pair:
            pair.wire.drop = lambda *_: True
            task = asyncio.create_task(pair.client.create_connection(Recorder, SERVER, PORT))
            await settle(1.5)
            assert pair.client.stack.census()["connections"] == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.001)
            assert_nothing_left(pair.client)
            sent = pair.wire.sent["client"]
            await settle(300)
            assert pair.wire.sent["client"] == sent, "no SYN goes out any more"

    run(main())


def test_the_peer_of_a_cancelled_connect_is_reset_when_it_answers() -> None:
    async def main() -> None:
        async with hosts() as pair:
            pair.wire.delay = 0.1
            sent: list[tuple[str, int]] = []

            def watch(sender: Host, packet: bytes) -> bool:
                sent.append((sender.name, flags_of(packet)))
                return False

            pair.wire.drop = watch
            await pair.server.create_server(Recorder, port=PORT)
            task = asyncio.create_task(pair.client.create_connection(Recorder, SERVER, PORT))
            await settle(0.15)
            task.cancel()
            await settle()
            name, flags = sent[-1]
            assert name == "client" and flags & RST
            assert_nothing_left(pair.server, "listeners")
            assert_nothing_left(pair.client)

    run(main())


@pytest.mark.parametrize("turns", range(12))
def test_create_connection_cancelled_after_any_turn_of_the_loop_leaves_nothing(turns: int) -> None:
    """The packets fly without delay: each turn is another await in which the cancellation may come."""

    async def main() -> None:
        async with hosts() as pair:
            pair.wire.delay = 0
            made: list[Recorder] = []

            def factory() -> Recorder:
                made.append(Recorder())
                return made[-1]

            await pair.server.create_server(Recorder, port=PORT)
            task = asyncio.create_task(pair.client.create_connection(factory, SERVER, PORT))
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                (await task)[0].abort()
            await settle()
            assert_nothing_left(pair.client, "time_wait")  # of one that was open already
            assert_nothing_left(pair.server, "listeners")
            for protocol in made:
                assert protocol.calls in ([], ["made", "lost"])

    run(main())


@pytest.mark.parametrize("what", ["aclose", "wait_closed", "outgoing", "datagram endpoint", "drain", "read"])
def test_every_other_await_may_be_cancelled(what: str) -> None:
    async def main() -> None:
        small = Config(receive_buffer=4096, receive_buffer_max=4096, send_buffer=4096, send_buffer_max=4096)
        async with hosts(small) as pair, Host("10.7.7.7") as puller:
            server = await pair.server.create_server(lambda: Recorder(keep_open=True), port=PORT)
            reader, writer = await pair.client.open_connection(SERVER, PORT)
            await settle()
            for accepted in server._transports:
                accepted.pause_reading()
            writer.write(bytes(1_000_000))

            async def doing() -> None:
                if what == "aclose":
                    writer.close()
                    await pair.client.aclose(grace=1000)
                elif what == "wait_closed":
                    await server.wait_closed()
                elif what == "outgoing":
                    await puller.outgoing()
                elif what == "datagram endpoint":
                    await pair.client.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(SERVER, 53))
                    await asyncio.sleep(1000)
                elif what == "drain":
                    await writer.drain()
                else:
                    await reader.read()

            task = asyncio.create_task(doing())
            await settle()
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            writer.transport.abort()
            server.close()
            server.abort_clients()
            await settle()
            if what == "aclose":
                assert pair.client.is_closed()
            if what == "outgoing":
                again = asyncio.create_task(puller.outgoing())
                await settle()
                assert not again.done()
                again.cancel()
            assert_nothing_left(pair.server)

    run(main())


def test_many_connections_opened_and_cancelled_at_random_points_leave_nothing() -> None:
    async def main() -> None:
        draw = random.Random(11)
        outcomes = {"cancelled": 0, "finished": 0, "failed": 0}
        async with hosts(Config(msl_us=1000)) as pair:

            class Answer(asyncio.Protocol):
                def connection_made(self, transport: asyncio.BaseTransport) -> None:
                    self.transport = cast(asyncio.Transport, transport)

                def data_received(self, data: bytes) -> None:
                    self.transport.write(data)
                    self.transport.close()

            async def use() -> None:
                reader, writer = await pair.client.open_connection(SERVER, PORT)
                try:
                    writer.write(b"hello\n")
                    assert await reader.readline() in (b"hello\n", b"")
                    await reader.read()
                    if draw.random() < 0.5:
                        writer.close()
                        await writer.wait_closed()
                finally:
                    if draw.random() < 0.5:
                        writer.close()
                    else:
                        writer.transport.abort()

            async def one() -> None:
                task = asyncio.create_task(use())
                await asyncio.sleep(draw.random() * 0.012)
                task.cancel()
                try:
                    await task
                    outcomes["finished"] += 1
                except asyncio.CancelledError:
                    outcomes["cancelled"] += 1
                except OSError:
                    outcomes["failed"] += 1

            server = await pair.server.create_server(Answer, port=PORT, backlog=AT_ONCE)
            for _ in range(CONNECTIONS // AT_ONCE):
                await asyncio.gather(*(one() for _ in range(AT_ONCE)))
            assert outcomes["cancelled"] > CONNECTIONS // 4 and outcomes["finished"] > CONNECTIONS // 10, outcomes
            assert outcomes["failed"] == 0
            await settle(100)
            server.close()
            await server.wait_closed()
            await settle()
            assert_nothing_left(pair.client)
            assert_nothing_left(pair.server)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())
