"""What a warm child process runs, what its parent allows it, and what is answered where it could not answer.

All that passes between the two is plain JSON: a job is a dict, and so is an answer. Of a job the parent reads two keys:
`seconds`, its own limit of real time, and `alone`, that it makes a chunk by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

Json = dict[str, Any]

HUNG: Final = "hung"  # it took longer than its limit
DIED: Final = "died"  # its process ended by itself, in a fresh child as well
MEMORY: Final = "memory"  # it took more than a child may have, in a fresh one as well


@dataclass(frozen=True)
class Program:
    """`target` is "module:function", called once in a child with `arguments` and the Link to its parent.

    environment: added to the child's; folder: where it runs.
    """

    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = "."


@dataclass(frozen=True)
class Limits:
    """seconds: real time of one job; memory: bytes of a child; start: seconds until a child is ready."""

    seconds: float = 100.0
    memory: int = 2 << 30
    start: float = 120.0


@dataclass(frozen=True)
class Lost:
    """The answer to a job whose child gave none."""

    reason: str
    text: str = ""


Answer = Json | Lost


class Refused(Exception):
    """A child says why it can't do what it was begun for."""


class Link(Protocol):
    """What a program in a child sees of its parent."""

    def ready(self, facts: Json) -> None:
        """What was costly is done; `facts` are for the parent to keep."""

    def refuse(self, why: str) -> None:
        """Instead of ready(): this child is of no use."""

    def jobs(self) -> Iterator[Json]:
        """One after the other, until the parent has no more."""

    def answer(self, answer: Json) -> None:
        """To the job that came last; exactly one to each."""
