"""What a run's network was set to and did, kept for a simulation (`sim.recording`).

Of a run without faults it is how far away its places were.

So much is kept: of what comes after that, how much it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from synfin.run.bad_link import BadLink
from synfin.run.network import RunNetwork
from synfin.sim.link import Direction, LinkSettings
from synfin.sim.recording import EVERYTHING, MOST_CHANGES, MOST_PACKETS, MOST_PLACES, Recording, Way
from synfin.sim.rules import PASS

_NOTHING: Final = LinkSettings(delay=0)


class Recorder:
    """elapsed: microseconds since the run began. most: packets that are kept of what became of them."""

    def __init__(self, network: RunNetwork, elapsed: Callable[[], int], most: int = MOST_PACKETS) -> None:
        self._network = network
        self._elapsed = elapsed
        self._most = most
        self._ways: dict[Direction, Way] = {}
        self._states: dict[Direction, tuple[LinkSettings, bool]] = {}  # as it was when last seen
        self._packets = 0
        self._changes = 0
        self._left_out = 0
        self.look()

    def look(self) -> None:
        """Keep what has changed."""
        for lane in self._network.lanes()[-MOST_PLACES:]:
            self._seen(lane.up)
            self._seen(lane.down)

    def packet(self, direction: Direction, fate: str, extra: int, overtake: bool) -> None:
        """Keep what became of the next packet of a direction."""
        way = self._seen(direction)
        overtake = overtake and not direction.settings.reorder
        unhurt = fate == PASS and not extra and not overtake
        if way.left_out or (self._packets >= self._most and not unhurt):
            way.left_out += 1
            return
        if not unhurt:
            self._packets += 1
            way.packets.append((way.known, fate, extra, overtake))
        way.known += 1

    def recording(self) -> Recording:
        """All of it, so far."""
        self.look()
        lanes = self._network.lanes()
        places = {lane.name: (self._ways[lane.up], self._ways[lane.down]) for lane in lanes[-MOST_PLACES:]}
        return Recording(self._network.seed, places, self._left_out + max(len(lanes) - MOST_PLACES, 0))

    def _seen(self, direction: Direction) -> Way:
        """Its way, with what it is set to now; a partition is a link that is not up."""
        way = self._ways.get(direction)
        state = direction.settings, direction.open
        if way is not None and self._states[direction] == state:
            return way
        self._states[direction] = state
        now = replace(direction.settings, up=direction.open)
        if way is None:
            way = self._ways[direction] = Way([(0, now)])
        elif way.settings[-1][1] != now:
            if self._changes + 2 * MOST_PLACES >= MOST_CHANGES:
                self._left_out += 1
            else:
                self._changes += 1
                way.settings.append((self._elapsed(), now))
        return way


def follow(link: BadLink) -> Recorder:
    """Keep what happens on a link from now on."""
    recorder = Recorder(link.network, link.elapsed)
    link.traffic.on_fate = recorder.packet
    link.network.on_change = lambda words: recorder.look()
    return recorder


class Distances:
    """How long connections took to be made, by place, where the network itself does nothing."""

    def __init__(self) -> None:
        self._least: dict[str, int] = {}
        self._left_out = 0

    def add(self, place: str, took: int) -> None:
        """A connection was made in so many microseconds."""
        if place not in self._least and len(self._least) >= MOST_PLACES - 1:
            self._left_out += 1
            return
        self._least[place] = min(took, self._least.get(place, took))

    def recording(self) -> Recording:
        """Each place is as far away, there and back, as the shortest of its connections took to be made."""
        places = {EVERYTHING: (Way([(0, _NOTHING)]), Way([(0, _NOTHING)]))}
        for place, took in self._least.items():
            places[place] = _apart(took // 2), _apart(took - took // 2)
        return Recording(0, places, self._left_out)


def _apart(delay: int) -> Way:
    return Way([(0, LinkSettings(delay=delay))])
