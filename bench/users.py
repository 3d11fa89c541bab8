"""Who uses a connection: the same work as an asyncio.Protocol and with streams."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

CHUNK = bytes(256 * 1024)
WRITES_AT_ONCE = 64  # 16 MB, beyond every high-water mark: a transport that never pauses must not spin for ever
REQUEST_BYTES = 64  # as in load.c
ANSWER = bytes(256)


class Sink(asyncio.Protocol):
    """Counts what comes."""

    received = 0

    def data_received(self, data: bytes) -> None:
        Sink.received += len(data)


class Source(asyncio.Protocol):
    """Writes as long as it may, and counts it."""

    written = 0
    transport: asyncio.Transport
    paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.fill()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.fill()

    def fill(self) -> None:
        for _ in range(WRITES_AT_ONCE):
            if self.paused or self.transport.is_closing():
                break
            self.transport.write(CHUNK)
            Source.written += len(CHUNK)


class Answer(asyncio.Protocol):
    """Answers one request and closes."""

    transport: asyncio.Transport
    received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.received >= REQUEST_BYTES:
            self.transport.write(ANSWER)
            self.transport.close()


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Idle(asyncio.Protocol):
    """Does nothing, and counts the connections."""

    made = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Idle.made += 1


async def answer_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readexactly(REQUEST_BYTES)
        writer.write(ANSWER)
        writer.close()
        await writer.wait_closed()
    except (OSError, EOFError):
        writer.close()


async def echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def idle_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    Idle.made += 1
    with suppress(OSError):
        await reader.read()
    writer.close()


Users = tuple[type[asyncio.Protocol], Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None]
USERS: dict[str, Users] = {
    "bulk_receive": (Sink, None),
    "bulk_send": (Source, None),
    "cpu_receive": (Sink, None),
    "cpu_send": (Source, None),
    "watch_receive": (Sink, None),
    "watch_cpu": (Sink, None),
    "short_connections": (Answer, answer_stream),
    "syn_flood": (Answer, None),
    "ping_pong": (Echo, echo_stream),
    "handshakes": (Idle, None),
    "handshakes_cookies": (Idle, None),
    "memory_idle_connection": (Idle, idle_stream),
}
