"""A link around a link that loses every so many packets with text, in both directions: what a wire does by chance."""

from __future__ import annotations

from collections.abc import Callable

from synfin.links.link import Link, PacketSink
from synfin.wire.segment import Burst, split

WITH_TEXT = 200  # bytes: ACKs and handshakes are shorter


class LossyLink:
    """Without offload. nth: of so many packets with text one is lost, in each direction."""

    def __init__(self, link: Link, nth: int) -> None:
        if link.offload:
            raise ValueError("a lossy link counts packets: switch offload off")
        self.mtu = link.mtu
        self.offload = False
        self.lost = {"in": 0, "out": 0}
        self._seen = {"in": 0, "out": 0}
        self._nth = nth
        self._link = link
        self.fileno = link.fileno
        self.flush = link.flush
        self.close = link.close

    def loses(self, packet: bytes, way: str) -> bool:
        """This one is lost."""
        if len(packet) < WITH_TEXT:
            return False
        self._seen[way] += 1
        if self._seen[way] % self._nth:
            return False
        self.lost[way] += 1
        return True

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        return self._link.receive(_Sieve(self, stack), clock, limit)

    def send(self, bursts: list[Burst]) -> bool:
        packets = [packet for burst in bursts for packet in split(burst)]
        return self._link.send([Burst(packet, [], 0) for packet in packets if not self.loses(packet, "out")])


class _Sieve:
    def __init__(self, lossy: LossyLink, stack: PacketSink) -> None:
        self._lossy = lossy
        self._stack = stack

    def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, /) -> None:
        if not self._lossy.loses(packet, "in"):
            self._stack.receive(packet, now, checksum_ok, gso_size)
