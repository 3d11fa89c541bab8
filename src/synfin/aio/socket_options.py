"""Socket options, by the levels and numbers of the socket module: which there are, what they take, whom they change.

An option that a TCP in this process has no use for is unknown, OSError(ENOPROTOOPT), as a kernel says. Values are
checked and told as Linux does it. Rule for the next editor: an option is one entry of the table at the end.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Final, NamedTuple

from synfin.aio import tcp_info
from synfin.stack.datagrams import QUEUE_LIMIT
from synfin.tcp.config import LEAST_RECEIVE_BUFFER, LEAST_SEND_BUFFER, SECOND_US, Config
from synfin.tcp.congestion.base import CongestionControl
from synfin.tcp.congestion.choice import factory
from synfin.tcp.connection import Connection
from synfin.tcp.listener import Listener

# Where a platform's socket module lacks a name, Linux's number stands for it.
KEEPIDLE: Final[int] = getattr(socket, "TCP_KEEPIDLE", 4)
KEEPINTVL: Final[int] = getattr(socket, "TCP_KEEPINTVL", 5)
KEEPCNT: Final[int] = getattr(socket, "TCP_KEEPCNT", 6)
INFO: Final[int] = getattr(socket, "TCP_INFO", 11)
QUICKACK: Final[int] = getattr(socket, "TCP_QUICKACK", 12)
CONGESTION: Final[int] = getattr(socket, "TCP_CONGESTION", 13)
USER_TIMEOUT: Final[int] = getattr(socket, "TCP_USER_TIMEOUT", 18)
REUSEPORT: Final[int] = getattr(socket, "SO_REUSEPORT", 15)
ACCEPTCONN: Final[int] = getattr(socket, "SO_ACCEPTCONN", 30)
PROTOCOL: Final[int] = getattr(socket, "SO_PROTOCOL", 38)
DOMAIN: Final[int] = getattr(socket, "SO_DOMAIN", 39)
CORK: Final[int] = getattr(socket, "TCP_CORK", 3)
NOTSENT_LOWAT: Final[int] = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
TCLASS: Final[int] = getattr(socket, "IPV6_TCLASS", 67)
MAX_PACING_RATE: Final[int] = getattr(socket, "SO_MAX_PACING_RATE", 47)

_SOCKET: Final = socket.SOL_SOCKET
_TCP: Final = socket.IPPROTO_TCP
_IP: Final = socket.IPPROTO_IP
_IPV6: Final = socket.IPPROTO_IPV6
_MAX_KEEPALIVE: Final = 32767  # seconds; and 127 probes: linux/tcp.h
_MAX_PROBES: Final = 127
_MAX_INT: Final = (1 << 31) - 1  # of the kernel
_LEAST_MAXSEG: Final = 88  # TCP_MIN_MSS and MAX_TCP_WINDOW: linux/tcp.h
_MOST_MAXSEG: Final = 32767
_LINGER: Final = struct.Struct("ii")
_LINUX_NAMES: Final = {"newreno": "reno"}

_DSCP: Final = 0xFC  # of TOS or traffic class; the other two bits are ECN's


class Wide(int):
    """Told in 64 bits where there is room for them, else as the largest of 32."""


Value = int | bytes
Name = tuple[int, int]  # level and option
_NO_LIMIT: Final = Wide((1 << 64) - 1)


def _invalid(why: str) -> OSError:
    return OSError(errno.EINVAL, f"{os.strerror(errno.EINVAL)}: {why}")


def unknown(level: int, option: int) -> OSError:
    """What is raised for an option that is none."""
    return OSError(errno.ENOPROTOOPT, f"{os.strerror(errno.ENOPROTOOPT)}: level {level}, option {option}")


def shown(value: Value, buflen: int) -> Value:
    """A value as getsockopt() gives it: as an int, or as at most `buflen` bytes."""
    if isinstance(value, Wide):
        if buflen >= 8:
            return value.to_bytes(8, sys.byteorder)
        value = number(min(value, (1 << 32) - 1).to_bytes(4, sys.byteorder))
    if isinstance(value, bytes):
        return value[:buflen] if buflen else int.from_bytes(value[:4], sys.byteorder, signed=True)
    return value.to_bytes(4, sys.byteorder, signed=value < 0)[:buflen] if buflen else value


def number(value: object) -> int:
    """A value that is a C int, given as one or as its bytes."""
    if isinstance(value, (bytes, bytearray)):
        if len(value) < 4:
            raise _invalid(f"{len(value)} bytes are no int")
        return int.from_bytes(value[:4], sys.byteorder, signed=True)
    if not isinstance(value, int):
        raise TypeError(f"an option's value is an int or bytes, not {type(value).__name__}")
    return value


def _flag(value: object) -> int:
    return int(number(value) != 0)


def _within(lowest: int, highest: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        given = number(value)
        if not lowest <= given <= highest:
            raise _invalid(f"{given} is not within {lowest} and {highest}")
        return given

    return check


def _segment_limit(value: object) -> int:
    given = number(value)
    return given if given == 0 else _within(_LEAST_MAXSEG, _MOST_MAXSEG)(given)


def _pacing_rate(value: object) -> Wide:
    """Bytes a second in 32 or 64 bits; all bits set: no limit."""
    if isinstance(value, (bytes, bytearray)) and len(value) >= 8:
        return Wide(int.from_bytes(value[:8], sys.byteorder))
    given = number(value)
    return _NO_LIMIT if given == -1 else Wide(given & 0xFFFFFFFF)


def _size(least: int) -> Callable[[object], int]:
    """Of a buffer. Linux takes every number, keeps twice as much, for what the text costs besides, and tells that."""

    def check(value: object) -> int:
        given = number(value)
        return max(2 * given, 2 * least) if 0 <= given <= _MAX_INT // 2 else _MAX_INT - 1

    return check


def _told(size: int) -> int:
    """A buffer's size as Linux tells it."""
    return min(2 * size, _MAX_INT - 1)


def _tos(value: object) -> int:
    """One byte of a number, or a byte; ECN's bits are not the user's."""
    given = value[0] if isinstance(value, (bytes, bytearray)) and 0 < len(value) < 4 else number(value)
    return given & _DSCP


def _traffic_class(value: object) -> int:
    """-1: none."""
    given = _within(-1, 255)(value)
    return max(given, 0) & _DSCP


def _linger(value: object) -> bytes:
    if not isinstance(value, (bytes, bytearray)) or len(value) != _LINGER.size:
        raise _invalid("SO_LINGER wants struct.pack('ii', on, seconds)")
    on, seconds = _LINGER.unpack(value)
    return _LINGER.pack(on != 0, seconds)


def _congestion(value: object) -> bytes:
    name = bytes(value).rstrip(b"\0") if isinstance(value, (bytes, bytearray)) else b"?"
    if isinstance(value, (bytes, bytearray)) and not value:
        raise _invalid("no name of a congestion control")
    try:
        factory(name.decode("ascii", "replace"))
    except ValueError as refused:
        raise OSError(errno.ENOENT, str(refused)) from None
    return name.ljust(16, b"\0")


class Options:
    """Those of one socket, which need not have a connection: a listening one hands them on to what it accepts."""

    def __init__(self, config: Config, ipv6: bool) -> None:
        self._config = config
        self._ipv6 = ipv6
        self._given: dict[Name, Value] = {}

    @staticmethod
    def _known(level: int, option: int) -> _Option | None:
        return _OPTIONS.get((level, option))

    def set(self, level: int, option: int, value: object) -> None:
        """Set an option. Raises OSError (ENOPROTOOPT, EINVAL, ENOENT) and TypeError."""
        known = self._known(level, option)
        if known is None or known.check is None or (known.ipv6 and not self._ipv6):
            raise unknown(level, option)
        checked = known.check(value)
        if known.most is not None and isinstance(checked, int):
            checked = min(checked, known.most(self._config))
        self._take((level, option), checked)

    def _take(self, name: Name, value: Value) -> None:
        """Keep a value that may be."""
        self._given[name] = value

    def get(self, level: int, option: int) -> Value:
        """An option's value. Raises OSError(ENOPROTOOPT)."""
        if (level, option) == (_SOCKET, DOMAIN):
            return int(socket.AF_INET6 if self._ipv6 else socket.AF_INET)
        known = self._known(level, option)
        if known is None:
            raise unknown(level, option)
        if known.ipv6 and not self._ipv6:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        given = self._given.get((level, option))
        return known.default(self._config) if given is None else given

    def given(self) -> list[tuple[Name, Value]]:
        """What was set."""
        return list(self._given.items())


class ListenerOptions(Options):
    """Those of listeners, that hear one name. What they accept from then on inherits them."""

    def __init__(self, config: Config, ipv6: bool, listeners: list[Listener]) -> None:
        super().__init__(config, ipv6)
        self._listeners = listeners

    def _take(self, name: Name, value: Value) -> None:
        super()._take(name, value)
        if not isinstance(value, int):
            return
        for listener in self._listeners:
            if name == (_SOCKET, socket.SO_RCVBUF):
                listener.set_receive_buffer(value // 2)  # its SYN,ACKs offer a window, and its scale
            elif name == (_IP, socket.IP_TOS) or name == (_IPV6, TCLASS):
                listener.set_tos(value, name[0] == _IPV6)


class ConnectionOptions(Options):
    """Those of a connection. What is set before it is established holds from its first SYN on."""

    def __init__(self, connection: Connection, clock: Callable[[], int], ipv6: bool) -> None:
        super().__init__(connection.env.config, ipv6)
        self.connection = connection
        self.clock = clock

    def _take(self, name: Name, value: Value) -> None:
        super()._take(name, value)
        apply = _OPTIONS[name].apply
        if apply is not None:
            apply(self)

    def get(self, level: int, option: int) -> Value:
        """As Options.get; what the connection itself knows it is asked for."""
        if (level, option) == (_TCP, INFO):
            return tcp_info.read(self.connection, self.clock())
        known = _OPTIONS.get((level, option))
        if known is not None and known.read is not None:
            return known.read(self.connection)
        return super().get(level, option)

    def inherit(self, other: Options) -> None:
        """Set what was set there."""
        for name, value in other.given():
            self._take(name, value)

    def _int(self, level: int, option: int) -> int:
        return number(Options.get(self, level, option))

    # ---- what a change does ----

    def _set_keepalive(self) -> None:
        idle = self._int(_TCP, KEEPIDLE) * SECOND_US if self._int(_SOCKET, socket.SO_KEEPALIVE) else 0
        interval = self._int(_TCP, KEEPINTVL) * SECOND_US
        self.connection.set_keepalive(idle, interval, self._int(_TCP, KEEPCNT), self.clock())

    def _set_linger(self) -> None:
        value = self._given[_SOCKET, socket.SO_LINGER]
        assert isinstance(value, bytes)
        on, seconds = _LINGER.unpack(value)
        self.connection.closer.by_reset = on != 0 and seconds == 0

    def _set_nodelay(self) -> None:
        self.connection.set_nodelay(self._int(_TCP, socket.TCP_NODELAY) != 0)

    def _set_cork(self) -> None:
        self.connection.set_cork(self._int(_TCP, CORK) != 0)

    def _set_user_timeout(self) -> None:
        self.connection.set_user_timeout(self._int(_TCP, USER_TIMEOUT) * 1000)

    def _set_segment_limit(self) -> None:
        self.connection.set_send_mss_max(self._int(_TCP, socket.TCP_MAXSEG))

    def _set_pacing_rate(self) -> None:
        value = self._int(_SOCKET, MAX_PACING_RATE)
        self.connection.sender.ask().max_pacing_rate = 0.0 if value == _NO_LIMIT else float(value)

    def _set_send_buffer(self) -> None:
        self.connection.set_send_buffer(self._int(_SOCKET, socket.SO_SNDBUF) // 2)

    def _set_receive_buffer(self) -> None:
        self.connection.set_receive_buffer(self._int(_SOCKET, socket.SO_RCVBUF) // 2)

    def _set_notsent_lowat(self) -> None:
        self.connection.set_notsent_lowat(self._int(_TCP, NOTSENT_LOWAT) & 0xFFFFFFFF)

    def _set_tos(self) -> None:
        """Of the two options, the one of the family that the connection is of, whatever its face is of."""
        name = (_IP, socket.IP_TOS) if len(self.connection.key) == 12 else (_IPV6, TCLASS)
        self.connection.set_tos(self._int(*name))

    def _set_congestion(self) -> None:
        name = self._given[_TCP, CONGESTION]
        assert isinstance(name, bytes)
        self.connection.set_congestion_control(name.rstrip(b"\0").decode())


class DatagramOptions(Options):
    """Those of a UDP port."""

    @staticmethod
    def _known(level: int, option: int) -> _Option | None:
        return _DATAGRAM_OPTIONS.get((level, option))


class _Option(NamedTuple):
    """default: where nobody set it. check: what a value given becomes, None: it can't be set. apply: to a connection.
    read: asked of a connection, rather than what was set. most: what is more becomes this. ipv6: for its sockets."""

    default: Callable[[Config], Value]
    check: Callable[[object], Value] | None = None
    apply: Callable[[ConnectionOptions], None] | None = None
    read: Callable[[Connection], Value] | None = None
    most: Callable[[Config], int] | None = None
    ipv6: bool = False


def _always(value: int) -> Callable[[object], int]:
    return lambda _: value


def _keep_alive(config: Config) -> int:
    return int(config.keepalive_idle_us > 0)


def _keep_idle(config: Config) -> int:
    return config.keepalive_idle_us // SECOND_US or 7200  # RFC 9293 3.8.4: not less than two hours


def _congestion_name(control: CongestionControl) -> bytes:
    return _LINUX_NAMES.get(control.name, control.name).encode().ljust(16, b"\0")


def _send_buffer(config: Config) -> int:
    return config.send_buffer_max


def _receive_buffer(config: Config) -> int:
    return config.receive_buffer_max


def _queue_bytes(config: Config) -> int:
    return QUEUE_LIMIT * config.mtu


_Set = ConnectionOptions
_OPTIONS: Final[dict[Name, _Option]] = {
    (_SOCKET, socket.SO_KEEPALIVE): _Option(
        lambda config: int(config.keepalive_idle_us > 0), _flag, _Set._set_keepalive
    ),
    (_TCP, KEEPIDLE): _Option(_keep_idle, _within(1, _MAX_KEEPALIVE), _Set._set_keepalive),
    (_TCP, KEEPINTVL): _Option(
        lambda config: config.keepalive_interval_us // SECOND_US, _within(1, _MAX_KEEPALIVE), _Set._set_keepalive
    ),
    (_TCP, KEEPCNT): _Option(lambda config: config.keepalive_probes, _within(1, _MAX_PROBES), _Set._set_keepalive),
    (_SOCKET, socket.SO_LINGER): _Option(lambda _: _LINGER.pack(0, 0), _linger, _Set._set_linger),
    (_SOCKET, socket.SO_SNDBUF): _Option(
        lambda config: _told(config.send_buffer),
        _size(LEAST_SEND_BUFFER),
        _Set._set_send_buffer,
        lambda of: _told(of.sender.share()),
        lambda config: _told(config.send_buffer_max),
    ),
    (_SOCKET, socket.SO_RCVBUF): _Option(
        lambda config: _told(config.receive_buffer),
        _size(LEAST_RECEIVE_BUFFER),
        _Set._set_receive_buffer,
        lambda of: _told(of.receiver.buffer()),
        lambda config: _told(config.receive_buffer_max),
    ),
    (_TCP, NOTSENT_LOWAT): _Option(_always(0), number, _Set._set_notsent_lowat),
    (_IP, socket.IP_TOS): _Option(_always(0), _tos, _Set._set_tos),
    (_IPV6, TCLASS): _Option(_always(0), _traffic_class, _Set._set_tos, ipv6=True),
    # Taken without effect: addresses are never shared, and no ACK is waited for.
    (_SOCKET, socket.SO_REUSEADDR): _Option(_always(0), _flag),
    (_SOCKET, REUSEPORT): _Option(_always(0), _flag),
    (_SOCKET, socket.SO_ERROR): _Option(_always(0), None, None, lambda of: of.error),
    (_SOCKET, socket.SO_TYPE): _Option(_always(int(socket.SOCK_STREAM))),
    (_SOCKET, PROTOCOL): _Option(_always(socket.IPPROTO_TCP)),
    (_SOCKET, ACCEPTCONN): _Option(_always(1), None, None, _always(0)),
    (_TCP, socket.TCP_NODELAY): _Option(
        lambda config: int(config.nodelay), _flag, _Set._set_nodelay, lambda of: int(of.sender.nodelay)
    ),
    (_TCP, CORK): _Option(_always(0), _flag, _Set._set_cork),
    (_TCP, QUICKACK): _Option(_always(1), _flag),
    (_TCP, USER_TIMEOUT): _Option(
        lambda config: min(config.user_timeout_us // 1000, _MAX_INT),
        _within(0, _MAX_INT),
        _Set._set_user_timeout,
        lambda of: min(of.sender.user_timeout_us // 1000, _MAX_INT),  # Config's may be longer
    ),
    (_TCP, CONGESTION): _Option(
        lambda config: _congestion_name(factory(config.congestion_control)(536)),
        _congestion,
        _Set._set_congestion,
        lambda of: _congestion_name(of.sender.losses.congestion()),
    ),
    (_TCP, socket.TCP_MAXSEG): _Option(_always(536), _segment_limit, _Set._set_segment_limit, lambda of: of.sender.mss),
    (_SOCKET, MAX_PACING_RATE): _Option(_always(_NO_LIMIT), _pacing_rate, _Set._set_pacing_rate),
    (_TCP, INFO): _Option(lambda _: bytes(tcp_info.SIZE)),
}
_DATAGRAM_OPTIONS: Final[dict[Name, _Option]] = {
    (_SOCKET, socket.SO_TYPE): _Option(_always(int(socket.SOCK_DGRAM))),
    (_SOCKET, PROTOCOL): _Option(_always(socket.IPPROTO_UDP)),
    (_SOCKET, ACCEPTCONN): _Option(_always(0)),
    (_SOCKET, socket.SO_ERROR): _Option(_always(0)),
    # Taken without effect: the queue is bounded by itself, and there is no broadcast.
    (_SOCKET, socket.SO_REUSEADDR): _Option(_always(0), _flag),
    (_SOCKET, REUSEPORT): _Option(_always(0), _flag),
    (_SOCKET, socket.SO_BROADCAST): _Option(_always(0), _flag),
    (_SOCKET, socket.SO_SNDBUF): _Option(_send_buffer, number, None, lambda of: _send_buffer(of.env.config)),
    (_SOCKET, socket.SO_RCVBUF): _Option(_queue_bytes, number, None),
}
SETTABLE: Final = [name for name, option in _OPTIONS.items() if option.check is not None]
"""What setsockopt() takes."""
