"""asyncio's calls inside a simulation: they go to the host that the calling code is on, and to nothing else."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from synfin.aio.calls import HostCalls
from synfin.aio.host import Host
from synfin.sim.host import current_life, living
from synfin.sim.loop import VirtualLoop

if TYPE_CHECKING:
    from synfin.sim.host import Life
    from synfin.sim.network import Network


class SimLoop(HostCalls, VirtualLoop):
    """The loop of a Network."""

    def __init__(self, network: Network, shuffle: int | None) -> None:
        super().__init__(shuffle)
        self._network = network

    def reach(self, what: str) -> Host:
        """The Host that the running code is on."""
        return living(what)

    def _is_ours(self, host: object) -> bool:
        try:
            ip_address(str(host))
        except ValueError:
            return False
        return True

    def _listens_on_host(self, host: object) -> bool:
        return True  # an address that is not the host's own is refused by its stack, as by a kernel

    def _resolved(self, name: Any) -> Any:
        """An address for a name; what stands for all addresses stays. Raises socket.gaierror."""
        return self.look_up(name, 0)[0][4][0] if isinstance(name, str) and name else name

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """As asyncio's, to a host of the network."""
        if host is not None and options.get("family"):
            if options.get("ssl"):
                options.setdefault("server_hostname", host)
            host = self.look_up(host, port, options["family"])[0][4][0]
        return await super().create_connection(protocol_factory, host, port, **options)

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """As `look_up`."""
        return self.look_up(host, port, family, type, proto, flags)

    def look_up(
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """Addresses of the network's hosts, IPv4 first, as socket.getaddrinfo. Raises socket.gaierror for others."""
        name = host.decode() if isinstance(host, bytes) else host
        if name is None:
            addresses = ["0.0.0.0", "::"] if flags & socket.AI_PASSIVE else ["127.0.0.1", "::1"]
        elif name in self._network.hosts:
            addresses = self._network.hosts[name].addresses[:2]
        elif str(name).lower() == "localhost":
            addresses = ["127.0.0.1", "::1"]
        elif self._is_ours(name):
            addresses = [str(name)]
        else:
            raise socket.gaierror(socket.EAI_NONAME, f"no host of the simulation is called {name!r}")
        found = []
        for address in addresses:
            ipv6 = ":" in address
            wanted = socket.AF_INET6 if ipv6 else socket.AF_INET
            if family not in (0, wanted):
                continue
            where: Any = (address, int(port or 0), 0, 0) if ipv6 else (address, int(port or 0))
            kinds = [(socket.SOCK_STREAM, socket.IPPROTO_TCP), (socket.SOCK_DGRAM, socket.IPPROTO_UDP)]
            found += [
                (wanted, kind, number, "", where)
                for kind, number in kinds
                if type in (0, kind) and proto in (0, number)
            ]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, f"{name!r} has no address of that family")
        return found

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """The name of the host that has the address, if any."""
        for host in self._network.hosts.values():
            if sockaddr[0] in host.addresses[:2] and not flags & socket.NI_NUMERICHOST:
                return host.name, str(sockaddr[1])
        return str(sockaddr[0]), str(sockaddr[1])

    def next_arrival(self) -> float | None:
        """When the first of the packets on their way arrives."""
        return self._network.next_arrival()

    def arrive(self) -> None:
        """Deliver those that are due."""
        self._network.arrive()

    def on_task(self, task: Any, context: Any) -> None:
        """Each task belongs to the host that its context names."""
        life: Life | None = current_life.get() if context is None else context.get(current_life)
        if life is not None:
            life.tasks.add(task)
            task.add_done_callback(life.tasks.discard)
