"""Active opens: a connection to the first address that answers, and the protocol and transport that it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, cast

from synfin.aio.engine import Engine, User
from synfin.aio.names import resolve
from synfin.aio.socket_face import socket_name
from synfin.aio.tls import TlsTerms
from synfin.aio.transport import Transport
from synfin.stack.addresses import check_port
from synfin.tcp import errors
from synfin.tcp.connection import Connection
from synfin.tcp.turn import CONNECTED, FAILED


class Waiter(User):
    """Stands in for the user of a connection until its transport is made."""

    def __init__(self, connection: Connection, future: asyncio.Future[None], what: str) -> None:
        self._connection = connection
        self._future = future
        self._what = what

    def serve(self, events: int) -> bool:
        """The handshake is done, or will never be."""
        if not self._future.done():
            error = self._connection.error
            if error:
                self._future.set_exception(errors.oserror(error, self._what))
            elif events & (CONNECTED | FAILED):
                self._future.set_result(None)
        return False

    def is_closing(self) -> bool:
        """Who gives up a connect takes it back from here."""
        return False

    def end(self, error: BaseException | None) -> None:
        """Who waits is told why."""
        if error is not None and not self._future.done():
            self._future.set_exception(error)


async def connect(engine: Engine, host: str, port: int, local_addr: tuple[str, int] | None) -> Connection:
    """The established connection, to be given to `adopt`. Raises as Host.create_connection."""
    engine.check_open()
    check_port(port, 1)
    if isinstance(local_addr, str):
        raise TypeError(f"local_addr is a pair of an address and a port, not {local_addr!r}")
    last: OSError | None = None
    try:
        for address in await resolve(engine, host, port):
            try:
                return await _connect_to(engine, address, port, local_addr)
            except OSError as error:
                last = error
        assert last is not None
        raise last
    finally:
        del last  # it holds this frame by its traceback


async def _connect_to(engine: Engine, address: bytes, port: int, local_addr: tuple[str, int] | None) -> Connection:
    local, local_port = (local_addr[0], local_addr[1]) if local_addr is not None else (None, 0)
    connection = engine.stack.connect(address, port, engine.clock(), local, local_port)
    future: asyncio.Future[None] = engine.loop.create_future()
    connection.user = Waiter(connection, future, f"connect to {socket_name(address, port)[:2]}")
    engine.driver.schedule_flush()
    try:
        await future
        if engine.driver.closed:  # between the handshake's end and this task's turn
            raise engine.closed_error()
    except BaseException:
        # Cancelled or failed: nothing is left behind, and the peer hears of it at once.
        connection.user = None
        engine.abort(connection)
        raise
    finally:
        del future  # it holds the error, and that this frame
    return connection


async def adopt(
    engine: Engine,
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    connection: Connection,
    terms: Callable[[], TlsTerms | None],
) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
    """Give a protocol and a transport to a connection that `connect` returned.

    The connection is this call's: if the terms, the factory or TLS fail, it ends.
    """
    context = copy_context()
    try:
        tls = terms()
        protocol = protocol_factory()
        done: asyncio.Future[None] = engine.loop.create_future()
        below: Any = protocol if tls is None else tls.protocol(engine.loop, protocol, done)
    except BaseException:
        engine.drop(connection)
        raise
    transport = Transport(engine, connection, below, context)
    try:
        await _begin(engine, transport)
        if tls is None:
            return transport, protocol
        await done
        return cast(asyncio.Transport, below._app_transport), protocol
    except BaseException:
        transport.abort()
        raise
    finally:
        del done  # it holds the error, and that this frame


async def _begin(engine: Engine, transport: Transport) -> None:
    """connection_made, outside of the caller's frame as asyncio does it."""
    begun: asyncio.Future[None] = engine.loop.create_future()
    engine.loop.call_soon(transport.begin, begun)
    await begun


def abort_unless_taken(engine: Engine, connection: Connection) -> None:
    """Reset a connection that `connect` returned and that nobody adopted."""
    if engine.is_open() and isinstance(connection.user, Waiter):
        engine.abort(connection)
