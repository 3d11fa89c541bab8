"""One connection as an asyncio.Transport.

The yardstick is asyncio's own transport on a kernel's socket: at most one event is given to the protocol a turn of the
loop, so that the tasks woken by one run before the next; connection_lost comes by call_soon; what exceeds a kernel's
socket buffer is the transport's, the rest the connection's. Rule for the next editor: no method that a user calls runs
a callback (but pause_writing, as in asyncio), and the protocol is called in the context that the transport was made in.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import constants, transports
from asyncio.log import logger
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

from synfin.aio.engine import Engine
from synfin.aio.socket_face import SocketFace, socket_name
from synfin.aio.users import User
from synfin.tcp import errors
from synfin.tcp.connection import Connection
from synfin.tcp.tcb import NOT_WANTED
from synfin.tcp.turn import EOF, FAILED, READABLE, WRITABLE
from synfin.wire.key import key_dst, key_dst_port, key_src, key_src_port

NO_EXTRA: Final[dict[str, Any]] = {}  # of all transports: get_extra_info() answers by itself
LOW_WATER: Final = 16 * 1024  # as asyncio's own transports begin
MAX_READ: Final = 256 * 1024  # bytes given to a protocol at once, as by asyncio's own transports


class Transport(transports._FlowControlMixin, asyncio.Transport, User):
    """What a Host gives to a protocol. on_end: it is over, the protocol has been told. face: if it has one already."""

    # Half of what an idle connection's transport would take; __dict__ exists only once somebody sets another attribute.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_begun",
        "_buffered",
        "_clock",
        "_closing",
        "_connection",
        "_context",
        "_ended",
        "_eof_sent",
        "_eof_told",
        "_error",
        "_face",
        "_lost",
        "_on_end",
        "_paused",
        "_protocol",
        "_reading",
        "_schedule",
        "_schedule_flush",
        "_writes_lost",
    )

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
        face: SocketFace | None = None,
    ) -> None:
        super().__init__(NO_EXTRA, engine.loop)
        self._low_water = LOW_WATER  # the same number, and one object for all
        self._connection = connection
        self._context = context
        self._clock = engine.clock
        self._schedule = engine.driver.serve_soon
        self._schedule_flush = engine.driver.flush_soon
        self._on_end = on_end
        self._begun = False  # connection_made was called
        self._reading = False  # data may be given to the protocol; some turns after connection_made
        self._paused = False
        self._eof_told = False
        self._eof_sent = False
        self._closing = False
        self._ended = False  # connection_lost is due: nothing else is told any more
        self._lost = False  # connection_lost was called
        self._error: BaseException | None = None  # what connection_lost is told
        self._writes_lost = 0
        self._face = face  # else made when somebody asks for it
        self.set_protocol(protocol)
        connection.user = self
        connection.sender.nodelay = True  # as asyncio's own transports

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return f"<synfin Transport {state} {self.get_extra_info('sockname')} <- {self.get_extra_info('peername')}>"

    # ---- BaseTransport ----

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """peername, sockname, socket (a SocketFace), tcp_info (a ConnectionSnapshot)."""
        ipv6 = self._face is not None and self._face.family == socket.AF_INET6
        if name == "peername":
            key = self._connection.key
            return socket_name(key_src(key), key_src_port(key), ipv6)
        if name == "sockname":
            key = self._connection.key
            return socket_name(key_dst(key), key_dst_port(key), ipv6)
        if name == "tcp_info":
            return self._connection.snapshot(self._clock())
        if name == "socket":
            if self._face is None:
                self._face = SocketFace(self._connection, self._clock, self._schedule)
                if self._lost:
                    self._face.close()
            return self._face
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what comes from now on to `protocol`; a BufferedProtocol is given it in its own buffers."""
        self._protocol = protocol
        self._buffered = isinstance(protocol, asyncio.BufferedProtocol)

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
        if self._connection.write_excess():
            self._watch_writing()  # the end comes when the connection has taken it all
        else:
            self._finish(None)

    def abort(self) -> None:
        """End without what the connection has not taken yet; connection_lost(None) at the next turn.

        As of a kernel's socket that is closed: what it holds is delivered, and the end is told by FIN, or by RST with
        input unread or if SO_LINGER says so.
        """
        self._force_close(None)

    def _force_close(self, error: BaseException | None) -> None:
        """By this name asyncio's TLS ends the transport below it."""
        if not self._ended:
            self._connection.drop_excess()
            self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        self._decide_end(error)
        self._loop.call_soon(self._tell_lost)

    def _decide_end(self, error: BaseException | None) -> None:
        """The connection goes its own way, and the protocol is told of nothing but the end."""
        self._closing = True
        self._ended = True
        self._error = error
        self._connection.writable_at = NOT_WANTED
        self._connection.close(self._clock())
        self._schedule_flush()

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
        """Queue data: bytes by reference, others copied once. Also after close(), while what was written drains."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self._eof_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data:
            return
        if self._ended:
            self._writes_lost += 1
            if self._writes_lost >= constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                logger.warning("socket.send() raised exception.")
            return
        try:
            self._connection.write(data if type(data) is bytes else bytes(data))
        except OSError as error:  # it has failed, and its protocol did not know yet
            self._force_close(error)
            return
        self._schedule_flush()
        if self._connection.write_excess():
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
        """The host ends: connection_lost(error) at the next turn. Was it due already, that turn may have been lost."""
        if not self._ended:
            self._decide_end(error)
        if not self._loop.is_closed():
            self._loop.call_soon(self._tell_lost)

    def begin(self, begun: asyncio.Future[None] | None = None) -> None:
        """connection_made. Those who wait for it, or were woken by it, run before anything else is told.

        Aborted before it began, it never begins.
        """
        if not self._closing:
            self._begun = True
            try:
                self._context.run(self._protocol.connection_made, self)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as problem:
                self._report(problem, "connection_made")
        if begun is not None and not begun.done():
            begun.set_result(None)
        self._loop.call_soon(self._start_reading)

    def _start_reading(self) -> None:
        if not self._ended:
            self._reading = True
            self._remind()

    def serve(self, events: int) -> bool:
        """The connection has something: give it to the protocol, one thing of what was received."""
        if not self._begun or self._ended:
            return False
        connection = self._connection
        pending = connection.pending()
        told = False
        if self._reading and not self._paused and not self._closing:
            if pending & READABLE:
                told = True
                self._give_text(connection)
                pending = connection.pending()
            elif not self._eof_told and self._is_at_end(pending):
                told = True
                self._tell_end()
                pending = connection.pending()
        if pending & FAILED:
            if not told and not self._error_waits():
                self._force_close(errors.oserror(connection.error))
        elif events & WRITABLE:
            self._on_writable()
        if self._face is not None:
            self._face.refresh()
        if not told or (not pending and self._face is None):
            return False
        return self._has_more(pending)

    def _has_more(self, pending: int) -> bool:
        """To be received, or an error after what was."""
        if pending & FAILED:
            return not self._ended
        if self._paused or self._closing:
            return False
        return pending & READABLE > 0 or (self._is_at_end(pending) and not self._eof_told)

    def _is_at_end(self, pending: int) -> bool:
        """After what is ready nothing more is received."""
        return pending & EOF > 0 or (self._face is not None and self._face.reading_over)

    def _error_waits(self) -> bool:
        """Nobody reads or is held back in writing: as a socket's, the error is found by who does either next."""
        if self._closing or self._connection.writable_at != NOT_WANTED:
            return False
        return self._paused or self._eof_told or not self._reading

    def _give_text(self, connection: Connection) -> None:
        """What was received is the protocol's."""
        if self._buffered:
            self._fill_buffer()
            return
        try:  # as _call does it
            self._context.run(self._protocol.data_received, connection.read_joined(self._clock(), MAX_READ))  # type: ignore[attr-defined]
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as problem:
            self._fatal(problem, "data_received")

    def _tell_end(self) -> None:
        """Nothing more is received."""
        self._eof_told = True
        if self._buffered:
            self._call("get_buffer", -1)  # in vain: a socket tells the end to who reads
        if not self._ended and not self._call("eof_received"):
            self.close()

    def _fill_buffer(self) -> None:
        """BufferedProtocol: what is ready goes into the buffer that the protocol lends, as far as it has room."""
        buffer = self._call("get_buffer", -1)
        if self._closing:
            return
        try:
            view = memoryview(buffer).cast("B")
            if not view:
                raise RuntimeError("get_buffer() returned an empty buffer")
            size = self._connection.read_into(self._clock(), view)
        except (TypeError, RuntimeError) as problem:
            self._fatal(problem, "get_buffer")
            return
        self._call("buffer_updated", size)

    def _on_writable(self) -> None:
        """The connection has taken some of what was written: the writer may go on, or all is out."""
        connection = self._connection
        if not self._ended and connection.write_excess() <= self._low_water:
            self._context.run(self._maybe_resume_protocol)  # which may write
        if self._ended:
            return
        held = connection.write_excess()
        connection.writable_at = (self._low_water if self._protocol_paused else 0) if held else NOT_WANTED
        if self._closing and not held:
            self._decide_end(None)
            self._tell_lost()

    def _watch_writing(self) -> None:
        """Hold the writer back when its bytes pile up, and ask to be told when they don't any more."""
        held = self._connection.write_excess()
        if held:
            if held > self._high_water:
                self._maybe_pause_protocol()
            self._connection.writable_at = self._low_water if self._protocol_paused else 0

    def _remind(self) -> None:
        """Ask for a turn with all that the connection has."""
        self._connection.remind()
        if self._connection.waiting:
            self._schedule()

    def _tell_lost(self) -> None:
        if self._lost:
            return
        self._lost = True
        self._connection.user = None
        try:
            if self._begun:
                self._context.run(self._protocol.connection_lost, self._error)  # type: ignore[arg-type]
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as problem:
            self._report(problem, "connection_lost")
        finally:
            if self._face is not None:
                self._face.close()
            if self._on_end is not None:
                self._on_end(self)
                self._on_end = None
            self._protocol = None  # type: ignore[assignment]  # as asyncio's: which may hold this transport

    def _call(self, name: str, *args: Any) -> Any:
        """Run a protocol's callback in its context; what it raises ends this connection, and only this."""
        try:
            return self._context.run(getattr(self._protocol, name), *args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as problem:
            self._fatal(problem, name)
            return None

    def _fatal(self, problem: BaseException, name: str) -> None:
        if not isinstance(problem, OSError):  # which asyncio takes for the network's
            self._loop.call_exception_handler(
                {
                    "message": f"Fatal error: protocol.{name}() call failed.",
                    "exception": problem,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
        self._force_close(problem)

    def _report(self, problem: BaseException, name: str) -> None:
        """What asyncio has its loop call: that it fails is reported, and changes nothing."""
        self._loop.call_exception_handler(
            {"message": f"Exception in callback {type(self._protocol).__name__}.{name}()", "exception": problem}
        )
