"""What the host and the port of a user's call stand for: addresses and numbers, found as asyncio's calls find them.

An address and a number need nobody; a name, or a service's name, is asked of the loop's `getaddrinfo`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from itertools import chain, zip_longest
from typing import Any, Final, NamedTuple

from synfin.aio.engine import Engine
from synfin.stack.addresses import check_port, is_address, is_any, is_loopback, packed

PASSIVE: Final = int(socket.AI_PASSIVE)  # a flag of the enumeration computes a hundred times as slowly
ANY_ADDRESS: Final = ("", "0.0.0.0", "::")
_FAMILIES: Final = {int(socket.AF_INET): 4, int(socket.AF_INET6): 16}  # bytes of an address


class Where(NamedTuple):
    """An address, packed, and a port. The unspecified address stands for each address of its family."""

    address: bytes
    port: int


class Wanted(NamedTuple):
    """What getaddrinfo is asked for."""

    kind: int = socket.SOCK_STREAM
    family: int = 0
    proto: int = 0
    flags: int = 0

    def to_bind(self) -> Wanted:
        """The same, for addresses of one's own."""
        return self._replace(flags=self.flags | PASSIVE)


async def resolve(engine: Engine, host: Any, port: Any, wanted: Wanted) -> list[Where]:
    """What `host` (a name, an address, a list of them, or None) and `port` stand for, in order of preference.

    None and "" are all of this stack's addresses with AI_PASSIVE, as for listening; else its own, as of a loopback.
    Raises socket.gaierror for what has no address; TypeError and ValueError for what is no host or no port.
    """
    if isinstance(host, (list, tuple)):
        lists = [await resolve(engine, one, port, wanted) for one in host]
        return list(dict.fromkeys(chain.from_iterable(lists)))
    if host is not None and not isinstance(host, (str, bytes)):
        raise TypeError(f"a host is a str, bytes or None, not {type(host).__name__}")
    number = _number(port)
    if not host and number is not None:
        addresses = _wildcards(engine) if wanted.flags & PASSIVE else _own(engine)
        return [Where(address, number) for address in addresses if _is_of(address, wanted.family)]
    if number is not None and _is_address(host, wanted.family):
        found = [Where(packed(str(host)), number)]
    else:
        kind, family, proto, flags = wanted
        known = await engine.loop.getaddrinfo(host, port, family=family, type=kind, proto=proto, flags=flags)
        found = list(dict.fromkeys(Where(packed(str(where[0])), int(where[1])) for *_, where in known))
    if wanted.flags & PASSIVE or not any(is_any(address) for address, _ in found):
        return found
    # Who connects to all addresses means this host, as in a kernel.
    own = {len(address): address for address in _own(engine)}
    return [Where(own.get(len(one), one), number) if is_any(one) else Where(one, number) for one, number in found]


def interleave(found: list[Where], first: int) -> list[Where]:
    """The families in turn, after `first` addresses of the one that comes first (RFC 8305 4)."""
    by_family: dict[int, list[Where]] = {}
    for one in found:
        by_family.setdefault(len(one.address), []).append(one)
    families = list(by_family.values())
    if not families:
        return []
    head, families[0] = families[0][: first - 1], families[0][first - 1 :]
    return head + [one for turn in zip_longest(*families) for one in turn if one is not None]


def pair(address: Any, what: str) -> tuple[Any, Any]:
    """A host and a port that were given as one argument. Raises TypeError or ValueError for what is none."""
    if isinstance(address, (str, bytes)) or not isinstance(address, Iterable):
        raise TypeError(f"{what} is a pair of an address and a port, not {address!r}")
    parts = list(address)
    if len(parts) < 2:
        raise ValueError(f"{what} is a pair of an address and a port, not {address!r}")
    return parts[0], parts[1]


def _number(port: Any) -> int | None:
    """A port's number, 0 for none; None: it is a service's name."""
    if port is None or port in ("", b""):
        return 0
    if isinstance(port, (str, bytes)):
        try:
            port = int(port)
        except ValueError:
            return None
    check_port(port, 0)
    return int(port)


def _is_of(address: bytes, family: int) -> bool:
    return not family or len(address) == _FAMILIES.get(socket.AddressFamily(family))


def _is_address(host: Any, family: int) -> bool:
    return isinstance(host, str) and is_address(host) and _is_of(packed(host), family)


def _wildcards(engine: Engine) -> list[bytes]:
    """The unspecified address of each family that the stack has or hears, IPv4 first."""
    if engine.stack.reach.any_destination:
        return [bytes(4), bytes(16)]
    return [bytes(length) for length in sorted({len(address) for address in engine.stack.addresses})]


def _own(engine: Engine) -> list[bytes]:
    """One own address of each family, loopback if there is one."""
    own = sorted(engine.stack.addresses, key=lambda address: (len(address), not is_loopback(address), address))
    return list({len(address): address for address in reversed(own)}.values())[::-1]
