"""asyncio's calls, as a loop gives them to programs that know nothing of synfin, carried out by a Host.

A mixin before a loop class: what the Host does not reach goes on to that class. Libraries that make a kernel socket,
`sock_connect` it and hand it to `create_connection(sock=...)`, as aiohttp does, are served too: that socket is then a
mere token for the Host's connection.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import Any, cast
from weakref import WeakKeyDictionary, finalize

from synfin.aio.host import Host
from synfin.tcp.connection import Connection


class HostCalls(asyncio.BaseEventLoop):
    """What decides is a subclass's: which destinations and local addresses are the Host's, and which Host it is."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._connected: WeakKeyDictionary[socket.socket, Connection] = WeakKeyDictionary()

    def reach(self, what: str) -> Host:
        """The Host that serves this call."""
        raise NotImplementedError

    def _is_ours(self, host: object) -> bool:
        """A destination that the Host reaches, as an address."""
        raise NotImplementedError

    def _listens_on_host(self, host: object) -> bool:
        """A local address, or wildcard, that is the Host's to listen on."""
        raise NotImplementedError

    def _resolved(self, name: Any) -> Any:
        """The address of a name this loop knows; else the name."""
        raise NotImplementedError

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """As asyncio's; a name of `names` is answered from there."""
        name = self._resolved(host.decode() if isinstance(host, bytes) else host)
        if self._is_ours(name):
            flags &= ~socket.AI_ADDRCONFIG  # which asks for the addresses of the kernel's interfaces
        return cast(
            list[Any], await super().getaddrinfo(name, port, family=family, type=type, proto=proto, flags=flags)
        )

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """As asyncio's; see the module for what goes to the Host."""
        sock = options.get("sock")
        if sock is not None:
            connection = self._connected.pop(sock, None)
            if connection is None:
                return await super().create_connection(protocol_factory, host, port, **options)
            sock.close()
            return await self.reach("create_connection").adopt(protocol_factory, connection, **_tls_options(options))
        name = host.decode() if isinstance(host, bytes) else host
        target = await self._first_of_ours(self._resolved(name), port, options)
        if target is None:
            return await super().create_connection(protocol_factory, host, port, **options)
        tls = _tls_options(options)
        if tls.get("ssl") and not tls.get("server_hostname"):
            tls["server_hostname"] = name
        return await self.reach("create_connection").create_connection(
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
        server = await self.reach("create_server").create_server(
            protocol_factory, None if None in names else cast("list[str]", names), port or 0, **chosen
        )
        if options.get("start_serving", True):
            await server.start_serving()
        return server

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """As asyncio's; towards the Host's networks `sock` becomes the token of a connection there."""
        if sock.type != socket.SOCK_STREAM or not isinstance(address, tuple) or not self._is_ours(address[0]):
            return await super().sock_connect(sock, address)
        synfin_host = self.reach("sock_connect")
        connection = await synfin_host.connect(address[0], address[1])
        self._connected[sock] = connection
        # Whoever drops the socket without handing it over must not leave a connection behind.
        finalize(sock, _abort_unless_taken, synfin_host, connection)
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
        return await self.reach("create_datagram_endpoint").create_datagram_endpoint(
            protocol_factory, local_addr, remote_addr
        )


def _tls_options(options: dict[str, Any]) -> dict[str, Any]:
    known = ("ssl", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout")
    return {name: options[name] for name in known if options.get(name) is not None}


def _abort_unless_taken(host: Host, connection: Connection) -> None:
    host.abort_unless_taken(connection)
