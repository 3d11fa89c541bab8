"""The link with faults, in virtual time: a device and a stack stand at its ends, and both write down what comes."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from synfin.links.link import PacketSink
from synfin.run.bad_link import BadLink
from synfin.run.network import INSIDE, RunNetwork
from synfin.wire import udp
from synfin.wire.key import make_key
from synfin.wire.segment import Burst, split

HERE, DB, WEB = "198.18.0.2", "10.1.2.3", "10.9.9.9"


def datagram(src: str, dst: str, port: int, text: bytes = b"x", *, back: bool = False) -> bytes:
    """To a port outside, or back from it."""
    ports = (port, 4000) if back else (4000, port)
    return udp.build(make_key(ip_address(src).packed, ip_address(dst).packed, *ports), text)


class Device:
    """offload, mtu and what a link has; `waiting` is read, `written` keeps (time, packet)."""

    offload = False
    mtu = 1500

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.waiting: list[bytes] = []
        self.written: list[tuple[int, bytes]] = []
        self.full = False

    def fileno(self) -> int:
        return 0

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        for packet in taken:
            stack.receive(packet, clock(), False, 0)
        return len(taken)

    def send(self, bursts: list[Burst]) -> bool:
        self.written += [(self._bench.now, packet) for burst in bursts for packet in split(burst)]
        return not self.full

    def flush(self) -> bool:
        return not self.full

    def close(self) -> None:
        self.waiting.clear()


class Bench:
    """A link, its device, and in `arrived` what the stack got, with its time."""

    def __init__(self, names: dict[str, str] | None = None, seed: int = 1, **settings: Any) -> None:
        self.now = 1_000_000
        self.arrived: list[tuple[int, bytes]] = []
        self.device = Device(self)
        self.network = RunNetwork(names or {}, seed)
        self.network.link(INSIDE, "*", **settings)
        self.link = BadLink(self.device, self.network, clock=lambda: self.now)

    def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, start: int = 0, /) -> None:
        self.arrived.append((now, packet))

    def up(self, *packets: bytes) -> None:
        self.device.waiting += packets
        self.link.receive(self, lambda: self.now, 64)

    def down(self, *packets: bytes) -> None:
        self.link.send([Burst(packet, [], 0) for packet in packets])

    def run(self) -> None:
        """Until nothing is on its way."""
        while (due := self.link.next_deadline()) is not None:
            self.now = max(self.now, due)
            self.link.on_timer(self, self.now)
