"""A UDP port as an asyncio.DatagramTransport: opening one, and the transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from synfin.aio.engine import Engine, User
from synfin.aio.names import ANY_ADDRESS, resolve
from synfin.aio.socket_face import socket_name
from synfin.stack.addresses import check_port, packed
from synfin.stack.datagrams import DatagramPort
from synfin.tcp import errors


class DatagramTransport(asyncio.DatagramTransport, User):
    """Made by `create_datagram_endpoint`."""

    def __init__(
        self,
        engine: Engine,
        port: DatagramPort,
        protocol: asyncio.DatagramProtocol,
        context: Context,
    ) -> None:
        extra: dict[str, Any] = {"sockname": socket_name(port.address, port.port)}
        if port.remote is not None:
            extra["peername"] = socket_name(*port.remote)
        super().__init__(extra)
        self._loop = engine.loop
        self._engine = engine
        self._port = port
        self._protocol = protocol
        self._context = context
        self._closing = False
        self._reading = False
        engine.hold_port(port, self)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is served."""
        return self._protocol

    def is_closing(self) -> bool:
        """close() or abort() was called."""
        return self._closing

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send one datagram. Errors go to protocol.error_received, as in asyncio; bad arguments raise here."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        remote = self._port.remote
        if remote is not None:
            if addr is not None and (packed(str(addr[0])), addr[1]) != remote:
                raise ValueError(f"Invalid address: must be None or {self.get_extra_info('peername')}")
        else:
            if addr is None:
                raise ValueError("this endpoint has no remote address: sendto() needs one")
            remote = (packed(str(addr[0])), addr[1])
            check_port(remote[1], 1)
        if self._closing:
            return
        try:
            self._port.send(bytes(data), *remote)
        except OSError as error:
            self._loop.call_soon(self._call, self._protocol.error_received, error, context=self._context.copy())
            return
        self._engine.driver.schedule_flush()

    def close(self) -> None:
        """Give the port back; connection_lost(None) at the next turn. What was sent is on its way."""
        self.abort()

    def abort(self) -> None:
        """The same."""
        if self._closing:
            return
        self._closing = True
        self._engine.close_port(self._port)
        self._loop.call_soon(self._tell_lost, context=self._context.copy())

    def _tell_lost(self) -> None:
        self._call(self._protocol.connection_lost, None)
        self._protocol = None  # type: ignore[assignment]  # as asyncio's: which may hold this transport

    def begin(self, begun: asyncio.Future[None]) -> None:
        """connection_made. Who waits for it runs before anything else is told."""
        self._context.run(self._call, self._protocol.connection_made, self)
        if not begun.done():
            begun.set_result(None)
        self._loop.call_soon(self._start_reading)

    def _start_reading(self) -> None:
        if self._closing:
            return
        self._reading = True
        self._port.remind()
        if self._port.waiting:
            self._engine.driver.schedule_serve()

    def end(self, error: BaseException | None) -> None:
        """Its host ends: the same as abort()."""
        self.abort()

    def serve(self, events: int) -> bool:
        """Give one thing of what has come to the protocol."""
        port = self._port
        if self._closing or not self._reading:
            return False
        if port.errors:
            error = errors.oserror(port.errors.popleft())
            self._context.run(self._call, self._protocol.error_received, error)
        elif port.received:
            data, address, number = port.received.popleft()
            self._context.run(self._call, self._protocol.datagram_received, data, socket_name(address, number))
        return bool(port.errors or port.received) and not self._closing

    def _call(self, callback: Callable[..., object], *args: object) -> None:
        try:
            callback(*args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as problem:
            # As in asyncio, whose loop makes these calls: reported, and the endpoint goes on.
            name = f"{type(self._protocol).__name__}.{getattr(callback, '__name__', callback)}"
            self._loop.call_exception_handler({"message": f"Exception in callback {name}()", "exception": problem})


async def create_datagram_endpoint(
    engine: Engine,
    protocol_factory: Callable[[], asyncio.DatagramProtocol],
    local_addr: tuple[str, int] | None,
    remote_addr: tuple[str, int] | None,
) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
    """Open a port, and begin its protocol. Raises as Host.create_datagram_endpoint."""
    local, port = (None, 0) if local_addr is None else (local_addr[0] or None, local_addr[1])
    if local in ANY_ADDRESS:
        local = None
    remote: tuple[bytes, int] | None = None
    if remote_addr is not None:
        remote = ((await resolve(engine, remote_addr[0], remote_addr[1]))[0], remote_addr[1])
    opened = engine.stack.open_datagrams(local, port, remote)
    try:
        protocol = protocol_factory()
    except BaseException:
        engine.stack.close_datagrams(opened)
        raise
    transport = DatagramTransport(engine, opened, protocol, copy_context())
    begun: asyncio.Future[None] = engine.loop.create_future()
    engine.loop.call_soon(transport.begin, begun)
    await begun
    return transport, protocol
