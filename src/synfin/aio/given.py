"""Kernel sockets that a program gives to a loop: what they say that a Host can take over."""

from __future__ import annotations

import contextlib
import functools
import socket
import struct
from typing import Final

from synfin.aio.names import Where
from synfin.aio.socket_face import Face
from synfin.aio.socket_options import ACCEPTCONN, SETTABLE, Name
from synfin.stack.addresses import is_any, packed

_INT: Final = struct.Struct("i")
_MOST_BYTES: Final = 16  # of an option's value


def is_tcp(sock: socket.socket) -> bool:
    """It can stand for a TCP connection or listener."""
    return sock.type == socket.SOCK_STREAM and sock.family in (socket.AF_INET, socket.AF_INET6)


def place(sock: socket.socket) -> Where:
    """Where it is bound; the unspecified address and port 0: nowhere yet. OSError(EBADF) once closed."""
    name = sock.getsockname()
    return Where(packed(name[0]), name[1])


def places(sock: socket.socket, families: set[int]) -> list[Where]:
    """Where it hears: on "::" without IPV6_V6ONLY on both families, as far as there are (by bytes of an address)."""
    where = place(sock)
    if len(where.address) == 16 and is_any(where.address):
        if not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
            return [Where(bytes(length), where.port) for length in sorted(families)]
    return [where]


def is_listening(sock: socket.socket) -> bool:
    """listen() was called."""
    return sock.getsockopt(socket.SOL_SOCKET, ACCEPTCONN) != 0


def listen_no_more(sock: socket.socket) -> None:
    """Who still comes to the kernel is refused there, instead of waiting for ever."""
    if is_listening(sock):
        with contextlib.suppress(OSError):  # what no kernel but Linux knows
            sock.shutdown(socket.SHUT_RDWR)


def hand_on_options(sock: socket.socket, face: Face) -> None:
    """Set on `face` what was set on a socket: what differs from a new one.

    What only a kernel can do is left out: an option, or a congestion control, that synfin does not know.
    """
    for (level, option), new in _of_a_new_one(sock.family).items():
        value = sock.getsockopt(level, option, _MOST_BYTES)
        if value != new:
            with contextlib.suppress(OSError):
                face.setsockopt(level, option, _as_set((level, option), value))


def _as_set(name: Name, value: bytes) -> bytes:
    """A value as it was given to setsockopt()."""
    if name in ((socket.SOL_SOCKET, socket.SO_SNDBUF), (socket.SOL_SOCKET, socket.SO_RCVBUF)):
        return _INT.pack(_INT.unpack(value)[0] // 2)  # Linux doubles them
    return value


@functools.cache
def _of_a_new_one(family: int) -> dict[Name, bytes]:
    values: dict[Name, bytes] = {}
    with socket.socket(family) as new:
        for name in SETTABLE:
            with contextlib.suppress(OSError):
                values[name] = new.getsockopt(*name, _MOST_BYTES)
    return values
