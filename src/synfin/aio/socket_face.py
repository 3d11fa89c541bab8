"""The face of a socket, for libraries that ask a transport for its `socket`: names, options, and a pollable descriptor.

No kernel socket is behind it. What it tells and sets is the connection's own; an option that a TCP in this process has
no use for raises OSError(ENOPROTOOPT), as a kernel does.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Final

from synfin.tcp import errors
from synfin.tcp.config import SECOND_US
from synfin.tcp.congestion.base import FAST, LOSS, NONE
from synfin.tcp.connection import Connection
from synfin.tcp.listener import Listener
from synfin.wire.key import key_dst, key_dst_port, key_src, key_src_port

SocketName = tuple[str, int] | tuple[str, int, int, int]

# Where a platform's socket module lacks a name, Linux's number stands for it.
_KEEPIDLE: Final[int] = getattr(socket, "TCP_KEEPIDLE", 4)
_KEEPINTVL: Final[int] = getattr(socket, "TCP_KEEPINTVL", 5)
_KEEPCNT: Final[int] = getattr(socket, "TCP_KEEPCNT", 6)
_INFO: Final[int] = getattr(socket, "TCP_INFO", 11)
_QUICKACK: Final[int] = getattr(socket, "TCP_QUICKACK", 12)
_CONGESTION: Final[int] = getattr(socket, "TCP_CONGESTION", 13)
_USER_TIMEOUT: Final[int] = getattr(socket, "TCP_USER_TIMEOUT", 18)
_REUSEPORT: Final[int] = getattr(socket, "SO_REUSEPORT", 15)
_MAX_KEEPALIVE: Final = 32767  # seconds; and 127 probes: linux/tcp.h
_MAX_TIMEOUT_MS: Final = (1 << 31) - 1  # an int of the kernel
_MAX_PROBES: Final = 127
_ONE: Final = (1).to_bytes(8, sys.byteorder)  # what an eventfd takes; any eight bytes for a pipe
_LINGER: Final = struct.Struct("ii")
_TIMESTAMPS: Final = 1  # tcpi_options
_SACK: Final = 2
_WSCALE: Final = 4
_LINUX_CA_STATE: Final = {int(NONE): 0, int(FAST): 3, int(LOSS): 4}  # TCP_CA_Open, TCP_CA_Recovery, TCP_CA_Loss
_TCP_INFO: Final = struct.Struct("=8B24I")  # struct tcp_info of linux/tcp.h, as far as every kernel has it
# linux/tcp_states.h, by the names of RFC 9293
_LINUX_STATE: Final = {
    "ESTABLISHED": 1, "SYN-SENT": 2, "SYN-RCVD": 3, "FIN-WAIT-1": 4, "FIN-WAIT-2": 5, "TIME-WAIT": 6,
    "CLOSED": 7, "CLOSE-WAIT": 8, "LAST-ACK": 9, "LISTEN": 10, "CLOSING": 11,
}  # fmt: skip


def socket_name(address: bytes, port: int) -> SocketName:
    """An address as the socket module writes it."""
    if len(address) == 4:
        return socket.inet_ntop(socket.AF_INET, address), port
    return socket.inet_ntop(socket.AF_INET6, address), port, 0, 0


def _unknown(level: int, option: int) -> OSError:
    return OSError(errno.ENOPROTOOPT, f"{os.strerror(errno.ENOPROTOOPT)}: level {level}, option {option}")


def _number(value: object) -> int:
    """An option's value that is a C int, given as one or as its bytes."""
    if isinstance(value, (bytes, bytearray)):
        if len(value) < 4:
            raise OSError(errno.EINVAL, f"{os.strerror(errno.EINVAL)}: {len(value)} bytes are no int")
        return int.from_bytes(value[:4], sys.byteorder, signed=True)
    if not isinstance(value, int):
        raise TypeError(f"an option's value is an int or bytes, not {type(value).__name__}")
    return value


def _signal() -> tuple[int, int]:
    """Descriptors to poll and to write to: one eventfd, or a pipe where there is none."""
    if hasattr(os, "eventfd"):
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return fd, fd
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


class _Face:
    """What every face has in common."""

    type = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP
    timeout = 0.0

    def __init__(self, family: int) -> None:
        self.family = socket.AddressFamily(family)

    def gettimeout(self) -> float:
        """It never blocks."""
        return 0.0

    def settimeout(self, value: float | None) -> None:
        """Only 0, as with every transport's socket in asyncio."""
        if value != 0:
            raise ValueError("settimeout(): only 0 timeout allowed on transport sockets")

    def setblocking(self, flag: bool) -> None:
        """Only False, as with every transport's socket in asyncio."""
        if flag:
            raise ValueError("setblocking(): transport sockets cannot be blocking")


class SocketFace(_Face):
    """Of a connection."""

    def __init__(self, connection: Connection, clock: Callable[[], int]) -> None:
        super().__init__(socket.AF_INET if len(connection.key) == 12 else socket.AF_INET6)
        self._connection = connection
        self._clock = clock
        self._fd = -1
        self._write_fd = -1  # the other end, where it is a pipe
        self._raised = False  # the descriptor polls readable
        self._closed = False
        self._keepalive = connection.keepalive is not None
        config = connection.env.config
        self._idle_us = config.keepalive_idle_us or 7200 * SECOND_US  # RFC 9293 3.8.4: not less than two hours
        self._interval_us = config.keepalive_interval_us
        self._probes = config.keepalive_probes
        self._linger = (0, 0)

    def __repr__(self) -> str:
        return f"<synfin socket {self.getsockname()} {'closed' if self._closed else ''}>"

    def getsockname(self) -> SocketName:
        """This end's address."""
        key = self._connection.key
        return socket_name(key_dst(key), key_dst_port(key))

    def getpeername(self) -> SocketName:
        """The other end's address; OSError(ENOTCONN) once the connection is over, as a kernel's."""
        if self._closed:
            raise errors.oserror(errors.NOT_CONNECTED)
        key = self._connection.key
        return socket_name(key_src(key), key_src_port(key))

    def setsockopt(self, level: int, option: int, value: int | bytes | None, optlen: int | None = None) -> None:
        """Set an option; see the table in docs/asyncio.md. Raises OSError: ENOPROTOOPT, EINVAL."""
        if self._closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        connection = self._connection
        if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
            if not isinstance(value, (bytes, bytearray)) or len(value) != _LINGER.size:
                raise OSError(errno.EINVAL, "SO_LINGER wants struct.pack('ii', on, seconds)")
            self._linger = _LINGER.unpack(value)
            connection.closer.by_reset = self._linger[0] != 0 and self._linger[1] == 0
            return
        if (level, option) == (socket.IPPROTO_TCP, _CONGESTION):
            name = value.rstrip(b"\0").decode("ascii", "replace") if isinstance(value, (bytes, bytearray)) else ""
            try:
                connection.set_congestion_control(name)
            except ValueError as unknown:
                raise OSError(errno.ENOENT, str(unknown)) from None
            return
        if not self._set_number(level, option, _number(value)):
            raise _unknown(level, option)

    def _set_number(self, level: int, option: int, number: int) -> bool:
        connection = self._connection
        if level == socket.SOL_SOCKET:
            if option == socket.SO_KEEPALIVE:
                self._keepalive = number != 0
                self._apply_keepalive()
                return True
            # The buffers tune themselves, and a connection's address is never shared.
            return option in (socket.SO_REUSEADDR, _REUSEPORT, socket.SO_SNDBUF, socket.SO_RCVBUF)
        if level != socket.IPPROTO_TCP:
            return False
        if option == socket.TCP_NODELAY:
            connection.set_nodelay(number != 0)
        elif option in (_KEEPIDLE, _KEEPINTVL, _KEEPCNT):
            highest = _MAX_PROBES if option == _KEEPCNT else _MAX_KEEPALIVE
            if not 1 <= number <= highest:
                raise OSError(errno.EINVAL, f"{os.strerror(errno.EINVAL)}: {number} is not within 1 and {highest}")
            if option == _KEEPIDLE:
                self._idle_us = number * SECOND_US
            elif option == _KEEPINTVL:
                self._interval_us = number * SECOND_US
            else:
                self._probes = number
            self._apply_keepalive()
        elif option == _USER_TIMEOUT:
            if not 0 <= number <= _MAX_TIMEOUT_MS:
                raise OSError(errno.EINVAL, f"{os.strerror(errno.EINVAL)}: {number} milliseconds")
            connection.set_user_timeout(number * 1000)
        else:
            return option == _QUICKACK  # ACKs are never delayed where anybody waits for them
        return True

    def _apply_keepalive(self) -> None:
        idle = self._idle_us if self._keepalive else 0
        self._connection.set_keepalive(idle, self._interval_us, self._probes, self._clock())

    def getsockopt(self, level: int, option: int, buflen: int = 0) -> int | bytes:
        """An option's value: int, or bytes of at most `buflen`. Raises OSError: ENOPROTOOPT, EBADF once closed."""
        if self._closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        value = self._get(level, option)
        if isinstance(value, bytes):
            return value[:buflen] if buflen else int.from_bytes(value[:4], sys.byteorder)
        return value.to_bytes(4, sys.byteorder)[:buflen] if buflen else value

    def _get(self, level: int, option: int) -> int | bytes:
        connection = self._connection
        if level == socket.SOL_SOCKET:
            config = connection.env.config
            values: dict[int, int | bytes] = {
                socket.SO_KEEPALIVE: int(self._keepalive),
                socket.SO_TYPE: socket.SOCK_STREAM,
                socket.SO_ERROR: connection.error,
                socket.SO_LINGER: _LINGER.pack(*self._linger),
                socket.SO_SNDBUF: config.send_buffer_max,
                socket.SO_RCVBUF: config.receive_buffer_max,
                socket.SO_REUSEADDR: 1,
                getattr(socket, "SO_PROTOCOL", 38): socket.IPPROTO_TCP,
                getattr(socket, "SO_DOMAIN", 39): int(self.family),
            }
            if option in values:
                return values[option]
        elif level == socket.IPPROTO_TCP:
            simple = {
                socket.TCP_NODELAY: int(connection.sender.nodelay),
                socket.TCP_MAXSEG: connection.sender.mss,
                _KEEPIDLE: self._idle_us // SECOND_US,
                _KEEPINTVL: self._interval_us // SECOND_US,
                _KEEPCNT: self._probes,
                _USER_TIMEOUT: connection.sender.user_timeout_us // 1000,
                _QUICKACK: 1,
            }
            if option in simple:
                return simple[option]
            if option == _CONGESTION:
                return connection.sender.losses.congestion.name.encode().ljust(16, b"\0")
            if option == _INFO:
                return self._tcp_info()
        raise _unknown(level, option)

    def _tcp_info(self) -> bytes:
        """struct tcp_info; what is counted in segments there is bytes by segment size here."""
        now = self._connection.snapshot()
        sender = self._connection.sender
        mss = now.mss or 1
        words = [0] * 24
        words[0] = now.rto_us
        words[2] = words[3] = now.mss
        words[4] = -(-now.unacknowledged // mss)
        words[5] = -(-now.sacked // mss)
        words[6] = -(-now.lost // mss)
        words[13] = self._connection.mtu
        words[15] = now.srtt_us
        words[16] = sender.rto.rttvar
        words[17] = min(now.ssthresh // mss, 0x7FFFFFFF)
        words[18] = now.cwnd // mss
        words[19] = self._connection.peer_mss
        scaling = now.snd_wscale | now.rcv_wscale << 4
        options = (_TIMESTAMPS if now.timestamps else 0) | (_SACK if now.sack else 0) | (_WSCALE if scaling else 0)
        phase = _LINUX_CA_STATE[int(sender.losses.recovery.phase)]
        head = [
            _LINUX_STATE[now.state],
            phase,
            min(now.retries, 255),
            sender.persist.unanswered,
            0,
            options,
            scaling,
            0,
        ]
        return _TCP_INFO.pack(*head, *words)

    # ---- the descriptor ----

    def fileno(self) -> int:
        """A descriptor that polls readable while data that nobody took, or the end, waits; -1 once closed.

        It is made on first use. Nothing can be read from it.
        """
        if self._closed:
            return -1
        if self._fd < 0:
            self._fd, self._write_fd = _signal()
            self._raised = False
            self.refresh()
        return self._fd

    def refresh(self) -> None:
        """Bring the descriptor in line with the connection."""
        if self._fd < 0:
            return
        connection = self._connection
        readable = connection.receiver.ready_bytes > 0 or connection.receiver.fin_reached or connection.error != 0
        if readable and not self._raised:
            os.write(self._write_fd, _ONE)
        elif self._raised and not readable:
            os.read(self._fd, 8)
        self._raised = readable

    def close(self) -> None:
        """The transport is over; its owner calls this, as a kernel socket is closed by asyncio."""
        self._closed = True
        if self._fd >= 0:
            os.close(self._fd)
            if self._write_fd != self._fd:
                os.close(self._write_fd)
            self._fd = self._write_fd = -1


class ListeningFace(_Face):
    """Of a listener: what Server.sockets holds."""

    def __init__(self, listener: Listener, name: SocketName) -> None:
        super().__init__(socket.AF_INET if len(name) == 2 else socket.AF_INET6)
        self._listener = listener
        self._name = name

    def __repr__(self) -> str:
        return f"<synfin listening socket {self._name}>"

    def getsockname(self) -> SocketName:
        """Where it listens."""
        return self._name

    def getpeername(self) -> SocketName:
        """There is none: OSError(ENOTCONN)."""
        raise errors.oserror(errors.NOT_CONNECTED)

    def fileno(self) -> int:
        """There is no descriptor to poll: -1, as of a closed socket."""
        return -1

    def getsockopt(self, level: int, option: int, buflen: int = 0) -> int | bytes:
        """SO_TYPE and SO_ACCEPTCONN; others OSError(ENOPROTOOPT)."""
        known = {socket.SO_TYPE: int(socket.SOCK_STREAM), getattr(socket, "SO_ACCEPTCONN", 30): 1}
        if level != socket.SOL_SOCKET or option not in known:
            raise _unknown(level, option)
        return known[option].to_bytes(4, sys.byteorder)[:buflen] if buflen else known[option]

    def setsockopt(self, level: int, option: int, value: int | bytes | None, optlen: int | None = None) -> None:
        """SO_REUSEADDR and SO_REUSEPORT mean nothing here and are taken; others OSError(ENOPROTOOPT)."""
        if level != socket.SOL_SOCKET or option not in (socket.SO_REUSEADDR, _REUSEPORT):
            raise _unknown(level, option)
