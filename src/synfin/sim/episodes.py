"""Faults that last for a while, done to hosts and to what joins them, and undone again.

An episode is plain data, so that a failure can be made again by the few of them that matter. What it finds undoable (a
host that is down already, or is not there) it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any, Final

from synfin.sim.host import SimHost
from synfin.sim.kinds import KINDS, LINK_KINDS, OF_EPISODES
from synfin.sim.link import Direction
from synfin.sim.loop import VirtualLoop
from synfin.sim.plan import Knob
from synfin.sim.turns import START
from synfin.sim.units import share_text, time_text
from synfin.sim.weather import Weather

Who = tuple[tuple[str, ...], ...]
Episode = tuple[str, int, int, Who, float]
"""Kind, when it begins, how long it lasts (microseconds), groups of hosts, strength."""

ONE_WAY: Final = "partition_one_way"
_OF_LINKS: Final = frozenset(kind.name for kind in LINK_KINDS)


def episode_of(value: Any) -> Episode:
    """Checked, from what JSON made of it. Raises ValueError."""
    try:
        kind, at, lasts, who, strength = value
        episode = str(kind), int(at), int(lasts), tuple(tuple(map(str, group)) for group in who), float(strength)
    except (TypeError, ValueError):
        raise ValueError(f"an episode is (kind, at, lasts, groups of hosts, strength), not {value!r}") from None
    groups = {"partition": 2, ONE_WAY: 2}.get(episode[0], 0 if episode[0] in _OF_LINKS else 1)
    if episode[0] not in {*OF_EPISODES, *_OF_LINKS, ONE_WAY} or len(episode[3]) != groups:
        raise ValueError(f"{value!r} is no episode: it has the kind {kind!r} and {len(episode[3])} groups of hosts")
    return episode


def in_words(episode: Episode) -> str:
    """As a sentence."""
    kind, at, lasts, who, strength = episode
    groups = [", ".join(group) for group in who]
    when = f"at {time_text(at)} for {time_text(lasts)}"
    if kind in ("partition", ONE_WAY):
        return f"{groups[0]} {'and' if kind == 'partition' else 'to'} {groups[1]}: nothing passes, {when}"
    if kind in _OF_LINKS:
        return f"links: {KINDS[kind].sentence(strength)}, {when}"
    done = {"crash": "crashes", "pause": "pauses", "slow": f"runs for {share_text(strength)} of the time"}[kind]
    return f"{groups[0]} {done}, {when}"


class Episodes:
    """done: all that were begun. hosts, direction: of the network; note: told what happens to links."""

    def __init__(
        self,
        loop: VirtualLoop,
        hosts: Mapping[str, SimHost],
        direction: Callable[[str, str], Direction],
        weather: Weather,
        note: Callable[[str], None],
    ) -> None:
        self.done: list[Episode] = []
        self._loop = loop
        self._hosts = hosts
        self._direction = direction
        self._weather = weather
        self._note = note
        self._open: dict[int, Callable[[], None]] = {}  # what undoes those that last, by number

    def begin(self, kind: str, lasts: int, who: Who, strength: float) -> None:
        """An episode, from now on."""
        number = len(self.done)
        undo = self._do(kind, who, strength, number, time_text(lasts))
        if undo is None:
            return
        self.done.append((kind, self._loop.turns.now_us, lasts, who, strength))
        self._open[number] = undo
        self._loop.call_later(lasts / 1_000_000, self._end, number, context=Context())

    def expect(self, episode: Episode) -> None:
        """It begins at its time."""
        kind, at, lasts, who, strength = episode
        self._loop.call_at(START + at / 1_000_000, self.begin, kind, lasts, who, strength, context=Context())

    def end_all(self) -> None:
        """They are over."""
        for number in list(self._open):
            self._end(number)

    def forget(self) -> None:
        """The simulation ends: nothing is undone any more, and nobody told."""
        self._open.clear()
        self._note = _unheard

    def _end(self, number: int) -> None:
        undo = self._open.pop(number, None)
        if undo is not None:
            undo()

    def _do(self, kind: str, who: Who, strength: float, number: int, lasts: str) -> Callable[[], None] | None:
        """Begin; what ends it, or None if it can't be."""
        if kind in _OF_LINKS:
            return self._change_links(kind, strength)
        if any(name not in self._hosts for group in who for name in group):
            return None
        if kind in ("partition", ONE_WAY):
            return self._cut(who, kind == "partition", number)
        host = self._hosts[who[0][0]]
        if not host.is_up():
            return None
        if kind == "crash":
            return _crash(host)
        reason = f"episode {number}"
        self._note(f"{host.name} {'pauses' if kind == 'pause' else f'runs for {share_text(strength)} of the time'}")
        life = host.life
        if kind == "pause":
            life.freeze(reason)
        else:
            life.throttle(strength)

        def undo() -> None:
            self._note(f"{host.name} {'resumes' if kind == 'pause' else 'runs at full speed'}")
            if kind == "pause":
                life.thaw(reason)
            else:
                life.throttle(1)

        return undo

    def _change_links(self, kind: str, strength: float) -> Callable[[], None]:
        knob = Knob(kind, strength, self._loop.turns.now_us, 0)
        sentence = KINDS[kind].sentence(strength)
        self._note(f"links: {sentence}")
        self._weather.begin(knob)

        def undo() -> None:
            self._note(f"links: no more {sentence}")
            self._weather.end(knob)

        return undo

    def _cut(self, who: Who, both: bool, number: int) -> Callable[[], None]:
        ways = [(one, other) for one in who[0] for other in who[1]]
        if both:
            ways += [(other, one) for one, other in ways]
        for way in ways:
            self._direction(*way).cut(number)
        sides = [", ".join(group) for group in who]
        what = f"partition of {sides[0]} from {sides[1]}" if both else f"nothing from {sides[0]} reaches {sides[1]}"
        self._note(what)

        def undo() -> None:
            self._note(f"no more {what}" if both else f"{sides[0]} reaches {sides[1]} again")
            for way in ways:
                self._direction(*way).mend(number)

        return undo


def _unheard(what: str) -> None:
    """What happens once all is over."""


def _crash(host: SimHost) -> Callable[[], None]:
    host.crash()
    life = host.life

    def undo() -> None:
        if host.life is life:  # nobody else has restarted it
            host.restart()

    return undo
