"""The suite: scenarios from which every order is tried, and how much may go wrong in each.

What a host does at once and what waits for a choice is told in `host`. Every stream is of a byte or two: what is in a
segment makes no difference to the order in which things happen. `small` is what the tests go through, `large` what
`synfin explore --all` does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from synfin.explore.world import Bounds
from synfin.scenario.model import Forgery, Host, Scenario, Settings, Step

_NONE: Final = Bounds(0, 0, 0)
_ONE: Final = Bounds(1, 0, 0)
_ONE_EACH: Final = Bounds(1, 1, 1)
_SECOND: Final = 1_000_000

# Retries are few, so that who talks to nobody ends soon; a search tells no pace, so nothing is paced.
PLAIN: Final = Settings(
    pacing=False, timestamps=False, sack=False, syn_retries=3, synack_retries=3, retries=3, congestion_control="newreno"
)
MODERN: Final = replace(PLAIN, timestamps=True, sack=True, congestion_control="cubic")

_OPEN: Final = {"do": "open", "to": "B", "from_port": 1000}
_BYTE: Final = {"do": "write", "bytes": 1}


def _any_time(do: str | dict[str, Any]) -> dict[str, Any]:
    """A step that begins when the search says so."""
    return {**({"do": do} if isinstance(do, str) else do), "after_us": 1}


@dataclass(frozen=True)
class Start:
    """A scenario with its bounds."""

    scenario: Scenario
    small: Bounds
    large: Bounds = _ONE_EACH


def steps(host: str, *what: dict[str, Any] | str, program: int = 0) -> tuple[Step, ...]:
    """A host's program: words, or words with what more there is to say."""
    plain = [{"do": each} if isinstance(each, str) else each for each in what]
    return tuple(Step(host=host, program=program, **each) for each in plain)


def _between(
    title: str, *programs: tuple[Step, ...], a: Settings = PLAIN, b: Settings = PLAIN, forged: tuple[Forgery, ...] = ()
) -> Scenario:
    return Scenario(
        title=title,
        hosts=(Host(name="A", settings=a), Host(name="B", settings=b)),
        steps=tuple(step for program in programs for step in program),
        forged=forged,
    )


_CLIENT: Final = steps("A", _OPEN, _BYTE, _any_time("close"))
_SERVER: Final = steps("B", "listen", "accept", "read", _any_time("close"))
_ASK: Final = steps("A", _OPEN, _BYTE, "shutdown", "read", "close")
_ANSWER: Final = steps("B", "listen", "accept", "read", _BYTE, "close")


def _attacked(title: str, flags: str, **more: Any) -> Scenario:
    """A byte one way, and what a forger sends to the reader in the writer's name at any time."""
    return _between(title, _CLIENT, _SERVER, forged=(Forgery(at_us=0, to="B", as_host="A", flags=flags, **more),))


STARTS: Final[dict[str, Start]] = {
    "open": Start(_between("Active open, a byte, close", _CLIENT, _SERVER), _ONE, Bounds(3, 2, 1)),
    "modern": Start(
        _between("The same with SACK and timestamps", _CLIENT, _SERVER, a=MODERN, b=MODERN), _ONE, Bounds(3, 2, 1)
    ),
    "in-turn": Start(_between("A byte each way, closed one after the other", _ASK, _ANSWER), _ONE, Bounds(3, 2, 1)),
    "at-once": Start(
        _between(
            "A byte each way, and both close when they like",
            steps("A", _OPEN, _BYTE, _any_time("shutdown"), "read", "close"),
            steps("B", "listen", "accept", _BYTE, _any_time("shutdown"), "read", "close"),
        ),
        _NONE,
        Bounds(3, 2, 1),
    ),
    "simultaneous": Start(
        _between(
            "Simultaneous open, a byte one way, both close",
            steps("A", _any_time({"do": "open", "to": "B", "from_port": 1000}), _BYTE, "shutdown", "read", "close"),
            steps("B", {"do": "open", "to": "A", "port": 1000, "from_port": 80}, "shutdown", "read", "close"),
        ),
        _ONE,
    ),
    "cookie": Start(_between("By cookie", _ASK, _ANSWER, a=MODERN, b=replace(MODERN, syn_cookies="always")), _ONE),
}
