"""What is added to links for a while: so much more loss, delay and the like than they were given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Final

from synfin.sim.link import Direction, LinkSettings
from synfin.sim.plan import Knob

BURST_LEAVE: Final = 0.2  # five packets on average
QUEUE: Final = 64_000  # bytes before a drawn bandwidth, where the link has none
_Ends = tuple[str, str]


class Weather:
    """directions: those that there are, by sender and receiver; whoever makes another calls `join`.

    chance: decides which directions a knob is about: all, or about half of them. spared: tells whether a kind of fault
    leaves a host alone.
    """

    def __init__(self, directions: Mapping[_Ends, Direction], chance: str, spared: Callable[[str, str], bool]) -> None:
        self._directions = directions
        self._chance = chance
        self._spared = spared
        self._knobs: list[Knob] = []  # in force

    def begin(self, knob: Knob) -> None:
        """It is so from now on."""
        self._knobs.append(knob)
        self.renew()

    def end(self, knob: Knob) -> None:
        """No more."""
        if knob in self._knobs:
            self._knobs.remove(knob)
            self.renew()

    def clear(self) -> None:
        """Links are as they were given."""
        self._knobs.clear()
        self.renew()

    def forget(self) -> None:
        """Whoever spares hosts is asked no more."""
        self._spared = _spares_nobody

    def renew(self) -> None:
        """Tell all directions."""
        for ends, direction in self._directions.items():
            self.join(ends, direction)

    def join(self, ends: _Ends, direction: Direction) -> None:
        """Tell one what is added to it."""
        mine = [knob for knob in self._knobs if self._concerns(knob.kind, ends)]

        def added(settings: LinkSettings) -> LinkSettings:
            for knob in mine:
                settings = worse(settings, knob.kind, knob.strength)
            return settings

        direction.overlay(added if mine else None)

    def _concerns(self, kind: str, ends: _Ends) -> bool:
        if any(self._spared(host, kind) for host in ends):
            return False
        if Random(f"{self._chance} {kind}").random() < 0.5:
            return True
        return Random(f"{self._chance} {kind} {'>'.join(ends)}").random() < 0.5


def _spares_nobody(host: str, kind: str) -> bool:
    return False


def worse(settings: LinkSettings, kind: str, strength: float) -> LinkSettings:
    """The settings of a link with a fault of that kind and strength added."""
    if kind in ("loss", "duplicate", "corrupt"):
        mine: float = getattr(settings, kind)
        return settings.changed(**{kind: 1 - (1 - mine) * (1 - strength)})
    if kind == "burst":
        return settings if settings.burst_enter else replace(settings, burst_enter=strength, burst_leave=BURST_LEAVE)
    if kind == "jitter":
        return replace(settings, jitter=settings.jitter + round(strength))
    if kind == "reorder":
        return replace(settings, jitter=settings.jitter + round(strength), reorder=True)
    if kind == "delay":
        return replace(settings, delay=settings.delay + round(strength))
    assert kind == "bandwidth", kind
    bandwidth = min(settings.bandwidth or round(strength), round(strength))
    return replace(settings, bandwidth=bandwidth, queue=settings.queue or QUEUE)
