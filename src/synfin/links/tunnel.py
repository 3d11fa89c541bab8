"""A link made of a function: whoever holds a tunnel (VPN, USB, WebSocket, QUIC datagrams) gives `send(packet)`.

What comes in, its owner gives to `Host.receive()`. There is no descriptor and nothing to poll, so it works on any loop.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy_extensions import i64, mypyc_attr

from synfin.links.link import check_mtu
from synfin.wire.segment import Burst, split


@mypyc_attr(acyclic=True)
class Arrival:
    """A packet that comes out of a tunnel.

    gso_size: bytes of text in a segment if it is a burst of many, else 0. vouched: it is TCP's, and nobody has filled
    in its checksum: the field holds the sum of the pseudo header, as in a Burst. text: what was never joined to the
    headers, which are all of `packet` then; only of what is vouched for.
    """

    def __init__(self, packet: bytes, gso_size: i64 = 0, vouched: bool = False, text: bytes = b"") -> None:
        self.packet: bytes = packet
        self.gso_size: i64 = gso_size
        self.vouched: bool = vouched
        self.text: bytes = text

    def whole(self) -> bytes:
        """The packet in one piece."""
        return self.packet + self.text if self.text else self.packet


@mypyc_attr(allow_interpreted_subclasses=True)
class TunnelLink:
    """send: takes one whole IP packet at a time, must not block. mtu: bytes, 576 to 65535."""

    offload = False

    def __init__(self, send: Callable[[bytes], object], mtu: int = 1500) -> None:
        if not callable(send):
            raise TypeError(f"send must be a function that takes a packet, not {type(send).__name__}")
        self.mtu = check_mtu(mtu)
        self.refused = 0  # packets whose send() raised OSError
        self.last_error: OSError | None = None
        self._send = send
        self._closed = False

    def send(self, bursts: list[Burst]) -> None:
        """Give each packet to the function. OSError from it loses that packet, as a network would."""
        if self._closed:
            return
        for burst in bursts:
            for packet in split(burst):
                try:
                    self._send(packet)
                except OSError as error:
                    self.refused += 1
                    self.last_error = error

    def close(self) -> None:
        """Send no more."""
        self._closed = True
