"""Packets in the simulation, as rules see them, and what a rule may say of one.

A rule is a function of a `SimPacket`; the first that does not say PASS decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from synfin.sim.units import microseconds
from synfin.wire import ip as ip_layer
from synfin.wire.errors import WireError
from synfin.wire.ip import PROTO_TCP, IpHeader
from synfin.wire.key import reverse_key
from synfin.wire.segment import Segment, parse_untrusted
from synfin.wire.seq import seq_add
from synfin.wire.tcp_header import SYN, flag_names

PASS: Final = "pass"
DROP: Final = "drop"
RECORD: Final = "record"  # pass, and keep it in the rule's `recorded`


@dataclass(frozen=True)
class Delay:
    """Hold a packet back for so much longer than its link does; others may overtake it."""

    by: str | float

    def microseconds(self) -> int:
        """The same in microseconds."""
        return microseconds(self.by, "Delay")


@dataclass(frozen=True)
class Change:
    """Deliver these bytes instead."""

    packet: bytes


Verdict = str | Delay | Change | None


class SimPacket:
    """One IP packet on its way. sender and receiver are host names, time is virtual seconds since the start.

    flags such as "SYN,ACK" ("" if it is no TCP), seq and ack relative to the connection's first numbers (-1: unknown),
    length in bytes of text, ports; nth: how many packets with the same description went before it, 0 for the first.
    """

    def __init__(self, sender: str, receiver: str, data: bytes, time: float, number: int) -> None:
        self.sender = sender
        self.receiver = receiver
        self.data = data
        self.time = time
        self.number = number
        self.flags = ""
        self.seq = -1
        self.ack = -1
        self.length = 0
        self.src_port = 0
        self.dst_port = 0
        self.nth = 0

    def __repr__(self) -> str:
        return (
            f"<{self.sender}:{self.src_port} -> {self.receiver}:{self.dst_port} {self.flags or 'no TCP'} "
            f"seq={self.seq} ack={self.ack} len={self.length} nth={self.nth}>"
        )

    def describe(self) -> tuple[str, str, int, int, str, int, int, int]:
        """What names this packet in another run of the same program: no clock and no random number is in it."""
        return (
            self.sender, self.receiver, self.src_port, self.dst_port, self.flags, self.seq, self.length, self.nth,
        )  # fmt: skip


class Rule:
    """A rule in force. remove() ends it; `recorded` holds the packets it said RECORD of."""

    def __init__(self, decide: Callable[[SimPacket], Verdict], remove: Callable[[Rule], None]) -> None:
        self.decide = decide
        self.recorded: list[SimPacket] = []
        self._remove = remove

    def remove(self) -> None:
        """The rule applies no more."""
        self._remove(self)


class Reader:
    """Makes SimPackets: parses, and makes numbers relative to each flow's own SYN."""

    _LIMIT: Final = 100_000

    def __init__(self) -> None:
        self._ip = IpHeader()
        self._seg = Segment()
        self._isn: dict[bytes, int] = {}
        self._seen: dict[tuple[object, ...], int] = {}
        self._count = 0

    def read(self, sender: str, receiver: str, data: bytes, time: float) -> SimPacket:
        """The packet, described."""
        self._count += 1
        packet = SimPacket(sender, receiver, data, time, self._count)
        seg = self._seg
        try:
            ip_layer.parse_untrusted(data, self._ip)
            if self._ip.protocol == PROTO_TCP:
                parse_untrusted(data, self._ip, seg, True, 0)
                packet.flags = flag_names(seg.flags)
                if seg.flags & SYN:
                    if len(self._isn) > self._LIMIT:
                        self._isn.clear()
                    self._isn[seg.key] = seg.seq
                packet.src_port = seg.src_port
                packet.dst_port = seg.dst_port
                packet.length = len(seg.payload)
                mine = self._isn.get(seg.key)
                if mine is not None:
                    packet.seq = seq_add(seg.seq, -mine)
                theirs = self._isn.get(reverse_key(seg.key))
                if theirs is not None and "ACK" in packet.flags:
                    packet.ack = seq_add(seg.ack, -theirs)
        except WireError:
            pass  # what can't be read is carried all the same
        name = packet.describe()
        if len(self._seen) > self._LIMIT:
            self._seen.clear()
        packet.nth = self._seen.get(name, 0)
        self._seen[name] = packet.nth + 1
        return packet
