"""Faults that chance brings by themselves: those of a plan, and those of schedules, at random times.

Each kind has a generator of its own, so that one kind less changes nothing of the others' times. Hosts may be spared.
A host crashes only if it lives again afterwards as it was: it runs programs that were given as functions, and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextvars import Context
from random import Random
from typing import Final

from synfin.sim.episodes import ONE_WAY, Episodes, Who
from synfin.sim.host import SimHost
from synfin.sim.kinds import EPISODE_KINDS, KINDS, OF_EPISODES, PER_PACKET, SHUFFLE, known_kinds
from synfin.sim.loop import VirtualLoop
from synfin.sim.plan import Knob, Plan
from synfin.sim.traffic import Traffic
from synfin.sim.turns import START
from synfin.sim.units import microseconds
from synfin.sim.weather import Weather

SLOW_SHARE: Final = 0.1  # of the time, where a schedule names none
_ONE_WAY_PARTITIONS: Final = 0.3
_BY_DEFAULT: Final = frozenset(kind.name for kind in EPISODE_KINDS)


class Chaos:
    """hosts: of the network, by name; chance: a text that stands for its seed; note: told what happens to links."""

    def __init__(
        self,
        loop: VirtualLoop,
        hosts: Mapping[str, SimHost],
        traffic: Traffic,
        chance: str,
        note: Callable[[str], None],
    ) -> None:
        self.told: list[str] = []
        """What is to happen at random, in words."""
        self.calm = False
        self._loop = loop
        self._hosts = hosts
        self._chance = chance
        self._spared: dict[str, frozenset[str]] = {}
        self._schedules: dict[str, int] = {}  # how many of each kind
        self._weather = Weather(traffic.directions, chance, self.spares)
        traffic.on_direction = self._weather.join
        self._episodes = Episodes(loop, hosts, traffic.direction, self._weather, note)
        self.episodes = self._episodes.done
        """What has happened so far, as `inflict` takes it."""
        self.inflict = self._episodes.expect

    def spares(self, host: str, kind: str) -> bool:
        """That kind of fault leaves the host alone."""
        return kind in self._spared.get(host, ())

    def spare(self, host: str, kinds: Collection[str]) -> None:
        """These kinds leave it alone from now on; none named: all that come as episodes."""
        wanted = known_kinds(kinds) or _BY_DEFAULT
        self._spared[host] = self._spared.get(host, frozenset()) | wanted
        self._weather.renew()

    def follow(self, plan: Plan, until: int) -> None:
        """Do what a plan says."""
        for knob in plan:
            self.told.append(knob.sentence(until))
            if knob.kind in OF_EPISODES:
                self._begin_schedule(knob)
            elif knob.kind != SHUFFLE.name:
                self._loop.call_at(START + knob.begins / 1_000_000, self._change_links, knob, context=Context())

    def schedule(
        self, every: Mapping[str, str | float], lasting: str | float, until: str | float, share: float
    ) -> None:
        """Episodes of these kinds at random times, so much time apart on average."""
        known_kinds(every)
        lasts = microseconds(lasting, "lasting")
        ends = microseconds(until, "until")
        begins = self._loop.turns.now_us
        for kind, apart in every.items():
            if kind not in OF_EPISODES:
                raise ValueError(f"a schedule brings {', '.join(sorted(OF_EPISODES))}, not {kind}")
            knob = Knob(kind, share if KINDS[kind].unit else 0.0, begins, ends, microseconds(apart, kind), lasts)
            if not knob.every:
                raise ValueError(f"{kind} can't happen every {apart!r}")
            self.told.append(knob.sentence(ends))
            if not self.calm:
                self._begin_schedule(knob)

    def end(self) -> None:
        """All is over, and is undone; nothing begins any more."""
        self.calm = True
        self._weather.clear()
        self._episodes.end_all()

    def forget(self) -> None:
        """The simulation is over: nothing begins any more, and nothing is undone."""
        self.calm = True
        self._episodes.forget()
        self._weather.forget()

    # ---- times ----

    def _change_links(self, knob: Knob) -> None:
        if self.calm:
            return
        if knob.kind not in PER_PACKET:
            self._episodes.begin(knob.kind, knob.ends - knob.begins, (), knob.strength)
            return
        self._weather.begin(knob)
        self._loop.call_at(START + knob.ends / 1_000_000, self._weather.end, knob, context=Context())

    def _begin_schedule(self, knob: Knob) -> None:
        number = self._schedules[knob.kind] = self._schedules.get(knob.kind, 0) + 1
        random = Random(f"{self._chance} {knob.kind} {number}")
        self._plan_next(knob, random, knob.begins)

    def _plan_next(self, knob: Knob, random: Random, now: int) -> None:
        at = now + round(random.expovariate(1 / knob.every))
        if at < knob.ends:
            self._loop.call_at(START + at / 1_000_000, self._happen, knob, random, at, context=Context())

    def _happen(self, knob: Knob, random: Random, at: int) -> None:
        if self.calm:
            return
        lasts = min(round(random.expovariate(1 / max(knob.lasts, 1))), knob.ends - at)
        chosen = self._choose(knob.kind, random)
        if chosen is not None:
            self._episodes.begin(chosen[0], lasts, chosen[1], knob.strength)
        self._plan_next(knob, random, at)

    def _choose(self, kind: str, random: Random) -> tuple[str, Who] | None:
        """Whom it is about; None: nobody."""
        names = [name for name, host in self._hosts.items() if not self.spares(name, kind) and _is_fit(host, kind)]
        if kind != "partition":
            return (kind, ((random.choice(names),),)) if names else None
        if len(names) < 2:
            return None
        random.shuffle(names)
        size = random.randrange(1, len(names))
        one_way = random.random() < _ONE_WAY_PARTITIONS
        return ONE_WAY if one_way else kind, (tuple(sorted(names[:size])), tuple(sorted(names[size:])))


def _is_fit(host: SimHost, kind: str) -> bool:
    if kind == "partition":
        return True
    if not host.is_up():
        return False
    return host.lives_again() if kind == "crash" else not host.life.paused and not host.life.throttled
