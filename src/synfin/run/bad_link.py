"""The link between a program and its gateway, with faults: every packet, either way, passes the network of a run.

It wraps a device without offload, so that what is lost, delayed or counted is one packet and never a burst. What
becomes of packets, and when they arrive, is the simulation's business (`sim.traffic`), on the loop's clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from synfin.links.link import Link, PacketSink
from synfin.links.tunnel import Arrival
from synfin.run.network import INSIDE, RunNetwork
from synfin.sim.link import LOST, Direction, LinkSettings
from synfin.sim.station import Station
from synfin.sim.traffic import Traffic
from synfin.wire.endian import read_u16
from synfin.wire.ip import PROTO_TCP, PROTO_UDP
from synfin.wire.segment import Burst

MOST: Final = 65536  # packets on their way: what comes when there are so many is lost
_STATIONS: Final = 4096
_RETRY_US: Final = 1000  # until a device that was full is tried again
_NOTHING: Final = LinkSettings(delay=0)


def monotonic_us() -> int:
    """The clock of asyncio's own loops, in microseconds."""
    return int(time.monotonic() * 1_000_000)


class BadLink:
    """device: not one with offload. keep_faults: remember what chance does to which packet, as `traffic.faults`."""

    offload = False

    def __init__(
        self,
        device: Link,
        network: RunNetwork,
        keep_faults: bool = False,
        clock: Callable[[], int] = monotonic_us,
    ) -> None:
        if device.offload:
            raise ValueError("faults are for packets: the device must have no offload")
        self.mtu = device.mtu
        self.network = network
        self.traffic = Traffic(_NOTHING, network.seed, network.rules, keep_faults)
        self.overflowed = 0  # lost, since too many were on their way
        self.timed = self
        self._device = device
        self._clock = clock
        self._began = clock()
        self._inside = Station(INSIDE)
        self._inside.deliver = self._to_device
        self._taken = _Taken(self._take)
        self._outside: dict[bytes, Station] = {}  # by address, each with its name
        self._stack: PacketSink | None = None  # during receive() and on_timer() alone
        self._blocked = False  # the device is full

    def fileno(self) -> int:
        """The device's descriptor."""
        return self._device.fileno()

    def elapsed(self) -> int:
        """Microseconds since it began."""
        return self._clock() - self._began

    # ---- from the program ----

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        """Take up to `limit` packets from the device; those that take no time go on to the stack."""
        self._stack = stack
        try:
            count = self._device.receive(self._taken, clock, limit)
            self.traffic.deliver_due(clock() - self._began)
        finally:
            self._stack = None
        return count

    def _take(self, packet: bytes, now: int) -> None:
        remote, port = _place(packet, outgoing=True)
        self._cross(self._inside, self._station(remote), self.network.lane(remote, port).up, packet, now)

    # ---- to the program ----

    def send(self, bursts: list[Burst]) -> bool:
        """Let all of it leave for the device. Always True: what waits is on its way, and not in a queue."""
        now = self._clock()
        for burst in bursts:
            remote, port = _place(burst.head, outgoing=False)
            self._cross(self._station(remote), self._inside, self.network.lane(remote, port).down, burst, now)
        return True  # what takes no time arrives at the next turn: arrivals need the stack at hand

    def flush(self) -> bool:
        """True: nothing waits to be flushed."""
        return True

    def _to_device(self, arrivals: list[Arrival]) -> None:
        self._blocked = not self._device.send([Burst(one.packet, [], 0) for one in arrivals])

    # ---- time ----

    def next_deadline(self) -> int | None:
        """When the next packet arrives."""
        due = self.traffic.next_due()
        deadline = None if due is None else due + self._began
        if self._blocked:
            retry = self._clock() + _RETRY_US
            return retry if deadline is None else min(retry, deadline)
        return deadline

    def on_timer(self, stack: PacketSink, now: int, /) -> None:
        """Packets arrive."""
        if self._blocked:
            self._blocked = not self._device.flush()
        self._stack = stack
        try:
            self.traffic.deliver_due(now - self._began)
        finally:
            self._stack = None

    def is_tentative(self) -> bool:
        """It can be used at once."""
        return False

    def close(self) -> None:
        """Close the device; what is on its way is gone."""
        self.traffic.clear()
        self._device.close()

    # ---- inside ----

    def _cross(self, sender: Station, receiver: Station, direction: Direction, what: bytes | Burst, now: int) -> None:
        if self.traffic.waiting() >= MOST:
            self.overflowed += 1
            if self.traffic.on_fate is not None:
                self.traffic.on_fate(direction, LOST, 0, False)
            return
        burst = what if isinstance(what, Burst) else Burst(what, [], 0)
        self.traffic.carry_over(sender, receiver, direction, burst, now - self._began)

    def _station(self, address: bytes) -> Station:
        found = self._outside.get(address)
        if found is None:
            if len(self._outside) >= _STATIONS:
                self._outside.clear()
            found = self._outside[address] = Station(self.network.name_of(address))
            found.deliver = self._to_stack
        return found

    def _to_stack(self, arrivals: list[Arrival]) -> None:
        assert self._stack is not None
        for one in arrivals:
            self._stack.receive(one.packet, self._clock(), False, 0)


class _Taken:
    """What a device gives its packets to."""

    def __init__(self, take: Callable[[bytes, int], None]) -> None:
        self._take = take

    def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, start: int = 0, /) -> None:
        """One packet; what is shorter than its header is none."""
        if len(packet) >= 20 and len(packet) >= (20 if packet[0] < 0x60 else 40):
            self._take(packet, now)


def _place(packet: bytes, outgoing: bool) -> tuple[bytes, int]:
    """The address and port outside of a packet; port 0: it has none."""
    if packet[0] < 0x60:
        remote = packet[16:20] if outgoing else packet[12:16]
        protocol, at = packet[9], (packet[0] & 0x0F) * 4
        if packet[6] & 0x1F or packet[7]:  # a later fragment
            protocol = 0
    else:
        remote = packet[24:40] if outgoing else packet[8:24]
        protocol, at = packet[6], 40
    if protocol not in (PROTO_TCP, PROTO_UDP) or len(packet) < at + 4:
        return remote, 0
    return remote, int(read_u16(packet, at + 2 if outgoing else at))
