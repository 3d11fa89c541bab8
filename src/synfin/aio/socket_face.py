"""The face of a socket, for libraries that ask a transport for its `socket`: names, options, and a pollable descriptor.

No kernel socket is behind it. `socket_options` says which options there are.
"""

from __future__ import annotations

import errno
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NoReturn

from synfin.aio.descriptor import Descriptor
from synfin.aio.socket_options import ConnectionOptions, DatagramOptions, ListenerOptions, Options, Value, shown
from synfin.stack.datagrams import DatagramPort
from synfin.tcp import errors
from synfin.tcp.config import Config
from synfin.tcp.connection import Connection
from synfin.tcp.listener import Listener
from synfin.tcp.states import CLOSED, TIME_WAIT
from synfin.wire.key import key_dst, key_dst_port, key_src, key_src_port

SocketName = tuple[str, int] | tuple[str, int, int, int]


def socket_name(address: bytes, port: int, ipv6: bool = False) -> SocketName:
    """An address as the socket module writes it; ipv6: one of IPv4 as a socket of IPv6 does (RFC 4291 2.5.5.2)."""
    if len(address) == 4 and ipv6:
        return f"::ffff:{socket.inet_ntop(socket.AF_INET, address)}", port, 0, 0
    if len(address) == 4:
        return socket.inet_ntop(socket.AF_INET, address), port
    return socket.inet_ntop(socket.AF_INET6, address), port, 0, 0


def _os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def _check_direction(how: int) -> None:
    if how not in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
        raise _os_error(errno.EINVAL)


class Face(ABC):
    """What every face has in common: what asyncio.TransportSocket has."""

    _options: Options
    proto = int(socket.IPPROTO_TCP)
    timeout = 0.0

    def __init__(self, family: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
        self.family = socket.AddressFamily(family)
        self.type = kind
        self._closed = False
        self._descriptor = Descriptor(self._is_readable)

    @abstractmethod
    def _is_readable(self) -> bool:
        """Something waits for whoever reads."""

    @abstractmethod
    def _name(self) -> SocketName:
        """This end's address, also when all is over."""

    def _peer(self) -> SocketName | None:
        """The other end's; None: there is none."""
        return None

    def getsockname(self) -> SocketName:
        """This end's address. OSError(EBADF) once closed."""
        self._check_open()
        return self._name()

    def getpeername(self) -> SocketName:
        """The other end's address. OSError: ENOTCONN if there is none, or none any more; EBADF once closed."""
        self._check_open()
        peer = self._peer()
        if peer is None:
            raise errors.oserror(errors.NOT_CONNECTED)
        return peer

    def getsockopt(self, level: int, option: int, buflen: int = 0) -> Value:
        """An option's value: int, or bytes of at most `buflen`. Raises OSError: ENOPROTOOPT, EBADF once closed."""
        self._check_open()
        return shown(self._options.get(level, option), buflen)

    def setsockopt(self, level: int, option: int, value: int | bytes | None, optlen: int | None = None) -> None:
        """Set an option; see the table in docs/asyncio.md. Raises OSError: ENOPROTOOPT, EINVAL, EBADF once closed."""
        self._check_open()
        self._options.set(level, option, value)

    def _check_open(self) -> None:
        if self._closed:
            raise _os_error(errno.EBADF)

    def shutdown(self, how: int) -> None:
        """There is no connection: OSError(ENOTCONN)."""
        self._check_open()
        _check_direction(how)
        raise errors.oserror(errors.NOT_CONNECTED)

    def dup(self) -> NoReturn:
        """OSError(EOPNOTSUPP): no kernel socket is behind it that could be handed on."""
        self._check_open()
        raise OSError(errno.EOPNOTSUPP, f"{self!r} is none of the kernel's: nothing can be duplicated")

    def get_inheritable(self) -> bool:
        """False: no other process has a use for it."""
        return False

    def gettimeout(self) -> int:
        """0: it never blocks."""
        return 0

    def settimeout(self, value: float | None) -> None:
        """Only 0, as with every transport's socket in asyncio."""
        if value != 0:
            raise ValueError("settimeout(): only 0 timeout is allowed on transport sockets")

    def setblocking(self, flag: bool) -> None:
        """Only False, as with every transport's socket in asyncio."""
        if flag:
            raise ValueError("setblocking(): transport sockets cannot be blocking")

    def fileno(self) -> int:
        """A descriptor that polls readable while data that nobody took, or the end, waits; -1 once closed.

        It is made on first use. Nothing can be read from it.
        """
        return self._descriptor.fileno()

    def refresh(self) -> None:
        """Bring the descriptor in line with what waits."""
        self._descriptor.refresh()

    def close(self) -> None:
        """Its owner is over, who calls this, as a kernel socket is closed by asyncio."""
        self._closed = True
        self._descriptor.close()


class SocketFace(Face):
    """Of a connection. turn: asks for a turn of its user, and for what is to be sent. ipv6: it is of this family, and
    has names of it, although the connection is of IPv4."""

    _options: ConnectionOptions

    def __init__(
        self,
        connection: Connection,
        clock: Callable[[], int],
        turn: Callable[[], object] = lambda: None,
        ipv6: bool = False,
    ) -> None:
        super().__init__(socket.AF_INET6 if ipv6 or len(connection.key) != 12 else socket.AF_INET)
        self.reading_over = False
        """shutdown(SHUT_RD) was called: whoever reads is at the end after what has come."""
        self._connection = connection
        self._clock = clock
        self._turn = turn
        self._options = ConnectionOptions(connection, clock, self.family == socket.AF_INET6)

    def __repr__(self) -> str:
        return f"<synfin socket {self._name()}{' closed' if self._closed else ''}>"

    def _name(self) -> SocketName:
        key = self._connection.key
        return socket_name(key_dst(key), key_dst_port(key), self.family == socket.AF_INET6)

    def _peer(self) -> SocketName | None:
        key = self._connection.key
        if self._connection.state == CLOSED:
            return None
        return socket_name(key_src(key), key_src_port(key), self.family == socket.AF_INET6)

    def inherit(self, options: Options) -> None:
        """Set what was set on the one that has accepted it."""
        self._options.inherit(options)

    def shutdown(self, how: int) -> None:
        """End writing (SHUT_WR: a FIN follows what was written), reading (SHUT_RD: the peer hears nothing), or both."""
        self._check_open()
        _check_direction(how)
        connection = self._connection
        if connection.state in (CLOSED, TIME_WAIT):
            raise errors.oserror(errors.NOT_CONNECTED)
        if how != socket.SHUT_RD:
            connection.shutdown(self._clock())
        if how != socket.SHUT_WR:
            self.reading_over = True
            connection.notify()
        self._turn()

    def _is_readable(self) -> bool:
        receiver = self._connection.receiver
        return receiver.ready_bytes > 0 or receiver.fin_reached or self._connection.error != 0 or self.reading_over


class ListeningFace(Face):
    """Of listeners: what Server.sockets holds. The options set on it are those of what it accepts from then on.

    listeners: two for one name where it hears both families.
    """

    def __init__(self, listeners: list[Listener], name: SocketName, config: Config) -> None:
        ipv6 = len(name) == 4
        super().__init__(socket.AF_INET6 if ipv6 else socket.AF_INET)
        self._options: Options = ListenerOptions(config, ipv6, listeners)
        self._listeners = listeners
        self._where = name

    def __repr__(self) -> str:
        return f"<synfin listening socket {self._where}{' closed' if self._closed else ''}>"

    def _name(self) -> SocketName:
        return self._where

    def face_of(
        self, connection: Connection, clock: Callable[[], int], turn: Callable[[], object]
    ) -> SocketFace | None:
        """The face of what it has accepted, of its options and family; None: any will do. Arguments as SocketFace's."""
        ipv6 = self.family == socket.AF_INET6
        if not self._options.given() and (len(connection.key) == 12) != ipv6:
            return None
        face = SocketFace(connection, clock, turn, ipv6)
        face.inherit(self._options)
        return face

    def _is_readable(self) -> bool:
        return any(listener.pending() for listener in self._listeners)


class DatagramFace(Face):
    """Of a UDP port."""

    proto = int(socket.IPPROTO_UDP)

    def __init__(self, port: DatagramPort, config: Config) -> None:
        ipv6 = len(port.address) == 16
        super().__init__(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._options = DatagramOptions(config, ipv6)
        self._port = port

    def __repr__(self) -> str:
        return f"<synfin datagram socket {self._name()}{' closed' if self._closed else ''}>"

    def _name(self) -> SocketName:
        return socket_name(self._port.address, self._port.port)

    def _peer(self) -> SocketName | None:
        """Whom alone it talks to."""
        return None if self._port.remote is None else socket_name(*self._port.remote)

    def _is_readable(self) -> bool:
        return bool(self._port.received or self._port.errors)
