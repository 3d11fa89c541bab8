"""Dialling by whatever gives a reader and a writer, as asyncio.open_connection does: SSH channels, WebSockets, TLS.

A transport is built on the two, with what a relay asks of one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from synfin.gateway.dialling import Connected, Dial, ProtocolFactory

CHUNK: Final = 64 * 1024


def over(open_connection: Callable[[str, int], Awaitable[tuple[Any, Any]]]) -> Dial:
    """A dial function by `open_connection(address, port)`, which gives a reader and a writer."""

    async def dial(factory: ProtocolFactory, address: str, port: int) -> Connected:
        reader, writer = await open_connection(address, port)
        protocol = factory()
        assert isinstance(protocol, asyncio.Protocol)
        transport = StreamTransport(reader, writer, protocol)
        return transport, protocol

    return dial


class StreamTransport(asyncio.Transport):
    """A reader and a writer as a transport."""

    def __init__(self, reader: Any, writer: Any, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._reader = reader
        self._writer = writer
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._lost = False
        self._high = CHUNK
        self._held_up = False
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._pending: deque[bytes] = deque()
        self._size = 0  # of `pending`
        self._eof = False
        self._to_write = asyncio.Event()
        protocol.connection_made(self)
        self._tasks = [self._loop.create_task(self._read()), self._loop.create_task(self._write())]

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the writer has."""
        return self._writer.get_extra_info(name, default) if hasattr(self._writer, "get_extra_info") else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what comes from now on to `protocol`."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is served now."""
        return self._protocol

    def is_closing(self) -> bool:
        """close() or abort() was called, or it has ended."""
        return self._closing

    def pause_reading(self) -> None:
        """Leave what comes in the reader."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Go on."""
        self._may_read.set()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Above `high` bytes the protocol is to pause."""
        self._high = CHUNK if high is None else high

    def get_write_buffer_size(self) -> int:
        """Bytes that the writer has not taken."""
        return self._size

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue data."""
        if self._closing or self._eof:
            return
        self._pending.append(bytes(data))
        self._size += len(data)
        self._to_write.set()
        if self._size > self._high and not self._held_up:
            self._held_up = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        """Where the writer can."""
        return bool(self._writer.can_write_eof())

    def write_eof(self) -> None:
        """Half-close, once all is out; nothing where the writer has no such thing."""
        self._eof = True
        self._to_write.set()

    def close(self) -> None:
        """What was written still goes out."""
        if not self._closing:
            self._closing = True
            self._to_write.set()

    def abort(self) -> None:
        """End without that."""
        self._closing = True
        transport = getattr(self._writer, "transport", None)
        if transport is not None:
            transport.abort()
        else:
            self._writer.close()
        self._loop.call_soon(self._lose, None)

    async def _read(self) -> None:
        try:
            while not self._closing:
                await self._may_read.wait()
                data = await self._reader.read(CHUNK)
                await self._may_read.wait()
                if self._lost or self._closing:
                    return
                if not data:
                    if not self._protocol.eof_received():
                        self.close()
                    return
                self._protocol.data_received(data)
        except (OSError, EOFError) as error:
            self._lose(error)

    async def _write(self) -> None:
        try:
            eof_sent = False
            while True:
                await self._to_write.wait()
                self._to_write.clear()
                while self._pending:
                    data = self._pending.popleft()
                    self._writer.write(data)
                    await self._writer.drain()
                    self._size -= len(data)
                    if self._held_up and self._size <= self._high // 4:
                        self._held_up = False
                        self._protocol.resume_writing()
                if self._closing:
                    self._writer.close()
                    self._lose(None)
                    return
                if self._eof and not eof_sent:
                    eof_sent = True
                    if self.can_write_eof():
                        self._writer.write_eof()
        except (OSError, EOFError) as error:
            self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = self._closing = True
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._protocol.connection_lost(error)
