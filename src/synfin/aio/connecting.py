"""Active opens: a connection to the first address that answers, and the protocol and transport that it is given."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, NamedTuple, cast

from synfin.aio.engine import Engine
from synfin.aio.held import HeldConnection
from synfin.aio.names import Wanted, Where, interleave, pair, resolve
from synfin.aio.socket_face import SocketFace, socket_name
from synfin.aio.tls import TlsTerms
from synfin.aio.transport import Transport
from synfin.aio.users import User
from synfin.stack.addresses import check_port, is_any
from synfin.tcp import errors
from synfin.tcp.connection import Connection
from synfin.tcp.turn import CONNECTED, FAILED


class Route(NamedTuple):
    """One way to connect: where to, and from which places; None: from any."""

    where: Where
    near: list[Where] | None


class Waiter(User):
    """Stands in for the user of a connection until its transport is made."""

    def __init__(self, connection: Connection, future: asyncio.Future[None], where: Where) -> None:
        self._connection = connection
        self._future = future
        self._where = where

    def serve(self, events: int) -> bool:
        """The handshake is done, or will never be."""
        if not self._future.done():
            error = self._connection.error
            if error:
                what = f"connect to {socket_name(self._where.address, self._where.port)[:2]}"
                self._future.set_exception(errors.oserror(error, what))
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


async def routes_to(
    engine: Engine, host: Any, port: Any, wanted: Wanted, local_addr: Any, interleaved: int | None
) -> list[Route]:
    """The ways to connect, in the order in which they are to be tried. Raises as Host.create_connection."""
    if host is None and port is None:
        raise ValueError("host and port was not specified and no sock specified")
    found = await resolve(engine, host, port, wanted)
    for where in found:
        check_port(where.port, 1)
    if interleaved:
        found = interleave(found, interleaved)
    if local_addr is None:
        return [Route(where, None) for where in found]
    near = await resolve(engine, *pair(local_addr, "local_addr"), wanted.to_bind())
    return [Route(where, [one for one in near if len(one.address) == len(where.address)]) for where in found]


def check_pace(delay: object, interleaved: object) -> None:
    """Raise TypeError or ValueError for what is no happy_eyeballs_delay or no interleave."""
    if delay is not None:
        if isinstance(delay, bool) or not isinstance(delay, (int, float)):
            raise TypeError(f"happy_eyeballs_delay is a number of seconds, not {type(delay).__name__}")
        if not delay >= 0:
            raise ValueError(f"happy_eyeballs_delay is at least 0, not {delay}")
    if interleaved is not None:
        if not isinstance(interleaved, int):
            raise TypeError(f"interleave is an int, not {type(interleaved).__name__}")
        if interleaved < 0:
            raise ValueError(f"interleave is at least 0, not {interleaved}")


async def connect(engine: Engine, routes: list[Route], delay: float | None, all_errors: bool) -> Connection:
    """The established connection, to be given to `adopt`: by the first route that leads to one.

    delay: after this many seconds without an answer the next route is tried beside it (RFC 8305 5); None: one after the
    other. Raises the OSError of a route, or one that tells of them all; with `all_errors` a group of them.
    """
    engine.check_open()
    failed: list[OSError] = []
    if delay is None:
        for route in routes:
            try:
                return await _connect_by(engine, route)
            except OSError as error:
                failed.append(error)
    else:
        connection = await _race(engine, routes, delay, failed)
        if connection is not None:
            return connection
    try:
        raise _summary(failed, all_errors)
    finally:
        failed.clear()  # an error that knows this frame, and is known by it, would be a cycle


def _summary(failed: list[OSError], all_errors: bool) -> Exception:
    """One error for all, as asyncio's; if they are of one kind, so is it."""
    if not failed:
        return OSError("getaddrinfo() returned empty list")
    if all_errors:
        return ExceptionGroup("create_connection failed", failed)
    texts = list(dict.fromkeys(str(error) for error in failed))
    if len(texts) == 1:
        return failed[0]
    together = f"Multiple exceptions: {', '.join(texts)}"
    code = failed[0].errno
    if code is not None and all(error.errno == code for error in failed):
        return OSError(code, together)
    return OSError(together)


async def _race(engine: Engine, routes: list[Route], delay: float, failed: list[OSError]) -> Connection | None:
    """The first that is established; None: all have failed. The others are given up."""
    waiting = deque(routes)
    running: list[asyncio.Task[Connection]] = []
    try:
        while waiting or running:
            if waiting:
                running.append(engine.loop.create_task(_connect_by(engine, waiting.popleft())))
            timeout = delay if waiting else None
            done, _ = await asyncio.wait(running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task in done]:
                running.remove(task)
                error = task.exception()
                if error is None:
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                failed.append(error)
        return None
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(lambda loser: _give_up(engine, loser))


def _give_up(engine: Engine, loser: asyncio.Task[Connection]) -> None:
    """Another route was faster: what this one leads to is nobody's."""
    if not loser.cancelled() and loser.exception() is None:
        engine.abort(loser.result())


async def connect_held(
    engine: Engine, where: Where, near: Where, prepare: Callable[[SocketFace], None]
) -> HeldConnection:
    """The established connection, in nobody's hands but a socket's. near: the unspecified address and port 0 are any.

    prepare: called before the SYN goes out, to set what holds from then on.
    """
    engine.check_open()
    check_port(where.port, 1)
    made: list[SocketFace] = []

    def with_face(connection: Connection) -> None:
        made.append(SocketFace(connection, engine.clock, engine.driver.schedule_serve))
        prepare(made[0])

    route = Route(where, [near] if near.port or not is_any(near.address) else None)
    connection = await _connect_by(engine, route, with_face)
    return HeldConnection(engine, connection, made[0])


async def _connect_by(engine: Engine, route: Route, prepare: Callable[[Connection], None] | None = None) -> Connection:
    connection = _open(engine, route)
    if prepare is not None:
        prepare(connection)
    future: asyncio.Future[None] = engine.loop.create_future()
    connection.user = Waiter(connection, future, route.where)
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


def _open(engine: Engine, route: Route) -> Connection:
    """Active open from the first of the local places that is free."""
    address, port = route.where
    if route.near is None:
        return engine.stack.connect(address, port, engine.clock())
    why = [OSError(f"no matching local address for {socket_name(address, port)[:2]} found")]
    for local, local_port in route.near:
        try:
            return engine.stack.connect(address, port, engine.clock(), None if is_any(local) else local, local_port)
        except OSError as error:
            why.append(error)
    raise why.pop()


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
    return await _start(engine, transport, protocol, tls is not None, done)


async def adopt_held(
    engine: Engine,
    held: HeldConnection,
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    tls: TlsTerms | None,
    on_end: Callable[[Transport], None],
    taken: Callable[[Transport], None],
) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
    """The same for one that a socket stands for, with what was set on it. taken: it is the transport's from now on.

    Fails the factory, it stays the socket's.
    """
    context = copy_context()
    protocol = protocol_factory()
    done: asyncio.Future[None] = engine.loop.create_future()
    below: Any = protocol if tls is None else tls.protocol(engine.loop, protocol, done)
    transport = Transport(engine, held.give_away(), below, context, on_end, held.face)
    taken(transport)
    return await _start(engine, transport, protocol, tls is not None, done)


async def _start(
    engine: Engine, transport: Transport, protocol: asyncio.BaseProtocol, encrypted: bool, done: asyncio.Future[None]
) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
    """connection_made, and the handshake of TLS, whose end `done` tells."""
    below: Any = transport.get_protocol()
    try:
        await _begin(engine, transport)
        if not encrypted:
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
