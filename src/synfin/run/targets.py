"""Whom a rule is about, as people write it: db, db:5432, 10.0.0.0/8, 10.1.2.3:80, [2001:db8::1]:443, *:53, *."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Target:
    """networks: None: any address. port: 0: any, and what has no ports."""

    networks: tuple[Network, ...] | None
    port: int = 0

    def has(self, address: str, port: int) -> bool:
        """This place is meant."""
        if self.port and self.port != port:
            return False
        if self.networks is None:
            return True
        there = ip_address(address)
        return any(there in network for network in self.networks)


EVERYTHING = Target(None)


def parse_target(text: str, names: Mapping[str, str]) -> Target:
    """names: the addresses of the names that are known. Raises ValueError for what is none of the forms."""
    host, port = _split(text)
    if host == "*" or (not host and text.startswith(":")):
        return Target(None, port)
    if host in names:
        return Target((ip_network(names[host]),), port)
    try:
        return Target((ip_network(host, strict=False),), port)
    except ValueError as error:
        known = f"; the names are {', '.join(names)}" if names else ""
        raise ValueError(
            f"{text!r} is no place: write an address, a network (10.0.0.0/8) or a name given by --name, "
            f"and :PORT behind it if it is one port{known}"
        ) from error


def _split(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is no place: write an IPv6 address with a port as [2001:db8::1]:443")
        return inner, parse_port(rest[1:], text) if rest else 0
    if not colon or ":" in host:  # no port, or an IPv6 address or network without one
        return text, 0
    return host, parse_port(port, text)


def parse_port(text: str, where: str) -> int:
    """1 to 65535; ValueError."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ValueError(f"{where!r}: a port is a number from 1 to 65535, not {text!r}")
    return int(text)
