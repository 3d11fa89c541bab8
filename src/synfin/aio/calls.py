"""asyncio's calls, as a loop gives them to programs that know nothing of synfin, carried out by a Host.

A mixin before a loop class: what the Host does not reach goes on to that class. Libraries that make a kernel socket and
hand it over, as aiohttp and hypercorn do, are served too: see `socket_calls`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

from synfin.aio import given
from synfin.aio.names import PASSIVE
from synfin.aio.socket_calls import SocketCalls
from synfin.aio.stand_in import behind
from synfin.stack.addresses import is_address


class HostCalls(SocketCalls):
    """What decides is a subclass's, as in SocketCalls."""

    _alone: bool = False
    """There is no other network beside the Host's."""

    def _is_kernels(self, host: str) -> bool:
        """A name that is not even looked up, since nothing of it is the Host's."""
        return False

    async def _addresses(self, host: Any, port: Any, kind: int, options: dict[str, Any]) -> tuple[list[Any], Any]:
        """What a name stands for, as addresses and the port's number; what is none stays as it is."""
        name = host.decode() if isinstance(host, bytes) else host
        if not isinstance(name, str) or not name or is_address(name) or self._is_kernels(name):
            return [name], port
        chosen = {key: options[key] for key in ("family", "proto", "flags") if key in options}
        found = await self.getaddrinfo(name, port, type=kind, **chosen)
        return list(dict.fromkeys(where[0] for *_, where in found)), found[0][4][1] if found else port

    async def _reached(self, host: Any, port: Any, kind: int, options: dict[str, Any]) -> tuple[list[Any], Any] | None:
        """The addresses of a destination that the Host reaches; None: it is another network's."""
        if self._alone:
            return await self._addresses(host, port, kind, options)
        try:
            found, number = await self._addresses(host, port, kind, options)
        except OSError:
            return None  # asyncio asks again, and tells its caller why it failed
        ours = [address for address in found if self._is_ours(address)]
        return (ours, number) if ours else None

    async def _held(
        self, hosts: list[Any], port: Any, kind: int, options: dict[str, Any]
    ) -> tuple[list[Any], Any] | None:
        """The local addresses that `hosts` stand for, if they are the Host's; None: they are not. ValueError: some."""
        addresses: list[Any] = []
        number = port
        for host in hosts:
            found, number = await self._addresses(host, port, kind, options)
            addresses += found
        ours = [self._listens_on_host(address) for address in addresses]
        if not self._alone and not any(ours):
            return None
        if not all(ours):
            raise ValueError(f"{hosts} are partly the synfin host's and partly the kernel's: make two servers")
        return addresses, number

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """As asyncio's; see the module for what goes to the Host."""
        sock = options.get("sock")
        if sock is not None:
            _check_alone(host, port)
            if behind(sock) is None:
                return await super().create_connection(protocol_factory, host, port, **options)
            return await self._connect_given(protocol_factory, sock, options)
        reached = None
        if host is not None or self._alone:
            reached = await self._reached(host, port, socket.SOCK_STREAM, options)
        if reached is None:
            return await super().create_connection(protocol_factory, host, port, **options)
        options.pop("sock", None)
        if options.get("ssl") and not options.get("server_hostname") and host:
            options["server_hostname"] = host.decode() if isinstance(host, bytes) else host
        addresses, number = reached
        return await self.reach("create_connection").create_connection(
            protocol_factory, None if host is None else addresses, number, **options
        )

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """As asyncio's; see the module for what goes to the Host."""
        held = None
        sock = options.get("sock")
        if sock is not None:
            _check_alone(host, port)
            if given.is_tcp(sock) and self._hears_on_host(sock):
                return await self._serve_given(protocol_factory, sock, options)
        elif host is not None or port is not None or self._alone:
            alone = host is None or isinstance(host, str) or not isinstance(host, Iterable)
            flags = {"flags": PASSIVE} | options
            held = await self._held([host] if alone else list(host), port, socket.SOCK_STREAM, flags)
        if held is None:
            return await super().create_server(protocol_factory, host, port, **options)
        options.pop("sock", None)
        addresses, number = held
        return await self.reach("create_server").create_server(
            protocol_factory, None if host is None else addresses, number, **options
        )

    async def create_datagram_endpoint(
        self, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None, **options: Any
    ) -> Any:
        """As asyncio's; see the module for what goes to the Host."""
        ours = self._alone
        if options.get("sock") is not None:
            ours = False
        elif _is_pair(remote_addr):
            reached = await self._reached(remote_addr[0], remote_addr[1], socket.SOCK_DGRAM, options)
            ours = reached is not None
            remote_addr = reached or remote_addr
        elif remote_addr is None and _is_pair(local_addr):
            held = await self._held([local_addr[0]], local_addr[1], socket.SOCK_DGRAM, options)
            ours = held is not None
        if not ours:
            return await super().create_datagram_endpoint(protocol_factory, local_addr, remote_addr, **options)
        options.pop("sock", None)
        return await self.reach("create_datagram_endpoint").create_datagram_endpoint(
            protocol_factory, local_addr, remote_addr, **options
        )


def _check_alone(host: Any, port: Any) -> None:
    """Raise ValueError for a socket that was given together with an address."""
    if host is not None or port is not None:
        raise ValueError("host/port and sock can not be specified at the same time")


def _is_pair(address: Any) -> bool:
    return isinstance(address, tuple) and len(address) == 2
