"""Packets on their way: who sends them where, what becomes of each, and when it arrives.

Links' chance and rules decide what becomes of a packet; between that and its arrival it is one of `flights`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, Final
from zlib import crc32

from synfin.links.tunnel import Arrival
from synfin.sim.flights import NEVER, Flights
from synfin.sim.link import (
    CORRUPTED,
    CUT,
    DUPLICATED,
    LOST,
    MARKED,
    PASSED,
    QUEUE_FULL,
    TOO_BIG,
    Direction,
    LinkSettings,
    corrupted,
)
from synfin.sim.rules import PASS, Change, Delay, PacketName, Rulebook, Verdict, verdict_of
from synfin.sim.station import Route, Station
from synfin.sim.turns import START, Outside, Turns
from synfin.wire import icmp
from synfin.wire.endian import read_u32
from synfin.wire.ip import PROTO_TCP, marked
from synfin.wire.pieces import joined
from synfin.wire.segment import Burst, finish, split
from synfin.wire.tcp_header import SYN

NOTHING: Final = (PASSED, 0)


def may_open(packet: bytes) -> bool:
    """It is TCP's and has a SYN, as far as fixed places of a plain IPv4 or IPv6 header tell: flags and protocol."""
    if packet[0] == 0x45:
        return packet[9] == PROTO_TCP and packet[33] & SYN != 0
    return packet[6] == PROTO_TCP and len(packet) > 53 and packet[53] & SYN != 0


class Traffic(Outside):
    """What all hosts send. Times are microseconds since the beginning.

    settings: of links that nobody has declared; seed: of their chance; rules: asked first; keep_faults: remember in
    `faults` what chance does to which packet, as a rule takes it. whole: a burst stays whole if all its packets fare
    alike, and no checksum is made of what arrives as it was sent.
    """

    def __init__(
        self, settings: LinkSettings, seed: int, rules: Rulebook, keep_faults: bool, whole: bool = False
    ) -> None:
        self.packets = 0
        self.digest = 0
        """Of all headers sent and when: two runs of which it differs did not do the same."""
        self.faults: dict[PacketName, Verdict] = {}
        self.calm = False
        """No chance: links lose, duplicate, corrupt and delay by jitter nothing; rules still do."""
        self.directions: dict[tuple[str, str], Direction] = {}
        self.on_direction: Callable[[tuple[str, str], Direction], None] | None = None
        """Told of each that is new."""
        self.on_fate: Callable[[Direction, str, int, bool], None] | None = None
        """Told of each packet what became of it, how much later it came for that, and whether it may overtake. A burst
        that is carried whole has no such fate."""
        self._settings = settings
        self._seed = seed
        self._rules = rules
        self._in_force: list[Any] = rules.in_force
        self._keep_faults = keep_faults
        self._whole = whole
        self._stations: dict[bytes, Station] = {}  # by address
        self._flights = Flights()

    def join(self, station: Station, addresses: list[bytes]) -> None:
        """Packets to these addresses arrive there."""
        for address in addresses:
            self._stations[address] = station

    def direction(self, sender: str, receiver: str) -> Direction:
        """What carries packets from one host to another."""
        found = self.directions.get((sender, receiver))
        if found is None:
            found = Direction(self._settings, f"{self._seed} {sender}>{receiver}")
            self.directions[sender, receiver] = found
            if self.on_direction is not None:
                self.on_direction((sender, receiver), found)
        return found

    def clear(self) -> None:
        """What is on its way is gone."""
        self._flights.clear()

    def close(self) -> None:
        """That too, and there are no stations any more."""
        self.clear()
        for station in self._stations.values():
            station.close()
        self._stations.clear()
        self.on_direction = None

    def under_way(self) -> list[bytes]:
        """The packets that have left and not arrived."""
        return [arrival.whole() for arrival in self._flights.arrivals()]

    # ---- departure ----

    def carry(self, sender: Station, bursts: list[Burst], now: int) -> None:
        """What a host sends leaves it."""
        for burst in bursts:
            head = burst.head
            self.digest = crc32(head, (self.digest + now) & 0xFFFFFFFF)
            receiver, direction = self._way(sender, head)
            if direction is not None:
                self.carry_over(sender, receiver, direction, burst, now)

    def carry_over(self, sender: Station, receiver: Station, direction: Direction, burst: Burst, now: int) -> None:
        """The same over a direction that the caller has chosen. now: microseconds since the beginning."""
        head, size = burst.head, burst.gso_size
        count = (burst.payload_len + size - 1) // size if size else 1
        self.packets += count
        direction.sent += count
        if self._in_force or self._keep_faults:
            self._carry_watched(sender, receiver, direction, burst, now)
            return
        if may_open(head):  # which is alone in its burst
            self._rules.note(sender.name, receiver.name, head)
        settings = direction.settings
        has_chance = direction.has_chance and not self.calm
        overtake = settings.reorder
        kind, extra = NOTHING
        if not direction.open or len(head) + (burst.payload_len if count == 1 else size) > settings.mtu:
            for data in split(burst):
                if not direction.open or len(data) > settings.mtu:
                    self._turn_back(sender, direction, data, now)
                    continue
                kind, extra = direction.draw() if has_chance else NOTHING
                self._fly(receiver, direction, Arrival(data), kind, extra, overtake, now)
            return
        if count == 1:
            if has_chance:
                kind, extra = direction.draw()
            self._fly(receiver, direction, self._as_one(burst, kind), kind, extra, overtake, now)
            return
        passed = count
        if has_chance:
            passed, kind, extra = direction.draw_many(count)
        if passed == count and self._whole and not settings.bandwidth:
            self._put(direction.arrival(0, now, 0, overtake), receiver, self._as_one(burst, PASSED))
            return
        for place, data in enumerate(split(burst)):
            if place < passed:
                self._fly(receiver, direction, Arrival(data), PASSED, 0, overtake, now)
                continue
            if place > passed:
                kind, extra = direction.draw()
            self._fly(receiver, direction, Arrival(data), kind, extra, overtake, now)

    def _carry_watched(self, sender: Station, receiver: Station, direction: Direction, burst: Burst, now: int) -> None:
        """The same where somebody asks about each packet; as long as nothing happens to one, that changes nothing."""
        settings = direction.settings
        fates: list[tuple[bytes, str, int, bool]] = []
        packets = split(burst)
        untouched = self._whole and not settings.bandwidth  # and nothing happens to any of them
        changed = False
        for data in packets:
            packet = self._rules.read(sender.name, receiver.name, data, now / 1_000_000)
            verdict = self._rules.judge(packet)
            if not direction.open or len(data) > settings.mtu:
                self._turn_back(sender, direction, data, now)
                untouched = False
                continue
            kind, extra, overtake = PASSED, 0, settings.reorder
            if isinstance(verdict, Delay):
                extra, overtake = verdict.microseconds(), verdict.overtake or overtake
            elif isinstance(verdict, Change):
                data = bytes(verdict.packet)
                changed = True
            elif verdict != PASS:
                kind = str(verdict)
            elif not self.calm:
                kind, extra = direction.draw()
                if self._keep_faults and (kind or extra):
                    self.faults[packet.describe()] = verdict_of(kind, extra, overtake)
            untouched = untouched and verdict == PASS and not kind and not extra
            fates.append((data, kind, extra, overtake))
        if untouched and len(packets) > 1:
            self._put(direction.arrival(0, now, 0, settings.reorder), receiver, self._as_one(burst, PASSED))
            return
        for data, kind, extra, overtake in fates:
            as_sent = self._whole and len(packets) == 1 and not changed
            packet_sent = self._as_one(burst, kind) if as_sent else Arrival(data)
            self._fly(receiver, direction, packet_sent, kind, extra, overtake, now)

    def _as_one(self, burst: Burst, kind: str) -> Arrival:
        """What leaves as one packet, or as a burst of which nothing happens to any; `kind` is what happens to it.

        Nobody joins the text to its headers if nobody looks at the packet on its way.
        """
        if self._whole and kind != CORRUPTED and burst.csum_start:
            return Arrival(burst.head, burst.gso_size, True, joined(burst.pieces))
        return Arrival(finish(burst), burst.gso_size)

    def _fly(
        self, receiver: Station, direction: Direction, packet: Arrival, kind: str, extra: int, overtake: bool, now: int
    ) -> None:
        """What has become of a packet on the way decides whether and when it arrives."""
        if kind == LOST:
            direction.lost += 1
            self._tell(direction, LOST, 0, False)
            return
        if kind == CORRUPTED:
            packet = Arrival(corrupted(packet.whole()))
        elif kind == MARKED or direction.is_congested(now):
            packet = Arrival(marked(packet.packet), 0, packet.vouched, packet.text)
        copies = 2 if kind == DUPLICATED else 1
        while copies:
            copies -= 1
            arrives = direction.arrival(len(packet.packet) + len(packet.text), now, extra, overtake)
            if arrives < 0:
                direction.lost += 1
                self._tell(direction, QUEUE_FULL, 0, False)
                return
            self._put(arrives, receiver, packet)
        self._tell(direction, kind or PASS, extra, overtake)

    def _tell(self, direction: Direction, fate: str, extra: int, overtake: bool) -> None:
        if self.on_fate is not None:
            self.on_fate(direction, fate, extra, overtake)

    def _put(self, arrives: int, receiver: Station, packet: Arrival) -> None:
        """It arrives then."""
        self._flights.put(arrives, receiver, packet)

    def _way(self, sender: Station, head: bytes) -> Route:
        """Where a packet with this header goes, and over what."""
        if head[0] >= 0x60:
            address = head[24:40]
            return sender.routes.get(address) or self._route(sender, address)
        asked = read_u32(head, 16)
        if asked != sender.last_asked:
            address = head[16:20]
            route = sender.routes.get(address) or self._route(sender, address)
            if route[1] is None:
                return route
            sender.last_asked = asked
            sender.last_route = route
        return sender.last_route

    def _route(self, sender: Station, address: bytes) -> Route:
        """Who has the address, and what leads there; nothing for an address that nobody has: its packets vanish."""
        receiver = self._stations.get(address)
        if receiver is None or receiver is sender:
            return sender, None
        route = sender.routes[address] = receiver, self.direction(sender.name, receiver.name)
        return route

    def _turn_back(self, sender: Station, direction: Direction, data: bytes, now: int) -> None:
        """Lost on a link that is down; too big for a narrow one, as a router says (RFC 1191, RFC 4443 3.2) or not."""
        self._tell(direction, TOO_BIG if direction.open else CUT, 0, False)
        if not direction.open or not direction.settings.icmp:
            direction.lost += 1
            return
        mtu = direction.settings.mtu
        if data[0] < 0x60:
            error = icmp.build_error(4, icmp.V4_UNREACHABLE, icmp.V4_FRAG_NEEDED, data[16:20], data[12:16], data, mtu)
        else:
            error = icmp.build_error(6, icmp.V6_PACKET_TOO_BIG, 0, data[24:40], data[8:24], data, mtu)
        self._put(now + 1, sender, Arrival(error))

    def inject(self, receiver: Station, data: bytes, at: int) -> None:
        """A packet that nobody sent arrives at `receiver` then, microseconds: no link and no rule sees it."""
        self._put(at, receiver, Arrival(data))

    # ---- arrival ----

    def waiting(self) -> int:
        """How many packets have left and not arrived."""
        return len(self._flights)

    def next_due(self) -> int | None:
        """When the next packet arrives, in microseconds since the beginning."""
        due = self._flights.due
        return None if due == NEVER else due

    def next_arrival(self) -> float:
        """The same as the loop's time; inf: none is on its way."""
        due = self._flights.due
        if due == NEVER:
            return inf
        return START + float(due) / 1000000.0

    def deliver_due(self, now: int) -> None:
        """Deliver the packets that are due, each station's in one batch as far as they come together."""
        flights = self._flights
        while NEVER < flights.due <= now:
            _, _, receiver, first = flights.pop()
            arrivals = [first]
            while NEVER < flights.due <= now and flights.next()[2] is receiver:
                arrivals.append(flights.pop()[3])
            receiver.deliver(arrivals)

    def arrive(self, turns: Turns) -> None:
        """Deliver what is due, then what comes next, as long as nothing else can happen before."""
        while True:
            self.deliver_due(turns.now_us)
            turns.arrival = arrival = self.next_arrival()
            if arrival == inf or not turns.is_idle_until(arrival):
                return
            turns.move_to(arrival)
