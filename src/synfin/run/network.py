"""The network of a run, as rules and settings see it: the simulation's names, on a real clock.

Its hosts are "inside", and outside whatever a target names (run.targets); "*" is all of it. What a link is set to holds
for all that it is about together, as one cable would: rate and queue are shared. What one target's link says, the
others' don't know; the first target that fits decides.
What chance does depends on the seed and on how many packets went before; which these are is up to a real clock, and so
not the same from run to run.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final

from synfin.run.targets import EVERYTHING, Target, parse_target
from synfin.sim.link import Direction, LinkSettings
from synfin.sim.rules import Faults, PacketName, Rule, Rulebook, SimPacket, Verdict
from synfin.sim.units import microseconds

INSIDE: Final = "inside"
_KNOWN: Final = 4096  # places whose link is remembered


class Lane:
    """What leads to a target, and back."""

    def __init__(self, name: str, target: Target, up: LinkSettings, down: LinkSettings, seed: int) -> None:
        self.name = name
        self.target = target
        self.up = Direction(up, f"{seed} {INSIDE}>{name}")
        self.down = Direction(down, f"{seed} {name}>{INSIDE}")


class RunNetwork:
    """names: addresses by name. seed: of all chance. delay is 0 where nothing else is said."""

    def __init__(self, names: Mapping[str, str], seed: int = 0) -> None:
        self.names = dict(names)
        self.seed = seed
        self.rules = Rulebook(self._on_failure)
        self.on_change: Callable[[str], None] | None = None  # told in words of what was done to the network
        nothing = LinkSettings(delay=0)
        self._all = Lane("*", EVERYTHING, nothing, nothing, seed)
        self._lanes: list[Lane] = []
        self._found: dict[tuple[bytes, int], Lane] = {}
        self._called = {ip_address(address).packed: name for name, address in names.items()}

    # ---- what people say ----

    def link(self, a: str, b: str, **settings: Any) -> None:
        """Set both directions; see LinkSettings.changed. One of the two is "inside"; what is not named stays."""
        self.one_way(a, b, **settings)
        self.one_way(b, a, **settings)

    def one_way(self, sender: str, receiver: str, **settings: Any) -> None:
        """Set one direction."""
        direction = self.direction(sender, receiver)
        direction.set(direction.settings.changed(**settings))
        if settings:
            words = " ".join(f"{name}={value}" for name, value in settings.items())
            self._tell(f"{sender} > {receiver}: {words}")

    def direction(self, sender: str, receiver: str) -> Direction:
        """What carries packets one way, with its counters. Raises ValueError for what is no place."""
        if (sender == INSIDE) == (receiver == INSIDE):
            raise ValueError(
                f'a link of a run has one end "{INSIDE}", and the other outside: not {sender} and {receiver}'
            )
        if sender == INSIDE:
            return self._lane(receiver).up
        return self._lane(sender).down

    def rule(self, decide: Callable[[SimPacket], Verdict] | Faults) -> Rule:
        """Ask `decide` of every packet from now on, as in the simulation: PASS, DROP, Delay(...), ..."""
        return self.rules.add(decide)

    def partition(self, a: str = INSIDE, b: str = "*") -> None:
        """No packet passes, either way, until heal()."""
        self.direction(a, b).part(True)
        self.direction(b, a).part(True)
        self._tell(f"partition of {a} from {b}")

    def heal(self) -> None:
        """End all partitions."""
        for lane in self.lanes():
            lane.up.part(False)
            lane.down.part(False)
        self._tell("all partitions heal")

    async def after(self, time: str | float) -> None:
        """Let this much time pass: "3s", or seconds."""
        await asyncio.sleep(microseconds(time) / 1_000_000)

    def lanes(self) -> list[Lane]:
        """All of them, the one for everything else last."""
        return [*self._lanes, self._all]

    # ---- what the link asks ----

    def lane(self, address: bytes, port: int) -> Lane:
        """What leads to a place."""
        found = self._found.get((address, port))
        if found is None:
            text = str(ip_address(address))
            found = next((lane for lane in self._lanes if lane.target.has(text, port)), self._all)
            if len(self._found) >= _KNOWN:
                self._found.clear()
            self._found[address, port] = found
        return found

    def name_of(self, address: bytes) -> str:
        """As --name calls it; else the address."""
        return self._called.get(address) or str(ip_address(address))

    # ---- inside ----

    def _lane(self, name: str) -> Lane:
        if name == "*":
            return self._all
        for lane in self._lanes:
            if lane.name == name:
                return lane
        target = parse_target(name, self.names)
        lane = Lane(name, target, self._all.up.settings, self._all.down.settings, self.seed)
        self._lanes.append(lane)
        self._found.clear()
        return lane

    def _tell(self, words: str) -> None:
        if self.on_change is not None:
            self.on_change(words)

    def _on_failure(self, error: Exception) -> None:
        """Of a rule: its packet is dropped, and it is the user's to see."""
        print(f"synfin run: a rule failed, and its packet is lost: {error!r}", file=sys.stderr)


__all__ = ["INSIDE", "Lane", "PacketName", "RunNetwork"]
