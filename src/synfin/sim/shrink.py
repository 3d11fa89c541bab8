"""From many faults to the few that matter: Zeller's delta debugging (ddmin), and the rules that do the same again."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from synfin.sim.episodes import Episode
from synfin.sim.episodes import in_words as episode_in_words
from synfin.sim.order import Swap
from synfin.sim.rules import CORRUPT, DROP, DUPLICATE, MARK, Delay, PacketName, Verdict

T = TypeVar("T")
Fault = tuple[PacketName, Verdict]
Swapped = tuple[Swap, str]
_NAMES: Final[dict[object, str]] = {DROP: "DROP", DUPLICATE: "DUPLICATE", CORRUPT: "CORRUPT", MARK: "MARK"}
_DONE: Final[dict[object, str]] = {
    DROP: "dropped",
    DUPLICATE: "duplicated",
    CORRUPT: "one bit turned over",
    MARK: "marked",
}


def smallest(items: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> list[T]:
    """A part of `items` that still fails, none of which can be left out alone. `fails(items)` must be true.

    >>> smallest(range(100), lambda part: {3, 77} <= set(part))
    [3, 77]
    """
    left = list(items)
    parts = 2
    while len(left) > 1:
        size = -(-len(left) // parts)
        chunks = [left[at : at + size] for at in range(0, len(left), size)]
        found = next((chunk for chunk in chunks if fails(chunk)), None)
        if found is not None:
            left, parts = found, 2
            continue
        if parts > 2:
            rests = ([*left[: number * size], *left[(number + 1) * size :]] for number in range(len(chunks)))
            found = next((rest for rest in rests if fails(rest)), None)
        if found is not None:
            left, parts = found, parts - 1
        elif parts >= len(left):
            break
        else:
            parts = min(2 * parts, len(left))
    if len(left) == 1 and fails([]):
        return []
    return left


@dataclass(frozen=True)
class Parts:
    """What chance did in a run, or as much of it as is done again."""

    faults: Sequence[Fault] = ()
    swaps: Sequence[Swapped] = ()
    episodes: Sequence[Episode] = ()

    def __len__(self) -> int:
        return len(self.faults) + len(self.swaps) + len(self.episodes)

    def in_words(self) -> list[str]:
        """A sentence for each."""
        return [
            *map(episode_in_words, self.episodes),
            *(in_words(*fault) for fault in self.faults),
            *(swap_in_words(*swapped) for swapped in self.swaps),
        ]

    def as_code(self) -> str:
        """Python that does just these; see as_code."""
        return as_code(dict(self.faults), [swap for swap, _ in self.swaps], self.episodes)


class OutOfRuns(Exception):
    """As many runs as were allowed."""


class Search:
    """From all that chance did to the few that matter. fails: runs with these alone; does it fail the same way?

    best: the fewest so far that do; done: how many runs that took.
    """

    def __init__(self, found: Parts, fails: Callable[[Parts], bool], runs: int) -> None:
        self.best = found
        self.done = 0
        self._fails = fails
        self._runs = runs

    def again(self) -> bool:
        """It fails by what was found alone, and not by what the seed does not decide."""
        return self.fails(self.best)

    def run(self) -> None:
        """Shrink `best`. Raises OutOfRuns."""
        self._shrink_episodes()
        self._shrink_faults()
        if self.best.swaps and not self.fails(replace(self.best, swaps=())):
            smallest(self.best.swaps, lambda part: self.fails(replace(self.best, swaps=part)))
            self._shrink_faults()
            self._shrink_episodes()

    def fails(self, parts: Parts) -> bool:
        """One run."""
        if self.done >= self._runs:
            raise OutOfRuns
        self.done += 1
        failed = self._fails(parts)
        if failed:
            self.best = parts
        return failed

    def _shrink_episodes(self) -> None:
        """They come first: what packets there are depends on them."""
        found = self.best.episodes
        if found and not self.fails(replace(self.best, episodes=())):
            smallest(found, lambda part: self.fails(replace(self.best, episodes=part)))

    def _shrink_faults(self) -> None:
        found = self.best.faults
        if not found or self.fails(replace(self.best, faults=())):
            return
        losses = [fault for fault in found if fault[1] == DROP]
        alone = 0 < len(losses) < len(found) and self.fails(replace(self.best, faults=losses))
        smallest(losses if alone else found, lambda part: self.fails(replace(self.best, faults=part)))


def in_words(name: PacketName, verdict: Verdict) -> str:
    """A fault as a sentence."""
    sender, receiver, connection, flags, seq, length, nth = name
    what = f"{flags or 'no TCP'} seq {seq}, {length} bytes" if flags else "a packet that is no TCP"
    again = f", number {nth + 1} of its kind" if nth else ""
    if isinstance(verdict, Delay):
        done = f"delayed by {verdict.by}"
    else:
        done = _DONE[verdict]
    return f"{sender} -> {receiver}, connection {connection}: {what}{again}: {done}"


def swap_in_words(swap: Swap, places: str) -> str:
    """A swap of two tasks as a sentence. places: where they stood."""
    one, step, other, its = swap
    return f"{one} (step {step}) and {other} (step {its}) exchange places: {places}"


def as_code(
    faults: Mapping[PacketName, Verdict], swaps: Collection[Swap] = (), episodes: Collection[Episode] = ()
) -> str:
    """Python that makes just these faults, swaps and episodes, for the beginning of a test of `network`."""
    verdicts = {name: _verdict(verdict) for name, verdict in faults.items()}
    needed = sorted({code.partition("(")[0] for code in verdicts.values()})
    lines = [f"from synfin.sim import {', '.join(needed)}", ""] if needed else []
    lines.append("network.calm()  # no chance: just what the rules say")
    if verdicts:
        lines.append("network.rule(\n    {")
        lines += [f"        ({', '.join(map(json.dumps, name))}): {code}," for name, code in verdicts.items()]
        lines.append("    }\n)")
    if swaps:
        lines.append("network.swap(\n    [")
        lines += [f"        ({', '.join(map(json.dumps, swap))})," for swap in swaps]
        lines.append("    ]\n)")
    if episodes:
        lines.append("network.inflict(\n    [")
        lines += [f"        {json.dumps(episode)}," for episode in episodes]
        lines.append("    ]\n)")
    return "\n".join(lines)


def _verdict(verdict: Verdict) -> str:
    if isinstance(verdict, Delay):
        return f"Delay({json.dumps(verdict.by)}{'' if verdict.overtake else ', overtake=False'})"
    return _NAMES[verdict]
