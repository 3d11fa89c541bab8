"""Passive opens: which addresses a server listens on, and the server that takes what they accept."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable
from contextvars import copy_context
from typing import Any, Final

from synfin.aio import given
from synfin.aio.engine import Engine
from synfin.aio.names import Wanted, Where, resolve
from synfin.aio.server import ProtocolFactory, Server
from synfin.aio.socket_face import ListeningFace, socket_name
from synfin.aio.tls import TlsTerms
from synfin.stack.addresses import check_backlog
from synfin.tcp.listener import Listener

EVERY_PORT: Final = "*"
_EVERY: Final = -1  # the same, as a number


async def places(engine: Engine, host: Any, port: Any, wanted: Wanted) -> list[Where]:
    """Where create_server is to listen, each place once. port "*": each that has no listener of its own.

    Raises as Host.create_server.
    """
    if host is None and port is None:
        raise ValueError("Neither host/port nor sock were specified")
    if host is None or isinstance(host, str) or not isinstance(host, Iterable):
        host = [host]
    every = port == EVERY_PORT
    found = await resolve(engine, list(host), 0 if every else port, wanted)
    if every:
        found = [Where(address, _EVERY) for address, _ in found]
    if not found:
        raise OSError(f"could not bind on any address out of {host!r}")
    return found


def hold(engine: Engine, found: list[Where], backlog: int) -> dict[Listener, ListeningFace]:
    """Hold the places found, each with a face. Raises as Host.create_server."""
    listeners = _listen_on(engine, found, backlog)
    config = engine.stack.config
    return {one: ListeningFace([one], socket_name(one.address, one.port), config) for one in listeners}


def take_over(engine: Engine, sock: socket.socket, backlog: int) -> tuple[list[Listener], ListeningFace]:
    """Hold the places where a socket of the kernel hears, which does so no more; one face with its options for all.

    Raises OSError: EADDRINUSE, EADDRNOTAVAIL.
    """
    families = {len(address) for address in engine.stack.addresses}
    try:
        listeners = _listen_on(engine, given.places(sock, families), backlog)
    except OSError as refused:
        why = f"{sock!r} is bound where {engine!r} can't take its place: {refused.strerror}"
        raise OSError(refused.errno, why) from None
    face = ListeningFace(listeners, socket_name(given.place(sock).address, listeners[0].port), engine.stack.config)
    given.hand_on_options(sock, face)
    given.listen_no_more(sock)
    return listeners, face


def create_server(
    engine: Engine,
    protocol_factory: ProtocolFactory,
    faces: dict[Listener, ListeningFace],
    terms: TlsTerms | None,
    on_close: Callable[[], None] | None = None,
) -> Server:
    """A server that does not serve yet. What comes is served in a copy of the context of this call."""

    def tls_factory() -> asyncio.BaseProtocol:
        assert terms is not None
        below: asyncio.BaseProtocol = terms.protocol(engine.loop, protocol_factory())
        return below

    return Server(engine, faces, protocol_factory if terms is None else tls_factory, copy_context(), on_close)


def _listen_on(engine: Engine, found: list[Where], backlog: int) -> list[Listener]:
    """All of the places, or none."""
    engine.check_open()
    check_backlog(backlog or 1)
    listeners: list[Listener] = []
    try:
        for where in found:
            listeners.append(_listen(engine, where, listeners[0].port if listeners else 0, backlog or 1))
    except BaseException:
        for listener in listeners:
            engine.close_listener(listener)
        raise
    return listeners


def _listen(engine: Engine, where: Where, chosen: int, backlog: int) -> Listener:
    """Hold one place. Where any port will do, the one that was `chosen` for the first place, if it is free."""
    if where.port == _EVERY:
        return engine.stack.listen_everywhere(where.address, backlog)
    if where.port == 0 and chosen:
        try:
            return engine.stack.listen(chosen, where.address, backlog)
        except OSError as taken:
            if taken.errno != errno.EADDRINUSE:
                raise
    return engine.stack.listen(where.port, where.address, backlog)
