"""A path as a scenario: what a search has found happens once more where people look at it, in the playground and by
`synfin scenario`.

A scenario knows no choices, only times. So each action of the path gets a time of its own, a little after the one
before, and timers fire when they are due; packets become as late as that takes. The hosts are stepped through this here
first, since when a timer is due follows from when it was set. The less time there is between two actions, the less the
timers differ from those of the search, in which packets take none.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import Final

from synfin.explore.host import ExploredHost
from synfin.explore.search import Explored, Failure
from synfin.explore.stage import Stage
from synfin.explore.world import DELIVER, DUPLICATE, EARLY, FORGE, LOSE, STEP, TIMER, Action, Bounds, World
from synfin.scenario.machine import entropy_of, label_of
from synfin.scenario.model import DELAY, MAX_FATES, MAX_TIME_US, Fate, Link, Name, Scenario
from synfin.scenario.result import FORGED
from synfin.scenario.runner import BASE_US, run
from synfin.sim.rules import DROP, Reader
from synfin.stack.stack import Stack
from synfin.tcp.trace import Trace

_STEPS_US: Final = (1000, 100, 10, 1)  # between two actions; the first that leads the same way is taken
_SEEDS: Final = 4  # a search knows no secrets: of two lives the second's first number is the higher one


class NotSaved(Exception):
    """No scenario leads this way."""


@dataclass
class _Sent:
    """A packet that left. to: the number of its host; arrived: when, as far as its host was up."""

    name: Name
    packet: bytes
    to: int
    sent_us: int
    taken: list[int] = field(default_factory=list)
    arrived: list[int] = field(default_factory=list)
    lost: bool = False


def as_scenario(explored: Explored, failure: Failure) -> Scenario:
    """The scenario whose run is the failure's path, and ends where the law does not hold.

    That it is has been tried. Raises NotSaved where it can't be: timers that nothing but the search holds back.
    """
    scenario = explored.scenario
    about = f"An order of events in which a law does not hold at the end. {failure.what}"
    told = replace(scenario, title=scenario.title[:200], about=about[:1000])
    for step_us, seed in product(_STEPS_US, range(_SEEDS)):
        try:
            timed = _Timed(replace(told, seed=seed), explored.bounds, failure.path, step_us)
            raised = timed.walk()
            found = timed.scenario()
        except NotSaved:
            continue
        if _leads_there(found, timed, raised):
            return found
    raise NotSaved("no scenario leads this way: its timers fire in another order where packets take time")


class _AsRun(ExploredHost):
    """With the numbers and secrets that it has when the scenario is run: packets are named by them."""

    _lives = 0

    def _stack(self, trace: Trace | None) -> Stack:
        self._lives += 1
        entropy = entropy_of(label_of(self.scenario.seed, self.number + 1), self._lives)
        return Stack([self.address], self.config, entropy=entropy, name=self.name, trace=trace)


class _Timed:
    """The hosts of a scenario on a clock that goes on by `step_us` with each action. Times count from the beginning."""

    def __init__(self, scenario: Scenario, bounds: Bounds, path: bytes, step_us: int) -> None:
        self.sent: list[_Sent] = []
        self.now = 0
        self._path = path
        self._apart_us = step_us * len(path)  # as much as what is one moment in the search can be apart here
        self._scenario = scenario
        self._bounds = bounds
        self._step_us = step_us
        self._stage = Stage(scenario)
        self._reader = Reader()
        self._hosts = [self._stage.host(number, _AsRun) for number in range(len(scenario.hosts))]
        self._flying: list[_Sent] = []
        self._began: dict[int, int] = {}  # steps that were chosen
        self._forged: dict[int, int] = {}
        for host in self._hosts:
            self._leaves(host.number, host.settle(BASE_US))

    def walk(self) -> bool:
        """Go the path; True: its last action raises. Raises NotSaved."""
        world = World(self._scenario, self._bounds)
        for place in self._path:
            action = world.actions()[place]
            try:
                self._apply(action, world)
                world.apply(action)
            except NotSaved:
                raise
            except Exception:
                return True
            if len(world.flying) != len(self._flying):
                raise NotSaved
        return False

    def _apply(self, action: Action, world: World) -> None:
        if action.kind in (TIMER, EARLY):
            self._fire(world)
            return
        self.now += self._step_us
        if any(due <= self.now for due in map(self._due, range(len(self._hosts))) if due is not None):
            raise NotSaved
        at = self.now + BASE_US
        if action.kind == STEP:
            program, number = action.what
            assert isinstance(program, int) and isinstance(number, int)
            self._began[number] = self.now
            self._leaves(action.host, self._hosts[action.host].begin(program, number, at))
        elif action.kind == FORGE:
            (number,) = action.what
            assert isinstance(number, int)
            self._forged[number] = self.now
            self._leaves(action.host, self._hosts[action.host].forge(number, at))
        else:
            self._moves(action, at)

    def _moves(self, action: Action, at: int) -> None:
        """A packet arrives or is lost."""
        flying = self._flying[action.place]
        if action.kind != DUPLICATE:
            del self._flying[action.place]
        if action.kind == LOSE:
            flying.lost = True
            return
        assert action.kind in (DELIVER, DUPLICATE)
        host = self._hosts[flying.to]
        flying.taken.append(self.now)
        if host.life is not None:
            flying.arrived.append(self.now)
        self._leaves(flying.to, host.receive(flying.packet, at))

    def _fire(self, world: World) -> None:
        """Those timers fire that do so in the search, each when it is due here: of one moment there a few here."""
        upcoming = world.next_timer()
        assert upcoming is not None
        until = max(upcoming, world.now)
        ready = [number for number, host in enumerate(world.hosts) if (due := host.due()) is not None and due <= until]
        woken: dict[int, list[_Sent]] = {number: [] for number in ready}
        latest = [self.now, *(due for due in map(self._due, ready) if due is not None)]
        until_here = max(latest) + self._apart_us
        while True:
            dues = [(due, number) for number in ready if (due := self._due(number)) is not None and due <= until_here]
            if not dues:
                break
            due, number = min(dues)
            self.now = max(self.now, due)
            woken[number] += self._named(number, self._hosts[number].wake(self.now + BASE_US))
        for sent in woken.values():
            self._flying += sent

    def _due(self, number: int) -> int | None:
        due = self._hosts[number].due()
        return None if due is None else due - BASE_US

    def _leaves(self, number: int, packets: list[bytes]) -> None:
        self._flying += self._named(number, packets)

    def _named(self, number: int, packets: list[bytes]) -> list[_Sent]:
        """What leaves a host now."""
        found = []
        names = self._stage.names
        for packet in packets:
            to = self._stage.number_of.get(packet[16:20])
            if to is not None:
                name = self._reader.read(names[number], names[to], packet, self.now / 1_000_000).describe()
                found.append(_Sent(name, packet, to, self.now))
        self.sent += found
        return found

    def scenario(self) -> Scenario:
        """The same as times and fates. Raises NotSaved."""
        if len(self.sent) > MAX_FATES or any(len(each.taken) > 2 for each in self.sent) or self.now > MAX_TIME_US:
            raise NotSaved
        later = MAX_TIME_US
        steps = []
        for number, step in enumerate(self._scenario.steps):
            chosen = step.at_us or step.after_us or step.do in ("crash", "restart")
            steps.append(replace(step, at_us=self._began.get(number, later), after_us=0) if chosen else step)
        return replace(
            self._scenario,
            until_us=max(1, self.now),
            links=tuple(Link(a=a, b=b, delay_us=0) for a, b in combinations(self._stage.names, 2)),
            steps=tuple(steps),
            fates=tuple(map(_fate, self.sent)),
            forged=tuple(replace(self._scenario.forged[number], at_us=at) for number, at in self._forged.items()),
        )


def _fate(sent: _Sent) -> Fate:
    if not sent.taken:
        return Fate(packet=sent.name, do=DROP) if sent.lost else Fate(packet=sent.name, do=DELAY, by_us=MAX_TIME_US)
    first, *again = (at - sent.sent_us for at in sent.taken)
    return Fate(packet=sent.name, do=DELAY, by_us=first, again_us=again[0] if again else 0)


def _leads_there(scenario: Scenario, timed: _Timed, raised: bool) -> bool:
    """Its run has the same packets, sent and arrived at the same times."""
    try:
        result = run(scenario)
    except Exception:
        return raised
    there = [(each.name, each.sent_us, each.arrived_us) for each in result.segments if each.fate != FORGED]
    return (
        not raised and not result.remarks and there == [(each.name, each.sent_us, each.arrived) for each in timed.sent]
    )
