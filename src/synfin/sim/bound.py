"""Sockets that a simulated program binds: where, and that they listen, is noted here, and no kernel hears of it.

A loop's calls take such a socket over (`synfin.aio.socket_calls`); what they ask it, its name and whether it listens,
is answered as by a kernel of the host that the program is on. Nothing is held until they do: a port may be taken then.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, Final
from weakref import WeakKeyDictionary

from synfin.aio.given import is_tcp
from synfin.aio.socket_options import ACCEPTCONN
from synfin.sim.errors import SimulationEscape
from synfin.sim.escapes import refuse_socket
from synfin.sim.life import living
from synfin.sim.threads import is_inside
from synfin.stack.addresses import is_any, packed

_LISTENS: Final = (1).to_bytes(4, "little")


class _Place:
    """Of one socket."""

    __slots__ = ("listens", "name")

    def __init__(self, name: Any) -> None:
        self.name = name
        self.listens = False


_PLACES: Final[WeakKeyDictionary[socket.socket, _Place]] = WeakKeyDictionary()
_bind, _listen = socket.socket.bind, socket.socket.listen
_accept, _getsockname, _getsockopt = socket.socket.accept, socket.socket.getsockname, socket.socket.getsockopt


def changes() -> tuple[tuple[Any, dict[str, Any]], ...]:
    """What is replaced: owner, names and values. Threads that are not of a simulation keep the real thing."""
    return _CHANGES


def _place_of(sock: socket.socket) -> _Place | None:
    return _PLACES.get(sock) if sock.fileno() >= 0 else None


def bind(sock: socket.socket, address: Any) -> None:
    """As a socket's, to one of the host's addresses; a name is one of the simulation's."""
    if not is_inside():
        return _bind(sock, address)
    _note(sock, "bind", address)
    return None


def listen(sock: socket.socket, backlog: int = socket.SOMAXCONN) -> None:
    """As a socket's. Nobody is let in yet: how many may wait is said by who takes it over."""
    if not is_inside():
        return _listen(sock, backlog)
    place = _place_of(sock)
    if place is None:
        place = _note(sock, "listen", ("", 0))
    place.listens = True
    return None


def accept(sock: socket.socket) -> tuple[socket.socket, Any]:
    """An escape: who waits so waits for the kernel."""
    if not is_inside() or sock.fileno() < 0:
        return _accept(sock)
    raise refuse_socket(sock, "accept")


def getsockname(sock: socket.socket) -> Any:
    """As a socket's."""
    place = _place_of(sock)
    return _getsockname(sock) if place is None else place.name


def getsockopt(sock: socket.socket, level: int, option: int, *size: int) -> Any:
    """As a socket's."""
    place = _place_of(sock)
    if place is None or not place.listens or (level, option) != (socket.SOL_SOCKET, ACCEPTCONN):
        return _getsockopt(sock, level, option, *size)
    return _LISTENS[: size[0]] if size else 1


def _note(sock: socket.socket, what: str, address: Any) -> _Place:
    """The host lets it have the place. Raises what a socket's bind() does."""
    if sock.fileno() < 0:
        raise _error(errno.EBADF)
    if not is_tcp(sock):
        raise refuse_socket(sock, what)
    try:
        host = living(what)
    except SimulationEscape:
        raise refuse_socket(sock, what) from None
    if sock in _PLACES:
        raise _error(errno.EINVAL)
    name, port = address[:2]
    if not 0 <= port <= 65535:
        raise OverflowError("bind(): port must be 0-65535.")
    where = socket.getaddrinfo(name or None, port, sock.family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)[0][4]
    near = packed(str(where[0]))
    if not is_any(near) and near not in host.stack.addresses:
        raise _error(errno.EADDRNOTAVAIL)
    engine = host.engine
    listener = engine.stack.listen(port, near, 1)  # it is free, or one that is
    engine.close_listener(listener)
    place = _PLACES[sock] = _Place((where[0], listener.port, *where[2:]))
    return place


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


_CHANGES: Final = ((socket.socket, {by.__name__: by for by in (bind, listen, accept, getsockname, getsockopt)}),)
