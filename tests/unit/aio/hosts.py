"""Hosts joined in memory, and protocols that write down what they are told."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from synfin.aio.host import Host
from synfin.aio.server import Server
from synfin.aio.transport import Transport
from synfin.tcp.config import Config

CLIENT = "10.0.0.1"
SERVER = "10.0.0.2"
PORT = 80


class Wire:
    """Carries packets between two hosts, each `delay` seconds late. `drop` decides by (sender, packet) what is lost.

    Faults come from a seed. `sent` counts packets by the sender's name.
    """

    def __init__(self, delay: float = 0.001, loss: float = 0.0, seed: int = 1) -> None:
        self.delay = delay
        self.loss = loss
        self.drop: Callable[[Host, bytes], bool] | None = None
        self.sent = {"client": 0, "server": 0}
        self.client: Host
        self.server: Host
        self._random = random.Random(seed)
        self._under_way: dict[Host, deque[bytes]] = {}

    def join(self, client: Host, server: Host) -> None:
        self.client, self.server = client, server
        self._under_way = {client: deque(), server: deque()}

    def from_client(self, packet: bytes) -> None:
        self._carry(self.client, self.server, packet)

    def from_server(self, packet: bytes) -> None:
        self._carry(self.server, self.client, packet)

    def _carry(self, sender: Host, target: Host, packet: bytes) -> None:
        self.sent[sender.name] += 1
        if self.drop is not None and self.drop(sender, packet):
            return
        if self.loss and self._random.random() < self.loss:
            return
        # The timers of a loop keep no order among equals; a wire does.
        self._under_way[target].append(packet)
        target.loop.call_later(self.delay, self._arrive, target)

    def _arrive(self, target: Host) -> None:
        packet = self._under_way[target].popleft()
        if target.is_open():
            target.receive(packet)


class Pair:
    """Two open hosts and the wire between them."""

    def __init__(self, client: Host, server: Host, wire: Wire) -> None:
        self.client = client
        self.server = server
        self.wire = wire

    async def connect(
        self, client: asyncio.BaseProtocol, server: asyncio.BaseProtocol, port: int = PORT
    ) -> tuple[Transport, Transport, Server]:
        """A connection between two protocols, whose transports are returned."""
        listening = await self.server.create_server(lambda: server, port=port)
        transport, _ = await self.client.create_connection(lambda: client, SERVER, port)
        await asyncio.sleep(2 * self.wire.delay + 0.001)
        (accepted,) = listening._transports
        return cast(Transport, transport), accepted, listening


@asynccontextmanager
async def hosts(
    client: Config | None = None, server: Config | None = None, wire: Wire | None = None
) -> AsyncIterator[Pair]:
    """A pair of hosts for the time of the block; `client` is also the server's config unless that is given."""
    wire = wire if wire is not None else Wire()
    server = server if server is not None else client
    left = Host(CLIENT, send=wire.from_client, config=client, name="client", entropy=random.Random(1).randbytes)
    right = Host(SERVER, send=wire.from_server, config=server, name="server", entropy=random.Random(2).randbytes)
    wire.join(left, right)
    async with left, right:
        yield Pair(left, right, wire)


def joined(left: str, right: str, *, send: Callable[[bytes], object] | None = None, **options: Any) -> list[Host]:
    """Two hosts, not open yet, that hand each other every packet at once; `send` is the left one's own way to send."""

    def to_right(packet: bytes) -> None:
        pair[1].receive(packet)

    def to_left(packet: bytes) -> None:
        pair[0].receive(packet)

    pair = [Host(left, send=send or to_right, **options), Host(right, send=to_left, **options)]
    return pair


def reset(transport: asyncio.BaseTransport) -> None:
    """End by RST, as a kernel's socket does after the same call."""
    face = transport.get_extra_info("socket")
    face.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    cast(asyncio.Transport, transport).abort()


class Recorder(asyncio.Protocol):
    """Writes down each call. `keep_open` is what eof_received answers."""

    def __init__(self, keep_open: bool = False) -> None:
        self.calls: list[str] = []
        self.data = bytearray()
        self.lost: BaseException | None = None
        self.transport: Transport
        self.keep_open = keep_open
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(Transport, transport)
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.calls.append("data")
        self.data += data

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append("lost")
        self.lost = exc
        self.over.set_result(exc)


class BufferedRecorder(asyncio.BufferedProtocol):
    """Lends a buffer of `size` bytes; `on_update` is called after each filling."""

    def __init__(self, size: int) -> None:
        self.buffer = bytearray(size)
        self.data = bytearray()
        self.hints: list[int] = []
        self.eof = False
        self.lost = False
        self.transport: Transport
        self.on_update: Callable[[], Any] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(Transport, transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        self.hints.append(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]
        self.on_update()

    def eof_received(self) -> None:
        self.eof = True

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost = True


def what_is_left(host: Host, *but: str) -> dict[str, int]:
    """Tables of the host's stack that are not empty, but those named: "time_wait" (with its timers), "listeners"."""
    left = {table: count for table, count in host.stack.census().items() if count and table not in but}
    if "time_wait" in but:
        left.pop("timers", None)
    return left


def assert_nothing_left(host: Host, *but: str) -> None:
    """Every table of the host's stack is empty but those named."""
    assert not what_is_left(host, *but), host.stack.census()


async def nothing_left(host: Host, *but: str) -> None:
    """It comes to that, however late a busy machine makes the packets that are under way."""
    async with asyncio.timeout(30):
        while what_is_left(host, *but):  # noqa: ASYNC110 (a stack tells nobody that a table is empty)
            await asyncio.sleep(0.01)
