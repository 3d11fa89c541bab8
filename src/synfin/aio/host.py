"""A host of its own inside this process: a Stack, what carries its packets, and asyncio's calls on top.

Connecting, listening, streams, TLS and datagrams are here; what runs the stack is `driver`. Nothing here blocks, and no
user's callback runs inside a user's call.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
from asyncio import sslproto
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context, copy_context
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

from synfin.aio.control import ControlSocket, control_path
from synfin.aio.datagram import DatagramTransport
from synfin.aio.driver import Driver
from synfin.aio.server import ProtocolFactory, Server
from synfin.aio.socket_face import ListeningFace, socket_name
from synfin.aio.transport import Transport
from synfin.links.link import Link, check_mtu
from synfin.links.tunnel import TunnelLink
from synfin.stack.stack import Address, Stack, check_backlog, check_port, packed
from synfin.tcp import errors
from synfin.tcp.config import Config
from synfin.tcp.connection import CONNECTED, FAILED, Connection
from synfin.tcp.isn import IsnFunction
from synfin.tcp.listener import Listener
from synfin.tcp.trace import Trace

if TYPE_CHECKING:
    import ssl as ssl_module

STREAM_LIMIT = 1 << 16  # asyncio.streams._DEFAULT_LIMIT
CLOSE_GRACE_SECONDS = 2.0
ANY_ADDRESS = ("", "0.0.0.0", "::")


class _Waiter:
    """Stands in for the user of a connection until its transport is made."""

    def __init__(self, future: asyncio.Future[None], what: str) -> None:
        self.future = future
        self.what = what


class Host:
    """An IP host with a TCP of its own.

    addresses: "fd00::2/64", or several of them; a prefix length says which network is reached (see `networks`).
    What carries the packets is one of three:

    - `link`: an object as in synfin.links (TunLink for one);
    - `send`: a function that is given each outgoing IP packet and must not block;
    - neither: `await host.outgoing()` gives batches of packets.

    In the last two what comes in goes to `receive()`. verify_checksums=False trusts whoever gives the packets.
    entropy: n -> n random bytes. isn: see synfin.tcp.isn. trace: see synfin.tcp.trace.
    control: a name (or a path) for a socket through which this user, and nobody else, can ask for the connections
    (`synfin ss`).

    Use it as `async with Host(...) as host:`. Raises ValueError or TypeError for arguments that can't work.
    """

    def __init__(
        self,
        addresses: str | Iterable[str],
        *,
        link: Link | TunnelLink | None = None,
        send: Callable[[bytes], object] | None = None,
        verify_checksums: bool = True,
        config: Config | None = None,
        name: str = "synfin",
        trace: Trace | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        isn: IsnFunction | None = None,
        control: str | Path | None = None,
    ) -> None:
        if link is not None and not (
            isinstance(link, TunnelLink) or (hasattr(link, "mtu") and hasattr(link, "receive"))
        ):
            raise TypeError(f"link is an object as in synfin.links, {type(link).__name__} is not")
        if link is not None and send is not None:
            raise TypeError("a Host has link= or send= (or neither: then outgoing() gives its packets), not both")
        if config is not None and not isinstance(config, Config):
            raise TypeError(f"config must be a synfin.Config, not {type(config).__name__}")
        config = config if config is not None else Config()
        if link is not None and link.mtu != config.mtu:
            config = dataclasses.replace(config, mtu=link.mtu)
        listed = [addresses] if isinstance(addresses, str) else list(addresses)
        interfaces = [_interface(address) for address in listed]
        check_mtu(config.mtu, ipv6=any(interface.version == 6 for interface in interfaces))
        self.networks = [interface.network for interface in interfaces]
        """The networks of the addresses: what a loop made by `loop_factory` sends to this host."""
        self.name = name
        plain = [interface.ip for interface in interfaces]
        self.stack: Stack = Stack(plain, config, entropy=entropy, name=name, isn=isn, trace=trace)
        carrier = link if send is None else TunnelLink(send, config.mtu)
        self._driver = Driver(self.stack, carrier, verify_checksums, self._serve, self._on_link_lost)
        self._servers: dict[Listener, Server] = {}
        self._endpoints: WeakSet[DatagramTransport] = WeakSet()
        self._closing: asyncio.Future[None] | None = None
        self._control_path = control_path(control) if isinstance(control, str) else control
        self._control: ControlSocket | None = None

    def __repr__(self) -> str:
        addresses = ", ".join(sorted(str(ip_address(address)) for address in self.stack.addresses))
        return f"<synfin Host {self.name} {addresses}{' closed' if self.is_closed() else ''}>"

    # ---- life ----

    async def __aenter__(self) -> Host:
        self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop this host runs on; RuntimeError before it was opened."""
        loop = self._driver.loop
        if loop is None:
            raise RuntimeError(f"{self!r} is not open: use `async with Host(...)`")
        return loop

    def is_open(self) -> bool:
        """It runs on a loop."""
        return self._driver.loop is not None and not self._driver.closed

    def is_closed(self) -> bool:
        """It has ended, for good: make a new one."""
        return self._driver.closed

    def open(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Begin to run on `loop`, None: the running one. `async with` does it for you."""
        if self._driver.closed:
            raise RuntimeError(f"{self!r}: a host that was closed can't be opened again, make a new one")
        if self._driver.loop is not None:
            raise RuntimeError(f"{self!r} is open already")
        loop = asyncio.get_running_loop() if loop is None else loop
        if self._control_path is not None:
            self._control = ControlSocket(self._control_path, self.name, self.stack, loop, self.clock)
        self._driver.open(loop)

    async def aclose(self, grace: float = CLOSE_GRACE_SECONDS) -> None:
        """End. Listeners close; connections in their users' hands are reset; those that their users have closed get
        `grace` seconds to deliver what is queued. Bounded, and may be called again.
        """
        if not grace >= 0:
            raise ValueError(f"grace is a number of seconds, not {grace}")
        if self._closing is not None:
            await asyncio.shield(self._closing)
            return
        if not self.is_open():
            self._driver.close()
            return
        self._closing = self.loop.create_future()
        try:
            for server in list(self._servers.values()):
                server.close()
            for connection in self.stack.connections():
                if not connection.closer.reader_gone:
                    self._end(connection)
            await self._deliver_rest(grace)
        finally:
            self.close()
            self._closing.set_result(None)
        await asyncio.sleep(0)  # every protocol has been told

    async def _deliver_rest(self, grace: float) -> None:
        """Until no connection whose user is gone has anything left to send or to be acknowledged."""
        done: asyncio.Future[None] = self.loop.create_future()

        def check() -> None:
            if not done.done() and all(connection.sender.idle() for connection in self.stack.connections()):
                done.set_result(None)

        self._driver.after_each_run(check)
        self._driver.schedule_flush()
        try:
            await asyncio.wait([done], timeout=grace)
        finally:
            self._driver.after_each_run(None)

    def close(self) -> None:
        """End at once: every connection is reset, the link is closed."""
        if self._driver.closed:
            return
        self._close_control()
        if self._driver.loop is not None:
            self._end_all()
        self._driver.close()

    def detach(self) -> None:
        """End as a machine does whose power is cut: nothing is sent. For simulations of a crash.

        Who waits here for a connection is told that it is over, or what is to die with the host could not end.
        """
        if self._driver.closed:
            return
        self._close_control()
        self.set_trace(None)
        self._driver.stop()
        if self._driver.loop is not None:
            self._end_all()

    def _end_all(self) -> None:
        for server in list(self._servers.values()):
            server.close()
        for endpoint in list(self._endpoints):
            endpoint.abort()
        for connection in self.stack.connections():
            self._end(connection)
        self.stack.abort_all(self.clock())
        if not self.loop.is_closed():
            self.loop.call_soon(self._serve)  # connection_lost, outside of this call

    def _close_control(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None

    def clock(self) -> int:
        """The loop's time in microseconds."""
        return int(self.loop.time() * 1_000_000)

    def set_trace(self, trace: Trace | None) -> None:
        """Watch everything from now on, or nothing (None)."""
        self.stack.set_trace(trace)

    # ---- packets ----

    def receive(self, packet: bytes | bytearray | memoryview) -> None:
        """One IP packet from the tunnel's owner. Never blocks, never raises for what the packet says.

        Raises TypeError for what is no bytes, RuntimeError before the host is open, OSError(ENOTCONN) after it closed.
        """
        if not isinstance(packet, (bytes, bytearray, memoryview)):
            raise TypeError(f"a packet is a bytes-like object, not {type(packet).__name__!r}")
        if self._driver.closed:
            raise errors.oserror(errors.NOT_CONNECTED, f"{self!r}")
        if self._driver.loop is None:
            raise RuntimeError(f"{self!r} is not open: use `async with Host(...)`")
        self._driver.receive(packet if type(packet) is bytes else bytes(packet))

    def deliver(self, packets: list[bytes]) -> None:
        """A batch of IP packets, as the loop itself gives it: users are served in this call. Nothing once closed."""
        self._driver.deliver(packets)

    async def outgoing(self) -> list[bytes]:
        """The next batch of outgoing IP packets, one an element, of a host without `link` and `send`.

        Waits until there is one; a whole burst comes at once. Nothing is queued in between: what is not asked for stays
        in its connection. Raises OSError(ENOTCONN) once the host is closed.
        """
        if not self._driver.closed:
            self._check_open()
        return await self._driver.outgoing()

    def _on_link_lost(self, error: OSError) -> None:
        """The device is gone: so is this host."""
        if self._driver.closed:
            return
        self.loop.call_exception_handler({"message": f"the link of {self!r} is gone", "exception": error})
        for connection in self.stack.connections():
            connection.on_link_lost(errors.NETWORK_UNREACHABLE, self.clock())
        self.close()

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
                if ready.error:
                    user.future.set_exception(errors.oserror(ready.error, user.what))
                elif events & (CONNECTED | FAILED):
                    user.future.set_result(None)
        while (port := stack.datagrams_ready()) is not None:
            if isinstance(port.user, DatagramTransport):
                port.user.serve()

    def _abort(self, connection: Connection) -> None:
        if isinstance(connection.user, Transport):
            connection.user.abort()
        else:
            connection.abort(self.clock())
            connection.remind()
        self._driver.schedule_serve()

    def _end(self, connection: Connection) -> None:
        """Reset a connection because its host ends, and tell its user so."""
        user = connection.user
        error = errors.oserror(errors.ABORTED, f"{self!r} was closed")
        if isinstance(user, Transport):
            user._force_close(error)
            return
        if isinstance(user, _Waiter) and not user.future.done():
            user.future.set_exception(error)
        self._abort(connection)

    def _close_listener(self, listener: Listener) -> None:
        self._servers.pop(listener, None)
        self.stack.close_listener(listener, self.clock())
        self._driver.schedule_flush()

    def _make_transport(
        self, connection: Connection, protocol: asyncio.BaseProtocol, context: Context, server: Server | None
    ) -> Transport:
        serve, flush = self._driver.schedule_serve, self._driver.schedule_flush
        return Transport(self.loop, connection, protocol, context, self.clock, serve, flush, server)

    # ---- connections ----

    async def connect(self, host: str, port: int, *, local_addr: tuple[str, int] | None = None) -> Connection:
        """Active open; the established Connection, to be given to `adopt()`. Raises as create_connection."""
        self._check_open()
        check_port(port, 1)
        if isinstance(local_addr, str):
            raise TypeError(f"local_addr is a pair of an address and a port, not {local_addr!r}")
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
        self._driver.schedule_flush()
        try:
            await future
            if self._driver.closed:  # between the handshake's end and this task's turn
                raise errors.oserror(errors.ABORTED, f"{self!r} was closed")
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
        _check_tls(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        _check_factory(protocol_factory)
        if ssl and not server_hostname:
            server_hostname = host
        connection = await self.connect(host, port, local_addr=local_addr)
        return await self.adopt(
            protocol_factory,
            connection,
            ssl=ssl,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

    async def adopt(
        self,
        protocol_factory: ProtocolFactory,
        connection: Connection,
        *,
        ssl: ssl_module.SSLContext | bool | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Give a protocol and a transport to a connection that `connect()` returned.

        The connection is this call's: if the factory or TLS fails, it is reset.
        """
        context = copy_context()
        try:
            protocol = protocol_factory()
            if not ssl:
                transport = self._make_transport(connection, protocol, context, None)
                await self._begin(transport)
                return transport, protocol
            timeouts = (ssl_handshake_timeout, ssl_shutdown_timeout)
            tls = await self._begin_tls(connection, protocol, ssl, server_hostname, *timeouts, context)
            return tls, protocol
        except BaseException:
            self._abort(connection)
            raise

    def abort_unless_taken(self, connection: Connection) -> None:
        """Reset a connection that `connect()` returned and that nobody adopted."""
        if self.is_open() and isinstance(connection.user, _Waiter):
            self._abort(connection)

    async def _begin(self, transport: Transport) -> None:
        """connection_made, outside of the caller's frame as asyncio does it."""
        begun = self.loop.create_future()

        def begin() -> None:
            transport.begin()
            if self._driver.closed:
                self._serve()  # nobody else will any more
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
        _check_tls(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        _check_factory(protocol_factory)

        def tls_factory() -> asyncio.BaseProtocol:
            assert ssl is not None
            tls: asyncio.BaseProtocol = _tls_protocol(
                self.loop, protocol_factory(), ssl, None, True, None, ssl_handshake_timeout, ssl_shutdown_timeout
            )
            return tls

        check_port(port, 0)
        check_backlog(backlog)
        hosts: list[str | None] = [host] if host is None or isinstance(host, str) else list(host)
        listeners: list[Listener] = []
        faces: list[ListeningFace] = []
        try:
            for entry in hosts:
                address = None if entry is None or entry in ANY_ADDRESS else entry
                listener = self.stack.listen(port, address, backlog)
                listeners.append(listener)
                wanted = self.stack.addresses if address is None else {packed(address)}
                faces += [ListeningFace(listener, socket_name(one, listener.port)) for one in sorted(wanted)]
        except BaseException:
            for listener in listeners:
                self._close_listener(listener)
            raise
        factory: ProtocolFactory = protocol_factory if ssl is None else tls_factory
        server = Server(self, listeners, factory, copy_context(), faces)
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
        _check_factory(client_connected_cb, "client_connected_cb")

        def factory() -> asyncio.BaseProtocol:
            reader = asyncio.StreamReader(limit=limit, loop=loop)
            return asyncio.StreamReaderProtocol(reader, client_connected_cb, loop=loop)

        return await self.create_server(factory, host, port, **arguments)

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: tuple[str, int] | None = None,
        remote_addr: tuple[str, int] | None = None,
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """As loop.create_datagram_endpoint: a UDP port with a bounded queue.

        Raises OSError (EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH), ValueError or TypeError for bad arguments.
        """
        self._check_open()
        _check_factory(protocol_factory)
        local, port = (None, 0) if local_addr is None else (local_addr[0] or None, local_addr[1])
        if local in ANY_ADDRESS:
            local = None
        remote: tuple[Address, int] | None = None
        if remote_addr is not None:
            remote = ((await self._resolve(remote_addr[0], remote_addr[1]))[0], remote_addr[1])
        opened = self.stack.open_datagrams(local, port, remote)
        try:
            protocol = protocol_factory()
        except BaseException:
            self.stack.close_datagrams(opened)
            raise
        driver = self._driver
        transport = DatagramTransport(
            self.loop, self.stack, opened, protocol, copy_context(), driver.schedule_serve, driver.schedule_flush
        )
        self._endpoints.add(transport)
        begun: asyncio.Future[None] = self.loop.create_future()

        def begin() -> None:
            transport.begin()
            if not begun.done():
                begun.set_result(None)

        self.loop.call_soon(begin)
        await begun
        return transport, protocol

    def _check_open(self) -> None:
        if not self.is_open():
            raise RuntimeError(f"{self!r} is not open: use `async with Host(...)`")


def _check_factory(factory: object, name: str = "protocol_factory") -> None:
    if not callable(factory):
        raise TypeError(f"{name} must be callable, {type(factory).__name__} is not")


def _check_tls(ssl: object, handshake_timeout: float | None, shutdown_timeout: float | None) -> None:
    if ssl:
        if ssl is not True and not hasattr(ssl, "wrap_bio"):
            raise TypeError(f"ssl is an SSLContext, True or None, not {type(ssl).__name__}")
        return
    for name, value in (("ssl_handshake_timeout", handshake_timeout), ("ssl_shutdown_timeout", shutdown_timeout)):
        if value is not None:
            raise ValueError(f"{name} is only meaningful with ssl")


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


def _interface(address: str) -> IPv4Interface | IPv6Interface:
    if not isinstance(address, str):
        raise TypeError(f"an address is a str such as '10.0.0.2' or 'fd00::2/64', not {type(address).__name__}")
    return ip_interface(address)
