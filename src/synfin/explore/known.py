"""What a search knows of its parts: the states that a host was found in, and the packets that were under way.

Each has a number, so that a state of the whole is a few numbers. A host's state has its history, by which it is reached
again, and what each event led to from there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from synfin.explore.facts import Facts
from synfin.explore.packets import shifted
from synfin.explore.parts import PACKET, Event, Reached


@dataclass(frozen=True)
class After:
    """What an event leads to: the host's state, and the packets that leave, by their numbers."""

    state: int
    sent: tuple[int, ...]
    raised: str
    gave_up: bool
    waited: bool


class Packets:
    """Packets that were under way. to: of each, the number of its host; event: that it arrives; age: 0 and below."""

    def __init__(self) -> None:
        self.to: list[int] = []
        self.event: list[Event] = []
        self.age: list[int] = []
        self._numbers: dict[tuple[int, bytes, int], int] = {}
        self._older: dict[tuple[int, int, int], int] = {}

    def number(self, to: int, packet: bytes, age: int = 0) -> int:
        """Of a packet (`packets.relative`)."""
        key = (to, packet, age)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.to)
            self.to.append(to)
            self.event.append((PACKET, packet, 0))
            self.age.append(age)
        return found

    def packet(self, number: int) -> bytes:
        """The packet of a number."""
        packet = self.event[number][1]
        assert isinstance(packet, bytes)
        return packet

    def later(self, number: int, age: int, ticks: int) -> int:
        """The same packet when the clock of the timestamps has gone on so far, and it is that old."""
        key = (number, age, ticks)
        found = self._older.get(key)
        if found is None:
            found = self._older[key] = self.number(self.to[number], shifted(self.packet(number), -ticks), age)
        return found


@dataclass
class Hosts:
    """The states of one host. 0 is that at the beginning."""

    facts: list[Facts] = field(default_factory=list)
    after: list[dict[Event, After]] = field(default_factory=list)
    _numbers: dict[bytes, int] = field(default_factory=dict)
    _came: list[tuple[int, Event | None]] = field(default_factory=list)

    def add(self, reached: Reached, before: int = -1, event: Event | None = None) -> int:
        """The number of what was reached, from the state of that number by an event."""
        found = self._numbers.get(reached.digest)
        if found is None:
            assert reached.facts is not None
            found = self._numbers[reached.digest] = len(self.facts)
            self.facts.append(reached.facts)
            self.after.append({})
            self._came.append((before, event))
        return found

    def history(self, state: int) -> list[Event]:
        """Events that lead to a state."""
        events: list[Event] = []
        while True:
            state, event = self._came[state]
            if event is None:
                return events[::-1]
            events.append(event)
