"""What a run has reached, as numbers: two runs that did the same have the same, and what no run had before is new.

synfin's own: states of both ends of a connection at once, transitions with their reasons, counters by their order of
magnitude, points of the program. Kept anyway; they cost nothing but the look afterwards. On request also places where
tasks wait; and, from Python 3.12 on, lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import synfin.sim.lines as lines_run
from synfin.sim.host import SimHost
from synfin.sim.loop import VirtualLoop
from synfin.sim.places import Places, number
from synfin.tcp.states import NAMES
from synfin.tcp.trace import Event, TransitionEvent
from synfin.wire.key import reverse_key


class Novelty:
    """all: places and lines as well."""

    def __init__(self, loop: VirtualLoop, all: bool) -> None:
        self._lines: set[int] = set()
        self._places: Places | None = None
        if all:
            lines_run.begin()
            self._places = Places()
            loop.watch_steps(self._places.on_step)

    def features(self, events: Iterable[Event], points: Mapping[str, int], hosts: Iterable[SimHost]) -> frozenset[int]:
        """What was reached so far."""
        found = _of_events(events) | _of_counts("point", points)
        for host in hosts:
            found |= _of_counts("counter", host.host.stack.counters.as_dict())
        if self._places is not None:
            self._lines |= lines_run.take()
            found |= self._places.found | self._lines
        return frozenset(found)


def _of_events(events: Iterable[Event]) -> set[int]:
    """Transitions with their reasons, and the states of both ends at once."""
    found: set[str] = set()
    states: dict[bytes, dict[bytes, str]] = {}  # of both ends, by the connection's lesser key
    for event in events:
        if not isinstance(event, TransitionEvent):
            continue
        after = NAMES[event.after]
        found.add(f"{NAMES[event.before]} -> {after}: {event.reason}")
        ends = states.setdefault(min(event.key, reverse_key(event.key)), {})
        ends[event.key] = after
        found.add(f"ends: {' '.join(sorted(ends.values()))}")
    return {number(text) for text in found}


def _of_counts(what: str, counts: Mapping[str, int]) -> set[int]:
    """Which are not zero, and their order of magnitude."""
    return {number(f"{what} {name} {count.bit_length()}") for name, count in counts.items() if count}
