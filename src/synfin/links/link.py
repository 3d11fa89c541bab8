"""What a link is: something that carries IP packets for a stack, and can be waited for.

Rules for the next editor: a link never blocks, never holds a stack between two calls, and never raises for one packet;
it raises only when it is itself gone. Whatever has these methods is a link; nothing needs to be inherited.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from typing import Final, Protocol

from synfin.wire.segment import Burst

MTU_MIN: Final = 576  # RFC 791 3.1: what every IPv4 host must accept
MTU_MIN_IPV6: Final = 1280  # RFC 8200 5
MTU_MAX: Final = 65535  # the IPv4 total length field


class PacketSink(Protocol):
    """The one method of a stack that a link calls, positionally.

    start: where the packet begins in `packet`: a header of the device's before it need not be cut off.
    """

    def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, start: int = 0, /) -> None:
        """Take one IP packet. now: microseconds. checksum_ok: nobody need look. gso_size: of a burst, else 0."""


class Link(Protocol):
    """Carries IP packets. `mtu` in bytes; with `offload` whole bursts cross with partial checksums.

    Where there are more descriptors to poll than fileno()'s, `further_descriptors` has them: readable, as that one is,
    when packets wait.

    A link that notices when it comes back has `has_come_back() -> bool`: it was down and carries again; true once. It
    is asked when a descriptor was readable without a packet, and when flush() has written all. One that takes nothing
    while it is down has `is_down() -> bool`: a host that ends does not wait for it.
    """

    @property
    def mtu(self) -> int:
        """Bytes of the largest IP packet that it carries."""

    @property
    def offload(self) -> bool:
        """Whole bursts are given and taken, with partial checksums."""

    def fileno(self) -> int:
        """A descriptor to poll: readable when packets wait."""

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        """Read up to `limit` packets and give each to the stack, stamped with `clock()` after it was read, as are those
        that were read right before it; how many. Never blocks."""

    def send(self, bursts: list[Burst]) -> bool:
        """Write all. False: some wait in the link's own bounded queue; call flush() when the descriptor is writable."""

    def flush(self) -> bool:
        """Write what waits; True when nothing waits any more."""

    def close(self) -> None:
        """Give the descriptor back. May be called twice."""


class Timed(Protocol):
    """What of a link has deadlines of its own: `link.timed`, where there is such a thing."""

    def next_deadline(self) -> int | None:
        """When on_timer() wants to be called, microseconds; None: nothing is waited for."""

    def on_timer(self, stack: PacketSink, now: int, /) -> None:
        """Do all that is due at `now`; what the stack is to know of it, it is told by a packet."""

    def is_tentative(self) -> bool:
        """The link can't be used yet."""


def check_mtu(mtu: int, ipv6: bool = False) -> int:
    """`mtu` itself if a link may have it, else ValueError (TypeError for what is no integer)."""
    if not MTU_MIN <= index(mtu) <= MTU_MAX:
        raise ValueError(f"mtu must be from {MTU_MIN} to {MTU_MAX}, not {mtu}")
    if ipv6 and mtu < MTU_MIN_IPV6:
        raise ValueError(f"IPv6 needs an mtu of at least {MTU_MIN_IPV6}, not {mtu} (RFC 8200 section 5)")
    return mtu
