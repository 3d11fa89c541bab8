"""Ports of this machine that lead to a server inside: [ADDRESS:]PORT:PORT[/udp]."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from synfin.run.targets import parse_port


@dataclass(frozen=True)
class Published:
    """address and port of this machine; inner: the port inside."""

    address: str
    port: int
    inner: int
    udp: bool = False

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port}{'/udp' if self.udp else ''} -> {self.inner}"


def parse_published(text: str) -> Published:
    """Without an address it is this machine's loopback alone. Raises ValueError."""
    ports, slash, protocol = text.partition("/")
    if slash and protocol not in ("tcp", "udp"):
        raise ValueError(f"{text!r}: behind the slash stands tcp or udp, not {protocol!r}")
    rest, _, inner = ports.rpartition(":")
    address, colon, outer = rest.rpartition(":")
    if not colon:
        address, outer = "127.0.0.1", rest
    address = address.removeprefix("[").removesuffix("]")
    if not outer:
        raise ValueError(f"{text!r}: a published port is written as 8080:80, or as 0.0.0.0:8080:80/udp")
    try:
        ip_address(address)
    except ValueError:
        raise ValueError(f"{text!r}: {address!r} is no address of this machine; write 0.0.0.0:8080:80") from None
    return Published(address, parse_port(outer, text), parse_port(inner, text), protocol == "udp")
