"""The suite: scenarios from which every order is tried, and how much may go wrong in each.

What a host does at once and what waits for a choice is told in `host`. Every stream is of a byte or two: what is in a
segment makes no difference to the order in which things happen. `small` is what the tests go through, `large` what
`synfin explore --all` does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from synfin.explore.world import Bounds
from synfin.scenario.model import ZERO, Forgery, Host, Scenario, Settings, Step

_NONE: Final = Bounds(0, 0, 0)
_ONE: Final = Bounds(1, 0, 0)
_ONE_TWICE: Final = Bounds(1, 1, 0)
_ONE_EACH: Final = Bounds(1, 1, 1)
_TWO_TWICE: Final = Bounds(2, 1, 0)
_TWO: Final = Bounds(2, 1, 1)
_MANY: Final = Bounds(3, 2, 1)

# Retries are few, so that who talks to nobody ends soon; a search tells no pace, so nothing is paced.
PLAIN: Final = Settings(
    pacing=False,
    timestamps=False,
    sack=False,
    syn_retries=4,
    synack_retries=4,
    retries=4,
    congestion_control="newreno",
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
    small: Bounds = _ONE_TWICE
    large: Bounds = _TWO


def steps(host: str, *what: dict[str, Any] | str, program: int = 0) -> tuple[Step, ...]:
    """A host's program: words, or words with what more there is to say."""
    plain = [{"do": each} if isinstance(each, str) else each for each in what]
    return tuple(Step(host=host, program=program, **each) for each in plain)


def _between(
    title: str,
    *programs: tuple[Step, ...],
    a: Settings = PLAIN,
    b: Settings = PLAIN,
    forged: tuple[Forgery, ...] = (),
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


_BOTH: Final = (
    steps("A", _OPEN, _BYTE, _any_time("shutdown"), "read", "close"),
    steps("B", "listen", "accept", _BYTE, _any_time("shutdown"), "read", "close"),
)
_KILOBYTE: Final = {"do": "write", "bytes": 1000}


def _attacked(title: str, flags: str, **more: Any) -> Scenario:
    """A byte one way, and what a forger sends to the reader in the writer's name at any time."""
    return _between(
        title,
        _CLIENT,
        _SERVER,
        forged=(Forgery(at_us=0, to="B", as_host="A", flags=flags, **more),),
    )


def _two_segments(title: str, settings: Settings) -> Scenario:
    return _between(
        title,
        steps("A", _OPEN, _KILOBYTE, "close"),
        _SERVER,
        a=replace(settings, mtu=576, nodelay=True),
        b=replace(settings, mtu=576),
    )


STARTS: Final[dict[str, Start]] = {
    # how it begins
    "open": Start(_between("Active open, a byte, close", _CLIENT, _SERVER), _ONE),
    "modern": Start(
        _between("The same with SACK and timestamps", _CLIENT, _SERVER, a=MODERN, b=MODERN), _ONE_TWICE, _ONE_EACH
    ),
    "one-sided": Start(_between("The same, with SACK and timestamps at one end", _CLIENT, _SERVER, a=MODERN)),
    "simultaneous": Start(
        _between(
            "Simultaneous open, a byte one way, both close",
            steps("A", _any_time(_OPEN), _BYTE, "shutdown", "read", "close"),
            steps(
                "B",
                {"do": "open", "to": "A", "port": 1000, "from_port": 80},
                "shutdown",
                "read",
                "close",
            ),
        )
    ),
    "cookie": Start(
        _between(
            "Open by cookie",
            _ASK,
            _ANSWER,
            a=MODERN,
            b=replace(MODERN, syn_cookies="always"),
        ),
        _TWO,
        _MANY,
    ),
    "cookie-plain": Start(
        _between(
            "Open by cookie, without timestamps",
            _ASK,
            _ANSWER,
            b=replace(PLAIN, syn_cookies="always"),
        ),
        _TWO,
        _MANY,
    ),
    "full-queue": Start(
        _between(
            "Two opens at a SYN queue of one: the other by cookie",
            steps("A", _OPEN, "close"),
            steps("A", {**_OPEN, "from_port": 1001}, "close", program=1),
            steps("B", "listen", "accept", "read", "close", "accept", "read", "close"),
            b=replace(PLAIN, syn_queue_limit=1),
        ),
        _ONE_TWICE,
        _TWO_TWICE,
    ),
    "full-backlog": Start(
        _between(
            "Two opens at an accept queue of one, which is asked late",
            steps("A", _OPEN, "close"),
            steps("A", {**_OPEN, "from_port": 1001}, "close", program=1),
            steps(
                "B",
                {"do": "listen", "backlog": 1},
                _any_time("accept"),
                "read",
                "close",
                "accept",
                "read",
                "close",
            ),
            a=replace(PLAIN, syn_retries=1),
            b=replace(PLAIN, synack_retries=1),
        ),
        _ONE,
        _TWO_TWICE,
    ),
    "nobody": Start(_between("Nobody listens", steps("A", _OPEN)), _TWO, _MANY),
    # how it ends
    "in-turn": Start(_between("A byte each way, closed one after the other", _ASK, _ANSWER), _TWO, _MANY),
    "at-once": Start(_between("A byte each way, and both close when they like", *_BOTH), _ONE, _TWO_TWICE),
    "abort": Start(_between("The writer aborts", steps("A", _OPEN, _BYTE, _any_time("abort")), _SERVER), _ONE_EACH),
    "abort-back": Start(
        _between(
            "The reader aborts",
            steps("A", _OPEN, _BYTE, "shutdown", "read", "close"),
            steps("B", "listen", "accept", _any_time("abort")),
        ),
        _TWO,
    ),
    "unread": Start(
        _between(
            "Closed with input unread",
            steps("A", _OPEN, _BYTE, "read", "close"),
            steps("B", "listen", "accept", _any_time("close")),
        ),
        _ONE_EACH,
    ),
    "server-crash": Start(
        _between(
            "The server crashes and comes back",
            steps("A", _OPEN, _BYTE, _any_time(_BYTE), "shutdown", "read", "close"),
            steps("B", "listen", "accept", "read", "crash", "restart", "listen"),
        ),
        _ONE_TWICE,
        _ONE_EACH,
    ),
    "client-crash": Start(
        _between(
            "The client crashes, comes back and opens the same again",
            steps("A", _OPEN, _BYTE, "crash", "restart", _OPEN, _BYTE, "close"),
            steps("B", "listen", "accept", "read", "close", "accept", "read", "close"),
        ),
        _ONE_TWICE,
        _TWO_TWICE,
    ),
    "time-wait": Start(
        _between(
            "The same ports again, which the server has in TIME-WAIT",
            steps("A", _OPEN, "read", "close", _any_time(_OPEN), _BYTE, "close"),
            steps("B", "listen", "accept", "close", "accept", "read", "close"),
        )
    ),
    "time-wait-modern": Start(
        _between(
            "The same with timestamps",
            steps("A", _OPEN, "read", "close", _any_time(_OPEN), _BYTE, "close"),
            steps("B", "listen", "accept", "close", "accept", "read", "close"),
            a=MODERN,
            b=MODERN,
        )
    ),
    # what is in the way
    "losses": Start(_two_segments("Two segments, neither SACK nor timestamps", PLAIN)),
    "losses-modern": Start(_two_segments("Two segments, SACK and timestamps", MODERN)),
    "losses-sack": Start(_two_segments("Two segments, SACK without timestamps", replace(MODERN, timestamps=False))),
    "losses-stamps": Start(_two_segments("Two segments, timestamps without SACK", replace(MODERN, sack=False))),
    "window": Start(
        _between(
            "A window that closes, and opens again",
            steps("A", _OPEN, {"do": "write", "bytes": 2500}, "shutdown", "read", "close"),
            steps("B", "listen", "accept", _any_time("read"), "close"),
            a=replace(PLAIN, mtu=1500, nodelay=True),
            b=replace(PLAIN, receive_buffer=2048),
        ),
        _NONE,
        _NONE,
    ),
    # what is forged
    "old-syn": Start(
        _attacked(
            "An old duplicate SYN",
            "SYN",
            from_port=1000,
            to_port=80,
            seq_from=ZERO,
            seq=5000,
        ),
        _ONE,
        _TWO_TWICE,
    ),
    "rst-exact": Start(_attacked("A forged RST with the number that is expected", "RST"), _ONE, _TWO_TWICE),
    "rst-inside": Start(_attacked("A forged RST in the window", "RST", seq=1000), _ONE_TWICE, _TWO_TWICE),
    "rst-outside": Start(_attacked("A forged RST outside the window", "RST", seq=1 << 24), _ONE, _TWO_TWICE),
    "syn-inside": Start(_attacked("A forged SYN in the window", "SYN", seq=1000), _ONE, _TWO_TWICE),
    "syn-outside": Start(_attacked("A forged SYN outside the window", "SYN", seq=1 << 24), _ONE, _TWO_TWICE),
    "text-inside": Start(_attacked("Forged text with the number that is expected", "ACK", length=1), _ONE, _TWO_TWICE),
    "text-outside": Start(_attacked("Forged text outside the window", "ACK", length=1, seq=1 << 24), _ONE, _TWO_TWICE),
    "ack-too-new": Start(_attacked("A forged ACK of what was never sent", "ACK", ack=1000), _ONE, _TWO_TWICE),
}
