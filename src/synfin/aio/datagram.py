"""A UDP port as an asyncio.DatagramTransport: opening one, and the transport."""

from __future__ import annotations

import asyncio
import socket
from asyncio import transports
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, cast

from synfin.aio.engine import Engine
from synfin.aio.names import Wanted, Where, pair, resolve
from synfin.aio.socket_face import DatagramFace, socket_name
from synfin.aio.users import User
from synfin.stack.addresses import MAPPED, check_port, packed
from synfin.stack.admission import unreachable
from synfin.stack.datagrams import DatagramPort
from synfin.tcp import errors


def _target(addr: Any) -> tuple[bytes, int]:
    """Who is sent to. Raises TypeError or ValueError for what is no address."""
    host, port = pair(addr, "an address")
    check_port(port, 1)
    address = packed(str(host))
    return (address[len(MAPPED) :] if address.startswith(MAPPED) else address), port


class DatagramTransport(transports._FlowControlMixin, asyncio.Transport, asyncio.DatagramTransport, User):
    """Made by `create_datagram_endpoint`. As asyncio's own it is an asyncio.Transport, which can't write()."""

    if TYPE_CHECKING:  # _FlowControlMixin has it; typeshed does not say so
        _loop: asyncio.AbstractEventLoop

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
        self._face = DatagramFace(port, engine.stack.config)
        super().__init__(extra | {"socket": self._face}, engine.loop)
        self._engine = engine
        self._port = port
        self._protocol = protocol
        self._context = context
        self._closing = False
        self._reading = False
        self._paused = False
        engine.hold_port(port, self)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is served."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what comes from now on to `protocol`."""
        self._protocol = cast(asyncio.DatagramProtocol, protocol)

    def is_closing(self) -> bool:
        """close() or abort() was called."""
        return self._closing

    def is_reading(self) -> bool:
        """What comes is passed to the protocol."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Leave what comes in the port's queue; what exceeds it is lost."""
        if not self._closing:
            self._paused = True

    def resume_reading(self) -> None:
        """Pass on what has come meanwhile, from the next turn on."""
        if self._paused and not self._closing:
            self._paused = False
            self._remind()

    def get_write_buffer_size(self) -> int:
        """0: what is sent is the link's at once."""
        return 0

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send one datagram. Errors go to protocol.error_received, as in asyncio; bad arguments raise here."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        remote = self._port.remote
        if remote is not None:
            if addr is not None and _target(addr) != remote:
                raise ValueError(f"Invalid address: must be None or {self.get_extra_info('peername')}")
        else:
            if addr is None:
                raise ValueError("this endpoint has no remote address: sendto() needs one")
            remote = _target(addr)
        if self._closing:
            return
        try:
            self._port.send(bytes(data), *remote)
        except OSError as error:
            self._loop.call_soon(self._call, self._protocol.error_received, error, context=self._context.copy())
            return
        self._engine.driver.schedule_flush()

    def unreachable(self, code: int) -> None:
        """Tell a flow's sender, by the ICMP error that is errno `code` to him, that his datagrams arrive nowhere.

        Raises ValueError for an errno that ICMP has no words for, RuntimeError for an endpoint that is no flow.
        """
        unreachable(code)
        if not self._port.flow:
            raise RuntimeError(f"{self!r} is no flow: nobody is to be told")
        if not self._closing:
            stack = self._engine.stack
            stack.unreachable(code, self._port.quote(), self._engine.clock())
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
        self._face.close()
        self._protocol = None  # type: ignore[assignment]  # as asyncio's: which may hold this transport

    def begin(self, begun: asyncio.Future[None] | None = None) -> None:
        """connection_made. Who waits for it runs before anything else is told."""
        self._context.run(self._call, self._protocol.connection_made, self)
        if begun is not None and not begun.done():
            begun.set_result(None)
        self._loop.call_soon(self._start_reading)

    def _start_reading(self) -> None:
        if self._closing:
            return
        self._reading = True
        self._remind()

    def _remind(self) -> None:
        """Ask for a turn with all that has come."""
        self._port.remind()
        if self._port.waiting:
            self._engine.driver.schedule_serve()

    def end(self, error: BaseException | None) -> None:
        """Its host ends: the same as abort()."""
        self.abort()

    def serve(self, events: int) -> bool:
        """Give one thing of what has come to the protocol."""
        port = self._port
        self._face.refresh()
        if self._paused or self._closing or not self._reading:
            return False
        if port.errors:
            error = errors.oserror(port.errors.popleft())
            self._context.run(self._call, self._protocol.error_received, error)
        elif port.received:
            data, address, number = port.take()
            if len(address) < len(port.address):
                address = MAPPED + address
            self._context.run(self._call, self._protocol.datagram_received, data, socket_name(address, number))
        self._face.refresh()
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


async def places(engine: Engine, local_addr: Any, remote_addr: Any, wanted: Wanted) -> list[tuple[Where, Where | None]]:
    """Where an endpoint may be and whom it may talk to, family by family. Raises as Host.create_datagram_endpoint."""
    found: dict[int, list[Where | None]] = {}  # by the bytes of an address
    for index, given in enumerate((local_addr, remote_addr)):
        if given is None:
            continue
        if not isinstance(given, tuple) or len(given) != 2:
            raise TypeError("2-tuple is expected")
        for where in await resolve(engine, *given, wanted if index else wanted.to_bind()):
            found.setdefault(len(where.address), [None, None])[index] = where
    if not found and wanted.family == 0:
        raise ValueError("unexpected address family")
    if not found:
        return [(Where(bytes(16 if wanted.family == socket.AF_INET6 else 4), 0), None)]
    pairs: list[tuple[Where, Where | None]] = []
    for length, (local, remote) in found.items():
        if (local_addr is not None and local is None) or (remote_addr is not None and remote is None):
            continue
        pairs.append((local if local is not None else Where(bytes(length), 0), remote))
    if not pairs:
        raise ValueError("can not get address information")
    if remote_addr is None and not local_addr[0]:
        pairs.reverse()  # of the two wildcards, IPv6's hears both families
    return pairs


def _open(engine: Engine, pairs: list[tuple[Where, Where | None]]) -> DatagramPort:
    """The first of the pairs that can be had."""
    failed: list[OSError] = []
    for local, remote in pairs:
        try:
            return engine.stack.open_datagrams(local.address, local.port, remote)
        except OSError as error:
            failed.append(error)
    raise failed[0]


async def create_datagram_endpoint(
    engine: Engine,
    protocol_factory: Callable[[], asyncio.DatagramProtocol],
    pairs: list[tuple[Where, Where | None]],
) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
    """Open a port, and begin its protocol."""
    engine.check_open()
    opened = _open(engine, pairs)
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
