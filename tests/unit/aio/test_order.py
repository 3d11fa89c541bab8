"""Tasks run between events, however packets and turns of the loop fall together.

What programs see of it beside the kernel's sockets is in `promises`; here are turns that no program can choose.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest

from synfin.aio.host import Host
from tests.unit.aio.hosts import CLIENT, PORT, SERVER, Pair, Recorder, Wire, assert_nothing_left, hosts, reset
from tests.unit.aio.virtual import run, settle


class Waking(Recorder):
    """Each `data` wakes a task, which notes that it ran."""

    def __init__(self) -> None:
        super().__init__(keep_open=True)
        self.received = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self.live())

    async def live(self) -> None:
        while True:
            await self.received.wait()
            self.received.clear()
            self.calls.append("task, of one that ends" if self.transport.is_closing() else "task")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.received.set()


class Held(Wire):
    """Packets to the server are kept while `holding`."""

    def __init__(self) -> None:
        super().__init__()
        self.holding = False
        self.kept: list[bytes] = []

    def from_client(self, packet: bytes) -> None:
        if self.holding:
            self.kept.append(packet)
        else:
            super().from_client(packet)


async def kept_back(pair: Pair, wire: Held, server: asyncio.Protocol, act: Callable[[Any], Any]) -> list[bytes]:
    """The packets to a server that `act` on the client's transport causes, with a turn of their own each."""
    transport, _, _ = await pair.connect(Recorder(keep_open=True), server)
    wire.holding = True
    transport.write(b"last words")
    await asyncio.sleep(0.001)
    act(transport)
    await asyncio.sleep(0.001)
    assert len(wire.kept) == 2
    return wire.kept


def half_close(transport: Any) -> None:
    transport.write_eof()


ENDS = [
    pytest.param(half_close, ["data", "task", "eof"], id="end"),
    pytest.param(reset, ["data", "task", "lost"], id="reset"),
]


@pytest.mark.parametrize(("act", "told"), ENDS)
@pytest.mark.parametrize("way", ["one batch", "two batches in one turn", "receive"])
def test_a_task_that_the_last_message_wakes_runs_before_the_end_is_told(way: str, act: Any, told: list[str]) -> None:
    async def main() -> None:
        wire = Held()
        async with hosts(wire=wire) as pair:
            receiver = Waking()
            packets = await kept_back(pair, wire, receiver, act)
            if way == "one batch":
                pair.server.deliver(packets)
            for packet in packets:
                if way == "receive":
                    pair.server.receive(packet)
                elif way == "two batches in one turn":
                    pair.server.deliver([packet])
            await asyncio.sleep(0.0001)
            assert receiver.calls == ["made", *told]
            receiver.task.cancel()

    run(main())


def test_a_turn_asked_for_before_the_task_was_woken_does_not_tell_the_end_before_it() -> None:
    async def main() -> None:
        wire = Held()
        async with hosts(wire=wire) as pair:
            receiver = Waking()
            packets = await kept_back(pair, wire, receiver, half_close)
            transport = cast(asyncio.Transport, receiver.transport)
            transport.pause_reading()
            pair.server.deliver(packets[:1])
            transport.resume_reading()  # asks for a turn
            pair.server.deliver(packets[1:])
            await asyncio.sleep(0.0001)
            assert receiver.calls == ["made", "data", "task", "eof"]
            receiver.task.cancel()

    run(main())


def test_the_end_waits_for_the_tasks_of_every_connection_of_a_batch() -> None:
    """Each end comes in the turn after; the first connection's must not bring the others' before their tasks."""

    async def main() -> None:
        wire = Held()
        async with hosts(wire=wire) as pair:
            made: list[Waking] = []

            def factory() -> Waking:
                made.append(Waking())
                return made[-1]

            await pair.server.create_server(factory, port=PORT)
            clients = [(await pair.client.create_connection(Recorder, SERVER, PORT))[0] for _ in range(5)]
            await settle(1)
            wire.holding = True
            for transport in clients:
                transport.write(b"x")
                transport.write_eof()
            await asyncio.sleep(0.001)
            pair.server.deliver(wire.kept)
            await asyncio.sleep(0.0001)
            assert [protocol.calls for protocol in made] == [["made", "data", "task", "eof"]] * 5
            for protocol in made:
                protocol.task.cancel()

    run(main())


def test_an_answer_takes_the_ack_along_though_a_flush_was_due_before_its_task() -> None:
    async def main() -> None:
        wire = Held()
        async with hosts(wire=wire) as pair:

            class Echo(Waking):
                async def live(self) -> None:
                    await self.received.wait()
                    self.transport.write(b"answer")

            bystander = Recorder()
            await pair.server.create_server(lambda: bystander, port=PORT + 1)
            await pair.client.create_connection(Recorder, SERVER, PORT + 1)
            packets = await kept_back(pair, wire, Echo(), half_close)
            sent = wire.sent["server"]
            bystander.transport.write(b"asks for a flush")
            pair.server.deliver(packets[:1])
            await asyncio.sleep(0.0001)
            assert wire.sent["server"] - sent == 2

    run(main())


TASKS: list[tuple[Any, int]] = [(None, 1)]  # whose factory; the turns until what a new task answers has gone out
if sys.version_info >= (3, 12):
    TASKS.append((asyncio.eager_task_factory, 0))


@pytest.mark.parametrize(("factory", "turns"), TASKS)
def test_what_a_task_answers_goes_out_with_the_ack_as_soon_as_the_task_has_run(factory: Any, turns: int) -> None:
    """A task that begins at once, and is done at its first step, leaves nothing to wait for: no second trip."""

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        wire = Held()
        async with hosts(wire=wire) as pair:

            class Answering(Recorder):
                def data_received(self, data: bytes) -> None:
                    self.task = asyncio.get_running_loop().create_task(self.answer())

                async def answer(self) -> None:
                    self.transport.write(b"answer")

            transport, _, _ = await pair.connect(Recorder(keep_open=True), Answering(keep_open=True))
            wire.holding = True
            transport.write(b"question")
            await asyncio.sleep(0.001)
            sent = wire.sent["server"]
            pair.server.deliver(wire.kept)
            for _ in range(turns):
                assert wire.sent["server"] == sent
                await asyncio.sleep(0)
            assert wire.sent["server"] - sent == 1

    run(main())


def test_a_task_that_a_datagram_wakes_runs_before_the_next_is_given() -> None:
    async def main() -> None:
        async with hosts() as pair:
            calls: list[str] = []
            received = asyncio.Event()

            class Receiver(asyncio.DatagramProtocol):
                def datagram_received(self, data: bytes, addr: Any) -> None:
                    calls.append(data.decode())
                    received.set()

            async def live() -> None:
                while True:
                    await received.wait()
                    received.clear()
                    calls.append("task")

            task = asyncio.create_task(live())
            await pair.server.create_datagram_endpoint(Receiver, local_addr=(SERVER, 53))
            sender, _ = await pair.client.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(SERVER, 53))
            for name in "abc":
                sender.sendto(name.encode())
            await settle()
            assert calls == ["a", "task", "b", "task", "c", "task"]
            task.cancel()

    run(main())


def test_create_datagram_endpoint_returns_before_the_first_datagram_is_given() -> None:
    async def main() -> None:
        async with Host(CLIENT, send=lambda packet: None) as host:
            calls: list[str] = []

            class Receiver(asyncio.DatagramProtocol):
                def connection_made(self, transport: asyncio.BaseTransport) -> None:
                    cast(asyncio.DatagramTransport, transport).sendto(b"to myself", (CLIENT, 53))

                def datagram_received(self, data: bytes, addr: Any) -> None:
                    calls.append("datagram")

            await host.create_datagram_endpoint(Receiver, local_addr=(CLIENT, 53))
            calls.append("returned")
            await settle()
            assert calls == ["returned", "datagram"]

    run(main())


def test_what_exceeds_a_sockets_buffer_at_close_is_delivered_before_the_host_ends() -> None:
    async def main() -> None:
        async with hosts() as pair:
            sender, receiver = Recorder(), Recorder()
            transport, _, _ = await pair.connect(sender, receiver)
            transport.write(bytes(3_000_000))
            transport.close()
            assert transport.get_write_buffer_size() > 0 and "lost" not in sender.calls
            await pair.client.aclose()
            assert sender.lost is None and sender.over.done()
            assert len(receiver.data) == 3_000_000

    run(main())


def test_a_close_that_drains_is_told_the_error_when_the_peer_is_gone() -> None:
    async def main() -> None:
        async with hosts() as pair:
            sender = Recorder()
            transport, accepted, _ = await pair.connect(sender, Recorder())
            accepted.pause_reading()
            transport.write(bytes(10_000_000))
            transport.close()
            await settle()
            assert "lost" not in sender.calls
            reset(accepted)
            await settle()
            assert isinstance(sender.lost, ConnectionResetError)
            assert_nothing_left(pair.client)

    run(main())


@pytest.mark.parametrize("nobody_reads", ["paused", "end of file"])
def test_an_error_waits_for_who_reads_or_writes_next(nobody_reads: str) -> None:
    """Told at once it would take from a StreamReader what it holds and its user has not read."""

    async def main() -> None:
        async with hosts() as pair:
            receiver = Recorder(keep_open=True)
            transport, accepted, _ = await pair.connect(Recorder(keep_open=True), receiver)
            if nobody_reads == "paused":
                accepted.pause_reading()
            else:
                transport.write_eof()
                await settle(1)
            reset(transport)
            await settle()
            assert "lost" not in receiver.calls
            if nobody_reads == "paused":
                accepted.resume_reading()
            else:
                accepted.write(b"x")
                assert accepted.is_closing()
            await settle(0.001)
            assert isinstance(receiver.lost, ConnectionResetError if nobody_reads == "paused" else BrokenPipeError)

    run(main())
