"""Who has which name and which addresses: what getaddrinfo and getnameinfo know inside a simulation."""

from __future__ import annotations

import socket
from typing import Any, Final

from synfin.sim.errors import SimulationError
from synfin.stack.addresses import is_address, packed

_EAI_ADDRFAMILY: Final[int] = getattr(socket, "EAI_ADDRFAMILY", socket.EAI_NONAME)


class Names:
    """The hosts' addresses, by name and the other way round."""

    def __init__(self) -> None:
        self._addresses: dict[str, list[str]] = {}
        self._owners: dict[bytes, str] = {}  # by packed address

    def add(self, name: str, addresses: list[str]) -> list[bytes]:
        """A host is called so; its addresses, packed.

        Raises ValueError for a name or address that is none, SimulationError for one that is taken.
        """
        if not name or any(character.isspace() for character in name):
            raise ValueError(f"a host's name is a word, not {name!r}")
        wanted = [packed(address) for address in addresses]
        for address, key in zip(addresses, wanted, strict=True):
            if key in self._owners:
                raise SimulationError(f"{address} is the address of {self._owners[key]}")
        self._addresses[name] = addresses
        self._owners.update(dict.fromkeys(wanted, name))
        return wanted

    def by_address(self) -> dict[str, str]:
        """Each address, as text, with its host's name."""
        return {address: name for name, addresses in self._addresses.items() for address in addresses}

    def look_up(
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """Addresses of the network's hosts, IPv4 first, as socket.getaddrinfo. Raises socket.gaierror for others."""
        name = host.decode() if isinstance(host, bytes) else host
        if name is None:
            addresses = ["0.0.0.0", "::"] if flags & socket.AI_PASSIVE else ["127.0.0.1", "::1"]
        elif name in self._addresses:
            addresses = self._addresses[name]
        elif str(name).lower() == "localhost":
            addresses = ["127.0.0.1", "::1"]
        elif is_address(str(name)):
            addresses = [str(name)]
        else:
            raise socket.gaierror(socket.EAI_NONAME, f"no host of the simulation is called {name!r}")
        number = _port_number(port)
        found = []
        for address in addresses:
            ipv6 = ":" in address
            wanted = socket.AF_INET6 if ipv6 else socket.AF_INET
            if family not in (0, wanted):
                continue
            where: Any = (address, number, 0, 0) if ipv6 else (address, number)
            kinds = [(socket.SOCK_STREAM, socket.IPPROTO_TCP), (socket.SOCK_DGRAM, socket.IPPROTO_UDP)]
            found += [
                (wanted, kind, number, "", where)
                for kind, number in kinds
                if type in (0, kind) and proto in (0, number)
            ]
        if not found:
            raise socket.gaierror(_EAI_ADDRFAMILY, f"{name!r} has no address of that family")
        return found

    def name_of(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """As socket.getnameinfo: the name of the host that has the address, if any."""
        address = str(sockaddr[0])
        known = {} if flags & socket.NI_NUMERICHOST else self.by_address()
        return known.get(address, address), str(sockaddr[1])


def _port_number(port: Any) -> int:
    """A number, or that of a service. Raises socket.gaierror for one that nobody knows."""
    try:
        return int(port or 0)
    except ValueError:
        pass
    try:
        return socket.getservbyname(port)
    except OSError:
        raise socket.gaierror(socket.EAI_SERVICE, f"no service is called {port!r}") from None
