"""What chance did, as plain JSON: how it passes between processes, and how a regression file keeps it."""

from __future__ import annotations

from typing import Any

from synfin.campaign.program import Json
from synfin.sim.episodes import episode_of
from synfin.sim.rules import Delay, Verdict
from synfin.sim.shrink import Parts


def plain(parts: Parts) -> Json:
    """As JSON. What a rule alone can do (Change) chance does not."""
    return {
        "faults": [[list(name), _verdict(verdict)] for name, verdict in parts.faults],
        "swaps": [[list(swap), places] for swap, places in parts.swaps],
        "episodes": [
            [kind, at, lasts, [list(group) for group in who], strength]
            for kind, at, lasts, who, strength in parts.episodes
        ],
    }


def parts_of(found: Json) -> Parts:
    """The same back. Raises ValueError, KeyError, TypeError for what is none."""
    faults = [(_name(name), _read(verdict)) for name, verdict in found["faults"]]
    swaps = [
        ((str(one), int(step), str(other), int(its)), str(places)) for (one, step, other, its), places in found["swaps"]
    ]
    return Parts(faults, swaps, [episode_of(episode) for episode in found.get("episodes", ())])


def _name(found: Any) -> tuple[str, str, int, str, int, int, int]:
    sender, receiver, connection, flags, seq, length, nth = found
    return str(sender), str(receiver), int(connection), str(flags), int(seq), int(length), int(nth)


def _verdict(verdict: Verdict) -> object:
    return {"delay": verdict.by, "overtake": verdict.overtake} if isinstance(verdict, Delay) else verdict


def _read(found: Any) -> Verdict:
    return Delay(found["delay"], bool(found["overtake"])) if isinstance(found, dict) else str(found)
