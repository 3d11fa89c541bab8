"""Addresses and ports as users write them, what of them a stack can use, and which of its own it speaks from.

Callers that are not compiled check before they call: a compiled signature refuses a wrong type by itself, in words that
do not name the argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from mypy_extensions import i64

from synfin.tcp import errors

Address = str | bytes | IPv4Address | IPv6Address

MAPPED: Final = bytes(10) + b"\xff\xff"  # an IPv4 address as IPv6's sockets write it (RFC 4291 2.5.5.2)


def packed(address: Address) -> bytes:
    """An address as 4 or 16 bytes. Raises ValueError for what is none."""
    if isinstance(address, bytes):
        if len(address) not in (4, 16):
            raise ValueError(f"a packed address has 4 or 16 bytes, not {len(address)}")
        return address
    if isinstance(address, str):
        return _read(address)
    if isinstance(address, (IPv4Address, IPv6Address)):
        return address.packed
    raise TypeError(f"an address is a str, bytes or an ipaddress object, not {type(address).__name__}")


@lru_cache(maxsize=1024)
def _read(text: str) -> bytes:
    """The same addresses are named again and again: at each connect, and by each host of a simulation."""
    return ip_address(text).packed


@lru_cache(maxsize=1024)
def is_address(text: str) -> bool:
    """It is one, and no name."""
    try:
        _read(text)
    except ValueError:
        return False
    return True


def check_port(port: object, lowest: int) -> None:
    """Raise ValueError or TypeError for what is no port from `lowest` on."""
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"a port is an int, not {type(port).__name__}")
    if not lowest <= port <= 65535:
        raise ValueError(f"a port is within {lowest} and 65535, not {port}")


def check_backlog(backlog: object) -> None:
    """Raise ValueError or TypeError for what is no number of connections that may wait."""
    if isinstance(backlog, bool) or not isinstance(backlog, int):
        raise TypeError(f"backlog is an int, not {type(backlog).__name__}")
    if backlog < 1:
        raise ValueError(f"backlog is at least 1, not {backlog}")


def own_addresses(addresses: Iterable[Address], mtu: int) -> set[bytes]:
    """What a stack is given as its own. Raises ValueError or TypeError."""
    if isinstance(addresses, (str, bytes)):
        raise TypeError("addresses is a list of addresses, not one of them")
    own = {packed(address) for address in addresses}
    if not own:
        raise ValueError("a stack needs at least one address")
    for address in own:
        if is_group(address):
            raise ValueError(f"{ip_address(address)} is no address that a host could have (RFC 1122 3.2.1.3)")
    if mtu < 1280 and any(len(address) == 16 for address in own):
        raise ValueError(f"IPv6 needs an MTU of at least 1280 (RFC 8200 5), not {mtu}")
    return own


class Reach:
    """Which addresses a stack hears and may speak from: its own, and with `any_destination` each that is elsewhere."""

    def __init__(self, own: set[bytes], any_destination: bool) -> None:
        self.own: set[bytes] = own
        self.any_destination: bool = any_destination

    def hears(self, address: bytes) -> bool:
        """What comes for this address is for this stack."""
        return address in self.own or (self.any_destination and is_elsewhere(address))

    def check(self, address: bytes) -> None:
        """Raise OSError(EADDRNOTAVAIL) for an address that the stack does not hear."""
        if not self.hears(address):
            raise errors.oserror(errors.ADDRESS_NOT_AVAILABLE, f"{ip_address(address)} is not an address of this stack")

    def check_or_any(self, address: bytes) -> None:
        """The same, where the unspecified address stands for each one of its family; there must be one."""
        if not is_any(address):
            self.check(address)
        elif not self.any_destination and all(len(one) != len(address) for one in self.own):
            family = "IPv4" if len(address) == 4 else "IPv6"
            raise errors.oserror(errors.ADDRESS_NOT_AVAILABLE, f"this stack has no {family} address")


def is_any(address: bytes) -> bool:
    """0.0.0.0 or ::, the unspecified address, which stands for each one of its family."""
    return address == bytes(len(address))


def overlapping(own: set[bytes], local: bytes) -> list[bytes]:
    """Under which addresses somebody may hear what comes to `local`, which may be the unspecified one, or b"" for any.

    "::" counts as both families.
    """
    if local and not is_any(local):
        return [local, bytes(len(local)), bytes(16), b""]
    families = (4,) if len(local) == 4 else (4, 16)
    return [bytes(4), bytes(16), b"", *(address for address in own if len(address) in families)]


def check_families(local: bytes, remote: bytes) -> None:
    """Raise ValueError for two that can't talk to each other."""
    if len(local) != len(remote):
        raise ValueError("local and remote address are of different families")


def source_for(own: set[bytes], remote: bytes) -> bytes:
    """Which of `own` speaks to `remote`. Raises OSError(ENETUNREACH): none of that family."""
    if remote in own:
        return remote
    candidates = sorted(address for address in own if len(address) == len(remote))
    # RFC 6724 5, rule 2: what has only the host's own scope is no address to be answered at by others.
    candidates.sort(key=is_loopback)
    if not candidates:
        family = "IPv4" if len(remote) == 4 else "IPv6"
        raise errors.oserror(errors.NETWORK_UNREACHABLE, f"this stack has no {family} address")
    return candidates[0]


def is_loopback(address: bytes) -> bool:
    """127.0.0.0/8 or ::1."""
    return address[0] == 127 if len(address) == 4 else address == bytes(15) + b"\x01"


def is_group(address: bytes) -> bool:
    """Multicast, broadcast or unspecified: no host of its own."""
    if len(address) == 16:
        return address[0] == 0xFF or address == bytes(16)
    return address[0] == 0 or address[0] >= 224


def is_elsewhere(address: bytes) -> bool:
    """It may be that of another host, out on the network.

    No loopback (RFC 1122 3.2.1.3 (g)), nor an IPv4 address in IPv6's clothes, which is never on the wire (RFC 4291
    2.5.5.2): whoever dials what was asked for would find either of them at home.
    """
    if is_group(address) or is_loopback(address):
        return False
    return len(address) == 4 or address[:12] != MAPPED


def endpoint(address: bytes, port: i64) -> bytes:
    """address | port, under which whoever listens there is filed; the address may be empty: any."""
    return address + int(port).to_bytes(2, "big")
