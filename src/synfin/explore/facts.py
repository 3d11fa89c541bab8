"""What is told of a host in one state: what may happen next, and what the laws of both ends look at.

It is plain, so that whoever runs a host may be another process than whoever searches.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class End:
    """One end of a connection: its state, and its numbers; irs -1 is unknown. una, limit, rcv_nxt: what is
    acknowledged, what may be, and what has arrived, as offsets; -1: it is a record, which keeps no accounts."""

    state: int
    iss: int
    irs: int
    una: int = -1
    limit: int = -1
    rcv_nxt: int = -1


@dataclass(frozen=True)
class Done:
    """How a step of a program went, so far."""

    result: str
    error: str = ""
    bytes: int = 0
    forged: int = 0


@dataclass(frozen=True)
class Taken:
    """A connection that a program may have: the steps on it; its key and numbers, once it had it (else no key)."""

    steps: tuple[int, ...]
    key: bytes = b""
    iss: int = 0
    irs: int = 0


@dataclass(frozen=True)
class Facts:
    """due: microseconds until its next timer, None without one. choices: (program, step) that may begin; forgeries:
    those that could arrive. ends: by key; left: what would be left in its tables if this were the end, without its
    listeners; half_open: none of its connections asks anything. broken: the law that it breaks by itself."""

    alive: bool
    violent: bool = False
    due: int | None = None
    choices: tuple[tuple[int, int], ...] = ()
    forgeries: tuple[int, ...] = ()
    by_cookie: bool = False
    ends: dict[bytes, End] = field(default_factory=dict)
    done: dict[int, Done] = field(default_factory=dict)
    taken: tuple[Taken, ...] = ()
    left: dict[str, int] = field(default_factory=dict)
    half_open: bool = True
    broken: str = ""


def to_plain(facts: Facts) -> dict[str, Any]:
    """As JSON may have it."""
    plain = asdict(facts)
    plain["ends"] = [(key.hex(), *asdict(end).values()) for key, end in facts.ends.items()]
    plain["done"] = [(number, *asdict(done).values()) for number, done in facts.done.items()]
    plain["taken"] = [(each.steps, each.key.hex(), each.iss, each.irs) for each in facts.taken]
    return plain


def from_plain(plain: dict[str, Any]) -> Facts:
    """What was plain."""
    return Facts(
        **{
            **plain,
            "choices": tuple((program, step) for program, step in plain["choices"]),
            "forgeries": tuple(plain["forgeries"]),
            "ends": {bytes.fromhex(key): End(*rest) for key, *rest in plain["ends"]},
            "done": {number: Done(*rest) for number, *rest in plain["done"]},
            "taken": tuple(Taken(tuple(steps), bytes.fromhex(key), *rest) for steps, key, *rest in plain["taken"]),
        }
    )
