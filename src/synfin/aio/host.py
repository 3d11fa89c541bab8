"""A host of its own inside this process: a Stack, the link it lives on, and asyncio to run both.

The order is the stack's contract: a batch of packets is read and its users are served; then, after the tasks woken by
that have run once, the stack is polled for as much as the link takes. The clock is the loop's own, so that a loop with
virtual time drives a Host as well.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
from asyncio import sslproto
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context, copy_context
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Protocol, cast

from synfin.aio.server import ProtocolFactory, Server
from synfin.aio.transport import Transport, socket_name
from synfin.links.link import Link
from synfin.links.tunnel import TunnelLink
from synfin.stack.stack import Address, Stack, packed
from synfin.tcp import errors
from synfin.tcp.config import Config
from synfin.tcp.connection import CONNECTED, FAILED, Connection
from synfin.tcp.isn import IsnFunction
from synfin.tcp.listener import Listener
from synfin.tcp.trace import Trace

if TYPE_CHECKING:
    import ssl as ssl_module

READ_PACKETS = 64  # of one batch: then users and output have their turn
SEND_BYTES = 1 << 20  # of one turn: then the link is read again
STREAM_LIMIT = 1 << 16  # asyncio.streams._DEFAULT_LIMIT
CLOSE_GRACE_SECONDS = 2.0
ANY_ADDRESS = ("", "0.0.0.0", "::")


class _Waiter:
    """Stands in for the user of a connection until its transport is made."""

    def __init__(self, future: asyncio.Future[None], what: str) -> None:
        self.future = future
        self.what = what


class Closable(Protocol):
    """The part of a link that every kind has."""

    def close(self) -> None: ...


class Host:
    """An IP host with a TCP of its own.

    addresses: "fd00::2/64" or several of them; a prefix length is allowed and means nothing here. Give either
    `link` (an object as in synfin.links, TunLink for one) or `send`, a function that takes one outgoing IP packet;
    what comes in goes to `receive()` then. Use it as `async with Host(...) as host:`.

    Raises ValueError or TypeError for arguments that can't work.
    """

    def __init__(
        self,
        addresses: str | Iterable[str],
        *,
        link: Link | None = None,
        send: Callable[[bytes], object] | None = None,
        config: Config | None = None,
        name: str = "synfin",
        trace: Trace | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        isn: IsnFunction | None = None,
    ) -> None:
        if (link is None) == (send is None):
            raise TypeError("a Host needs either link= or send=, not both and not neither")
        config = config if config is not None else Config()
        self._link: Link | None = link
        self._tunnel: TunnelLink | None = None if send is None else TunnelLink(send, config.mtu)
        if link is not None and link.mtu != config.mtu:
            config = dataclasses.replace(config, mtu=link.mtu)
        listed = [addresses] if isinstance(addresses, str) else list(addresses)
        plain = [_without_prefix(address) for address in listed]
        self.stack: Stack = Stack(plain, config, entropy=entropy, name=name, isn=isn, trace=trace)
        self.name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._servers: dict[Listener, Server] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._flush_scheduled = False
        self._serve_scheduled = False
        self._writing = False  # the link is full: wait until it is writable
        self._closed = False
        self._closing: asyncio.Future[None] | None = None
        self._delivered: asyncio.Future[None] | None = None  # aclose() waits for it

    def __repr__(self) -> str:
        addresses = ", ".join(sorted(str(ip_address(address)) for address in self.stack.addresses))
        return f"<synfin Host {self.name} {addresses}{' closed' if self._closed else ''}>"

    # ---- life ----

    async def __aenter__(self) -> Host:
        self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop this host runs on; RuntimeError before it was opened."""
        if self._loop is None:
            raise RuntimeError(f"{self!r} is not open: use `async with Host(...)`")
        return self._loop

    def open(self) -> None:
        """Begin to run on the running loop; `async with` does it for you."""
        if self._closed:
            raise RuntimeError(f"{self!r}: a host that was closed can't be opened again, make a new one")
        if self._loop is not None:
            raise RuntimeError(f"{self!r} is open already")
        self._loop = asyncio.get_running_loop()
        if self._link is not None:
            self._loop.add_reader(self._link.fileno(), self._on_readable)

    async def aclose(self, grace: float = CLOSE_GRACE_SECONDS) -> None:
        """End: listeners close; connections in their users' hands are reset; those their users have closed get
        `grace` seconds to deliver what is queued. Bounded, and may be called again."""
        if self._closing is not None:
            await asyncio.shield(self._closing)
            return
        if self._loop is None or self._closed:
            self._closed = True
            self._close_link()
            return
        self._closing = self._loop.create_future()
        try:
            for server in list(self._servers.values()):
                server.close()
            for connection in self.stack.connections():
                if not connection.closer.reader_gone:
                    self._abort(connection)
            self._run()
            if self._delivering():
                self._delivered = self._loop.create_future()
                await asyncio.wait([self._delivered], timeout=grace)
        finally:
            self.close()
            self._closing.set_result(None)

    def _delivering(self) -> bool:
        """A connection whose user is gone still has something to deliver."""
        return any(not connection.sender.idle() for connection in self.stack.connections())

    def close(self) -> None:
        """End at once: everything is reset, the link is closed."""
        if self._closed:
            return
        if self._loop is not None:
            self.stack.abort_all(self.clock())
            self._serve()
            self._flush_now()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._link is not None and self._link.fileno() >= 0:
                self._loop.remove_reader(self._link.fileno())
                self._loop.remove_writer(self._link.fileno())
        self._closed = True
        self._close_link()

    def _close_link(self) -> None:
        link: Closable | None = self._link if self._link is not None else self._tunnel
        assert link is not None
        link.close()

    def clock(self) -> int:
        """The loop's time in microseconds."""
        return int(self.loop.time() * 1_000_000)

    def set_trace(self, trace: Trace | None) -> None:
        """Watch everything from now on, or nothing (None)."""
        self.stack.set_trace(trace)

    # ---- packets ----

    def receive(self, packet: bytes | bytearray | memoryview) -> None:
        """One IP packet from the tunnel's owner. Never blocks, never raises for what the packet says."""
        if self._closed:
            raise errors.oserror(errors.NOT_CONNECTED, f"{self!r}")
        self.stack.receive(packet if type(packet) is bytes else bytes(packet), self.clock())
        self._schedule_serve()

    def _on_readable(self) -> None:
        link = self._link
        assert link is not None
        try:
            link.receive(self.stack, self.clock, READ_PACKETS)
        except OSError as error:
            self._on_link_lost(error)
            return
        self._serve()
        self._schedule_flush()

    def _on_link_lost(self, error: OSError) -> None:
        """The device is gone: so is this host."""
        if self._closed:
            return
        self.loop.call_exception_handler({"message": f"the link of {self!r} is gone", "exception": error})
        for connection in self.stack.connections():
            connection.on_link_lost(errors.NETWORK_UNREACHABLE, self.clock())
        self.close()

    def _schedule_serve(self) -> None:
        if not self._serve_scheduled and self._loop is not None:
            self._serve_scheduled = True
            self._loop.call_soon(self._on_serve)

    def _on_serve(self) -> None:
        self._serve_scheduled = False
        if not self._closed:
            self._serve()
            self._schedule_flush()

    def _schedule_flush(self) -> None:
        if not self._flush_scheduled and self._loop is not None:
            self._flush_scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        """After the users have run: send."""
        self._flush_scheduled = False
        if self._closed:
            return
        self._flush_now()
        if self.stack.has_events():
            self._schedule_serve()
        if self.stack.has_output() and not self._writing:
            self._schedule_flush()
        self._arm_timer()
        if self._delivered is not None and not self._delivered.done() and not self._delivering():
            self._delivered.set_result(None)

    def _flush_now(self) -> None:
        if self._writing:
            return
        bursts = self.stack.poll(self.clock(), SEND_BYTES)
        if not bursts:
            return
        if self._tunnel is not None:
            self._tunnel.send(bursts)
            return
        link = self._link
        assert link is not None
        try:
            if not link.send(bursts):
                self._writing = True
                self.loop.add_writer(link.fileno(), self._on_writable)
        except OSError as error:
            self._on_link_lost(error)

    def _on_writable(self) -> None:
        link = self._link
        assert link is not None
        try:
            if not link.flush():
                return
        except OSError as error:
            self._on_link_lost(error)
            return
        self._writing = False
        self.loop.remove_writer(link.fileno())
        self._schedule_flush()

    def _arm_timer(self) -> None:
        """One timer of the loop's for the stack's next deadline; one that comes too early is left to fire."""
        deadline = self.stack.next_deadline()
        if deadline is None:
            return
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self.loop.call_at(deadline / 1_000_000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._closed:
            return
        self.stack.on_timer(max(self.clock(), self._timer_at))
        self._serve()
        self._schedule_flush()

    def _serve(self) -> None:
        """Give to each user what the stack has for it."""
        stack = self.stack
        while (listener := stack.accepting()) is not None:
            server = self._servers.get(listener)
            while (connection := listener.accept()) is not None:
                if server is None:
                    self._abort(connection)
                else:
                    server._accept(connection)
        while (ready := stack.ready()) is not None:
            events = ready.take_events()
            user = ready.user
            if isinstance(user, Transport):
                user.serve(events)
            elif isinstance(user, _Waiter) and not user.future.done():
                if events & CONNECTED:
                    user.future.set_result(None)
                elif events & FAILED or ready.error:
                    user.future.set_exception(errors.oserror(ready.error, user.what))

    def _abort(self, connection: Connection) -> None:
        connection.abort(self.clock())
        connection.remind()
        self._schedule_serve()

    def _close_listener(self, listener: Listener) -> None:
        self._servers.pop(listener, None)
        self.stack.close_listener(listener, self.clock())
        self._schedule_flush()

    def _make_transport(
        self, connection: Connection, protocol: asyncio.BaseProtocol, context: Context, server: Server | None
    ) -> Transport:
        return Transport(self.loop, connection, protocol, context, self.clock, self._schedule_serve, server)

    # ---- connections ----

    async def connect(self, host: str, port: int, *, local_addr: tuple[str, int] | None = None) -> Connection:
        """Active open; the established Connection. For those who want no transport: its events are theirs to take."""
        self._check_open()
        last: OSError | None = None
        for address in await self._resolve(host, port):
            try:
                return await self._connect_to(address, port, local_addr)
            except OSError as error:
                last = error
        assert last is not None
        raise last

    async def _connect_to(self, address: Address, port: int, local_addr: tuple[str, int] | None) -> Connection:
        local, local_port = (local_addr[0], local_addr[1]) if local_addr is not None else (None, 0)
        connection = self.stack.connect(address, port, self.clock(), local, local_port)
        future: asyncio.Future[None] = self.loop.create_future()
        connection.user = _Waiter(future, f"connect to {socket_name(packed(address), port)[:2]}")
        self._schedule_flush()
        try:
            await future
        except BaseException:
            # Cancelled or failed: nothing is left behind, and the peer hears of it at once.
            connection.user = None
            self._abort(connection)
            raise
        return connection

    async def _resolve(self, host: str, port: int) -> list[bytes]:
        """The addresses of `host` that this stack can reach, in order of preference."""
        try:
            return [packed(host)]
        except ValueError:
            pass
        families = {len(address) for address in self.stack.addresses}
        found = await self.loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [packed(str(entry[4][0])) for entry in found]
        usable = [address for address in dict.fromkeys(addresses) if len(address) in families]
        if not usable:
            raise errors.oserror(errors.NETWORK_UNREACHABLE, f"{host} has no address of this stack's families")
        return usable

    async def create_connection(
        self,
        protocol_factory: ProtocolFactory,
        host: str,
        port: int,
        *,
        ssl: ssl_module.SSLContext | bool | None = None,
        server_hostname: str | None = None,
        local_addr: tuple[str, int] | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """As loop.create_connection: connects, makes a protocol, and returns (transport, protocol).

        Raises OSError (ConnectionRefusedError, TimeoutError, ...), ValueError or TypeError for bad arguments.
        """
        self._check_open()
        if server_hostname is not None and not ssl:
            raise ValueError("server_hostname is only meaningful with ssl")
        if ssl and not server_hostname:
            server_hostname = host
        connection = await self.connect(host, port, local_addr=local_addr)
        context = copy_context()
        try:
            protocol = protocol_factory()
            if not ssl:
                transport = self._make_transport(connection, protocol, context, None)
                await self._begin(transport)
                return transport, protocol
            return (
                await self._begin_tls(
                    connection, protocol, ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout, context
                ),
                protocol,
            )
        except BaseException:
            self._abort(connection)
            raise

    async def _begin(self, transport: Transport) -> None:
        """connection_made, outside of the caller's frame as asyncio does it."""
        begun = self.loop.create_future()

        def begin() -> None:
            transport.begin()
            if not begun.done():
                begun.set_result(None)

        self.loop.call_soon(begin)
        await begun

    async def _begin_tls(
        self,
        connection: Connection,
        protocol: asyncio.BaseProtocol,
        ssl: ssl_module.SSLContext | bool,
        server_hostname: str | None,
        handshake_timeout: float | None,
        shutdown_timeout: float | None,
        context: Context,
    ) -> asyncio.Transport:
        done: asyncio.Future[None] = self.loop.create_future()
        tls = _tls_protocol(self.loop, protocol, ssl, done, False, server_hostname, handshake_timeout, shutdown_timeout)
        transport = self._make_transport(connection, tls, context, None)
        await self._begin(transport)
        await done
        return cast(asyncio.Transport, tls._app_transport)

    async def create_server(
        self,
        protocol_factory: ProtocolFactory,
        host: str | Iterable[str] | None = None,
        port: int = 0,
        *,
        ssl: ssl_module.SSLContext | None = None,
        backlog: int = 128,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Server:
        """As loop.create_server; host None, "0.0.0.0" and "::" mean every address of this host, port 0 a free one.

        Raises OSError (EADDRINUSE, EADDRNOTAVAIL), ValueError or TypeError for bad arguments.
        """
        self._check_open()
        if isinstance(ssl, bool):
            raise TypeError("ssl argument must be an SSLContext or None")
        if not callable(protocol_factory):
            raise TypeError("protocol_factory must be callable")

        def tls_factory() -> asyncio.BaseProtocol:
            assert ssl is not None
            tls: asyncio.BaseProtocol = _tls_protocol(
                self.loop, protocol_factory(), ssl, None, True, None, ssl_handshake_timeout, ssl_shutdown_timeout
            )
            return tls

        hosts: list[str | None] = [host] if host is None or isinstance(host, str) else list(host)
        listeners: list[Listener] = []
        names: list[Any] = []
        try:
            for entry in hosts:
                address = None if entry is None or entry in ANY_ADDRESS else _without_prefix(entry)
                listener = self.stack.listen(port, address, backlog)
                listeners.append(listener)
                wanted = self.stack.addresses if address is None else {packed(address)}
                names += [socket_name(one, listener.port) for one in sorted(wanted)]
        except BaseException:
            for listener in listeners:
                self._close_listener(listener)
            raise
        factory: ProtocolFactory = protocol_factory if ssl is None else tls_factory
        server = Server(self, listeners, factory, copy_context(), names)
        for listener in listeners:
            self._servers[listener] = server
        return server

    async def open_connection(
        self, host: str, port: int, *, limit: int = STREAM_LIMIT, **arguments: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """As asyncio.open_connection: a StreamReader and a StreamWriter, asyncio's own."""
        loop = self.loop
        reader = asyncio.StreamReader(limit=limit, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await self.create_connection(lambda: protocol, host, port, **arguments)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def start_server(
        self,
        client_connected_cb: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None],
        host: str | Iterable[str] | None = None,
        port: int = 0,
        *,
        limit: int = STREAM_LIMIT,
        **arguments: Any,
    ) -> Server:
        """As asyncio.start_server: calls `client_connected_cb(reader, writer)` for each connection."""
        loop = self.loop

        def factory() -> asyncio.BaseProtocol:
            reader = asyncio.StreamReader(limit=limit, loop=loop)
            return asyncio.StreamReaderProtocol(reader, client_connected_cb, loop=loop)

        return await self.create_server(factory, host, port, **arguments)

    def _check_open(self) -> None:
        if self._closed or self._loop is None:
            raise RuntimeError(f"{self!r} is not open: use `async with Host(...)`")


def _tls_protocol(
    loop: asyncio.AbstractEventLoop,
    protocol: asyncio.BaseProtocol,
    context: ssl_module.SSLContext | bool,
    waiter: asyncio.Future[None] | None,
    server_side: bool,
    server_hostname: str | None,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
) -> Any:
    """asyncio's own TLS, which speaks through any transport that takes a BufferedProtocol."""
    make: Any = sslproto.SSLProtocol  # typeshed knows less of its arguments than it takes
    return make(
        loop,
        protocol,
        sslproto._create_transport_context(server_side, server_hostname) if context is True else context,
        waiter,
        server_side,
        server_hostname,
        ssl_handshake_timeout=handshake_timeout,
        ssl_shutdown_timeout=shutdown_timeout,
    )


def _without_prefix(address: str) -> str:
    if not isinstance(address, str):
        raise TypeError(f"an address is a str such as '10.0.0.2' or 'fd00::2/64', not {type(address).__name__}")
    plain, _, prefix = address.partition("/")
    parsed = ip_address(plain)
    if prefix and not (prefix.isdigit() and int(prefix) <= parsed.max_prefixlen):
        raise ValueError(f"{address!r} has no valid prefix length")
    return plain
