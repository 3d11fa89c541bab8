"""A scenario runs: real stacks, the simulation's traffic and rules, virtual time, and a record of all that happens.

No asyncio: what an event loop does in which order is Python's affair, and a scenario gives the same segments on all.
What a run may cost is bounded, whatever the scenario says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from synfin.links.tunnel import Arrival
from synfin.scenario.forge import Numbers, packet_of
from synfin.scenario.ledger import Ledger
from synfin.scenario.machine import Machine, label_of
from synfin.scenario.model import DELAY, Fate, Forgery, Name, Scenario
from synfin.scenario.programs import Outcome
from synfin.scenario.result import REST, SEGMENTS, TIME, TURNS, Result
from synfin.sim.link import LinkSettings, corrupted
from synfin.sim.rules import CORRUPT, MARK, PASS, Change, Delay, Rulebook, SimPacket, Verdict
from synfin.sim.station import Station
from synfin.sim.traffic import Traffic
from synfin.stack.addresses import packed
from synfin.tcp.connection import Connection
from synfin.wire.ip import marked
from synfin.wire.key import key_dst_port, key_src_port, make_key

MAX_SEGMENTS: Final = 5_000
MAX_TURNS: Final = 200_000
BASE_US: Final = 1_000_000  # the stacks' time at the beginning: none of their deadlines is 0


def run(scenario: Scenario) -> Result:
    """Run it to its end. The same scenario gives the same segments, on every Python and every machine."""
    return _Run(scenario).to_the_end()


class _Run:
    """now_us: since the beginning, as traffic has it; the stacks' time is BASE_US more."""

    def __init__(self, scenario: Scenario) -> None:
        self.now_us = 0
        self._scenario = scenario
        self._ledger = Ledger(BASE_US)
        self._fates: dict[Name, Fate] = {fate.packet: fate for fate in scenario.fates}
        self._decided: set[Name] = set()  # of those that have been sent
        self._failures: list[Exception] = []
        rules = Rulebook(self._failures.append)
        rules.add(self._decide)
        self._traffic = Traffic(LinkSettings(delay=10_000), 0, rules, False)
        self._traffic.calm = True
        self._stations: dict[str, Station] = {}
        self._machines: dict[str, Machine] = {}
        self._opened: list[tuple[str, Connection]] = []  # by whom, in this order
        self._outcomes = [Outcome(number, step.host) for number, step in enumerate(scenario.steps)]
        self._forgeries = sorted(enumerate(scenario.forged), key=lambda each: each[1].at_us, reverse=True)
        addresses = {host.name: f"10.77.0.{number}" for number, host in enumerate(scenario.hosts, 1)}
        self._ledger.names = {packed(address): name for name, address in addresses.items()}
        for number, host in enumerate(scenario.hosts, 1):
            steps = [
                (step, outcome)
                for step, outcome in zip(scenario.steps, self._outcomes, strict=True)
                if step.host == host.name
            ]
            station = self._stations[host.name] = Station(host.name)
            self._machines[host.name] = Machine(
                host,
                addresses[host.name],
                label_of(scenario.seed, number),
                steps,
                BASE_US,
                addresses.__getitem__,
                lambda name, connection: self._opened.append((name, connection)),
                self._ledger.record,
            )
            station.deliver = self._door(host.name)
            self._traffic.join(station, [packed(addresses[host.name])])
        self._lay_links()

    def _lay_links(self) -> None:
        for link in self._scenario.links:
            back = link.back_delay_us if link.back_delay_us >= 0 else link.delay_us
            for sender, receiver, delay in ((link.a, link.b, link.delay_us), (link.b, link.a, back)):
                self._traffic.direction(sender, receiver).set(
                    LinkSettings(delay=delay, bandwidth=link.bandwidth, queue=link.queue, mtu=link.mtu)
                )

    # ---- time ----

    def to_the_end(self) -> Result:
        stopped = self._loop()
        for number, fate in enumerate(self._scenario.fates):
            if fate.packet not in self._decided:
                self._ledger.remark(self.now_us, f"fates[{number}]: no such packet was sent")
        if self._failures:
            raise self._failures[0]
        for outcome in self._outcomes:  # of the stacks' time
            outcome.began_us -= BASE_US if outcome.began_us >= 0 else 0
            outcome.ended_us -= BASE_US if outcome.ended_us >= 0 else 0
        under_way = self._traffic.under_way()
        return self._ledger.result(self._scenario, self._outcomes, under_way, self.now_us, stopped)

    def _loop(self) -> str:
        for _ in range(MAX_TURNS):
            self._settle()
            if len(self._ledger.segments) >= MAX_SEGMENTS:
                return SEGMENTS
            upcoming = self._next()
            if upcoming is None:
                return REST
            if upcoming > self._scenario.until_us:
                self.now_us = self._scenario.until_us
                return TIME
            self.now_us = max(upcoming, self.now_us)
            while self._forgeries and self._forgeries[-1][1].at_us <= self.now_us:
                self._forge(*self._forgeries.pop())
            self._traffic.deliver_due(self.now_us)
            for machine in self._machines.values():
                machine.on_timer(self.now_us + BASE_US)
        return TURNS

    def _settle(self) -> None:
        """Programs do what they can, and what there is to send leaves, until nothing is left to do at this time."""
        now = self.now_us + BASE_US
        for _ in range(MAX_TURNS):
            busy = False
            for machine in self._machines.values():
                busy = machine.serve(now) or busy
            for machine in self._machines.values():
                busy = self._send(machine) or busy
            if not busy or len(self._ledger.segments) >= MAX_SEGMENTS:
                return

    def _send(self, machine: Machine) -> bool:
        bursts = machine.poll(self.now_us + BASE_US)
        station = self._stations[machine.name]
        for burst in bursts:
            self._ledger.sends(burst, machine.causes)
            self._traffic.carry(station, [burst], self.now_us)
        machine.causes.clear()
        return bool(bursts)

    def _next(self) -> int | None:
        times = [self._traffic.next_due()]
        if self._forgeries:
            times.append(self._forgeries[-1][1].at_us)
        now = self.now_us + BASE_US
        for machine in self._machines.values():
            times += [at - BASE_US for at in (machine.next_begin(now), machine.next_timer()) if at is not None]
        return min((at for at in times if at is not None), default=None)

    # ---- packets ----

    def _decide(self, packet: SimPacket) -> Verdict:
        """What the scenario says of it; every packet passes here, in the order of sending."""
        fate = self._fates.get(packet.describe())
        data = packet.data
        verdict: Verdict = PASS
        if fate is not None:
            self._decided.add(fate.packet)
            if fate.do == DELAY:
                verdict = Delay(fate.by_us / 1_000_000, fate.overtake)
                if fate.again_us:
                    self._traffic.inject(self._stations[packet.receiver], data, self.now_us + fate.again_us)
            elif fate.do in (CORRUPT, MARK):
                data = corrupted(data) if fate.do == CORRUPT else marked(data)
                verdict = Change(data)
            else:
                verdict = fate.do
        self._ledger.sent(packet, data, "" if fate is None else fate.do, self.now_us)
        return verdict

    def _door(self, name: str) -> Callable[[list[Arrival]], None]:
        machine = self._machines[name]

        def deliver(arrivals: list[Arrival]) -> None:
            for packet in [one.packet for one in arrivals]:
                if machine.life is None:
                    self._ledger.missed(packet, "the host is down")
                else:
                    cause = self._ledger.arrives(packet, self.now_us)
                    machine.receive(packet, self.now_us + BASE_US, cause)
                    self._ledger.arrived()

        return deliver

    def _forge(self, number: int, forgery: Forgery) -> None:
        identity = f"f{number + 1}"
        ports = self._ports(forgery)
        if ports is None:
            self._ledger.remark(self.now_us, f"{identity}: there is no connection of that number yet")
            return
        names = {name: address for address, name in self._ledger.names.items()}
        key = make_key(names[forgery.as_host], names[forgery.to], *ports)
        connection = self._machines[forgery.to].find(key)
        numbers = self._ledger.numbers(key)
        if connection is not None:
            now = connection.snapshot()
            numbers = Numbers(
                connection.irs + now.rcv_nxt, connection.iss + now.snd_nxt, connection.irs, connection.iss
            )
        packet = packet_of(forgery, key, numbers)
        self._ledger.forged(identity, forgery, packet, numbers)
        self._traffic.inject(self._stations[forgery.to], packet, self.now_us)

    def _ports(self, forgery: Forgery) -> tuple[int, int] | None:
        """Its source and destination port; None: they are those of a connection that there is not."""
        if forgery.from_port and forgery.to_port:
            return forgery.from_port, forgery.to_port
        pair = {forgery.to, forgery.as_host}
        found = [(name, each) for name, each in self._opened if self._pair(name, each) == pair]
        if forgery.connection >= len(found):
            return None
        opener, connection = found[forgery.connection]
        peer_port, local_port = int(key_src_port(connection.key)), int(key_dst_port(connection.key))
        there, here = (peer_port, local_port) if opener == forgery.to else (local_port, peer_port)
        return forgery.from_port or there, forgery.to_port or here

    def _pair(self, opener: str, connection: Connection) -> set[str]:
        return {opener, self._ledger.names[connection.key[:4]]}
