"""Connections and listeners in the hands of whoever calls a loop's sock_*: no transport, no protocol.

They do what a non-blocking socket does, by its calls and with its errors; what would block raises BlockingIOError, and
`readable()` and `writable()` wait for it to change.
"""

from __future__ import annotations

import asyncio
import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Final

from synfin.aio.engine import Engine
from synfin.aio.socket_face import Face, ListeningFace, SocketFace
from synfin.aio.users import Door, User
from synfin.tcp import errors
from synfin.tcp.connection import Connection
from synfin.tcp.listener import Listener
from synfin.tcp.states import CLOSED, TIME_WAIT
from synfin.tcp.turn import WRITABLE

AT_ONCE: Final = 65536  # bytes that one send() takes


def _os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


class Held(ABC):
    """What stands behind a socket: its face, and what its calls do. Those that it is not for fail as a socket's."""

    face: Face

    @abstractmethod
    def let_go(self) -> None:
        """The socket is closed, or forgotten."""

    async def readable(self) -> None:
        """Until recv() or accept() may have something."""
        raise NotImplementedError

    async def writable(self) -> None:
        """Until send() may take something."""
        raise NotImplementedError

    def recv(self, size: int) -> bytes:
        """OSError(ENOTCONN)."""
        raise _os_error(errno.ENOTCONN)

    def recv_into(self, buffer: bytearray | memoryview, size: int = 0) -> int:
        """OSError(ENOTCONN)."""
        raise _os_error(errno.ENOTCONN)

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """OSError(EPIPE)."""
        raise _os_error(errno.EPIPE)

    def accept(self) -> HeldConnection:
        """OSError(EINVAL)."""
        raise _os_error(errno.EINVAL)


class _Waiters:
    """Tasks that wait for the same."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._futures: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        future = self._loop.create_future()
        self._futures.append(future)
        try:
            await future
        finally:
            if future in self._futures:
                self._futures.remove(future)

    def wake(self) -> None:
        futures, self._futures = self._futures, []
        for future in futures:
            if not future.done():
                future.set_result(None)


class HeldConnection(User, Held):
    """One that is established. face: it has one already, with options set."""

    def __init__(self, engine: Engine, connection: Connection, face: SocketFace | None = None) -> None:
        self.connection = connection
        self.face: SocketFace = face or SocketFace(connection, engine.clock, engine.driver.schedule_serve)
        self.engine = engine
        self._readers = _Waiters(engine.loop)
        self._writers = _Waiters(engine.loop)
        self._error: BaseException | None = None  # it ended under its user's hands
        self._error_told = False
        self._writing_over = False
        self._released = False
        connection.user = self

    # ---- the engine's side ----

    def serve(self, events: int) -> bool:
        """Whoever waits looks again."""
        self.face.refresh()
        self._readers.wake()
        if events & WRITABLE or self.connection.error:
            self._writers.wake()
        return False

    def is_closing(self) -> bool:
        """Its socket is open."""
        return False

    def end(self, error: BaseException | None) -> None:
        """The host ends."""
        self._error = error
        self._readers.wake()
        self._writers.wake()

    # ---- the socket's side ----

    async def readable(self) -> None:
        """Until recv() may have something."""
        await self._readers.wait()

    async def writable(self) -> None:
        """Until send() may take something."""
        self.connection.want_writable = True
        await self._writers.wait()

    def recv(self, size: int) -> bytes:
        """At most `size` bytes; empty: the end. Raises OSError as a socket: once what ended it, BlockingIOError."""
        if size < 0:
            raise ValueError("negative buffersize in recv")
        connection = self.connection
        receiver = connection.receiver
        if receiver.ready_bytes and size:
            data = connection.read_joined(self.engine.clock(), size)
            self.face.refresh()
            self.engine.driver.schedule_flush()
            return data
        self._raise_error()
        if receiver.fin_reached or self.face.reading_over or self._is_over():
            return b""
        if not size:
            return b""
        raise _os_error(errno.EAGAIN)

    def recv_into(self, buffer: bytearray | memoryview, size: int = 0) -> int:
        """The same, into a buffer; its bytes."""
        with memoryview(buffer) as whole, whole.cast("B") as view:
            data = self.recv(min(size, len(view)) if size else len(view))
            view[: len(data)] = data
        return len(data)

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Bytes taken of `data`. Raises OSError as a socket: EPIPE after its own end, BlockingIOError."""
        connection = self.connection
        self._raise_error()
        if self._is_over() or connection.closer.fin_queued:
            raise errors.oserror(errors.BROKEN_PIPE)
        if connection.write_excess():
            raise _os_error(errno.EAGAIN)
        with memoryview(data) as whole, whole.cast("B") as view:
            taken = bytes(view[:AT_ONCE])
        connection.write(taken)
        self.engine.driver.schedule_flush()
        return len(taken)

    def _raise_error(self) -> None:
        """What ended it is told once, as by SO_ERROR."""
        if self._error is not None:
            raise self._error
        if self.connection.error and not self._error_told:
            self._error_told = True
            raise errors.oserror(self.connection.error)

    def _is_over(self) -> bool:
        return self.connection.state in (CLOSED, TIME_WAIT)

    def give_away(self) -> Connection:
        """A transport takes it over, face and all."""
        self._released = True
        self._readers.wake()
        self._writers.wake()
        return self.connection

    def let_go(self) -> None:
        """In order, as a kernel does."""
        if self._released:
            return
        self._released = True
        self.face.close()
        self._error = _os_error(errno.EBADF)
        self._readers.wake()
        self._writers.wake()
        if self.engine.is_open():
            self.engine.drop(self.connection)


class HeldListener(Door, Held):
    """One whose connections wait until somebody asks for them."""

    def __init__(self, engine: Engine, listeners: Iterable[Listener], face: ListeningFace) -> None:
        self.face: ListeningFace = face
        self._engine = engine
        self._listeners = list(listeners)
        self._waiters = _Waiters(engine.loop)
        self._error: OSError | None = None
        for listener in self._listeners:
            engine.listen(listener, self)

    def serve(self, listener: Listener) -> None:
        """Whoever waits looks again."""
        self.face.refresh()
        self._waiters.wake()

    async def readable(self) -> None:
        """Until accept() may have something."""
        await self._waiters.wait()

    def accept(self) -> HeldConnection:
        """The next connection. Raises OSError as a socket: BlockingIOError."""
        if self._error is not None:
            raise self._error
        engine = self._engine
        for listener in self._listeners:
            connection = listener.accept()
            if connection is not None:
                self.face.refresh()
                face = self.face.face_of(connection, engine.clock, engine.driver.schedule_serve)
                return HeldConnection(engine, connection, face)
        self.face.refresh()
        raise _os_error(errno.EAGAIN)

    def let_go(self) -> None:
        """Listen no more."""
        self._end(_os_error(errno.EBADF))

    def close(self) -> None:
        """The host ends."""
        self._end(self._engine.closed_error())

    def _end(self, error: OSError) -> None:
        if self._error is not None:
            return
        self._error = error
        self.face.close()
        self._waiters.wake()
        for listener in self._listeners:
            self._engine.close_listener(listener)


class HeldServer(Held):
    """A socket that a server listens on: closing it ends the server."""

    def __init__(self, face: Face, server: asyncio.AbstractServer) -> None:
        self.face = face
        self._server = server

    def let_go(self) -> None:
        """The server ends."""
        self._server.close()


class HeldTransport(Held):
    """A socket that a transport has taken over: closing it ends the connection."""

    def __init__(self, face: Face, transport: asyncio.Transport) -> None:
        self.face = face
        self._transport = transport

    def recv(self, size: int) -> bytes:
        """RuntimeError, of this and the others: what comes is the transport's."""
        raise RuntimeError(f"{self.face!r} is used by transport {self._transport!r}")

    def recv_into(self, buffer: bytearray | memoryview, size: int = 0) -> int:
        """The same."""
        raise RuntimeError(f"{self.face!r} is used by transport {self._transport!r}")

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """The same."""
        raise RuntimeError(f"{self.face!r} is used by transport {self._transport!r}")

    def let_go(self) -> None:
        """The transport ends."""
        self._transport.abort()
