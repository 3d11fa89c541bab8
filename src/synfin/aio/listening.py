"""Passive opens: which addresses a server listens on, and the server that takes what they accept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextvars import copy_context

from synfin.aio.engine import Engine
from synfin.aio.names import ANY_ADDRESS
from synfin.aio.server import ProtocolFactory, Server
from synfin.aio.socket_face import ListeningFace, socket_name
from synfin.aio.tls import TlsTerms
from synfin.stack.addresses import check_backlog, check_port, packed
from synfin.tcp.listener import Listener


def create_server(
    engine: Engine,
    protocol_factory: ProtocolFactory,
    host: str | Iterable[str] | None,
    port: int,
    backlog: int,
    terms: TlsTerms | None,
) -> Server:
    """Listen, and serve what comes in a copy of the context of this call. Raises as Host.create_server."""
    check_port(port, 0)
    check_backlog(backlog)
    hosts: list[str | None] = [host] if host is None or isinstance(host, str) else list(host)
    listeners: list[Listener] = []
    faces: list[ListeningFace] = []
    stack = engine.stack
    try:
        for entry in hosts:
            address = None if entry is None or entry in ANY_ADDRESS else entry
            listener = stack.listen(port, address, backlog)
            listeners.append(listener)
            wanted = stack.addresses if address is None else {packed(address)}
            faces += [ListeningFace(listener, socket_name(one, listener.port)) for one in sorted(wanted)]
    except BaseException:
        for listener in listeners:
            engine.close_listener(listener)
        raise

    def tls_factory() -> asyncio.BaseProtocol:
        assert terms is not None
        below: asyncio.BaseProtocol = terms.protocol(engine.loop, protocol_factory())
        return below

    factory = protocol_factory if terms is None else tls_factory
    return Server(engine, listeners, factory, copy_context(), faces)
