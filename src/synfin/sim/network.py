"""The network: hosts, what joins them, what goes wrong, and the run of it all from one seed."""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextvars import Context
from heapq import heappop, heappush
from math import inf
from pathlib import Path
from typing import Any, Final

from synfin.sim.calls import SimLoop
from synfin.sim.errors import SimulationError
from synfin.sim.host import Life, SimHost, current_life
from synfin.sim.link import CORRUPTED, DUPLICATED, LOST, PASSED, Direction, LinkSettings, corrupted
from synfin.sim.loop import START
from synfin.sim.report import save_capture, text_of
from synfin.sim.rules import (
    CORRUPT,
    DROP,
    DUPLICATE,
    PASS,
    RECORD,
    Change,
    Delay,
    Faults,
    PacketName,
    Reader,
    Rule,
    SimPacket,
    Verdict,
    verdict_of,
)
from synfin.sim.units import microseconds
from synfin.sim.world import supplied
from synfin.stack.stack import packed
from synfin.tcp.config import Config
from synfin.tcp.trace import Event, Trace
from synfin.wire import icmp

KEPT_EVENTS: Final = 20_000
FATES: Final = (DROP, DUPLICATE, CORRUPT)
NOTHING: Final = (PASSED, 0)
ONCE: Final = (1,)
TWICE: Final = (1, 2)
Route = tuple[SimHost, Direction | None]


class Network:
    """Hosts and links in virtual time. The same seed and program give the same packets.

    shuffle: also let the seed decide the order in which ready tasks run, to find races. keep_events: how many trace
    events are kept for reports (0: none, which is faster). delay: of links that nobody has declared. time_limit:
    virtual time after which `run` raises TimeLimit. keep_faults: remember in `faults` what chance does to which packet.
    only_faults: instead of chance, do just these (the same as `calm()` and `rule(only_faults)`).
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        shuffle: bool = False,
        keep_events: int = KEPT_EVENTS,
        delay: str | float = "1ms",
        time_limit: str | float = "1d",
        keep_faults: bool = False,
        only_faults: Faults | None = None,
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise TypeError(f"a seed is an int, not {type(seed).__name__}")
        self.seed = seed
        self.hosts: dict[str, SimHost] = {}
        self.events: deque[Event] = deque(maxlen=max(keep_events, 0))
        """The last trace events of all hosts."""
        self.trace: Trace | None = self._record if keep_events else None
        self.faults: dict[PacketName, Verdict] = {}
        """With keep_faults: what chance did to which packet, as `rule` takes it."""
        self.incidents: list[tuple[float, str]] = []
        """Crashes, partitions and the like, with their virtual time."""
        self.packets = 0
        self._default = LinkSettings().changed(delay=delay)
        self._directions: dict[tuple[str, str], Direction] = {}
        self._by_address: dict[bytes, SimHost] = {}
        self._rules: list[Rule] = []
        self._reader = Reader()
        self._keep_faults = keep_faults
        self._calm = False
        self._in_flight: list[tuple[int, int, SimHost, bytes]] = []
        self._serial = 0
        self._main: asyncio.Task[Any] | None = None
        self._broken: BaseException | None = None  # what a rule raised
        self._closed = False
        self.loop = SimLoop(self, seed if shuffle else None)
        self.loop.limit = START + microseconds(time_limit, "time_limit") / 1_000_000
        self.loop.set_exception_handler(self._on_problem)
        if only_faults is not None:
            self.calm()
            self.rule(only_faults)

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
        direction.set(direction.settings.changed(**settings))

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
                self.direction(one, other).part(True)
                self.direction(other, one).part(True)
        self.note_fault(f"partition of {a} from {b if b is not None else 'all others'}")

    def partition_one_way(self, senders: str | Collection[str], receivers: str | Collection[str]) -> None:
        """Packets from `senders` no longer reach `receivers`; those the other way do."""
        for one in self._names(senders):
            for other in self._names(receivers):
                self.direction(one, other).part(True)
        self.note_fault(f"one-way partition from {senders} to {receivers}")

    def heal(self) -> None:
        """End all partitions."""
        for direction in self._directions.values():
            direction.part(False)
        self.note_fault("all partitions heal")

    def calm(self) -> None:
        """No chance from now on: links lose, duplicate, corrupt and delay by jitter nothing; rules still do."""
        self._calm = True

    def rule(self, decide: Callable[[SimPacket], Verdict] | Faults) -> Rule:
        """Ask `decide` of every packet from now on: PASS (or None), DROP, DUPLICATE, CORRUPT, Delay("10ms"),
        Change(bytes), or RECORD.

        The first rule that does not pass wins; where all pass, chance decides. A mapping from `SimPacket.describe()` to
        what is to happen is a rule as well. Returns the rule, to remove() it or read what it recorded.
        """
        if isinstance(decide, Mapping):
            faults = decide

            def decide(packet: SimPacket) -> Verdict:
                return faults.get(packet.describe())

        if not callable(decide):
            raise TypeError(f"a rule is a function of a packet or a mapping, not {type(decide).__name__}")
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
        self._closed = True
        with supplied(self.loop, self.seed):
            try:
                self._main = self.loop.create_task(program)
                result = self.loop.run_until_complete(self._main)
            except BaseException as error:
                if self._broken is not None:
                    raise self._broken from None
                for name, failure in self._failures():
                    error.add_note(f"the program {name} had failed before: {failure!r}")
                raise
            else:
                failures = self._failures()
            finally:
                self._end()
        if failures:
            raise BaseExceptionGroup("programs in the simulation failed", [error for _, error in failures])
        return result

    def close(self) -> None:
        """End a network that was not run."""
        if not self._closed:
            self._closed = True
            with supplied(self.loop, self.seed):
                self._end()

    def _failures(self) -> list[tuple[str, BaseException]]:
        return [failure for host in self.hosts.values() for failure in host.unretrieved()]

    def _end(self) -> None:
        """Cancel all that runs, let it end, and close the loop."""
        loop = self.loop
        # What follows is no part of the program's story.
        loop.limit = inf
        loop.set_exception_handler(lambda *_: None)
        self._in_flight.clear()
        for host in self.hosts.values():
            if host.life.alive:
                host.life.end()
        self.watch_pauses()
        tasks = sorted(asyncio.all_tasks(loop), key=hash)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=10))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def _on_problem(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What asyncio can tell nobody else: kept for the report, and logged as ever."""
        error = context.get("exception")
        if isinstance(error, asyncio.CancelledError):
            return  # of a crash: Python 3.11's streams do not expect that their handler's task is cancelled
        self.note_fault(f"asyncio: {context['message']}{'' if error is None else f' ({error!r})'}")
        loop.default_exception_handler(context)

    def watch_pauses(self) -> None:
        """A host was paused or goes on: callbacks are asked for their host only while one is paused."""
        paused = any(host.life.paused for host in self.hosts.values())
        self.loop.hold = self._hold if paused else None

    def _hold(self, handle: events.Handle) -> bool:
        context: Context | None = handle._context  # type: ignore[attr-defined]
        life: Life | None = None if context is None else context.get(current_life)
        if life is None or not life.paused:
            return False
        life.held.append(handle)
        return True

    # ---- packets ----

    def _record(self, event: Event) -> None:
        self.events.append(event)

    def carry(self, sender: SimHost, packets: list[bytes]) -> None:
        """A host sends IP packets, all to the same address."""
        first = packets[0]
        address = first[16:20] if first[0] < 0x60 else first[24:40]
        receiver, direction = sender.routes.get(address) or self._route(sender, address)
        if direction is None:
            return
        self.packets += len(packets)
        direction.sent += len(packets)
        if self._rules or self._keep_faults:
            for packet in packets:
                self._carry_watched(sender, receiver, direction, packet)
            return
        self._reader.note(sender.name, receiver.name, first)  # what opens a connection is alone
        settings = direction.settings
        has_chance = direction.has_chance and not self._calm
        for packet in packets:
            if not direction.open or len(packet) > settings.mtu:
                self._turn_back(sender, direction, packet)
                continue
            kind, extra = direction.draw() if has_chance else NOTHING
            self._fly(receiver, direction, packet, kind, extra, settings.reorder)

    def _carry_watched(self, sender: SimHost, receiver: SimHost, direction: Direction, data: bytes) -> None:
        """The same for one packet that somebody asks about."""
        packet = self._reader.read(sender.name, receiver.name, data, self.now)
        verdict = self._judge(packet)
        if not direction.open or len(data) > direction.settings.mtu:
            self._turn_back(sender, direction, data)
            return
        kind, extra, overtake = PASSED, 0, direction.settings.reorder
        if isinstance(verdict, Delay):
            extra, overtake = verdict.microseconds(), verdict.overtake or overtake
        elif isinstance(verdict, Change):
            data = bytes(verdict.packet)
        elif verdict != PASS:
            kind = str(verdict)
        elif not self._calm:
            kind, extra = direction.draw()
            if self._keep_faults and (kind or extra):
                self.faults[packet.describe()] = verdict_of(kind, extra, overtake)
        self._fly(receiver, direction, data, kind, extra, overtake)

    def _fly(self, receiver: SimHost, direction: Direction, data: bytes, kind: str, extra: int, overtake: bool) -> None:
        """What has become of a packet on the way decides whether and when it arrives."""
        if kind == LOST:
            direction.lost += 1
            return
        if kind == CORRUPTED:
            data = corrupted(data)
        for _ in TWICE if kind == DUPLICATED else ONCE:
            arrives = direction.arrival(len(data), self.loop.now_us, extra, overtake)
            if arrives < 0:
                direction.lost += 1
                return
            self._serial += 1
            heappush(self._in_flight, (arrives, self._serial, receiver, data))

    def _route(self, sender: SimHost, address: bytes) -> Route:
        """Who has the address, and what leads there; nothing for an address that nobody has: its packets vanish."""
        receiver = self._by_address.get(address)
        if receiver is None or receiver is sender:
            return sender, None
        route = sender.routes[address] = receiver, self.direction(sender.name, receiver.name)
        return route

    def _judge(self, packet: SimPacket) -> Verdict:
        for rule in tuple(self._rules):
            verdict = self._ask(rule, packet)
            if verdict is None or verdict == PASS:
                continue
            if verdict == RECORD:
                rule.recorded.append(packet)
                continue
            return verdict
        return PASS

    def _ask(self, rule: Rule, packet: SimPacket) -> Verdict:
        """What the rule says. One that fails ends the simulation: whose turn it happens to be is not to blame."""
        try:
            verdict = rule.decide(packet)
            if verdict not in (None, PASS, RECORD, *FATES) and not isinstance(verdict, (Delay, Change)):
                known = ", ".join(("PASS", *(fate.upper() for fate in FATES)))
                raise SimulationError(f"a rule says {known}, RECORD, Delay(...) or Change(...), not {verdict!r}")
        except Exception as error:
            if self._broken is None:
                self._broken = error
            if self._main is not None:
                self._main.cancel()
            return DROP
        return verdict

    def _turn_back(self, sender: SimHost, direction: Direction, data: bytes) -> None:
        """Lost on a link that is down; too big for one that is narrow, as a router says (RFC 1191, RFC 4443 3.2)."""
        if not direction.open:
            direction.lost += 1
            return
        mtu = direction.settings.mtu
        if data[0] < 0x60:
            error = icmp.build_error(4, icmp.V4_UNREACHABLE, icmp.V4_FRAG_NEEDED, data[16:20], data[12:16], data, mtu)
        else:
            error = icmp.build_error(6, icmp.V6_PACKET_TOO_BIG, 0, data[24:40], data[8:24], data, mtu)
        self._serial += 1
        heappush(self._in_flight, (self.loop.now_us + 1, self._serial, sender, error))

    def next_arrival(self) -> float | None:
        """Loop time of the next packet's arrival."""
        return START + self._in_flight[0][0] / 1_000_000 if self._in_flight else None

    def arrive(self) -> None:
        """Deliver the packets that are due, each host's in one batch as far as they come together.

        Then those that come next, as long as nothing else can happen before.
        """
        flying = self._in_flight
        while True:
            now = self.loop.now_us
            while flying and flying[0][0] <= now:
                _, _, receiver, data = heappop(flying)
                batch = [data]
                while flying and flying[0][0] <= now and flying[0][2] is receiver:
                    batch.append(heappop(flying)[3])
                receiver.life.deliver(batch)
            if not flying:
                return
            arrival = START + flying[0][0] / 1_000_000
            if not self.loop.is_idle_until(arrival):
                return
            self.loop.move_to(arrival)

    # ---- reports ----

    def report(self, transitions: int = 12) -> str:
        """What happened, for people: incidents, the last transitions of each connection, and its diagram."""
        names = {address: host.name for host in self.hosts.values() for address in host.addresses[:2]}
        return text_of(self.events, self.incidents, self.seed, names, transitions)

    def save_capture(self, path: str | Path) -> Path:
        """Write the annotated pcapng of the events kept."""
        return save_capture(self.events, Path(path))

    def _names(self, hosts: str | Collection[str]) -> list[str]:
        names = [hosts] if isinstance(hosts, str) else list(hosts)
        for name in names:
            if name not in self.hosts:
                raise SimulationError(f"there is no host {name!r}; there are {', '.join(self.hosts) or 'none'}")
        return names
