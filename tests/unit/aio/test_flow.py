"""Bytes: bounded while a reader is slow, exact while everything else is chaos."""

from __future__ import annotations

import asyncio
import random
from hashlib import blake2b

from synfin.tcp.config import Config
from tests.unit.aio.hosts import PORT, SERVER, Recorder, Wire, hosts, reset
from tests.unit.aio.virtual import run, settle

STREAMS = 1000


def test_a_slow_reader_stalls_its_sender_at_a_bounded_number_of_bytes_and_loses_none() -> None:
    async def main() -> None:
        config = Config()
        async with hosts(config) as pair:
            receiver = Recorder()
            taken = 0
            digest = blake2b()
            server = await pair.server.create_server(lambda: receiver, port=PORT)
            _, writer = await pair.client.open_connection(SERVER, PORT)
            await settle()
            (accepted,) = server._transports
            accepted.pause_reading()
            draw = random.Random(3)

            async def send() -> None:
                nonlocal taken
                for _ in range(100):
                    piece = draw.randbytes(65_536)
                    digest.update(piece)
                    writer.write(piece)
                    taken += len(piece)
                    await writer.drain()
                writer.close()

            task = asyncio.create_task(send())
            await settle(60)
            stalled = taken
            high_water = 65_536 * 2  # one write may go beyond it
            assert stalled <= config.send_buffer_max + config.receive_buffer + high_water
            await settle(1000)
            assert taken == stalled, "it stands still until somebody reads"
            assert not receiver.data
            accepted.resume_reading()
            await task
            await settle(60)
            assert len(receiver.data) == 100 * 65_536
            assert blake2b(receiver.data).digest() == digest.digest()

    run(main())


def test_a_stream_reader_that_does_not_read_holds_little_more_than_its_limit() -> None:
    async def main() -> None:
        async with hosts() as pair:
            readers: list[asyncio.StreamReader] = []

            async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                readers.append(reader)
                await asyncio.sleep(100)
                assert len(await reader.readexactly(5_000_000)) == 5_000_000
                writer.close()

            await pair.server.start_server(handler, port=PORT, limit=10_000)
            _, writer = await pair.client.open_connection(SERVER, PORT)
            writer.write(bytes(5_000_000))
            await settle(50)
            assert len(readers[0]._buffer) <= 2 * 10_000 + 65_536  # type: ignore[attr-defined]
            await settle(200)

    run(main())


class Chaos(Recorder):
    """Sends its own bytes in pieces of random sizes, pauses, half-closes, and perhaps aborts."""

    def __init__(self, seed: int) -> None:
        super().__init__(keep_open=True)
        self.draw = random.Random(seed)
        self.payload = self.draw.randbytes(self.draw.randrange(12_000))
        self.will_abort = self.draw.random() < 0.2
        self.aborted = False
        self.ended = asyncio.get_running_loop().create_future()
        self.sent = 0
        self.free = asyncio.Event()
        self.free.set()
        self.task: asyncio.Task[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.task = asyncio.get_running_loop().create_task(self.live())

    def pause_writing(self) -> None:
        self.free.clear()

    def resume_writing(self) -> None:
        self.free.set()

    def eof_received(self) -> bool:
        self.ended.set_result(None)
        return super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self.free.set()

    async def live(self) -> None:
        draw = self.draw
        stop_at = draw.randrange(len(self.payload) + 1) if self.will_abort else len(self.payload)
        while self.sent < stop_at and not self.over.done():
            await self.free.wait()
            size = min(draw.randrange(1, 6000), stop_at - self.sent)
            self.transport.write(self.payload[self.sent : self.sent + size])
            self.sent += size
            if draw.random() < 0.3:
                self.transport.pause_reading()
                await asyncio.sleep(draw.random() * 0.05)
                self.transport.resume_reading()
            if draw.random() < 0.3:
                await asyncio.sleep(draw.random() * 0.05)
        if self.will_abort:
            self.aborted = True
            if not self.over.done():
                reset(self.transport)
        elif not self.over.done():
            self.transport.write_eof()
            await asyncio.wait([self.over, self.ended], return_when=asyncio.FIRST_COMPLETED)
            self.transport.close()
        await self.over


def test_a_thousand_streams_with_pauses_half_closes_and_aborts_deliver_exactly_their_bytes() -> None:
    async def main() -> None:
        # The link may lose a RST: then keep-alive finds out that the peer is gone.
        config = Config(
            receive_buffer=8192,
            receive_buffer_max=16384,
            send_buffer=8192,
            send_buffer_max=16384,
            keepalive_idle_us=5_000_000,
            keepalive_interval_us=1_000_000,
        )
        async with hosts(config, wire=Wire(delay=0.005, loss=0.01)) as pair:
            servers: dict[tuple[str, int], Chaos] = {}

            class Accepted(Chaos):
                def connection_made(self, transport: asyncio.BaseTransport) -> None:
                    super().connection_made(transport)
                    servers[transport.get_extra_info("peername")] = self

            seeds = iter(range(10_000, 20_000))
            await pair.server.create_server(lambda: Accepted(next(seeds)), port=PORT, backlog=STREAMS)

            async def one(seed: int) -> tuple[Chaos, Chaos | None]:
                client = Chaos(seed)
                transport, _ = await pair.client.create_connection(lambda: client, SERVER, PORT)
                await client.task
                await asyncio.sleep(30)
                return client, servers.get(transport.get_extra_info("sockname"))

            met = await asyncio.gather(*(one(seed) for seed in range(STREAMS)))
            whole = 0
            for client, server in met:
                if server is None:  # the client aborted before its ACK had arrived
                    assert client.aborted
                    continue
                await server.task
                for sender, receiver in ((client, server), (server, client)):
                    assert sender.payload[: len(receiver.data)] == receiver.data, "not a prefix"
                    if not client.aborted and not server.aborted:
                        assert receiver.data == sender.payload
                        assert receiver.ended.done() and receiver.lost is None
                        whole += 1
                    elif receiver.ended.done():
                        assert receiver.data == sender.payload and not sender.aborted, "end of file told of a lie"
                if client.aborted is not server.aborted:
                    assert isinstance((server if client.aborted else client).lost, ConnectionResetError)
            assert whole > STREAMS // 2

    run(main())


def test_both_directions_flow_at_the_same_time() -> None:
    async def main() -> None:
        async with hosts() as pair:
            left, right = Recorder(keep_open=True), Recorder(keep_open=True)
            one, two, _ = await pair.connect(left, right)
            data = random.Random(8).randbytes(2_000_000)
            for transport in (one, two):
                transport.write(data)
                transport.write_eof()
            await settle(30)
            assert left.data == data == right.data

    run(main())
