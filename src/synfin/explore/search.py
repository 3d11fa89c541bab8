"""Every order: breadth first, each state once, and each host's part of it once.

A state of the whole is the states of the hosts, the packets under way and what may still go wrong. An event happens to
one host, and what it leads to is a matter of that host's state and of the event: so it is run once, by replay
(`parts`), and looked up wherever that host is in that state again. Equal hashes of a host mean that the same may
follow; that is all that a hash of the whole state could mean too. Layer after layer, so the first path that breaks a
law is a shortest one. What is not known yet of a layer is run in other processes, if there are any.

Reductions, neither of which misses a state.

Two actions that concern one host each commute: what a host sends goes to the packets under way, which have no order, no
time passes, and of the bounds both orders use up the same. So after an action of the second host, an action of the
first that was possible before it is not tried: doing it first leads to the same state. That other way exists: an action
of the second host is always tried; and by induction over the length of paths the state that the first host's action
leads to from the state before has been found, whether it was tried there or not. Both orders have the same length, so
none is found later either. For two hosts; among more, all is tried.

A packet is lost when it is sent, or never. One that is lost later could as well have been so: while it is under way it
makes nothing possible but its own arrival, and only keeps timers from firing, or from firing for nothing. So both hosts
go through the same states, with at least as much left of the bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from time import thread_time
from typing import Final, NamedTuple

from synfin.campaign.engine import Engine
from synfin.explore.broken import Broken
from synfin.explore.facts import Facts
from synfin.explore.host import PERIOD_US
from synfin.explore.known import After, Hosts, Packets
from synfin.explore.laws import check_end, check_patience, check_together
from synfin.explore.parts import FORGE as FORGED
from synfin.explore.parts import PASS, Event, Reached
from synfin.explore.parts import STEP as BEGUN
from synfin.explore.runners import Here, Job, Runner, Spread
from synfin.explore.stage import Stage
from synfin.explore.world import (
    BEGIN_US,
    DELIVER,
    DUPLICATE,
    EARLY,
    FORGE,
    LOSE,
    STEP,
    TIMER,
    Action,
    Bounds,
    World,
)
from synfin.scenario.model import Scenario
from synfin.tcp.timestamps import TICK_US

Path = bytes  # places in World.actions(), one after another

_SLICE: Final = 2000  # states of a layer that are gone on from at a time
_ACTIONS: Final = 200  # in one state: a path says which by a byte

Left = tuple[int, int, int, int, int]
"""Losses, duplicates and early timers that may still be; a bit for each forgery that has arrived; the place of
now in its half second."""
State = tuple[tuple[int, ...], tuple[int, ...], Left]  # hosts, packets in order, what is left
Way = tuple[str, int, tuple[int, ...], tuple[int, ...]]
"""An action and what is lost of what it sends: kind, host, a packet or (program, step) or a forgery or a time, lost."""


@dataclass(frozen=True)
class Failure:
    """path: a shortest one to it; what: the law that it breaks."""

    path: Path
    what: str


@dataclass
class Explored:
    """What came of a search. states: different ones, ends among them; transitions: actions that were tried; depth: of
    the longest of all shortest paths; parts: events of one host that were run; seconds: of processors. whole: no limit
    stopped it."""

    scenario: Scenario
    bounds: Bounds
    states: int = 0
    ends: int = 0
    transitions: int = 0
    depth: int = 0
    parts: int = 0
    seconds: float = 0.0
    whole: bool = True
    failures: list[Failure] = field(default_factory=list)


class _Candidate(NamedTuple):
    """A state that may be new: after which one, by which way; last: the host of the action, if it concerned one;
    fresh: what that has sent and was not under way before. broken: the law that the way itself breaks."""

    state: State
    before: int
    way: Way | None
    last: int = 0
    fresh: frozenset[int] = frozenset()
    broken: str = ""


def explore(
    scenario: Scenario,
    bounds: Bounds | None = None,
    *,
    max_states: int = 0,
    max_failures: int = 1,
    engine: Engine | None = None,
) -> Explored:
    """Go through every order. max_states: stop there (0: never). engine: runs what the hosts do; None: this process.

    Raises ValueError for a scenario with more than 200 actions in one state; EngineError.
    """
    bounds = bounds if bounds is not None else Bounds()
    runner = Here(scenario) if engine is None else Spread(scenario, engine)
    search = _Search(scenario, bounds, runner, max_states, max_failures)
    search.run()
    return search.result


class _Search:
    def __init__(self, scenario: Scenario, bounds: Bounds, runner: Runner, max_states: int, max_failures: int) -> None:
        self.result = Explored(scenario, bounds)
        self._most = max_states, max_failures
        self._stage = Stage(scenario, bounds.losses + bounds.early_timers)
        self._bounds = bounds
        self._runner = runner
        self._hosts = [Hosts() for _ in scenario.hosts]
        self._packets = Packets()
        self._layers: dict[int, list[_Candidate]] = {}
        self._seen: set[int] = set()
        self._numbers: tuple[dict[object, int], ...] = ({}, {}, {})
        self._came: list[tuple[int, Way | None]] = []  # of each state: the one before it, and how
        self._ways: dict[Way, Way] = {}  # one object for each
        self._judged: dict[tuple[tuple[int, ...], int], str] = {}

    def run(self) -> None:
        """Layer after layer, as long as there is one, and no limit or failure ends it."""
        result = self.result
        began, ran = thread_time(), self._runner.seconds
        self._begin()
        depth = 0
        while self._layers and not self._enough():
            layer = self._layers.pop(depth, [])
            for at in range(0, len(layer), _SLICE):
                self._go_on(depth, layer[at : at + _SLICE])
            depth += 1
        result.whole = not self._most[0] or result.states < self._most[0]
        result.seconds = thread_time() - began + self._runner.seconds - ran

    def _enough(self) -> bool:
        most, failures = self._most
        return len(self.result.failures) >= failures or 0 < most <= self.result.states

    def _begin(self) -> None:
        """The hosts at their beginnings, and what of their first packets is lost."""
        reached = self._runner.beginnings()
        hosts = tuple(hosts.add(each) for hosts, each in zip(self._hosts, reached, strict=True))
        sent = tuple(self._packets.number(to, packet) for each in reached for to, packet in each.sent)
        bounds = self._bounds
        left = (bounds.losses, bounds.duplicates, bounds.early_timers, 0, BEGIN_US % PERIOD_US)
        self._arrive(0, -1, None, (hosts, (), left), sent)

    def _go_on(self, depth: int, layer: list[_Candidate]) -> None:
        """From those that are new, by all that can happen."""
        new = []
        for each in layer:
            number = self._take(depth, each)
            if number >= 0:
                new.append((number, each, self._actions(each)))
        self._learn((each, ways) for _, each, ways in new)
        for number, each, ways in new:
            for way, event in ways:
                self._follow(depth, number, each.state, way, event)

    def _take(self, depth: int, each: _Candidate) -> int:
        """The number of a state that is new and breaks no law; -1: it is none, or there is enough."""
        if self._enough():
            return -1
        what, number = each.broken, -1
        if not what:
            key = self._key(each.state)
            if key in self._seen:
                return -1
            self._seen.add(key)
            number = len(self._came)
            self._came.append((each.before, each.way))
            self.result.states += 1
            self.result.depth = max(self.result.depth, depth)
            what = self._judge(each.state)
        if what:
            self.result.failures.append(Failure(self._path(each), what))
            return -1
        return number

    def _key(self, state: State) -> int:
        """A number for a state: of a million, a set of such takes the least."""
        key = 0
        for numbers, part in zip(self._numbers, state, strict=True):
            key = key << 32 | numbers.setdefault(part, len(numbers))
        return key

    # ---- what can happen ----

    def _actions(self, each: _Candidate) -> list[tuple[Way, Event]]:
        """All that is to be tried: with what happens to whom."""
        hosts, flying, (_, duplicates, early, forged, _) = each.state
        first = each.last if len(hosts) == 2 else 0  # what concerns those before it alone was tried: see above
        found: list[tuple[Way, Event]] = []
        packets = self._packets
        for packet in dict.fromkeys(flying):
            to, event = packets.to[packet], packets.event[packet]
            if to >= first or packet in each.fresh:
                found.append(((DELIVER, to, (packet,), ()), event))
                if duplicates:
                    found.append(((DUPLICATE, to, (packet,), ()), event))
        facts = [known.facts[state] for known, state in zip(self._hosts, hosts, strict=True)]
        for number in range(first, len(hosts)):
            for program, step in facts[number].choices:
                found.append(((STEP, number, (program, step), ()), (BEGUN, program, step)))
            found += [
                ((FORGE, number, (forgery,), ()), (FORGED, forgery, 0))
                for forgery in facts[number].forgeries
                if not forged >> forgery & 1
            ]
        due = min((fact.due for fact in facts if fact.due is not None), default=None)
        if due is not None:
            due = max(due, 0)
            if not flying:
                found.append(((TIMER, -1, (due,), ()), (PASS, due, 0)))
            elif early and due <= min(packets.age[packet] for packet in flying) + self._stage.msl_us:
                found.append(((EARLY, -1, (due,), ()), (PASS, due, 0)))
        if len(found) > _ACTIONS:
            raise ValueError(f"more than {_ACTIONS} things can happen in one state: that is too large to explore")
        return found

    def _learn(self, wanted: Iterable[tuple[_Candidate, list[tuple[Way, Event]]]]) -> None:
        """Run what is not known yet of what can happen."""
        unknown: dict[tuple[int, int], dict[Event, None]] = {}
        for each, ways in wanted:
            hosts = each.state[0]
            for (_, number, _, _), event in ways:
                for one in range(len(hosts)) if number < 0 else (number,):
                    if event not in self._hosts[one].after[hosts[one]]:
                        unknown.setdefault((one, hosts[one]), {})[event] = None
        jobs = [Job(one, self._hosts[one].history(state), list(events)) for (one, state), events in unknown.items()]
        for (one, state), events, reached in zip(unknown, unknown.values(), self._runner.run(jobs), strict=True):
            for event, result in zip(events, reached, strict=True):
                self._hosts[one].after[state][event] = self._after(one, state, event, result)
                self.result.parts += 1

    def _after(self, one: int, state: int, event: Event, reached: Reached) -> After:
        if reached.raised:
            return After(-1, (), reached.raised, False, False)
        sent = tuple(self._packets.number(to, packet) for to, packet in reached.sent)
        return After(self._hosts[one].add(reached, state, event), sent, "", reached.gave_up, reached.waited)

    # ---- what follows ----

    def _follow(self, depth: int, number: int, state: State, way: Way, event: Event) -> None:
        """The states to which an action leads."""
        hosts, flying, (losses, duplicates, early, forged, phase) = state
        kind, host, what, _ = way
        one = range(len(hosts)) if host < 0 else (host,)
        afters = [self._hosts[each].after[hosts[each]][event] for each in one]
        raised = next((each.raised for each in afters if each.raised), "")
        if raised:
            self._put(depth + 1, _Candidate(state, number, way, broken=raised))
            return
        if kind == DELIVER:
            place = flying.index(what[0])
            flying = flying[:place] + flying[place + 1 :]
        elif kind == DUPLICATE:
            duplicates -= 1
        elif kind == FORGE:
            forged |= 1 << what[0]
        elif kind == EARLY or kind == TIMER:
            early -= kind == EARLY
            ticks = (phase + what[0]) // TICK_US - phase // TICK_US
            phase = (phase + what[0]) % PERIOD_US
            # How old a packet is matters only as long as a timer may be early.
            flying = tuple(
                self._packets.later(each, self._packets.age[each] - what[0] if early else 0, ticks) for each in flying
            )
        if len(afters) == 1:
            hosts = (*hosts[:host], afters[0].state, *hosts[host + 1 :])
        else:
            hosts = tuple(each.state for each in afters)
        after: State = (hosts, flying, (losses, duplicates, early, forged, phase))
        broken = self._patience(after, one, afters)
        if broken:
            self._put(depth + 1, _Candidate(after, number, way, broken=broken))
            return
        self._arrive(depth + 1, number, way, after, tuple(packet for each in afters for packet in each.sent))

    def _arrive(self, depth: int, number: int, way: Way | None, state: State, sent: tuple[int, ...]) -> None:
        """In a state, with what is sent, of which some may be lost."""
        hosts, flying, (losses, *rest) = state
        last = max(way[1], 0) if way is not None else 0
        for lost in range(min(losses, len(sent)) + 1):
            for kept in dict.fromkeys(combinations(sent, len(sent) - lost)):
                there: State = (hosts, tuple(sorted(flying + kept)), (losses - lost, *rest))  # type: ignore[assignment]
                self.result.transitions += 1
                if self._key(there) in self._seen:
                    continue
                gone = list(sent)
                for each in kept:
                    gone.remove(each)
                by = (*(way[:3] if way is not None else ("", -1, ())), tuple(gone))
                fresh = frozenset(kept).difference(state[1]) if last else frozenset()
                self._put(depth + lost, _Candidate(there, number, self._ways.setdefault(by, by), last, fresh))

    def _put(self, depth: int, candidate: _Candidate) -> None:
        self._layers.setdefault(depth, []).append(candidate)

    # ---- the laws ----

    def _patience(self, state: State, one: Sequence[int], afters: Sequence[After]) -> str:
        """Whether somebody waits in vain, or gives up."""
        hosts, _, left = state
        if any(each.waited or each.gave_up for each in afters):
            facts = self._facts(hosts)
            if self._stage.is_calm(left[3], (each.violent for each in facts)):
                bounds = self._bounds
                whole = left[:4] == (bounds.losses, bounds.duplicates, bounds.early_timers, 0)
                for number, after in zip(one, afters, strict=True):
                    try:
                        name = self._stage.names[number]
                        check_patience(self._stage, name, after.gave_up, after.waited and whole)
                    except Broken as error:
                        return _text(error)
        return ""

    def _judge(self, state: State) -> str:
        """The law that a state breaks, or that it breaks as an end; "": none."""
        hosts, flying, left = state
        forged = left[3]
        key = hosts, forged
        told = self._judged.get(key)
        if told is None:
            told = self._judged[key] = _broken(check_together, self._stage, self._facts(hosts), forged)
        if told or flying:
            return told
        facts = self._facts(hosts)
        if any(each.due is not None or each.choices or set(each.forgeries) - _places(forged) for each in facts):
            return ""
        self.result.ends += 1
        return _broken(check_end, self._stage, facts, forged)

    def _facts(self, hosts: tuple[int, ...]) -> list[Facts]:
        return [known.facts[state] for known, state in zip(self._hosts, hosts, strict=True)]

    # ---- paths ----

    def _path(self, each: _Candidate) -> Path:
        """The same in the places of a world's actions."""
        ways = [] if each.way is None else [each.way]
        before = each.before
        while before >= 0:
            before, way = self._came[before]
            if way is not None:
                ways.append(way)
        world = World(self.result.scenario, self._bounds)
        path = b""
        for way in reversed(ways):
            for action in self._of_world(way):
                actions = world.actions()
                place = actions.index(action)
                path += bytes((place,))
                try:
                    world.apply(actions[place])
                except Exception:
                    return path
        return path

    def _of_world(self, way: Way) -> list[Action]:
        """A way as a world's actions."""
        kind, host, what, lost = way
        packets = self._packets
        found = []
        if kind in (DELIVER, DUPLICATE):
            (packet,) = what
            found.append(Action(kind, host, (packets.packet(packet), packets.age[packet])))
        elif kind in (TIMER, EARLY):
            found.append(Action(kind))
        elif kind:
            found.append(Action(kind, host, what))
        return found + [Action(LOSE, packets.to[each], (packets.packet(each), 0)) for each in lost]


def _places(bits: int) -> set[int]:
    return {place for place in range(bits.bit_length()) if bits >> place & 1}


def _broken(law: Callable[[Stage, Sequence[Facts], int], None], stage: Stage, facts: Sequence[Facts], bits: int) -> str:
    try:
        law(stage, facts, bits)
    except Exception as error:
        return _text(error)
    return ""


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def walk(scenario: Scenario, bounds: Bounds, path: Path) -> World:
    """The state at the end of a path."""
    world = World(scenario, bounds)
    for place in path:
        world.apply(world.actions()[place])
    return world


def check_path(scenario: Scenario, bounds: Bounds, path: Path) -> None:
    """Walk a path that a search has found; raise Broken, or what a stack raises, where a law does not hold."""
    world = World(scenario, bounds)
    world.check()
    for place in path:
        actions = world.actions()
        if place >= len(actions):
            raise ValueError("the path leads elsewhere by now: what can happen on it is something else")
        world.apply(actions[place])
        world.check()
