"""A host of its own inside this process: a Stack, what carries its packets, and asyncio's calls on top.

This is the face: the arguments, the life of a host, its packets, and calls under asyncio's names, whose work is done in
`connecting`, `listening` and `datagram`. What they stand on is `engine`. Nothing blocks, and no user's callback runs
inside a user's call.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_interface
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from synfin.aio import connecting, datagram, foreign_loops, listening, waits
from synfin.aio.admitting import Doorkeeper, OnDatagram, OnLost, OnSyn
from synfin.aio.attention import BUSY_POLL_US, check_busy_poll
from synfin.aio.control import ControlSocket, control_path
from synfin.aio.echo import Echo, serve_echo
from synfin.aio.engine import Engine
from synfin.aio.flows import FlowServer
from synfin.aio.foreign_loops import loop_of_streams
from synfin.aio.names import Wanted
from synfin.aio.server import ProtocolFactory, Server
from synfin.aio.tls import client_terms, server_terms
from synfin.links.link import Link, check_mtu
from synfin.links.tunnel import Arrival, TunnelLink
from synfin.stack.stack import Stack
from synfin.stack.team import Team
from synfin.tcp import errors
from synfin.tcp.config import Config
from synfin.tcp.connection import Connection
from synfin.tcp.isn import IsnFunction
from synfin.tcp.trace import Trace

if TYPE_CHECKING:
    import ssl as ssl_module

STREAM_LIMIT = 1 << 16  # asyncio.streams._DEFAULT_LIMIT
CLOSE_GRACE_SECONDS = 2.0


class Host:
    """An IP host with a TCP of its own.

    addresses: "fd00::2/64", or several of them; a prefix length says which network is reached (see `networks`).
    What carries the packets is one of three:

    - `link`: an object as in synfin.links (TunLink for one, or a Member of a crew of processes);
    - `send`: a function that is given each outgoing IP packet and must not block;
    - neither: `await host.outgoing()` gives batches of packets.

    In the last two what comes in goes to `receive()`. verify_checksums=False trusts whoever gives the packets.
    entropy: n -> n random bytes. isn: see synfin.tcp.isn. trace: see synfin.tcp.trace.
    any_destination: hear what is sent to any address that another host could have, as a gateway does.
    on_syn: asked about each connection before its handshake: see `decide_syns`.
    control: a name (or a path) for a socket through which this user, and nobody else, can ask for the connections
    (`synfin ss`).
    busy_poll: microseconds for which the loop does not go to sleep while packets of `link` come as close as that, one
    after the other (Linux: net.core.busy_poll); 0 switches it off. On a loop of asyncio's own.

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
        any_destination: bool = False,
        on_syn: OnSyn | None = None,
        busy_poll: int = BUSY_POLL_US,
    ) -> None:
        if link is not None and not (
            isinstance(link, TunnelLink) or (hasattr(link, "mtu") and hasattr(link, "receive"))
        ):
            raise TypeError(f"link is an object as in synfin.links, {type(link).__name__} is not")
        if link is not None and send is not None:
            raise TypeError("a Host has link= or send= (or neither: then outgoing() gives its packets), not both")
        if config is not None and not isinstance(config, Config):
            raise TypeError(f"config must be a synfin.Config, not {type(config).__name__}")
        check_busy_poll(busy_poll)
        config = config if config is not None else Config()
        if link is not None and link.mtu != config.mtu:
            config = dataclasses.replace(config, mtu=link.mtu)
        listed = [addresses] if isinstance(addresses, str) else list(addresses)
        interfaces = [_interface(address) for address in listed]
        plain = [address for _, address in interfaces]
        check_mtu(config.mtu, ipv6=max(map(len, plain), default=0) > 4)
        self.networks = [network for network, _ in interfaces]
        """The networks of the addresses: what a loop made by `loop_factory` sends to this host."""
        self.name = name
        carried: object = link
        team = carried if isinstance(carried, Team) else None
        self.stack: Stack = Stack(
            plain, config, entropy=entropy, name=name, isn=isn, trace=trace, team=team, any_destination=any_destination
        )
        carrier = link if send is None else TunnelLink(send, config.mtu)
        self._engine = Engine(self.stack, carrier, verify_checksums, self._on_link_lost, busy_poll)
        self._driver = self._engine.driver
        self._closing: asyncio.Future[None] | None = None
        self._control_path = control_path(control) if isinstance(control, str) else control
        self._control: ControlSocket | None = None
        self._doorkeeper: Doorkeeper | None = None
        self.decide_syns(on_syn)

    def __repr__(self) -> str:
        return repr(self._engine)

    # ---- life ----

    async def __aenter__(self) -> Host:
        self.open()
        try:
            await waits.ready(self._engine.driver)
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def engine(self) -> Engine:
        """What it stands on, for the loops of this package."""
        return self._engine

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop this host runs on; RuntimeError before it was opened."""
        return self._engine.loop

    def is_open(self) -> bool:
        """It runs on a loop."""
        return self._engine.is_open()

    def is_closed(self) -> bool:
        """It has ended, for good: make a new one."""
        return self._engine.driver.closed

    def open(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Begin to run on `loop`, None: the running one. `async with` does it for you."""
        if self._engine.driver.closed:
            raise RuntimeError(f"{self!r}: a host that was closed can't be opened again, make a new one")
        if self._engine.driver.loop is not None:
            raise RuntimeError(f"{self!r} is open already")
        loop = asyncio.get_running_loop() if loop is None else loop
        if self._control_path is not None:
            self._control = ControlSocket(self._control_path, self.name, self.stack, loop, self.clock)
        self._engine.driver.open(loop)

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
            self._engine.driver.close()
            return
        self._closing = self.loop.create_future()
        try:
            self._engine.close_doors()
            self._engine.abort_held()
            await waits.deliver_rest(self._engine, grace)
        finally:
            self.close()
            self._closing.set_result(None)
        await asyncio.sleep(0)  # every protocol has been told

    def close(self) -> None:
        """End at once: every connection is reset, the link is closed."""
        if self._engine.driver.closed:
            return
        self._close_control()
        self.decide_syns(None)
        self._engine.close()

    def detach(self) -> None:
        """End as a machine does whose power is cut: nothing is sent. For simulations of a crash.

        Who waits here for a connection is told that it is over, or what is to die with the host could not end.
        """
        if self._engine.driver.closed:
            return
        self._close_control()
        self.set_trace(None)
        self.decide_syns(None)
        self._engine.stop()

    def _close_control(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None

    def clock(self) -> int:
        """The loop's time in microseconds."""
        return self._engine.clock()

    def set_trace(self, trace: Trace | None) -> None:
        """Watch everything from now on, or nothing (None)."""
        self.stack.set_trace(trace)

    # ---- packets ----

    def receive(self, packet: bytes | bytearray | memoryview) -> None:
        """One IP packet from the tunnel's owner. Never blocks, never raises for what the packet says.

        Raises TypeError for what is no bytes, OSError(ENOTCONN) after the host was closed, RuntimeError before it is
        open and in another thread than its loop's: there, `loop.call_soon_threadsafe(host.receive, packet)`.
        """
        if type(packet) is not bytes:
            if not isinstance(packet, (bytes, bytearray, memoryview)):
                raise TypeError(f"a packet is a bytes-like object, not {type(packet).__name__!r}")
            packet = bytes(packet)
        driver = self._driver
        if driver.closed:
            raise errors.oserror(errors.NOT_CONNECTED, f"{self!r}")
        self._engine.check_thread()
        driver.receive(packet)

    def deliver(self, packets: list[bytes], gso_sizes: Sequence[int] = ()) -> None:
        """A batch of IP packets, as the loop itself gives it: users are served in this call. Nothing once closed.

        gso_sizes: of each packet, the bytes of text in a segment if it is a burst of many, else 0.
        """
        sizes = gso_sizes or (0,) * len(packets)
        self._engine.driver.deliver([Arrival(packet, size) for packet, size in zip(packets, sizes, strict=True)])

    async def outgoing(self) -> list[bytes]:
        """The next batch of outgoing IP packets, one an element, of a host without `link` and `send`.

        Waits until there is one; a whole burst comes at once. Nothing is queued in between: what is not asked for stays
        in its connection. If nobody asks, for a second at first and for a minute later, it is lost and counted
        (OutDiscards). Raises OSError(ENOTCONN) once the host is closed, RuntimeError in another thread than its loop's.
        """
        if not self._engine.driver.closed:
            self._engine.check_open()
            self._engine.check_thread()
        return await waits.outgoing(self._engine.driver)

    def link_is_up(self) -> None:
        """The tunnel carries again, after it did not: what has waited for it longest goes first, and now.

        Without this each connection finds out when its timer expires next, which has doubled meanwhile: up to two
        minutes later. A TunLink and a PacketLink notice it themselves. To be called once both ends can hear; may be
        called again. Raises RuntimeError and OSError as receive() does.
        """
        if self._driver.closed:
            raise errors.oserror(errors.NOT_CONNECTED, f"{self!r}")
        self._engine.check_thread()
        self._driver.link_is_up()

    def _on_link_lost(self, error: OSError) -> None:
        """The device is gone: so is this host."""
        if self._engine.driver.closed:
            return
        self.loop.call_exception_handler({"message": f"the link of {self!r} is gone", "exception": error})
        for connection in self.stack.connections():
            connection.on_link_lost(errors.NETWORK_UNREACHABLE, self.clock())
        self.close()

    # ---- connections ----

    async def connect(self, host: str, port: int, *, local_addr: tuple[str, int] | None = None) -> Connection:
        """Active open; the established Connection, to be given to `adopt()`. Raises as create_connection."""
        return await self._connect(host, port, local_addr=local_addr)

    async def _connect(
        self,
        host: str | list[str] | None,
        port: int | str | None,
        *,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        local_addr: tuple[str | None, int | str] | None = None,
        happy_eyeballs_delay: float | None = None,
        interleave: int | None = None,
        all_errors: bool = False,
    ) -> Connection:
        self._engine.check_open()
        connecting.check_pace(happy_eyeballs_delay, interleave)
        if happy_eyeballs_delay is not None and interleave is None:
            interleave = 1
        wanted = Wanted(socket.SOCK_STREAM, family, proto, flags)
        routes = await connecting.routes_to(self._engine, host, port, wanted, local_addr, interleave)
        return await connecting.connect(self._engine, routes, happy_eyeballs_delay, all_errors)

    async def create_connection(
        self,
        protocol_factory: ProtocolFactory,
        host: str | list[str] | None = None,
        port: int | str | None = None,
        *,
        ssl: ssl_module.SSLContext | bool | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        local_addr: tuple[str | None, int | str] | None = None,
        happy_eyeballs_delay: float | None = None,
        interleave: int | None = None,
        all_errors: bool = False,
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """As loop.create_connection: connects, makes a protocol, and returns (transport, protocol).

        host may also be a list; its addresses are tried as those of one name are. Raises OSError
        (ConnectionRefusedError, TimeoutError, ...), ValueError or TypeError for bad arguments.
        """
        self._engine.check_open()
        if ssl and not server_hostname:
            if not isinstance(host, str) or not host:
                raise ValueError("You must set server_hostname when using ssl without a host")
            server_hostname = host
        terms = client_terms(ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout)
        _check_factory(protocol_factory)
        connection = await self._connect(
            host,
            port,
            family=family,
            proto=proto,
            flags=flags,
            local_addr=local_addr,
            happy_eyeballs_delay=happy_eyeballs_delay,
            interleave=interleave,
            all_errors=all_errors,
        )
        return await connecting.adopt(self._engine, protocol_factory, connection, lambda: terms)

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

        The connection is this call's: if an argument, the factory or TLS fails, it is reset.
        """
        return await connecting.adopt(
            self._engine,
            protocol_factory,
            connection,
            lambda: client_terms(ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout),
        )

    async def create_server(
        self,
        protocol_factory: ProtocolFactory,
        host: str | Iterable[str | None] | None = None,
        port: int | str | None = None,
        *,
        family: int = 0,
        flags: int = socket.AI_PASSIVE,
        backlog: int = 100,
        ssl: ssl_module.SSLContext | None = None,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        keep_alive: bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> Server:
        """As loop.create_server; host None: every address of this host, "0.0.0.0" and "::" every one of a family.

        port 0: a free one, the same on all addresses where it is free on them; "*": each that has no server of its own.
        reuse_address and reuse_port have no effect. Raises OSError (EADDRINUSE, EADDRNOTAVAIL), ValueError or TypeError
        for bad arguments.
        """
        self._engine.check_open()
        terms = server_terms(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        _check_factory(protocol_factory)
        places = await listening.places(self._engine, host, port, Wanted(socket.SOCK_STREAM, family, 0, index(flags)))
        faces = listening.hold(self._engine, places, backlog)
        if keep_alive:
            for face in faces.values():
                face.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        server = listening.create_server(self._engine, protocol_factory, faces, terms)
        if start_serving:
            await server.start_serving()
        return server

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: tuple[str | None, int | str] | None = None,
        remote_addr: tuple[str, int | str] | None = None,
        *,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        reuse_port: bool | None = None,
        allow_broadcast: bool | None = None,
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """As loop.create_datagram_endpoint: a UDP port with a bounded queue.

        A local "::" hears both families, None all addresses. reuse_port and allow_broadcast have no effect. Raises
        OSError (EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH), ValueError or TypeError for bad arguments.
        """
        self._engine.check_open()
        _check_factory(protocol_factory)
        wanted = Wanted(socket.SOCK_DGRAM, family, proto, flags)
        pairs = await datagram.places(self._engine, local_addr, remote_addr, wanted)
        return await datagram.create_datagram_endpoint(self._engine, protocol_factory, pairs)

    # ---- any destination ----

    def decide_syns(self, on_syn: OnSyn | None, on_lost: OnLost | None = None) -> None:
        """Have `on_syn(source, destination)` asked about each connection that a listener would take; None: no more.

        Both are (address, port). It answers ACCEPT, REFUSE, DROP or unreachable(errno), all in `synfin`, at once or as
        an awaitable: then the SYN is held until that is done, and cancels it when its sender has given up or too many
        are held. Called as packets come in: it must not block, nor call this host. Raises TypeError.
        on_lost(source, destination): one that was let in came to nothing, by a reset, for want of an answer, or since
        its listener closed.
        """
        if on_syn is not None:
            _check_factory(on_syn, "on_syn")
        if self._doorkeeper is not None:
            self._doorkeeper.close()
        self._doorkeeper = None if on_syn is None else Doorkeeper(self._engine, on_syn, on_lost)

    def create_datagram_server(
        self, protocol_factory: Callable[[], asyncio.DatagramProtocol], on_datagram: OnDatagram | None = None
    ) -> FlowServer:
        """A protocol and a transport for each pair of a sender and whom he sends to, where no endpoint hears him.

        `sockname` is where he sent to, `peername` who he is. on_datagram(source, destination) answers at once, what an
        on_syn may; by default each is welcome. close() the transports that are idle: Config.datagram_flow_limit is
        how many there may be. Raises TypeError.
        """
        self._engine.check_open()
        _check_factory(protocol_factory)
        if on_datagram is not None:
            _check_factory(on_datagram, "on_datagram")
        return FlowServer(self._engine, protocol_factory, on_datagram)

    def serve_echo(self, on_echo: Callable[[Echo], object]) -> None:
        """Give each ping for an address that is not this host's own to `on_echo`, which answers it if it can."""
        _check_factory(on_echo, "on_echo")
        serve_echo(self._engine, on_echo)

    # ---- streams ----

    async def open_connection(
        self,
        host: str | list[str] | None = None,
        port: int | str | None = None,
        *,
        limit: int = STREAM_LIMIT,
        **arguments: Any,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """As asyncio.open_connection: a StreamReader and a StreamWriter, asyncio's own."""
        loop = loop_of_streams(self.loop)
        reader = asyncio.StreamReader(limit=limit, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await self.create_connection(lambda: protocol, host, port, **arguments)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def start_server(
        self,
        client_connected_cb: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None],
        host: str | Iterable[str | None] | None = None,
        port: int | str | None = None,
        *,
        limit: int = STREAM_LIMIT,
        **arguments: Any,
    ) -> Server:
        """As asyncio.start_server: calls `client_connected_cb(reader, writer)` for each connection."""
        loop = loop_of_streams(self.loop)
        _check_factory(client_connected_cb, "client_connected_cb")
        asyncio.StreamReader(limit=limit, loop=loop)  # refuses a wrong limit here, before there is a listener

        def factory() -> asyncio.BaseProtocol:
            reader = asyncio.StreamReader(limit=limit, loop=loop)
            return asyncio.StreamReaderProtocol(reader, client_connected_cb, loop=loop)

        return await self.create_server(factory, host, port, **arguments)

    async def start_tls(
        self,
        transport: asyncio.WriteTransport,
        protocol: asyncio.BaseProtocol,
        sslcontext: ssl_module.SSLContext,
        **options: Any,
    ) -> asyncio.Transport:
        """As loop.start_tls() of asyncio's loops, also where the loop refuses foreign transports, as uvloop's."""
        return await foreign_loops.start_tls(self.loop, transport, protocol, sslcontext, **options)

    async def sendfile(
        self, transport: asyncio.WriteTransport, file: BinaryIO, offset: int = 0, count: int | None = None
    ) -> int:
        """As loop.sendfile() of asyncio's loops, also where the loop has none for streams, as uvloop's."""
        return await foreign_loops.sendfile(self.loop, transport, file, offset, count)


def _check_factory(factory: object, name: str = "protocol_factory") -> None:
    if not callable(factory):
        raise TypeError(f"{name} must be callable, {type(factory).__name__} is not")


def _interface(address: str) -> tuple[IPv4Network | IPv6Network, bytes]:
    if not isinstance(address, str):
        raise TypeError(f"an address is a str such as '10.0.0.2' or 'fd00::2/64', not {type(address).__name__}")
    return _parsed(address)


@lru_cache(maxsize=1024)
def _parsed(address: str) -> tuple[IPv4Network | IPv6Network, bytes]:
    """Its network, and itself, packed. A simulation makes hosts of the same addresses again and again."""
    interface = ip_interface(address)
    return interface.network, interface.ip.packed
