"""What came of a scenario: every segment, every state, how each step ended; and what two runs differ in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from synfin.scenario.explain import explained
from synfin.scenario.model import Name, Scenario
from synfin.scenario.programs import Outcome
from synfin.tcp.states import NAMES
from synfin.tcp.trace import Event, PacketEvent

# What became of a segment, beyond what a scenario decides ("drop", "delay", "duplicate", "corrupt", "mark").
ARRIVED: Final = "arrived"
LOST: Final = "lost"  # at a queue, at a narrow place, before a host that was down
FORGED: Final = "forged"
UNDER_WAY: Final = "under way"  # when the run ended

# Why a run ended.
REST: Final = "rest"  # nothing could happen any more
TIME: Final = "time"
SEGMENTS: Final = "segments"  # there were too many
TURNS: Final = "turns"


@dataclass
class SegmentRecord:
    """A segment on the wire. Times in microseconds; -1: it was not sent. seq, ack: from its connection's first numbers,
    -1 where these are unknown. because: ids of segments, steps ("step 3") or "timer" that came just before it. What it
    did, `Result.reasons` tells.
    """

    id: str
    name: Name | None
    sender: str
    receiver: str
    connection: int
    sent_us: int
    flags: str
    seq: int
    ack: int
    length: int
    fate: str
    data: bytes
    arrived_us: list[int] = field(default_factory=list)
    because: tuple[str, ...] = ()
    refused: str = ""  # why its receiver took no notice

    def summary(self) -> tuple[int, str, str, str, int, int, int, str]:
        """What tells this segment in a test: time, from, to, flags, SEQ, ACK, bytes, fate."""
        at = self.sent_us if self.sent_us >= 0 else self.arrived_us[0] if self.arrived_us else -1
        return at, self.sender, self.receiver, self.flags, self.seq, self.ack, self.length, self.fate


@dataclass(frozen=True)
class StateChange:
    """A host's end of a connection went to another state. connection: as diagrams count them, from 0."""

    at_us: int
    host: str
    connection: int
    before: int
    after: int
    reason: str
    rfc: str
    cause: int

    def to_plain(self) -> dict[str, Any]:
        """Plain JSON types: states and the cause by their names."""
        return {
            "at_us": self.at_us,
            "host": self.host,
            "connection": self.connection,
            "before": NAMES[self.before],
            "after": NAMES[self.after],
            "reason": self.reason,
            "rfc": self.rfc,
            "cause": ("segment", "user", "timer")[self.cause],
        }


@dataclass(frozen=True)
class Sample:
    """A sender's figures after an ACK or a timer: bytes and microseconds; ssthresh -1: none yet."""

    at_us: int
    host: str
    connection: int
    cwnd: int
    ssthresh: int
    in_flight: int
    srtt_us: int


@dataclass
class Result:
    """Of one run. remarks: (time, what) of forgeries that could not be made and the like."""

    scenario: Scenario
    segments: list[SegmentRecord]
    states: list[StateChange]
    samples: list[Sample]
    outcomes: list[Outcome]
    remarks: list[tuple[int, str]]
    ended_us: int
    stopped: str
    events: list[Event]
    refs: Mapping[PacketEvent, tuple[str, ...]]
    base_us: int  # the events' time at the beginning

    @cached_property
    def reasons(self) -> Mapping[str, list[str]]:
        """What each segment did, by its id: as the trace says it, with the RFC's section."""
        return explained(((one.id, one.data, one.fate == FORGED) for one in self.segments), self.events)

    def digest(self) -> str:
        """The same for the same bytes at the same times between the same hosts, and for nothing else."""
        found = hashlib.sha256()
        for one in self.segments:
            found.update(f"{one.sent_us} {one.arrived_us} {one.sender} {one.receiver} {len(one.data)} ".encode())
            found.update(one.data)
        return found.hexdigest()

    def states_of(self, host: str, connection: int = 0) -> list[str]:
        """The states that a host's end of a connection went through."""
        found = [each for each in self.states if (each.host, each.connection) == (host, connection)]
        return [NAMES[found[0].before], *(NAMES[each.after] for each in found)] if found else []

    def summaries(self) -> list[tuple[int, str, str, str, int, int, int, str]]:
        """Each segment in one line of a test."""
        return [one.summary() for one in self.segments]

    def endings(self) -> list[tuple[str, str, str]]:
        """How each step ended: its host, its result, and the error as its user sees it."""
        return [(each.host, each.result, each.error) for each in self.outcomes]


# How a segment differs from what it was in another run.
SAME: Final = "same"
NEW: Final = "new"
LATER: Final = "moved"  # at another time
OTHER_FATE: Final = "fate"


@dataclass(frozen=True)
class Comparison:
    """segments: of the second run's each, by id, how it differs; gone: names of those that only the first had; endings:
    numbers of steps that end otherwise.
    """

    segments: Mapping[str, str]
    gone: tuple[Name, ...]
    endings: tuple[int, ...]

    @property
    def is_same(self) -> bool:
        """Nothing differs."""
        return not self.gone and not self.endings and all(kind == SAME for kind in self.segments.values())


def compare(before: Result, after: Result) -> Comparison:
    """What the second run does otherwise. A segment is the same one if its name (`SimPacket.describe`) is."""
    known = {_identity(one): one for one in before.segments}
    kinds: dict[str, str] = {}
    for one in after.segments:
        old = known.pop(_identity(one), None)
        if old is None:
            kinds[one.id] = NEW
        elif old.fate != one.fate:
            kinds[one.id] = OTHER_FATE
        elif (old.sent_us, old.arrived_us) != (one.sent_us, one.arrived_us):
            kinds[one.id] = LATER
        else:
            kinds[one.id] = SAME
    gone = tuple(one.name for one in known.values() if one.name is not None)
    old_endings, endings = before.endings(), after.endings()
    changed = [
        number for number, ending in enumerate(endings) if number >= len(old_endings) or old_endings[number] != ending
    ]
    return Comparison(kinds, gone, tuple(changed))


def _identity(one: SegmentRecord) -> object:
    return one.name if one.name is not None else one.id
