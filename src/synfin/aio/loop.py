"""A loop whose ordinary calls reach a Host: for programs and libraries that know nothing of synfin.

    host = Host("10.9.0.2/24", link=link)
    with asyncio.Runner(loop_factory=loop_factory(host)) as runner:
        runner.run(main())          # asyncio.open_connection("10.9.0.1", 80) goes over synfin's TCP

What goes where is decided by the address alone (`routes`, by default the networks of the host's addresses):

- connecting: a destination within the routes goes to the Host, every other one to the kernel;
- listening: the wildcard addresses (None, "", 0.0.0.0, ::) and the Host's own addresses are the Host's; loopback and
  all other addresses are the kernel's;
- names: `names` first, then the kernel's resolver.

Libraries that make a kernel socket, `sock_connect` it and hand it to `create_connection(sock=...)`, as aiohttp does,
are served too: that socket is then a mere token for the Host's connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, cast
from weakref import WeakKeyDictionary, finalize

from synfin.aio.host import ANY_ADDRESS, Host
from synfin.tcp.connection import Connection

Network = IPv4Network | IPv6Network


class HostLoop(asyncio.SelectorEventLoop):
    """A selector loop with a Host on it; made by `loop_factory`."""

    def __init__(self, host: Host, routes: list[Network], names: Mapping[str, str]) -> None:
        super().__init__()
        self.host = host
        self._routes = routes
        self._names = {name.lower(): address for name, address in names.items()}
        self._connected: WeakKeyDictionary[socket.socket, Connection] = WeakKeyDictionary()
        host.open(self)

    # ---- what goes where ----

    def _is_ours(self, host: object) -> bool:
        """A destination that the Host reaches: an address within the routes."""
        try:
            address = ip_address(cast(str, host))
        except ValueError:
            return False
        return any(address in network for network in self._routes)

    def _listens_on_host(self, host: object) -> bool:
        if host is None or host in ANY_ADDRESS:
            return True
        try:
            return ip_address(cast(str, host)).packed in self.host.stack.addresses
        except ValueError:
            return False

    def _resolved(self, name: Any) -> Any:
        return self._names.get(name.lower(), name) if isinstance(name, str) else name

    # ---- asyncio's calls ----

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """As asyncio's; a name of `names` is answered from there."""
        name = host.decode() if isinstance(host, bytes) else host
        return cast(
            list[Any],
            await super().getaddrinfo(self._resolved(name), port, family=family, type=type, proto=proto, flags=flags),
        )

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """As asyncio's; see the module for what goes to the Host."""
        sock = options.get("sock")
        if sock is not None:
            connection = self._connected.pop(sock, None)
            if connection is None:
                return await super().create_connection(protocol_factory, host, port, **options)
            sock.close()
            return await self.host.adopt(protocol_factory, connection, **_tls_options(options))
        name = host.decode() if isinstance(host, bytes) else host
        target = await self._first_of_ours(self._resolved(name), port, options)
        if target is None:
            return await super().create_connection(protocol_factory, host, port, **options)
        tls = _tls_options(options)
        if tls.get("ssl") and not tls.get("server_hostname"):
            tls["server_hostname"] = name
        return await self.host.create_connection(
            protocol_factory, target, port, local_addr=options.get("local_addr"), **tls
        )

    async def _first_of_ours(self, host: object, port: Any, options: dict[str, Any]) -> str | None:
        """The address that `host` is or resolves to, if the Host reaches it."""
        if host is None:
            return None
        if self._is_ours(host):
            return cast(str, host)
        try:
            ip_address(cast(str, host))
        except ValueError:
            pass
        else:
            return None
        if host == "localhost":
            return None
        try:
            found = await self.getaddrinfo(host, port, family=options.get("family", 0), type=socket.SOCK_STREAM)
        except OSError:
            return None  # asyncio asks again, and tells its caller why it failed
        for *_, name in found:
            if self._is_ours(name[0]):
                return cast(str, name[0])
        return None

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """As asyncio's; see the module for what goes to the Host."""
        hosts = [host] if host is None or isinstance(host, str) else list(host)
        ours = [self._listens_on_host(self._resolved(one)) for one in hosts]
        if options.get("sock") is not None or not any(ours):
            return await super().create_server(protocol_factory, host, port, **options)
        if not all(ours):
            raise ValueError(f"{hosts} are partly the synfin host's and partly the kernel's: make two servers")
        names = [cast("str | None", self._resolved(one)) for one in hosts]
        known = ("ssl", "backlog", "ssl_handshake_timeout", "ssl_shutdown_timeout")
        chosen = {name: options[name] for name in known if options.get(name) is not None}
        server = await self.host.create_server(
            protocol_factory, None if None in names else cast("list[str]", names), port or 0, **chosen
        )
        if options.get("start_serving", True):
            await server.start_serving()
        return server

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """As asyncio's; towards the Host's networks `sock` becomes the token of a connection there."""
        if sock.type != socket.SOCK_STREAM or not isinstance(address, tuple) or not self._is_ours(address[0]):
            return await super().sock_connect(sock, address)
        connection = await self.host.connect(address[0], address[1])
        self._connected[sock] = connection
        # Whoever drops the socket without handing it over must not leave a connection behind.
        finalize(sock, _abort_unless_taken, self.host, connection)
        return None

    async def create_datagram_endpoint(
        self, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None, **options: Any
    ) -> Any:
        """As asyncio's; see the module for what goes to the Host."""
        ours = self._is_ours(self._resolved(remote_addr[0])) if remote_addr is not None else False
        if remote_addr is None and local_addr is not None:
            ours = self._listens_on_host(self._resolved(local_addr[0]))
        if options.get("sock") is not None or not ours:
            return await super().create_datagram_endpoint(protocol_factory, local_addr, remote_addr, **options)
        if remote_addr is not None:
            remote_addr = (self._resolved(remote_addr[0]), *remote_addr[1:])
        return await self.host.create_datagram_endpoint(protocol_factory, local_addr, remote_addr)

    # ---- the end ----

    async def shutdown_asyncgens(self) -> None:
        """Called by every runner before it closes the loop: the Host ends first, gracefully."""
        await self.host.aclose()
        await super().shutdown_asyncgens()

    def close(self) -> None:
        """Close the loop, and the Host at once if nobody has."""
        if not self.is_running() and not self.is_closed():
            self.host.close()
        super().close()


def loop_factory(
    host: Host, routes: Iterable[str] | None = None, names: Mapping[str, str] | None = None
) -> Callable[[], HostLoop]:
    """For asyncio.Runner(loop_factory=...): makes one loop with `host`, which must not be open yet.

    routes: networks such as "10.9.0.0/24" that are reached over the Host; None: those of its addresses. names: host
    names and their addresses, for what no resolver knows. Raises ValueError for a route that is no network.
    """
    networks = list(host.networks) if routes is None else [ip_network(route) for route in routes]

    def make() -> HostLoop:
        return HostLoop(host, networks, names or {})

    return make


def _tls_options(options: dict[str, Any]) -> dict[str, Any]:
    known = ("ssl", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout")
    return {name: options[name] for name in known if options.get(name) is not None}


def _abort_unless_taken(host: Host, connection: Connection) -> None:
    host.abort_unless_taken(connection)
