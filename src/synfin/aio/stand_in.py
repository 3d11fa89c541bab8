"""Kernel sockets in whose place something of a Host's answers.

A library that made a socket goes on using it: its names, options, descriptor, recv(), send(), accept() and close() are
from then on those of what stands behind it. Python lets an object change its class where the new one adds nothing; so
it stays the same object, and an instance of what it was before.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
from collections.abc import Callable
from typing import Any, Final, cast
from weakref import WeakKeyDictionary, finalize

from synfin.aio.held import Held

_BEHIND: WeakKeyDictionary[socket.socket, Held] = WeakKeyDictionary()
_OF_THE_FACE: Final = ("getsockname", "getpeername", "getsockopt", "setsockopt", "fileno", "shutdown")
_OF_THE_HELD: Final = ("recv", "recv_into", "send")
_IMPOSSIBLE: Final = (
    "bind connect connect_ex detach dup listen recvfrom recvfrom_into recvmsg recvmsg_into sendall sendfile sendmsg "
    "sendto set_inheritable share"
).split()


class StandIn:
    """A socket with something behind it; once closed, a closed socket like any other."""

    __slots__ = ()

    def close(self: Any) -> None:
        """Close the socket, and what is behind it."""
        held = _BEHIND.pop(self, None)
        super().close()  # type: ignore[misc]
        if held is not None:
            held.let_go()

    def accept(self: Any) -> tuple[socket.socket, Any]:
        """As a socket's: one with the next connection behind it, and its peer's address."""
        held = _BEHIND.get(self)
        if held is None:
            return super().accept()  # type: ignore[misc, no-any-return]
        connection = held.accept()
        return stand_in(socket.socket(self.family), connection), connection.face.getpeername()


def _passed_on(name: str, to: Callable[[Held], object]) -> Callable[..., Any]:
    def method(self: Any, *arguments: Any) -> Any:
        held = _BEHIND.get(self)
        whose = super(StandIn, self) if held is None else to(held)
        return getattr(whose, name)(*arguments)

    method.__name__ = name
    return method


def _refused(name: str) -> Callable[..., Any]:
    def method(self: Any, *arguments: Any) -> Any:
        held = _BEHIND.get(self)
        if held is None:
            return getattr(super(StandIn, self), name)(*arguments)
        if name in ("connect", "connect_ex"):
            raise OSError(errno.EISCONN, os.strerror(errno.EISCONN))
        raise OSError(errno.EOPNOTSUPP, f"{name}(): {held.face!r} is behind this socket, nothing of the kernel's")

    method.__name__ = name
    return method


for _name in _OF_THE_FACE:
    setattr(StandIn, _name, _passed_on(_name, lambda held: held.face))
for _name in _OF_THE_HELD:
    setattr(StandIn, _name, _passed_on(_name, lambda held: held))
for _name in _IMPOSSIBLE:
    setattr(StandIn, _name, _refused(_name))


@functools.cache
def _class_for(kind: type) -> type:
    return type(kind.__name__, (StandIn, kind), {"__slots__": (), "__module__": kind.__module__})


def stand_in(sock: socket.socket, held: Held) -> socket.socket:
    """Put `held` behind a socket, which ends it when it is closed or forgotten.

    TypeError, and `held` is closed: it is no socket of Python's.
    """
    if not isinstance(sock, StandIn):
        try:
            sock.__class__ = _class_for(type(sock))  # type: ignore[arg-type]
        except TypeError:
            held.let_go()
            raise TypeError(f"{sock!r} is no socket.socket, and can't stand for a connection of synfin's") from None
    _BEHIND[sock] = held
    finalize(sock, held.let_go).atexit = False
    return sock


def behind(sock: object) -> Held | None:
    """What is behind a socket; None: the kernel. Raises OSError(EBADF) for one that was closed."""
    if not isinstance(sock, StandIn):
        return None
    held = _BEHIND.get(sock)  # type: ignore[call-overload]
    if held is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return cast(Held, held)


def release(sock: socket.socket) -> None:
    """What was behind it has ended: so does the socket."""
    _BEHIND.pop(sock, None)
    sock.close()
