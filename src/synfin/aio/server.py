"""A passive open as an asyncio.Server: accepted connections become transports with a protocol each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context

from synfin.aio.engine import Engine
from synfin.aio.socket_face import ListeningFace
from synfin.aio.transport import Transport
from synfin.aio.users import Door
from synfin.tcp.connection import Connection
from synfin.tcp.listener import Listener

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class Server(asyncio.AbstractServer, Door):
    """Made by Host.create_server and Host.start_server; the calls of asyncio's own. on_close: it listens no more."""

    def __init__(
        self,
        engine: Engine,
        faces: dict[Listener, ListeningFace],
        factory: ProtocolFactory,
        context: Context,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._engine = engine
        self._faces = faces
        self._factory = factory
        self._context = context
        self._on_close = on_close
        self._transports: dict[Transport, None] = {}  # in the order they came
        self._serving = False
        self._closed = False
        self._waiters: list[asyncio.Future[None]] = []
        self._forever: asyncio.Future[None] | None = None
        for listener in faces:
            listener.serving = False
            engine.listen(listener, self)

    def __repr__(self) -> str:
        return f"<synfin Server {'closed' if self._closed else 'on'} {list(dict.fromkeys(self._faces.values()))}>"

    @property
    def sockets(self) -> tuple[ListeningFace, ...]:
        """One face of a socket for each address it listens on; none once closed."""
        return () if self._closed else tuple(dict.fromkeys(self._faces.values()))

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that runs it."""
        return self._engine.loop

    def is_serving(self) -> bool:
        """New connections are taken."""
        return self._serving

    async def start_serving(self) -> None:
        """Take connections from now on; until then its addresses are held, and connecting to them is refused."""
        self._start()

    def _start(self) -> None:
        if self._closed:
            raise RuntimeError(f"{self!r} is closed")
        self._serving = True
        for listener in self._faces:
            listener.serving = True

    async def serve_forever(self) -> None:
        """Serve until cancelled; then close."""
        if self._forever is not None:
            raise RuntimeError(f"{self!r} is already being awaited on serve_forever()")
        self._start()
        self._forever = self._engine.loop.create_future()
        try:
            await self._forever
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._forever = None

    def close(self) -> None:
        """Take no more connections; those being served go on. What nobody accepted is reset."""
        if self._closed:
            return
        self._closed = True
        self._serving = False
        for listener, face in self._faces.items():
            self._engine.close_listener(listener)
            face.close()
        if self._on_close is not None:
            self._on_close()
            self._on_close = None
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()
        self._wake()

    def close_clients(self) -> None:
        """close() every transport."""
        for transport in list(self._transports):
            transport.close()

    def abort_clients(self) -> None:
        """abort() every transport."""
        for transport in list(self._transports):
            transport.abort()

    async def wait_closed(self) -> None:
        """Until close() was called and the last transport has ended."""
        while not self._closed or self._transports:
            waiter = self._engine.loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def _wake(self) -> None:
        if self._closed and not self._transports:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()

    def serve(self, listener: Listener) -> None:
        """Take all that waits."""
        while (connection := listener.accept()) is not None:
            self._accept(listener, connection)

    def _accept(self, listener: Listener, connection: Connection) -> None:
        """A handshake is complete: its protocol begins, in a context of its own."""
        context = self._context.copy()
        try:
            protocol = context.run(self._factory)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as problem:
            self._engine.drop(connection)
            self._engine.loop.call_exception_handler(
                {"message": "the protocol factory of a server failed", "exception": problem, "server": self}
            )
            return
        face = self._faces[listener].face_of(connection, self._engine.clock, self._engine.driver.schedule_serve)
        transport = Transport(self._engine, connection, protocol, context, self._on_end, face)
        self._transports[transport] = None
        transport.begin()

    def _on_end(self, transport: Transport) -> None:
        self._transports.pop(transport, None)
        self._wake()
