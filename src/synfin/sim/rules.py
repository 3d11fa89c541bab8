"""Packets in the simulation, as rules see them, and what a rule may say of one.

A rule is a function of a `SimPacket`, or a mapping from packet names to verdicts; the first that does not say PASS
decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from synfin.sim.errors import SimulationError
from synfin.sim.link import CORRUPTED, DUPLICATED, LOST, MARKED, PASSED
from synfin.sim.units import microseconds
from synfin.wire import ip as ip_layer
from synfin.wire.errors import WireError
from synfin.wire.ip import PROTO_TCP, IpHeader
from synfin.wire.key import reverse_key
from synfin.wire.segment import Segment, parse_untrusted
from synfin.wire.seq import seq_add
from synfin.wire.tcp_header import ACK, SYN, flag_names

PASS: Final = "pass"
DROP: Final = LOST
DUPLICATE: Final = DUPLICATED
CORRUPT: Final = CORRUPTED  # turn one bit over
MARK: Final = MARKED  # CE, if it is capable of ECN
RECORD: Final = "record"  # keep it in the rule's `recorded`, and let the other rules decide
FATES: Final = (DROP, DUPLICATE, CORRUPT, MARK)

PacketName = tuple[str, str, int, str, int, int, int]


@dataclass(frozen=True)
class Delay:
    """Hold a packet back for so much longer than its link does; unless it may overtake, those after it wait for it."""

    by: str | float
    overtake: bool = True

    def microseconds(self) -> int:
        """The same in microseconds."""
        return microseconds(self.by, "Delay")


@dataclass(frozen=True)
class Change:
    """Deliver these bytes instead."""

    packet: bytes


Verdict = str | Delay | Change | None
Faults = Mapping[PacketName, Verdict]


class SimPacket:
    """One IP packet on its way, as it stands on the wire: never a burst of several.

    sender and receiver are host names, time is virtual seconds since the start.
    connection: the number of its connection among all between these two hosts, 0 for the first, -1: unknown or no TCP.
    flags such as "SYN,ACK" ("" if it is no TCP), seq and ack relative to the connection's first numbers (-1: unknown),
    length in bytes of text, ports; nth: how many packets with the same description went before it, since there is a
    rule.
    """

    def __init__(self, sender: str, receiver: str, data: bytes, time: float) -> None:
        self.sender = sender
        self.receiver = receiver
        self.data = data
        self.time = time
        self.connection = -1
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

    def describe(self) -> PacketName:
        """What names this packet in another run: no clock, port or random number is in it."""
        return self.sender, self.receiver, self.connection, self.flags, self.seq, self.length, self.nth


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
    """Makes SimPackets: parses, and makes numbers relative to each connection's own."""

    _LIMIT: Final = 100_000

    def __init__(self) -> None:
        self._ip = IpHeader()
        self._seg = Segment()
        self._isn: dict[bytes, int] = {}
        self._number: dict[bytes, int] = {}
        self._opened: dict[tuple[str, str], int] = {}
        self._seen: dict[PacketName, int] = {}
        self._noted: list[tuple[str, str, bytes]] = []  # and not looked at yet

    def note(self, sender: str, receiver: str, packet: bytes) -> None:
        """All that is remembered of a packet nobody asks for: the first numbers of a connection, if it opens one."""
        self._noted.append((sender, receiver, packet))
        if len(self._noted) > self._LIMIT:
            self._catch_up()

    def _catch_up(self) -> None:
        """Look at what was noted: most simulations have no rule, and never do."""
        for sender, receiver, packet in self._noted:
            self._parse(sender, receiver, packet)
        self._noted.clear()

    def read(self, sender: str, receiver: str, data: bytes, time: float) -> SimPacket:
        """The packet, described."""
        if self._noted:
            self._catch_up()
        packet = SimPacket(sender, receiver, data, time)
        seg = self._parse(sender, receiver, data)
        if seg is not None:
            packet.flags = flag_names(seg.flags)
            packet.src_port = seg.src_port
            packet.dst_port = seg.dst_port
            packet.length = len(seg.payload)
            packet.connection = self._number.get(seg.key, -1)
            mine = self._isn.get(seg.key)
            if mine is not None:
                packet.seq = seq_add(seg.seq, -mine)
            theirs = self._isn.get(reverse_key(seg.key))
            if theirs is not None and seg.flags & ACK:
                packet.ack = seq_add(seg.ack, -theirs)
        name = packet.describe()
        if len(self._seen) > self._LIMIT:
            self._seen.clear()
        packet.nth = self._seen.get(name, 0)
        self._seen[name] = packet.nth + 1
        return packet

    def _parse(self, sender: str, receiver: str, data: bytes) -> Segment | None:
        """The segment, with its connection known; None for what is no TCP or can't be read, and is carried as well."""
        seg = self._seg
        try:
            ip_layer.parse_untrusted(data, self._ip)
            if self._ip.protocol != PROTO_TCP:
                return None
            parse_untrusted(data, self._ip, seg, True, 0)
        except WireError:
            return None
        if seg.flags & SYN and self._isn.get(seg.key) != seg.seq:
            if len(self._isn) > self._LIMIT:
                self._isn.clear()
                self._number.clear()
            self._isn[seg.key] = seg.seq
            if not seg.flags & ACK:
                pair = (min(sender, receiver), max(sender, receiver))
                number = self._opened.get(pair, 0)
                self._opened[pair] = number + 1
                self._number[seg.key] = self._number[reverse_key(seg.key)] = number
        return seg


class Rulebook:
    """The rules in force, in their order, and what they know of each packet.

    on_failure: told of a rule that fails; its packet is dropped.
    """

    def __init__(self, on_failure: Callable[[Exception], None]) -> None:
        self.in_force: list[Rule] = []
        self._reader = Reader()
        self._on_failure = on_failure
        self.note = self._reader.note
        self.read = self._reader.read

    def end(self) -> None:
        """No packet is asked about any more."""
        self._on_failure = _unheard

    def add(self, decide: Callable[[SimPacket], Verdict] | Faults) -> Rule:
        """Ask `decide` of every packet from now on, or look the packet up in it."""
        if isinstance(decide, Mapping):
            faults = decide

            def decide(packet: SimPacket) -> Verdict:
                return faults.get(packet.describe())

        if not callable(decide):
            raise TypeError(f"a rule is a function of a packet or a mapping, not {type(decide).__name__}")
        rule = Rule(decide, self.in_force.remove)
        self.in_force.append(rule)
        return rule

    def judge(self, packet: SimPacket) -> Verdict:
        """What the first rule says that does not pass; PASS if all do."""
        for rule in tuple(self.in_force):
            verdict = self._ask(rule, packet)
            if verdict is None or verdict == PASS:
                continue
            if verdict == RECORD:
                rule.recorded.append(packet)
                continue
            return verdict
        return PASS

    def _ask(self, rule: Rule, packet: SimPacket) -> Verdict:
        try:
            verdict = rule.decide(packet)
            if verdict not in (None, PASS, RECORD, *FATES) and not isinstance(verdict, (Delay, Change)):
                known = ", ".join(("PASS", *(fate.upper() for fate in FATES)))
                raise SimulationError(f"a rule says {known}, RECORD, Delay(...) or Change(...), not {verdict!r}")
        except Exception as error:
            self._on_failure(error)
            return DROP
        return verdict


def _unheard(error: Exception) -> None:
    """Nobody is left to be told."""


def verdict_of(kind: str, extra: int, overtake: bool) -> Verdict:
    """What a rule would have to say so that the same happens as by chance."""
    if kind == PASSED:
        return Delay(f"{extra}us", overtake)
    return kind
