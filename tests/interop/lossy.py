"""A link around a link that does what a path does: lose or mark every so many packets with text, or all large ones."""

from __future__ import annotations

from collections.abc import Callable

from synfin.links.link import Link, PacketSink
from synfin.wire.ip import marked
from synfin.wire.segment import Burst, split

WITH_TEXT = 200  # bytes: ACKs and handshakes are shorter


class LossyLink:
    """Without offload. Of so many packets with text one is lost, or marked as by a congested router; 0: none.

    hole: larger packets that go out vanish, as in a tunnel that says nothing; 0: none.
    """

    def __init__(self, link: Link, lose: int, mark: int = 0, hole: int = 0) -> None:
        if link.offload:
            raise ValueError("a lossy link counts packets: switch offload off")
        self.mtu = link.mtu
        self.offload = False
        self.lost = {"in": 0, "out": 0}
        self.marked = {"in": 0, "out": 0}
        self._seen = {"in": 0, "out": 0}
        self._lose = lose
        self._mark = mark
        self._hole = hole
        self._link = link
        self.timed = getattr(link, "timed", None)
        self.fileno = link.fileno
        self.flush = link.flush
        self.close = link.close

    def carry(self, packet: bytes, way: str) -> bytes | None:
        """What arrives of it; None: nothing."""
        if way == "out" and 0 < self._hole < len(packet):
            self.lost[way] += 1
            return None
        if len(packet) < WITH_TEXT:
            return packet
        self._seen[way] += 1
        if self._lose and self._seen[way] % self._lose == 0:
            self.lost[way] += 1
            return None
        if self._mark and self._seen[way] % self._mark == 0:
            changed = marked(packet)
            self.marked[way] += changed != packet
            return changed
        return packet

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        return self._link.receive(_Sieve(self, stack), clock, limit)

    def send(self, bursts: list[Burst]) -> bool:
        carried = [self.carry(packet, "out") for burst in bursts for packet in split(burst)]
        return self._link.send([Burst(packet, [], 0) for packet in carried if packet is not None])


class _Sieve:
    def __init__(self, lossy: LossyLink, stack: PacketSink) -> None:
        self._lossy = lossy
        self._stack = stack

    def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, start: int = 0, /) -> None:
        carried = self._lossy.carry(packet[start:], "in")
        if carried is not None:
            # A mark changes no byte that the TCP checksum covers, and `marked` renews IPv4's.
            self._stack.receive(carried, now, checksum_ok, gso_size)
