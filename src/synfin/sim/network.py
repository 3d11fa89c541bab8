"""The network: hosts, what joins them, what goes wrong, and the run of it all from one seed."""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Collection, Coroutine
from contextvars import Context
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, Final

from synfin.sim.calls import SimLoop
from synfin.sim.errors import SimulationError
from synfin.sim.host import Life, SimHost, current_life
from synfin.sim.link import CORRUPTED, DUPLICATED, LOST, Direction, Fault, LinkSettings
from synfin.sim.loop import START
from synfin.sim.report import save_capture, text_of
from synfin.sim.rules import DROP, PASS, RECORD, Change, Delay, Reader, Rule, SimPacket, Verdict
from synfin.sim.units import microseconds
from synfin.sim.world import supplied
from synfin.stack.stack import packed
from synfin.tcp.config import Config
from synfin.tcp.trace import Event
from synfin.wire import icmp

KEPT_EVENTS: Final = 20_000
PacketName = tuple[str, str, int, int, str, int, int, int]
Faults = dict[PacketName, Fault]


class Network:
    """Hosts and links in virtual time. The same seed and program give the same packets.

    shuffle: also let the seed decide the order in which ready tasks run, to find races. keep_events: how many trace
    events are kept for reports (0: none, which is faster). delay: of links that nobody has declared. only_faults: do
    just these, instead of what the seed says (see `faults`).
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        shuffle: bool = False,
        keep_events: int = KEPT_EVENTS,
        delay: str | float = "1ms",
        only_faults: Faults | None = None,
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise TypeError(f"a seed is an int, not {type(seed).__name__}")
        self.seed = seed
        self.loop = SimLoop(self, seed if shuffle else None)
        self.loop.hold = self._hold
        self.hosts: dict[str, SimHost] = {}
        self.events: deque[Event] = deque(maxlen=keep_events) if keep_events else deque(maxlen=1)
        self.faults: Faults = {}
        """What chance and rules did to which packet: enough to do it again with `only_faults`."""
        self.incidents: list[tuple[float, str]] = []
        """Crashes, partitions and the like, with their virtual time."""
        self.packets = 0
        self._keep_events = keep_events
        self._default = LinkSettings().changed(delay=delay)
        self._directions: dict[tuple[str, str], Direction] = {}
        self._by_address: dict[bytes, SimHost] = {}
        self._rules: list[Rule] = []
        self._reader = Reader()
        self._describing = False  # packets are only read where somebody wants to know
        self._only_faults = only_faults
        self._arrivals: list[tuple[int, int, SimHost, bytes]] = []
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._closed = False

    # ---- building ----

    def host(self, name: str, *, address: str | None = None, config: Config | None = None) -> SimHost:
        """The host of that name, made if there is none. It has an IPv4 and an IPv6 address, and loopback."""
        if name in self.hosts:
            if address is not None or config is not None:
                raise SimulationError(f"{name} exists: its address and config can't be changed")
            return self.hosts[name]
        if not name or any(character.isspace() for character in name):
            raise ValueError(f"a host's name is a word, not {name!r}")
        number = len(self.hosts) + 1
        addresses = [f"10.77.{number >> 8}.{number & 255}" if address is None else address, f"fd77::{number:x}"]
        for one in addresses:
            if packed(one) in self._by_address:
                raise SimulationError(f"{one} is the address of {self._by_address[packed(one)].name}")
        host = SimHost(self, name, addresses, config)
        self.hosts[name] = host
        for one in addresses:
            self._by_address[packed(one)] = host
        return host

    def link(self, a: str, b: str, **settings: Any) -> None:
        """Set both directions between two hosts; see LinkSettings.changed. What is not named stays as it was."""
        self.one_way(a, b, **settings)
        self.one_way(b, a, **settings)

    def one_way(self, sender: str, receiver: str, **settings: Any) -> None:
        """Set one direction."""
        direction = self.direction(sender, receiver)
        direction.settings = direction.settings.changed(**settings)

    def direction(self, sender: str, receiver: str) -> Direction:
        """What carries packets from one host to another, with its counters."""
        for name in (sender, receiver):
            if name not in self.hosts:
                raise SimulationError(f"there is no host {name!r}; there are {', '.join(self.hosts) or 'none'}")
        if sender == receiver:
            raise SimulationError("a host talks to itself without a link")
        found = self._directions.get((sender, receiver))
        if found is None:
            found = Direction(self._default, f"{self.seed} {sender}>{receiver}")
            self._directions[sender, receiver] = found
        return found

    # ---- faults ----

    def partition(self, a: str | Collection[str], b: str | Collection[str] | None = None) -> None:
        """No packet passes between the hosts of `a` and those of `b` (None: all others), until heal()."""
        for one in self._names(a):
            for other in self._names(b) if b is not None else set(self.hosts) - set(self._names(a)):
                self.direction(one, other).partitioned = True
                self.direction(other, one).partitioned = True
        self.note_fault(f"partition of {a} from {b if b is not None else 'all others'}")

    def partition_one_way(self, senders: str | Collection[str], receivers: str | Collection[str]) -> None:
        """Packets from `senders` no longer reach `receivers`; those the other way do."""
        for one in self._names(senders):
            for other in self._names(receivers):
                self.direction(one, other).partitioned = True
        self.note_fault(f"one-way partition from {senders} to {receivers}")

    def heal(self) -> None:
        """End all partitions."""
        for direction in self._directions.values():
            direction.partitioned = False
        self.note_fault("all partitions heal")

    def rule(self, decide: Callable[[SimPacket], Verdict]) -> Rule:
        """Ask `decide` of every packet from now on: PASS (or None), DROP, RECORD, Delay("10ms"), Change(bytes).

        The first rule that does not pass wins. Returns the rule, to remove() it or read what it recorded.
        """
        if not callable(decide):
            raise TypeError(f"a rule is a function of a packet, not {type(decide).__name__}")
        rule = Rule(decide, self._rules.remove)
        self._rules.append(rule)
        return rule

    def note_fault(self, what: str) -> None:
        """Keep what was done, for the report."""
        self.incidents.append((self.now, what))

    # ---- time ----

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.loop.time() - START

    async def after(self, time: str | float) -> None:
        """Let this much virtual time pass: "3s", or seconds."""
        await asyncio.sleep(microseconds(time) / 1_000_000)

    # ---- running ----

    def run(self, program: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end, on no host, and then end the simulation; its result.

        Raises what it raises; Deadlock if nothing can happen any more; ExceptionGroup if a program on a host failed and
        nobody awaited it.
        """
        if self._closed:
            program.close()
            raise SimulationError("a Network runs once; make a new one")
        try:
            with supplied(self.loop, self.seed):
                try:
                    result = self.loop.run_until_complete(program)
                    errors = [error for host in self.hosts.values() for error in host.unretrieved()]
                finally:
                    self._end()
        finally:
            self._closed = True
        if errors:
            raise ExceptionGroup("programs in the simulation failed", [e for e in errors if isinstance(e, Exception)])
        return result

    def _end(self) -> None:
        """Cancel all that runs, let it end, and close the loop."""
        loop = self.loop
        self._keep_events = 0  # what follows is no part of the program's story
        for host in self.hosts.values():
            if host.life.paused:
                host.resume()
        tasks = sorted(asyncio.all_tasks(loop), key=hash)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=10))
        for host in self.hosts.values():
            if host.life.alive:
                host.life.context.run(host.life.host.close)
        loop.run_until_complete(loop.shutdown_asyncgens())
        self._arrivals.clear()
        loop.close()

    def _hold(self, handle: events.Handle) -> bool:
        context: Context | None = handle._context  # type: ignore[attr-defined]
        life: Life | None = None if context is None else context.get(current_life)
        if life is None or not life.paused:
            return False
        life.held.append(handle)
        return True

    # ---- packets ----

    def record(self, event: Event) -> None:
        """The trace of every host."""
        if self._keep_events:
            self.events.append(event)

    def carry(self, sender: SimHost, data: bytes) -> None:
        """A host sends an IP packet."""
        address = data[16:20] if data[0] < 0x60 else data[24:40]
        receiver = self._by_address.get(address)
        if receiver is None or receiver is sender:
            return
        self.packets += 1
        direction = self.direction(sender.name, receiver.name)
        settings = direction.settings
        direction.sent += 1
        if direction.partitioned or not settings.up:
            direction.lost += 1
            return
        if len(data) > settings.mtu:
            self._refuse_big(sender, address, data, settings.mtu)
            return
        packet = self._reader.read(sender.name, receiver.name, data, self.now)
        fault = direction.draw() if self._only_faults is None else self._only_faults.get(packet.describe(), ("", 0))
        kind, extra = fault
        verdict = self._judge(packet)
        if verdict == DROP:
            kind = LOST
        elif isinstance(verdict, Delay):
            extra += verdict.microseconds()
        elif isinstance(verdict, Change):
            data = bytes(verdict.packet)
        if kind or extra:
            self.faults[packet.describe()] = (kind, extra)
        if kind == LOST:
            direction.lost += 1
            return
        if kind == CORRUPTED:
            data = direction.corrupted(data)
        for _ in range(2 if kind == DUPLICATED else 1):
            arrives = direction.arrival(len(data), self._now_us(), extra)
            if arrives < 0:
                direction.lost += 1
                return
            self._serial += 1
            heappush(self._arrivals, (arrives, self._serial, receiver, data))
        self._arm()

    def _judge(self, packet: SimPacket) -> Verdict:
        for rule in tuple(self._rules):
            verdict = rule.decide(packet)
            if verdict is None or verdict == PASS:
                continue
            if verdict == RECORD:
                rule.recorded.append(packet)
                return PASS
            if verdict != DROP and not isinstance(verdict, (Delay, Change)):
                raise SimulationError(f"a rule says PASS, DROP, RECORD, Delay or Change, not {verdict!r}")
            return verdict
        return PASS

    def _refuse_big(self, sender: SimHost, address: bytes, data: bytes, mtu: int) -> None:
        """As a router before the narrow link: packet too big (RFC 1191, RFC 4443 3.2)."""
        if len(address) == 4:
            error = icmp.build_error(4, icmp.V4_UNREACHABLE, icmp.V4_FRAG_NEEDED, address, data[12:16], data, mtu)
        else:
            error = icmp.build_error(6, icmp.V6_PACKET_TOO_BIG, 0, address, data[8:24], data, mtu)
        self._serial += 1
        heappush(self._arrivals, (self._now_us() + 1, self._serial, sender, error))
        self._arm()

    def _now_us(self) -> int:
        return round(self.now * 1_000_000)

    def _arm(self) -> None:
        first = self._arrivals[0][0]
        if self._timer is not None:
            if self._timer_at <= first:
                return
            self._timer.cancel()
        self._timer_at = first
        # In an empty context: what arrives is nobody's until the receiver takes it.
        self._timer = self.loop.call_at(START + first / 1_000_000, self._arrive, context=Context())

    def _arrive(self) -> None:
        self._timer = None
        now = max(self._now_us(), self._timer_at)
        arrivals = self._arrivals
        while arrivals and arrivals[0][0] <= now:
            _, _, receiver, data = heappop(arrivals)
            receiver.life.deliver(data)
        if arrivals:
            self._arm()

    # ---- reports ----

    def report(self, transitions: int = 12) -> str:
        """What happened, for people: incidents, the last transitions of each connection, and its diagram."""
        return text_of(self.events, self.incidents, self.seed, transitions)

    def save_capture(self, path: str | Path) -> Path:
        """Write the annotated pcapng of the events kept."""
        return save_capture(self.events, Path(path))

    def _names(self, hosts: str | Collection[str]) -> list[str]:
        names = [hosts] if isinstance(hosts, str) else list(hosts)
        for name in names:
            if name not in self.hosts:
                raise SimulationError(f"there is no host {name!r}; there are {', '.join(self.hosts) or 'none'}")
        return names
