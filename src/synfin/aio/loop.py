"""A loop whose ordinary calls reach a Host: for programs and libraries that know nothing of synfin.

    host = Host("10.9.0.2/24", link=link)
    with asyncio.Runner(loop_factory=loop_factory(host)) as runner:
        runner.run(main())          # asyncio.open_connection("10.9.0.1", 80) goes over synfin's TCP

What goes where is decided by the address alone (`routes`, by default the networks of the host's addresses):

- connecting: a destination within the routes goes to the Host, every other one to the kernel;
- listening: the wildcard addresses (None, "", 0.0.0.0, ::) and the Host's own addresses are the Host's; loopback and
  all other addresses are the kernel's;
- names: `names` first, then the kernel's resolver.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, cast

from synfin.aio.calls import HostCalls
from synfin.aio.host import Host
from synfin.aio.names import ANY_ADDRESS

Network = IPv4Network | IPv6Network


class HostLoop(HostCalls, asyncio.SelectorEventLoop):
    """A selector loop with a Host on it; made by `loop_factory`."""

    def __init__(self, host: Host, routes: list[Network], names: Mapping[str, str]) -> None:
        super().__init__()
        self.host = host
        self._routes = routes
        self._names = {name.lower(): address for name, address in names.items()}
        try:
            host.open(self)
        except BaseException:
            super().close()
            raise

    # ---- what goes where ----

    def reach(self, what: str) -> Host:
        """There is one."""
        return self.host

    def _is_ours(self, host: object) -> bool:
        """A destination that the Host reaches: an address within the routes."""
        try:
            address = ip_address(cast(str, host))
        except ValueError:
            return False
        if address.is_loopback and address.packed not in self.host.stack.addresses:
            return False  # whatever the routes say: a program's own machine
        return any(address in network for network in self._routes)

    def _listens_on_host(self, host: object) -> bool:
        if host is None or host in ANY_ADDRESS:
            return True
        try:
            return ip_address(cast(str, host)).packed in self.host.stack.addresses
        except ValueError:
            return False

    def _is_kernels(self, host: str) -> bool:
        return host.lower() == "localhost" and "localhost" not in self._names

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """As asyncio's; a name of `names` is answered from there."""
        name = host.decode() if isinstance(host, bytes) else host
        if isinstance(name, str):
            name = self._names.get(name.lower(), name)
        if self._is_ours(name):
            flags &= ~socket.AI_ADDRCONFIG  # which asks for the addresses of the kernel's interfaces
        return cast(
            list[Any], await super().getaddrinfo(name, port, family=family, type=type, proto=proto, flags=flags)
        )

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
