"""The network: hosts, what joins them, what goes wrong, and the run of it all from one seed."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Collection, Coroutine
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Final

from synfin.sim.again import compare, hand_in, is_again, next_number
from synfin.sim.barriers import Barriers
from synfin.sim.calls import SimLoop
from synfin.sim.chaos import SLOW_SHARE, Chaos
from synfin.sim.door import Uplink
from synfin.sim.episodes import Episode, episode_of
from synfin.sim.errors import SimulationError
from synfin.sim.finish import finish
from synfin.sim.host import SimHost
from synfin.sim.journal import Journal
from synfin.sim.kinds import SHUFFLE, kinds_of
from synfin.sim.life import Life
from synfin.sim.link import Direction, LinkSettings
from synfin.sim.names import Names
from synfin.sim.novelty import Novelty
from synfin.sim.order import ByChance, Swap
from synfin.sim.plan import Plan, draw
from synfin.sim.points import noticed
from synfin.sim.rules import Faults, PacketName, Rule, Rulebook, SimPacket, Verdict
from synfin.sim.statements import Check, Promise, Statement, Statements
from synfin.sim.station import Station
from synfin.sim.traffic import Traffic
from synfin.sim.turns import START, TURNS
from synfin.sim.units import check_count, microseconds
from synfin.sim.watchdog import watched
from synfin.sim.world import supplied
from synfin.tcp.config import Config
from synfin.tcp.trace import Event, Trace

KEPT_EVENTS: Final = 20_000
PATIENCE: Final = "60s"
SWARM_UNTIL: Final = "60s"
DELAY: Final = "1ms"
_PLAIN: Final = Config()
_UNDECLARED: Final = LinkSettings().changed(delay=DELAY)
_OF_LIVES: Final = random.Random()  # seeded anew for each: a stack draws while it is made, and never again


class Network:
    """Hosts and links in virtual time. The same seed and program give the same packets.

    shuffle: also let the seed decide the order in which ready tasks run, to find races. keep_events: how many trace
    events are kept for reports (0: none, which is faster). delay: of links that nobody has declared. time_limit:
    virtual time after which `run` raises TimeLimit. turn_limit: turns of the loop in one moment, after which it raises
    Livelock. patience: real time that one callback may take, after which it raises Hung; None: for ever.
    keep_faults: remember in `faults` what chance does to which packet, and in `swaps` which tasks it exchanges.
    only_faults, only_swaps, only_episodes: instead of chance, do just these (the same as `calm()`, `rule(only_faults)`,
    `swap(only_swaps)` and `inflict(only_episodes)`). swarm: let the seed draw faults, of all kinds or of these, which
    end after so much virtual time (swarm_until); drawn_by: instead of the seed, as "7/3": those of seed 7 with change
    number 3. features: `features` knows more, which costs a little. keep_journal: remember in `journal` each step of
    the run. check: `run` runs the same command once more in another process, under another hash seed, and raises
    Nondeterminism if anything else happens there.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        shuffle: bool = False,
        keep_events: int = KEPT_EVENTS,
        delay: str | float = DELAY,
        time_limit: str | float = "1d",
        turn_limit: int = TURNS,
        patience: str | float | None = PATIENCE,
        keep_faults: bool = False,
        only_faults: Faults | None = None,
        only_swaps: Collection[Swap] | None = None,
        keep_journal: bool = False,
        only_episodes: Collection[Any] | None = None,
        swarm: bool | Collection[str] = False,
        drawn_by: str = "",
        swarm_until: str | float = SWARM_UNTIL,
        features: bool = False,
        check: bool = False,
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise TypeError(f"a seed is an int, not {type(seed).__name__}")
        check_count(keep_events, "keep_events", 0)
        check_count(turn_limit, "turn_limit", 1)
        self.seed = seed
        self.hosts: dict[str, SimHost] = {}
        self.events: deque[Event] = deque(maxlen=keep_events)
        """The last trace events of all hosts."""
        self.trace: Trace | None = self.events.append if keep_events else None
        self.incidents: list[tuple[float, str]] = []
        """Crashes, partitions and the like, with their virtual time."""
        self._names = Names()
        self._stations: dict[str, Station] = {}
        self._rules = Rulebook(self._on_rule_failure)
        undeclared = _UNDECLARED if delay == DELAY else _UNDECLARED.changed(delay=delay)
        self._traffic = Traffic(undeclared, seed, self._rules, keep_faults, whole=True)
        self._main: asyncio.Task[Any] | None = None
        self._broken: BaseException | None = None  # what a rule raised
        self._closed = False
        self._patience = inf if patience is None else microseconds(patience, "patience") / 1_000_000
        until = microseconds(swarm_until, "swarm_until")
        self.plan: Plan = draw(drawn_by or str(seed), kinds_of(swarm), until) if swarm else ()
        """What was drawn of faults."""
        shuffle = shuffle or any(knob.kind == SHUFFLE.name for knob in self.plan)
        self.loop = SimLoop(self._names, self._traffic, ByChance(seed, keep_faults) if shuffle else None)
        self.loop.turns.limit = START + microseconds(time_limit, "time_limit") / 1_000_000
        self.loop.turns.most = turn_limit
        self.loop.set_exception_handler(self._on_problem)
        self._statements = Statements(self.loop)
        self._barriers = Barriers(self.hosts, self.loop.create_future)
        self._novelty = Novelty(self.loop, features)
        self.again: tuple[list[str], int] | None = None
        """With check, how to run it again: a command, and which of its networks that are checked this one is."""
        self._journal: Journal | None = None
        self._check = check
        if check:
            self._number = next_number()
        if check or keep_journal:
            self._journal = Journal(lambda: self.now)
            self.loop.turns.journal = self._journal.step
            self.rule(self._journal.packet)
        self._chaos = Chaos(self.loop, self.hosts, self._traffic, str(seed), self.note_fault)
        self._chaos.follow(self.plan, until)
        if only_faults is not None or only_swaps is not None or only_episodes is not None:
            self.calm()
            self.rule(only_faults or {})
            self.swap(only_swaps or ())
            self.inflict(only_episodes or ())

    # ---- building ----

    def host(self, name: str, *, address: str | None = None, config: Config | None = None) -> SimHost:
        """The host of that name, made if there is none. It has an IPv4 and an IPv6 address, and loopback."""
        if name in self.hosts:
            if address is not None or config is not None:
                raise SimulationError(f"{name} exists: its address and config can't be changed")
            return self.hosts[name]
        number = len(self.hosts) + 1
        addresses = [f"10.77.{number >> 8}.{number & 255}" if address is None else address, f"fd77::{number:x}"]
        packed = self._names.add(name, addresses)
        station = self._stations[name] = Station(name)
        host = SimHost(name, addresses, config, self.loop, partial(self._begin, station), self.note_fault)
        self.hosts[name] = host
        self._traffic.join(station, packed)
        return host

    def _begin(self, station: Station, host: SimHost, number: int) -> Life:
        """The `number`-th life of a host begins, at its station."""
        config = _PLAIN if host.config is None else host.config
        life = Life(
            host.name,
            host.addresses,
            self.loop,
            Uplink(self._traffic, station, self.loop.turns, config.mtu),
            config=config,
            trace=self.trace,
            entropy=_entropy(f"{self.seed} {host.name} {number}"),
        )
        station.deliver = life.door.deliver
        return life

    def link(self, a: str, b: str, **settings: Any) -> None:
        """Set both directions between two hosts; see LinkSettings.changed. What is not named stays as it was."""
        there, back = self.direction(a, b), self.direction(b, a)
        before, changed = there.declared, there.declared.changed(**settings)
        there.set(changed)
        back.set(changed if back.declared == before else back.declared.changed(**settings))

    def one_way(self, sender: str, receiver: str, **settings: Any) -> None:
        """Set one direction."""
        direction = self.direction(sender, receiver)
        direction.set(direction.declared.changed(**settings))

    def direction(self, sender: str, receiver: str) -> Direction:
        """What carries packets from one host to another, with its counters."""
        self._known([sender, receiver])
        if sender == receiver:
            raise SimulationError("a host talks to itself without a link")
        return self._traffic.direction(sender, receiver)

    @property
    def packets(self) -> int:
        """How many packets were sent."""
        return self._traffic.packets

    @property
    def digest(self) -> int:
        """Of all packets' headers and when they were sent: two runs of which it differs did not do the same."""
        return self._traffic.digest

    @property
    def journal(self) -> list[str]:
        """With keep_journal or check: what happened so far, in lines that are the same for runs that are."""
        return [] if self._journal is None else self._journal.lines

    @property
    def faults(self) -> dict[PacketName, Verdict]:
        """With keep_faults: what chance did to which packet, as `rule` takes it."""
        return self._traffic.faults

    @property
    def swaps(self) -> dict[Swap, str]:
        """With keep_faults and shuffle: which steps of tasks were exchanged, as `swap` takes it, and their places."""
        return {} if self.loop.order is None else self.loop.order.swaps

    # ---- faults ----

    def partition(self, a: str | Collection[str], b: str | Collection[str] | None = None) -> None:
        """No packet passes between the hosts of `a` and those of `b` (None: all others), until heal()."""
        for one in self._known(a):
            for other in self._known(b) if b is not None else set(self.hosts) - set(self._known(a)):
                self.direction(one, other).part(True)
                self.direction(other, one).part(True)
        self.note_fault(f"partition of {a} from {b if b is not None else 'all others'}")

    def partition_one_way(self, senders: str | Collection[str], receivers: str | Collection[str]) -> None:
        """Packets from `senders` no longer reach `receivers`; those the other way do."""
        for one in self._known(senders):
            for other in self._known(receivers):
                self.direction(one, other).part(True)
        self.note_fault(f"one-way partition from {senders} to {receivers}")

    def heal(self) -> None:
        """End all partitions."""
        for direction in self._traffic.directions.values():
            direction.part(False)
        self.note_fault("all partitions heal")

    def calm(self) -> None:
        """No chance from now on: links lose, duplicate, corrupt and delay nothing by it, and tasks keep their order.

        Episodes of schedules and of a swarm are over: what they parted heals, what they crashed lives again. What rules
        say, `swap` and `inflict`, still happens.
        """
        self._traffic.calm = True
        self.swap(())
        self._chaos.end()

    def swap(self, swaps: Collection[Swap]) -> None:
        """Instead of chance, exchange just these steps of tasks that are ready at the same time; see `swaps`."""
        if self.loop.order is not None:
            self.loop.order = self.loop.order.replaced(swaps)

    def schedule(
        self, *, lasting: str | float = "2s", until: str | float = SWARM_UNTIL, share: float = SLOW_SHARE, **every: Any
    ) -> None:
        """Bring episodes at random times until then: schedule(crash="30s", partition="10s", pause="5s", slow="5s").

        Each kind so much time apart on average, for as long as `lasting` on average; share: of the time that a slow
        host runs. What crashes is restarted: a host does only if all its programs were given as functions.
        """
        self._chaos.schedule(every, lasting, until, share)

    def spare(self, host: str, *kinds: str) -> None:
        """These kinds of faults, drawn by a schedule or a swarm, leave a host alone; none named: all episodes."""
        self._known(host)
        self._chaos.spare(host, kinds)

    @property
    def episodes(self) -> list[Episode]:
        """What was drawn and has happened so far of crashes, partitions and the like, as `inflict` takes it."""
        return self._chaos.episodes

    def inflict(self, episodes: Collection[Any]) -> None:
        """Do just these at their times; see `episodes`."""
        for episode in episodes:
            self._chaos.inflict(episode_of(episode))

    def rule(self, decide: Callable[[SimPacket], Verdict] | Faults) -> Rule:
        """Ask `decide` of every packet from now on: PASS (or None), DROP, DUPLICATE, CORRUPT, MARK,
        Delay("10ms"), Change(bytes), or RECORD.

        The first rule that does not pass wins; where all pass, chance decides. A mapping from `SimPacket.describe()` to
        what is to happen is a rule as well. Returns the rule, to remove() it or read what it recorded.
        """
        return self._rules.add(decide)

    def inject(self, receiver: str, packet: bytes, *, after: str | float = 0) -> None:
        """An IP packet that nobody sent arrives at a host: a forged RST, an old duplicate.

        after: in so much time. No link, rule or chance sees it; whom it claims to be from is in its bytes.
        """
        [name] = self._known([receiver])
        if not isinstance(packet, bytes):
            raise TypeError(f"a packet is bytes, not {type(packet).__name__}")
        self._traffic.inject(self._stations[name], packet, self.loop.turns.now_us + microseconds(after, "after"))
        self.loop.turns.arrival = self._traffic.next_arrival()

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

    # ---- statements about all times ----

    def always(self, check: Check) -> Statement:
        """After each event from now on, `check()` must hold: raise no AssertionError, and return None or what is true.

        An event is a callback of the loop or an arrival of packets. The first that breaks it ends the run by Violation,
        which names the statement, the step of the program and the virtual time. Returns the statement, to end() it.
        """
        return self._statements.always(check)

    def eventually(self, within: str | float, check: Check) -> Promise:
        """`check()` must hold once within so much virtual time; else Violation.

        It can be awaited. A program that ends before does not end the run: hosts go on until it is decided.
        """
        return self._statements.eventually(microseconds(within, "within"), check)

    async def reached(self, point: str, *, host: str | None = None, hold: bool = False) -> SimHost | None:
        """Wait until a program passes `sim.point(point)`, on `host` or on any; the host, or None if it is on none.

        hold: the host pauses there, until its resume(), after the step that the task is in, up to its next await.
        """
        if not point:
            raise ValueError("a point has a name")
        if host is not None:
            self._known(host)
        return await self._barriers.reached(point, host, hold)

    @property
    def points(self) -> dict[str, int]:
        """How often each `sim.point` was passed."""
        return self._barriers.passed

    # ---- running ----

    def run(self, program: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end, on no host, and then end the simulation; its result.

        Raises what it raises; Deadlock if nothing can happen any more; ExceptionGroup if a program on a host failed and
        nobody awaited it.
        """
        journal = self._journal
        if journal is None:
            return self._run(program)
        failure: BaseException | None = None
        try:
            return self._run(program)
        except BaseException as error:
            failure = error
            raise
        finally:
            journal.outcome(failure)
            if self._check and is_again():
                hand_in(self._number, journal.lines)
            elif self._check:
                command, number = self.again or (None, self._number)
                compare(journal.lines, self.seed, number, command)

    def _run(self, program: Coroutine[Any, Any, Any]) -> Any:
        if self._closed:
            program.close()
            raise SimulationError("a Network runs once; make a new one")
        self._closed = True
        world = supplied(self.loop, self._names, self.seed)
        with watched(self.loop.pulse, self._patience), world, noticed(self._barriers.on_point):
            try:
                self._main = self.loop.create_task(program)
                result = self.loop.run_until_complete(self._main)
                if self._statements.promised():
                    self.loop.run_until_complete(self._statements.settle())
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
            with supplied(self.loop, self._names, self.seed):
                self._end()

    def _failures(self) -> list[tuple[str, BaseException]]:
        return [failure for host in self.hosts.values() for failure in host.unretrieved()]

    def _end(self) -> None:
        """Cancel all that runs, let it end, and close the loop.

        What is left can be looked at, and has no circles: who drops a network has its memory at once, and the
        collector, which costs a short test an eighth of its time, finds nothing.
        """
        self.loop.wind_up()
        self._chaos.forget()
        self._traffic.close()
        self._rules.end()
        for host in self.hosts.values():
            if host.life.alive:
                host.life.end()
        finish(self.loop)
        for host in self.hosts.values():
            host.fade()

    def _on_problem(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What asyncio can tell nobody else: kept for the report, and logged as ever."""
        error = context.get("exception")
        if isinstance(error, asyncio.CancelledError):
            return  # of a crash: Python 3.11's streams do not expect that their handler's task is cancelled
        self.note_fault(f"asyncio: {context['message']}{'' if error is None else f' ({error!r})'}")
        loop.default_exception_handler(context)

    def _on_rule_failure(self, error: Exception) -> None:
        """A rule that fails ends the simulation: whose turn it happens to be is not to blame."""
        if self._broken is None:
            self._broken = error
        if self._main is not None:
            self._main.cancel()

    # ---- reports ----

    @property
    def features(self) -> frozenset[int]:
        """What the run has reached, as numbers that are the same in every process; see sim.novelty."""
        return self._novelty.features(self.events, self.points, self.hosts.values())

    def report(self, transitions: int = 12, *, cwnd: bool = False) -> str:
        """What happened, for people: incidents, the last transitions of each connection, and its diagram.

        cwnd: also what was sent over time in each, with cwnd and its like.
        """
        from synfin.sim.report import text_of  # with all that draws: most runs never ask

        drawn = [f"seed {self.seed}", *self._chaos.told]
        return text_of(self.events, self.incidents, drawn, self._names.by_address(), transitions, cwnd)

    def save_capture(self, path: str | Path, *, samples: bool = False) -> Path:
        """Write the annotated pcapng of the events kept. samples: for `synfin plot`, what each ACK did to cwnd."""
        from synfin.sim.report import save_capture

        return save_capture(self.events, Path(path), samples)

    def _known(self, hosts: str | Collection[str]) -> list[str]:
        names = [hosts] if isinstance(hosts, str) else list(hosts)
        for name in names:
            if name not in self.hosts:
                raise SimulationError(f"there is no host {name!r}; there are {', '.join(self.hosts) or 'none'}")
        return names


def _entropy(seed: str) -> Callable[[int], bytes]:
    """n -> n random bytes, for a life that begins now."""
    _OF_LIVES.seed(seed)
    return _OF_LIVES.randbytes
