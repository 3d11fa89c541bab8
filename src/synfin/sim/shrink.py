"""From many faults to the few that matter: Zeller's delta debugging (ddmin), and the rules that do the same again."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar

from synfin.sim.order import Swap
from synfin.sim.rules import CORRUPT, DROP, DUPLICATE, MARK, Delay, PacketName, Verdict

T = TypeVar("T")
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


def as_code(faults: Mapping[PacketName, Verdict], swaps: Collection[Swap] = ()) -> str:
    """Python that makes just these faults and swaps, for the beginning of a test of `network`."""
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
    return "\n".join(lines)


def _verdict(verdict: Verdict) -> str:
    if isinstance(verdict, Delay):
        return f"Delay({json.dumps(verdict.by)}{'' if verdict.overtake else ', overtake=False'})"
    return _NAMES[verdict]
