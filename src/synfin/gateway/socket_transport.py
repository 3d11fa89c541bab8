"""One outer connection of the kernel: a non-blocking socket as an asyncio transport, told what is ready by `sockets`.

Rules for the next editor: no call of a user runs a callback of his protocol, but pause_writing; what a callback raises
ends its own connection only. Once somebody has read from it a socket is watched until it is closed, if only for its
end: one that was reset after its FIN is told so at once.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

# As in <sys/epoll.h>; Python has the names on Linux alone.
_IN: Final = 0x001
_OUT: Final = 0x004
_ERR: Final = 0x008
_HUP: Final = 0x010
_RDHUP: Final = 0x2000
_ONESHOT: Final = 1 << 30
_READING: Final = _IN | _RDHUP
_CONNECTING: Final = _OUT | _ONESHOT  # then nothing is waited for, until somebody reads
_NOT_YET: Final = -1

OnConnected = Callable[["OSError | None"], None]


class Watcher(Protocol):
    """Who waits for what is ready, by descriptor. read_size: bytes that are read at once."""

    read_size: Callable[[], int]

    def add(self, descriptor: int, events: int) -> None:
        """Wait for these of a new socket; for an error or a hang-up always."""

    def watch(self, descriptor: int, events: int) -> None:
        """Wait for these from now on."""

    def forget(self, descriptor: int) -> None:
        """Wait for nothing of it: a hang-up would be told again and again."""

    def leave(self, descriptor: int) -> None:
        """It is about to be closed."""

    def later(self, call: Callable[[], None]) -> None:
        """In no user's call."""


class SocketTransport(asyncio.Transport):
    """Of a socket that connects. on_connected: told how that ended, None: it stands. Without it, it stands already."""

    __slots__ = (
        "_broken",
        "_closing",
        "_connecting",
        "_eof_read",
        "_eof_sent",
        "_fd",
        "_high",
        "_lost",
        "_low",
        "_paused",
        "_pending",
        "_protocol",
        "_size",
        "_socket",
        "_watched",
        "_watcher",
        "_writer_waits",
    )  # fmt: skip

    def __init__(
        self, watcher: Watcher, one: socket.socket, protocol: asyncio.Protocol, on_connected: OnConnected | None
    ) -> None:
        self._watcher = watcher
        self._socket = one
        self._fd = one.fileno()
        self._protocol = protocol
        self._connecting = on_connected  # None: it stands, or has failed
        self._watched = _NOT_YET
        self._pending: deque[bytes | memoryview] = deque()
        self._size = 0  # of `pending`
        self._high = 64 * 1024
        self._low = 16 * 1024
        self._paused = False
        self._writer_waits = False  # pause_writing was called
        self._eof_read = False
        self._eof_sent = False  # or is to be, behind `pending`
        self._broken = False  # it has ended while nobody read; what came before that is still to be read
        self._closing = False
        self._lost = False  # connection_lost is due

    def begin(self) -> None:
        """Wait until it stands, or tell the protocol that it does. Raises OSError."""
        if self._connecting is not None:
            self._watcher.add(self._fd, _CONNECTING)
            self._watched = _CONNECTING
        else:
            self._protocol.connection_made(self)
            self._watch()

    def is_connecting(self) -> bool:
        """It is not known yet whether it will stand."""
        return self._connecting is not None

    # ---- what asyncio's transports have ----

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """socket, peername, sockname."""
        if name == "socket":
            return self._socket
        if name in ("peername", "sockname"):
            try:
                return self._socket.getpeername() if name == "peername" else self._socket.getsockname()
            except OSError:
                return default
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what comes from now on to `protocol`."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is served now."""
        return self._protocol

    def is_closing(self) -> bool:
        """close() or abort() was called, or it has ended."""
        return self._closing

    def pause_reading(self) -> None:
        """Leave what comes to the kernel, whose window closes."""
        if not self._paused and not self._closing:
            self._paused = True
            self._watch()

    def resume_reading(self) -> None:
        """Go on."""
        if self._closing or not self._paused:
            return
        self._paused = False
        if self._broken:
            if not self._eof_read:
                self._watcher.later(self._read_rest)
        elif self._connecting is None:
            self._watch()

    def is_reading(self) -> bool:
        """What comes is passed on."""
        return not self._paused and not self._closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Above `high` bytes that the kernel has not taken the protocol is to pause, until there are `low`."""
        self._high = high if high is not None else 4 * low if low is not None else 64 * 1024
        self._low = low if low is not None else self._high // 4

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Both."""
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        """Bytes that the kernel has not taken."""
        return self._size

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """To the kernel, or behind what waits for it."""
        if self._lost or not data:
            return
        if self._eof_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not self._size:
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self._lose(error)
                return
            if sent == len(data):
                return
            data = memoryview(bytes(data) if type(data) is not bytes else data)[sent:]
        elif type(data) is not bytes:
            data = bytes(data)
        self._pending.append(data)
        self._size += len(data)
        self._watch()
        if self._size > self._high and not self._writer_waits:
            self._writer_waits = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        """A TCP connection closes each direction on its own."""
        return True

    def write_eof(self) -> None:
        """Half-close, behind what was written."""
        if self._eof_sent or self._closing:
            return
        self._eof_sent = True
        if not self._size:
            self._shut_down()

    def close(self) -> None:
        """What was written still goes out; nothing is read any more."""
        if self._closing:
            return
        self._closing = True
        if self._size:
            self._watch()
        else:
            self._lose(None)

    def abort(self) -> None:
        """End without that. Before it stands it is the end of the attempt, of which nobody is told."""
        if self._connecting is not None:
            self._connecting = None
            self._end()
            self._socket.close()
        else:
            self._lose(None)

    # ---- what the kernel says ----

    def on_events(self, events: int) -> None:
        """Some of it is ready."""
        if self._connecting is not None:
            self._on_connected(events)
            return
        if events & _OUT:
            self._drain()
        if events & (_READING | _ERR | _HUP) and not self._lost:
            self._read(events)

    def _on_connected(self, events: int) -> None:
        told, self._connecting = self._connecting, None
        assert told is not None
        failure = self._failure() if events & (_ERR | _HUP) else None
        if failure is not None:
            self._end()
            self._socket.close()
            told(failure)
            return
        self._watched = 0
        self._protocol.connection_made(self)
        self._watch()
        told(None)

    def _read(self, events: int) -> None:
        if self._closing:
            if events & (_ERR | _HUP):  # what was written arrives nowhere
                self._lose(self._failure())
            return
        if self._paused or self._eof_read:
            self._on_hang_up()
            return
        size = self._watcher.read_size()
        while True:
            try:
                data = self._socket.recv(size)
            except BlockingIOError:
                return
            except OSError as error:
                self._lose(error)
                return
            if not data:
                self._on_eof()
                return
            self._protocol.data_received(data)
            # Behind a short read there is nothing now but perhaps its FIN; that saves a turn.
            if not events & _RDHUP or len(data) == size or not self.is_reading():
                return

    def _read_rest(self) -> None:
        """What came before it ended; then the end."""
        if self._paused or self._closing:
            return
        try:
            data = self._socket.recv(self._watcher.read_size())
        except OSError as error:
            self._lose(error)
            return
        if data:
            self._watcher.later(self._read_rest)
            self._protocol.data_received(data)
        else:
            self._on_eof()

    def _on_eof(self) -> None:
        self._eof_read = True
        keep = self._protocol.eof_received()
        if self._closing:
            return
        if keep:
            self._watch()
        else:
            self.close()

    def _on_hang_up(self) -> None:
        """It has ended, and nobody reads: by an error, or both directions are closed."""
        failure = self._failure() if self._eof_read else None
        if failure is not None:
            self._lose(failure)
            return
        self._broken = True
        self._watcher.forget(self._fd)

    def _failure(self) -> OSError | None:
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return OSError(code, os.strerror(code)) if code else None

    def _drain(self) -> None:
        """The kernel takes more again."""
        pending = self._pending
        while pending:
            try:
                sent = self._socket.send(pending[0])
            except BlockingIOError:
                break
            except OSError as error:
                self._lose(error)
                return
            self._size -= sent
            if sent < len(pending[0]):
                pending[0] = memoryview(pending[0])[sent:]
                break
            pending.popleft()
        if not pending:
            if self._closing:
                self._lose(None)
                return
            if self._eof_sent:
                self._shut_down()
            self._watch()
        if self._writer_waits and self._size <= self._low:
            self._writer_waits = False
            self._protocol.resume_writing()

    def _shut_down(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._lose(error)

    def _watch(self) -> None:
        """Tell the epoll what is waited for."""
        if self._lost or self._broken or self._connecting is not None:
            return
        events = 0 if self._paused or self._eof_read or self._closing else _READING
        if self._pending:
            events |= _OUT
        if events == self._watched or (not events and self._watched == _NOT_YET):
            return
        watched, self._watched = self._watched, events
        if watched != _NOT_YET:
            self._watcher.watch(self._fd, events)
            return
        try:
            self._watcher.add(self._fd, events)
        except OSError as error:  # the kernel has a limit for this too
            self._lose(error)

    def _lose(self, error: OSError | None) -> None:
        """connection_lost(error) is due. The socket is closed after that, so that its protocol may still ask it."""
        if self._lost:
            return
        self._end()
        self._watcher.later(lambda: self._tell_lost(error))

    def _end(self) -> None:
        self._lost = self._closing = True
        self._pending.clear()
        self._size = 0
        self._watcher.leave(self._fd)

    def _tell_lost(self, error: OSError | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._socket.close()
