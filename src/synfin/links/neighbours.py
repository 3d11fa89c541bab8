"""Who is where on a network: the neighbour table of RFC 4861 7 for IPv6 and, over ARP (RFC 826), for IPv4 alike.

Owns what is known of each neighbour, what waits for him, and whether the host's own addresses are its own: duplicate
address detection (RFC 4862 5.4, RFC 5227). Sans-IO: frames and times in, frames out of `take()`; `now` is microseconds.
Rules for the next editor: `way()` is on the path of each packet to somebody unknown and has no time: it only makes
on_timer() due. Strangers can fill the table, but not put out whoever is talked to. Names of counters are Linux's.
"""

from __future__ import annotations

import errno
from collections import OrderedDict, deque
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address
from typing import Any, Final

from synfin.links.ethernet import (
    ANSWER,
    IPV4,
    IPV6,
    Message,
    announcement,
    answer,
    group_mac,
    mac_text,
    question,
)
from synfin.wire import icmp

TABLE_LIMIT: Final = 1024  # neighbours (Linux's gc_thresh3)
QUEUE_LIMIT: Final = 16  # packets that wait for one neighbour
OUTBOX_LIMIT: Final = 256  # frames of our own that wait for take()
TRIES: Final = 3  # MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT of RFC 4861 10
RETRANS_US: Final = 1_000_000  # RETRANS_TIMER
REACHABLE_US: Final = 30_000_000  # REACHABLE_TIME
DELAY_US: Final = 5_000_000  # DELAY_FIRST_PROBE_TIME
STALE_US: Final = 60_000_000  # unused for so long: forgotten (Linux's gc_stale_time)
FAILED_US: Final = 3_000_000  # so long nobody is asked for again who did not answer
# RFC 4862 5.1 waits a second after one probe. RFC 5227's three probes would take up to seven, for switches that are
# slow to open a port; here they share that second.
PROBES: Final = 3
PROBE_US: Final = 333_334
ANNOUNCE_US: Final = 2_000_000  # ANNOUNCE_INTERVAL of RFC 5227 1.1: an address is announced twice
DEFEND_US: Final = 10_000_000  # DEFEND_INTERVAL

INCOMPLETE: Final = "INCOMPLETE"
REACHABLE: Final = "REACHABLE"
STALE: Final = "STALE"
DELAY: Final = "DELAY"
PROBE: Final = "PROBE"
FAILED: Final = "FAILED"
_IDLE: Final = frozenset((INCOMPLETE, STALE, FAILED))
NEVER: Final = 1 << 62

Interface = IPv4Interface | IPv6Interface


class Neighbour:
    """One entry of the table."""

    __slots__ = ("address", "deadline", "header", "mac", "queue", "source", "state", "tries", "wakes_at")

    def __init__(self, address: bytes, state: str) -> None:
        self.address = address
        self.state = state
        self.mac = b""  # known in all states but INCOMPLETE and FAILED
        self.header = b""  # of frames to him; with `mac`
        self.source = b""  # the own address that talks to him
        self.tries = 0  # solicitations since the state began
        self.deadline = 0  # of the state; never none
        self.wakes_at = NEVER  # the earliest place in the queue of deadlines
        self.queue: deque[bytes] = deque()  # packets; not empty in INCOMPLETE only


class OwnAddress:
    """One of the host's own. Until it is verified it is tentative: nothing is sent from it, nobody is answered."""

    __slots__ = ("announcements", "deadline", "defended_at", "probes", "tentative")

    def __init__(self, probes: int) -> None:
        self.tentative = probes > 0
        self.probes = probes  # still to be sent
        self.announcements = 2
        self.deadline = 0  # -1: nothing is left to do
        self.defended_at = -DEFEND_US


class Duplicate(OSError):
    """Somebody else has one of the host's addresses."""


class Neighbours:
    """The table of one interface. mac: its own. gateways: one for each family at most.

    verify: whether own addresses are checked before they are used. Raises ValueError for a gateway that is in none of
    the networks.
    """

    def __init__(
        self, mac: bytes, interfaces: Iterable[Interface], gateways: Iterable[IPv4Address | IPv6Address], verify: bool
    ) -> None:
        interfaces = list(interfaces)
        self.mac = mac
        self.networks = [(one.network, one.ip.packed) for one in interfaces]
        self.gateways: dict[int, bytes] = {}  # by the length of an address
        for gateway in gateways:
            if not any(gateway in one.network and gateway != one.ip for one in interfaces):
                raise ValueError(f"the gateway {gateway} is in no network of {', '.join(map(str, interfaces))}")
            self.gateways[len(gateway.packed)] = gateway.packed
        self.table: dict[bytes, Neighbour] = {}
        self.own: dict[bytes, OwnAddress] = {
            one.ip.packed: OwnAddress((PROBES if one.version == 4 else 1) if verify else 0) for one in interfaces
        }
        self.deadline = 0  # when on_timer() wants to be called next; at once, to begin with
        self.changed: list[bytes] = []  # neighbours whose header is no more what way() gave
        self.unreachable: list[bytes] = []  # packets whose next hop does not answer
        self.counters = dict.fromkeys(_COUNTERS, 0)
        self._idle: OrderedDict[bytes, None] = OrderedDict()  # who may be put out, the longest idle first
        self._deadlines: list[tuple[int, bytes]] = []
        self._outbox: list[bytes] = []

    # ---- the way out ----

    def next_hop(self, target: bytes) -> bytes:
        """The neighbour who takes packets to `target`; b"": there is no way."""
        address = ip_address(target)
        for network, _ in self.networks:
            if address in network:
                return target
        if len(target) == 16 and address.is_link_local:
            return target
        return self.gateways.get(len(target), b"")

    def are_near(self, np: Any, addresses: Any) -> Any:
        """Which of the rows of bytes are addresses in one of the networks. np: numpy."""
        near = np.zeros(len(addresses), bool)
        for network, own in self.networks:
            if len(own) == addresses.shape[1]:
                mask, base = (np.frombuffer(one.packed, np.uint8) for one in (network.netmask, network.network_address))
                near |= (addresses & mask == base).all(axis=1)
        return near

    def way(self, hop: bytes, packet: bytes) -> bytes:
        """The Ethernet header to a neighbour; b"": the packet waits for it here, or is lost and counted.

        A header that is given holds until the neighbour is in `changed`.
        """
        group = group_mac(hop)
        if group:
            return group + self.mac + (IPV4 if len(hop) == 4 else IPV6)
        counters = self.counters
        neighbour = self.table.get(hop)
        if neighbour is None:
            counters["lookups"] += 1
            neighbour = self._add(hop, INCOMPLETE)
            if neighbour is None:
                counters["unresolved_discards"] += 1
                return b""
            neighbour.source = packet[12:16] if len(hop) == 4 else packet[8:24]
            self._wake(neighbour, 0)
        elif neighbour.state == STALE:  # RFC 4861 7.3.3: it is used, so that whether it still holds is to be found out
            neighbour.source = packet[12:16] if len(hop) == 4 else packet[8:24]
            self._set(neighbour, DELAY, 0)
        if neighbour.state == FAILED:
            counters["unresolved_discards"] += 1
            self._unreachable(packet)
        elif neighbour.state == INCOMPLETE:
            if len(neighbour.queue) >= QUEUE_LIMIT:  # RFC 4861 7.2.2: the oldest has to go
                neighbour.queue.popleft()
                counters["unresolved_discards"] += 1
            neighbour.queue.append(packet)
        return neighbour.header

    def is_tentative(self) -> bool:
        """Some own address is not verified yet."""
        return any(own.tentative for own in self.own.values())

    def take(self) -> list[bytes]:
        """Whole frames that go out now."""
        frames, self._outbox = self._outbox, []
        return frames

    # ---- the way in ----

    def on_message(self, message: Message, now: int) -> None:
        """Somebody asked, answered or announced. Raises Duplicate while own addresses are verified."""
        if message.mac == self.mac:
            return  # our own, come back
        if message.sender in self.own:
            self._on_conflict(message.sender, message.mac, now)
            return
        own = self.own.get(message.target)
        if message.kind == ANSWER:
            self._on_answer(message, now)
        elif own is not None and own.tentative:
            # RFC 4862 5.4.3: who probes for the same address at the same time; who merely asks for it finds nobody.
            if not any(message.sender):
                self._on_conflict(message.target, message.mac, now)
        else:
            self._on_question(message, own is not None, now)

    def _on_question(self, message: Message, for_us: bool, now: int) -> None:
        """RFC 826: who asks tells where he is; noted anew only if he asks for us (RFC 4861 7.2.3)."""
        known = self.table.get(message.sender)
        if message.mac and any(message.sender) and self._is_near(message.sender):
            if known is not None:
                self._learn(known, message.mac, False, now)
            elif for_us:
                added = self._add(message.sender, STALE)
                if added is not None:
                    added.source = message.target
                    self._learn(added, message.mac, False, now)
        if for_us:
            to = message.mac or (known.mac if known is not None else b"")
            if to or not any(message.sender):
                self._send(answer(self.mac, message.target, to, message.sender))

    def _on_answer(self, message: Message, now: int) -> None:
        """RFC 4861 7.2.5; an answer that nobody asked for makes no entry."""
        known = self.table.get(message.target)
        if known is None or known.state == FAILED:
            return
        mac = message.mac or known.mac
        if not mac:
            return
        if known.mac and mac != known.mac and not message.override:
            if known.state == REACHABLE:
                self._set(known, STALE, now + STALE_US)
            return
        self._learn(known, mac, message.solicited, now)

    def _learn(self, neighbour: Neighbour, mac: bytes, confirmed: bool, now: int) -> None:
        """Where he is; confirmed: he has heard us as well."""
        moved = mac != neighbour.mac
        if moved:
            if neighbour.mac:
                self.changed.append(neighbour.address)
            neighbour.mac = mac
            neighbour.header = mac + self.mac + (IPV4 if len(neighbour.address) == 4 else IPV6)
        if confirmed:
            self._set(neighbour, REACHABLE, now + REACHABLE_US)
        elif moved or neighbour.state in (INCOMPLETE, FAILED):
            # What waits is a use of it (RFC 4861 7.3.3).
            self._set(neighbour, *((DELAY, now + DELAY_US) if neighbour.queue else (STALE, now + STALE_US)))
        while neighbour.queue:
            self._send(neighbour.header + neighbour.queue.popleft())

    def _is_near(self, address: bytes) -> bool:
        return self.next_hop(address) == address and not group_mac(address)

    # ---- own addresses ----

    def _on_conflict(self, address: bytes, mac: bytes, now: int) -> None:
        own = self.own[address]
        self.counters["conflicts"] += 1
        if own.tentative:
            raise duplicate(address, mac)
        # RFC 5227 2.4 (c): it is kept, and defended; RFC 4862 asks for no more than to say so.
        if now - own.defended_at >= DEFEND_US:
            own.defended_at = now
            self._send(announcement(self.mac, address))

    def _verify(self, address: bytes, own: OwnAddress, now: int) -> None:
        """The next step with an own address: a probe, or it is ours and is announced."""
        if own.probes:
            own.probes -= 1
            self._send(question(self.mac, bytes(len(address)), address))
            own.deadline = now + (PROBE_US if len(address) == 4 else RETRANS_US)
            return
        if own.announcements == 2:
            self._ask_for_gateway(address)
        own.tentative = False
        own.announcements -= 1
        self._send(announcement(self.mac, address))
        own.deadline = now + ANNOUNCE_US if own.announcements and len(address) == 4 else -1

    def _ask_for_gateway(self, own: bytes) -> None:
        """Before somebody needs it: in a flood of packets its answer might find no room."""
        gateway = self.gateways.get(len(own), b"")
        if gateway and gateway not in self.table:
            neighbour = self._add(gateway, INCOMPLETE)
            if neighbour is not None:
                neighbour.source = own
                self._wake(neighbour, 0)

    # ---- time ----

    def on_timer(self, now: int) -> None:
        """Do what is due."""
        for address, own in self.own.items():
            if 0 <= own.deadline <= now:
                self._verify(address, own, now)
        queue = self._deadlines
        while queue and queue[0][0] <= now:
            at, address = heappop(queue)
            neighbour = self.table.get(address)
            if neighbour is None or neighbour.wakes_at != at:
                continue
            neighbour.wakes_at = NEVER
            if neighbour.deadline <= now:
                self._due(neighbour, now)
            else:
                self._wake(neighbour, neighbour.deadline)
        self._next_deadline()

    def _due(self, neighbour: Neighbour, now: int) -> None:
        state = neighbour.state
        if state == REACHABLE:
            self.changed.append(neighbour.address)  # so that its next use is seen
            self._set(neighbour, STALE, now + STALE_US)
        elif state == DELAY and neighbour.deadline == 0:  # it is in use since just now
            self._set(neighbour, DELAY, now + DELAY_US)
        elif state == STALE or state == FAILED:
            self._drop(neighbour)
        elif state == DELAY:
            self._set(neighbour, PROBE, now)
            self._solicit(neighbour, now)
        elif neighbour.tries < TRIES:
            self._solicit(neighbour, now)
        else:
            self._fail(neighbour, now)

    def _solicit(self, neighbour: Neighbour, now: int) -> None:
        neighbour.tries += 1
        source = neighbour.source if neighbour.source in self.own else self._source_for(neighbour.address)
        self._send(question(self.mac, source, neighbour.address, neighbour.mac))
        neighbour.deadline = now + RETRANS_US
        self._wake(neighbour, neighbour.deadline)

    def _source_for(self, address: bytes) -> bytes:
        near = [own for network, own in self.networks if ip_address(address) in network]
        return near[0] if near else next((own for own in self.own if len(own) == len(address)), bytes(len(address)))

    def _fail(self, neighbour: Neighbour, now: int) -> None:
        """RFC 4861 7.2.2, 7.3.3: he does not answer. What waits is lost, and its senders are to be told."""
        self.counters["res_failed"] += 1
        self.counters["unresolved_discards"] += len(neighbour.queue)
        for packet in neighbour.queue:
            self._unreachable(packet)
        neighbour.queue.clear()
        if neighbour.mac:
            self.changed.append(neighbour.address)
        neighbour.mac = b""
        neighbour.header = b""
        self._set(neighbour, FAILED, now + FAILED_US)

    def _unreachable(self, packet: bytes) -> None:
        if len(self.unreachable) < OUTBOX_LIMIT:
            self.unreachable.append(packet)

    # ---- the table ----

    def _add(self, address: bytes, state: str) -> Neighbour | None:
        """None: the table is full of neighbours who are in use."""
        if len(self.table) >= TABLE_LIMIT:
            if not self._idle:
                self.counters["table_fulls"] += 1
                return None
            self.counters["forced_gc_runs"] += 1
            longest, _ = self._idle.popitem(last=False)
            old = self.table[longest]
            self.counters["unresolved_discards"] += len(old.queue)
            self._drop(old)
        neighbour = Neighbour(address, state)
        self.table[address] = neighbour
        self._idle[address] = None
        self.counters["allocs"] += 1
        return neighbour

    def _drop(self, neighbour: Neighbour) -> None:
        self.changed.append(neighbour.address)
        del self.table[neighbour.address]
        self._idle.pop(neighbour.address, None)
        self.counters["destroys"] += 1

    def _set(self, neighbour: Neighbour, state: str, deadline: int) -> None:
        neighbour.state = state
        neighbour.tries = 0
        neighbour.deadline = deadline
        self._idle.pop(neighbour.address, None)
        if state in _IDLE:
            self._idle[neighbour.address] = None
        self._wake(neighbour, deadline)

    def _wake(self, neighbour: Neighbour, at: int) -> None:
        """Stand in the queue of deadlines once; what is due later than that is filed anew then."""
        if at >= neighbour.wakes_at:
            return
        if len(self._deadlines) >= 4 * TABLE_LIMIT:  # most are of those who have been put out
            self._deadlines = [(one.wakes_at, one.address) for one in self.table.values() if one is not neighbour]
            heapify(self._deadlines)
        neighbour.wakes_at = at
        heappush(self._deadlines, (at, neighbour.address))
        self.deadline = min(self.deadline, at)

    def _next_deadline(self) -> None:
        first = self._deadlines[0][0] if self._deadlines else NEVER
        own = min((own.deadline for own in self.own.values() if own.deadline >= 0), default=NEVER)
        self.deadline = min(first, own)

    def _send(self, frame: bytes) -> None:
        if len(self._outbox) < OUTBOX_LIMIT:
            self._outbox.append(frame)
        else:
            self.counters["unresolved_discards"] += 1


_COUNTERS: Final = (
    "allocs",
    "destroys",
    "lookups",  # of neighbours who were not in the table
    "res_failed",  # neighbours who did not answer
    "unresolved_discards",  # packets lost for want of a neighbour
    "table_fulls",
    "forced_gc_runs",
    "conflicts",  # somebody used an address of ours
)


def duplicate(address: bytes, mac: bytes) -> Duplicate:
    """What to say of it."""
    who = f" by {mac_text(mac)}" if mac else ""
    return Duplicate(
        errno.EADDRINUSE,
        f"the address {ip_address(address)} is in use{who} on this network: choose another (RFC 5227, RFC 4862 5.4)",
    )


def unreachable_error(packet: bytes) -> bytes:
    """What tells its own sender that the next hop does not answer (RFC 1122 3.3.2.2, RFC 4861 7.2.2)."""
    if packet[0] >> 4 == 4:
        own = packet[12:16]
        return icmp.build_error(4, icmp.V4_UNREACHABLE, icmp.V4_HOST_UNREACHABLE, own, own, packet)
    own = packet[8:24]
    return icmp.build_error(6, icmp.V6_UNREACHABLE, icmp.V6_ADDRESS_UNREACHABLE, own, own, packet)
