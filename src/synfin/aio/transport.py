"""One connection as an asyncio.Transport.

A connection tells what happened by events; the Engine calls `serve()` with them, outside of any user's call, and the
protocol is called in the context captured when the transport was made. Rule for the next editor: no method that a user
calls runs a callback.
"""

from __future__ import annotations

import asyncio
from asyncio import constants, transports
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from synfin.aio.engine import Engine, User
from synfin.aio.socket_face import SocketFace, socket_name
from synfin.tcp import errors
from synfin.tcp.connection import Connection
from synfin.tcp.turn import EOF, FAILED, GONE, READABLE, WRITABLE
from synfin.wire.key import key_dst, key_dst_port, key_src, key_src_port


class Transport(transports._FlowControlMixin, asyncio.Transport, User):
    """What a Host gives to a protocol. on_end: it is over, the protocol has been told."""

    # asyncio's own attributes by which start_tls() and sendfile() know what a transport can do
    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.FALLBACK

    if TYPE_CHECKING:  # _FlowControlMixin has them; typeshed does not say so
        _loop: asyncio.AbstractEventLoop
        _low_water: int
        _high_water: int
        _protocol_paused: bool

        def _maybe_pause_protocol(self) -> None: ...
        def _maybe_resume_protocol(self) -> None: ...

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        protocol: asyncio.BaseProtocol,
        context: Context,
        on_end: Callable[[Transport], None] | None = None,
    ) -> None:
        super().__init__(None, engine.loop)
        self._connection = connection
        self._context = context
        self._clock = engine.clock
        self._schedule = engine.driver.schedule_serve
        self._schedule_flush = engine.driver.schedule_flush
        self._on_end = on_end
        self._begun = False  # connection_made was called
        self._paused = False
        self._eof_told = False
        self._eof_sent = False
        self._write_failed = False
        self._closing = False
        self._lost = False  # connection_lost was called
        self._error: BaseException | None = None
        self._buffered = False
        self._face: SocketFace | None = None  # made when somebody asks for it
        self.set_protocol(protocol)
        connection.user = self
        connection.sender.nodelay = True  # as asyncio's own transports

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return f"<synfin Transport {state} {self.get_extra_info('sockname')} <- {self.get_extra_info('peername')}>"

    # ---- BaseTransport ----

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """peername, sockname, socket (a SocketFace), tcp_info (a ConnectionSnapshot)."""
        if name == "peername":
            key = self._connection.key
            return socket_name(key_src(key), key_src_port(key))
        if name == "sockname":
            key = self._connection.key
            return socket_name(key_dst(key), key_dst_port(key))
        if name == "tcp_info":
            return self._connection.snapshot()
        if name == "socket":
            if self._face is None:
                self._face = SocketFace(self._connection, self._clock)
                if self._lost:
                    self._face.close()
            return self._face
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what comes from now on to `protocol`; a BufferedProtocol is given it in its own buffers."""
        self._protocol = protocol
        self._buffered = isinstance(protocol, asyncio.BufferedProtocol)
        if self._begun and not self._paused:
            self._remind()

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is served now."""
        return self._protocol

    def is_closing(self) -> bool:
        """close() or abort() was called, or the connection has ended."""
        return self._closing

    def close(self) -> None:
        """What was written still goes out; then connection_lost(None). Nothing is received any more."""
        if self._closing:
            return
        self._closing = True
        self._connection.close(self._clock())
        # The events of a closed connection are over for its user, who still waits for connection_lost.
        self._watch_writing()
        self._remind()

    def abort(self) -> None:
        """RST now; connection_lost(None) at the next turn."""
        self._force_close(None)

    def _force_close(self, error: BaseException | None) -> None:
        """By this name asyncio's TLS ends the transport below it."""
        if self._lost:
            return
        self._closing = True
        if error is not None and self._error is None:
            self._error = error
        self._connection.abort(self._clock())
        self._remind()

    # ---- ReadTransport ----

    def is_reading(self) -> bool:
        """Data is passed to the protocol as it comes."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Leave data in the connection: its window closes, and its peer stops."""
        if not self._closing:
            self._paused = True

    def resume_reading(self) -> None:
        """Pass on what has come meanwhile, at the next turn."""
        if self._closing or not self._paused:
            return
        self._paused = False
        self._remind()

    # ---- WriteTransport ----

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Where pause_writing and resume_writing are called, in bytes of get_write_buffer_size()."""
        super().set_write_buffer_limits(high, low)
        self._watch_writing()

    def get_write_buffer_size(self) -> int:
        """Bytes written beyond what the connection holds as a kernel's socket buffer would."""
        return self._connection.write_excess()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue data: bytes by reference, others copied once."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self._eof_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data or self._closing:
            return
        try:
            self._connection.write(data if type(data) is bytes else bytes(data))
        except OSError:
            # It has failed, and its protocol does not know yet: that is told at the next turn, as by a kernel's send().
            self._write_failed = True
            self._remind()
            return
        self._schedule_flush()
        self._watch_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Queue several pieces; small ones are joined by the connection."""
        for data in list_of_data:
            self.write(data)

    def can_write_eof(self) -> bool:
        """A TCP connection closes each direction on its own."""
        return True

    def write_eof(self) -> None:
        """Half-close: the FIN goes out after what was written; reading goes on."""
        if self._closing or self._eof_sent:
            return
        self._eof_sent = True
        self._connection.shutdown(self._clock())
        self._schedule_flush()

    # ---- the engine's side ----

    def end(self, error: BaseException | None) -> None:
        """Reset; connection_lost(error) at the next turn."""
        self._force_close(error)

    def begin(self) -> None:
        """The protocol's first call; what has come meanwhile follows. Aborted before it began, it never begins."""
        if self._closing:
            self._connection.user = None
            self._lost = True
            return
        self._call(self._protocol.connection_made, self)
        self._begun = True
        self._connection.remind()
        if self._connection.waiting:
            self._schedule()

    def serve(self, events: int) -> None:
        """The connection has something: give it to the protocol."""
        if not self._begun or self._lost:
            return
        if events & WRITABLE and not self._connection.error:
            self._on_writable()
        if events & (READABLE | EOF) and not self._closing:
            self._on_readable()
        connection = self._connection
        if connection.error and not self._error_waits():
            self._lose(self._error if self._error is not None else errors.oserror(connection.error))
        elif self._closing:
            if self._error is not None or connection.write_excess() == 0:
                self._lose(self._error)
        elif events & (GONE | FAILED) and self._eof_told and self._eof_sent:
            # Both directions have ended, and the protocol knows both.
            self._lose(None)
        if self._face is not None:
            self._face.refresh()

    def _error_waits(self) -> bool:
        """What came before the error is still to be read. A writer learns of it at once, as by a kernel's send()."""
        if not self._connection.receiver.ready_bytes or not self._paused:
            return False
        return not (self._closing or self._write_failed or self._protocol_paused)

    def _on_readable(self) -> None:
        connection = self._connection
        now = self._clock()
        while not self._paused and not self._closing:
            if self._buffered:
                if not connection.receiver.ready_bytes:
                    break
                self._fill_buffer(now)
                continue
            piece = connection.read_piece(now)
            if piece is None:
                break
            self._call(self._protocol.data_received, piece)  # type: ignore[attr-defined]
        if (
            connection.receiver.fin_reached
            and not connection.receiver.ready_bytes
            and not self._eof_told
            and not self._paused
            and not self._closing
        ):
            self._eof_told = True
            keep_open = self._call(self._protocol.eof_received)  # type: ignore[attr-defined]
            if not keep_open:
                self.close()

    def _fill_buffer(self, now: int) -> None:
        """BufferedProtocol: what is ready goes into the buffer that the protocol lends, as far as it has room."""
        buffer = self._call(self._protocol.get_buffer, self._connection.receiver.ready_bytes)  # type: ignore[attr-defined]
        if self._closing:
            return
        try:
            view = memoryview(buffer).cast("B")
            if not view:
                raise RuntimeError("get_buffer() returned an empty buffer")
            size = 0
            for piece in self._connection.read(now, len(view)):
                view[size : size + len(piece)] = piece
                size += len(piece)
        except (TypeError, RuntimeError) as problem:
            self._fatal(problem)
            return
        self._call(self._protocol.buffer_updated, size)  # type: ignore[attr-defined]

    def _on_writable(self) -> None:
        if self.get_write_buffer_size() <= self._low_water:
            self._connection.want_writable = self._closing
            self._context.run(self._maybe_resume_protocol)

    def _watch_writing(self) -> None:
        """Hold the writer back when its bytes pile up, and ask to be told when they don't any more."""
        if self._connection.write_excess() > (0 if self._closing else self._high_water):
            self._connection.want_writable = True
            self._maybe_pause_protocol()

    def _remind(self) -> None:
        """Ask for a turn with all that the connection has."""
        self._connection.remind()
        if self._closing:
            self._connection.notify()
        self._schedule()

    def _lose(self, error: BaseException | None) -> None:
        self._lost = True
        self._closing = True
        self._connection.want_writable = False
        self._connection.user = None
        try:
            self._context.run(self._protocol.connection_lost, error)  # type: ignore[arg-type]
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as problem:
            self._report(problem)
        finally:
            if self._face is not None:
                self._face.close()
            if self._on_end is not None:
                self._on_end(self)
                self._on_end = None

    def _call(self, callback: Callable[..., Any], *args: Any) -> Any:
        """Run a protocol's callback in its context; what it raises ends this connection, and only this."""
        try:
            return self._context.run(callback, *args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as problem:
            self._fatal(problem)
            return None

    def _fatal(self, problem: BaseException) -> None:
        self._report(problem)
        self._force_close(problem)

    def _report(self, problem: BaseException) -> None:
        self._loop.call_exception_handler(
            {
                "message": "Fatal error: a protocol's callback failed",
                "exception": problem,
                "transport": self,
                "protocol": self._protocol,
            }
        )
