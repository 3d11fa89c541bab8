"""Each host by itself: what an event leads to, by replay from its beginning.

A host sees of the other one nothing but packets. So the state that follows, and what leaves, is a matter of its own
state and of the event alone; of a million states of both there are thousands of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from synfin.explore.facts import Facts, from_plain, to_plain
from synfin.explore.host import ExploredHost
from synfin.explore.packets import absolute, relative
from synfin.explore.stage import Stage
from synfin.explore.told import facts_of
from synfin.explore.world import BEGIN_US
from synfin.tcp.timestamps import TICK_US

PACKET: Final = "packet"
STEP: Final = "step"
FORGE: Final = "forge"
PASS: Final = "pass"  # so many microseconds, and then a timer fires if it is due

Event = tuple[str, bytes | int, int]  # what; a packet, a program, the number of a forgery, a time; the program's step


@dataclass(frozen=True)
class Reached:
    """What an event led to: the state's hash, the packets that leave (to whom, and `packets.relative`), what is told of
    the host. raised: what the event has raised instead. gave_up, waited: in it a connection ended by a timeout, a
    retransmission timer ran out."""

    digest: bytes = b""
    sent: tuple[tuple[int, bytes], ...] = ()
    facts: Facts | None = None
    raised: str = ""
    gave_up: bool = False
    waited: bool = False


class Replay:
    """A host that goes through events, one after another."""

    def __init__(self, stage: Stage, number: int) -> None:
        self.now = BEGIN_US
        self._stage = stage
        self._host: ExploredHost = stage.host(number)
        self._sent = self._host.settle(self.now)

    def go_on(self, event: Event) -> None:
        """It happens."""
        kind, what, step = event
        host = self._host
        if isinstance(what, bytes):
            self._sent = host.receive(absolute(what, self.now // TICK_US), self.now, True)
        elif kind == STEP:
            self._sent = host.begin(what, step, self.now)
        elif kind == FORGE:
            self._sent = host.forge(what, self.now)
        else:
            self.now += what
            self._sent = host.wake(self.now)

    def timeouts(self) -> tuple[int, int]:
        """How many connections have ended by one, and how many retransmission timers ran out, in this life."""
        if self._host.life is None:
            return 0, 0
        counters = self._host.life.stack.counters
        return counters.TCPAbortOnTimeout, counters.TCPTimeouts

    def reached(self, before: tuple[int, int] = (0, 0)) -> Reached:
        """Where it is; it is of no use afterwards. before: the timeouts before the last event."""
        gave_up, waited = self.timeouts()
        sent = [(self._stage.number_of.get(packet[16:20], -1), packet) for packet in self._sent]
        return Reached(
            self._host.digest(self.now),
            tuple((to, relative(packet, self.now // TICK_US)) for to, packet in sent if to >= 0),
            facts_of(self._host, self.now, True),
            "",
            gave_up > before[0],
            waited > before[1],
        )


def reach(stage: Stage, number: int, history: Sequence[Event], events: Sequence[Event]) -> list[Reached]:
    """What each event leads to in the state that a history leads to."""
    return [_reach(stage, number, history, event) for event in events]


def _reach(stage: Stage, number: int, history: Sequence[Event], event: Event) -> Reached:
    replay = Replay(stage, number)
    for each in history:
        replay.go_on(each)
    before = replay.timeouts()
    try:
        replay.go_on(event)
    except Exception as error:
        return Reached(raised=f"{type(error).__name__}: {error}")
    return replay.reached(before)


# ---- as JSON may have it ----


def event_to_plain(event: Event) -> list[Any]:
    """An event."""
    kind, what, step = event
    return [kind, what.hex() if isinstance(what, bytes) else what, step]


def event_from_plain(plain: Sequence[Any]) -> Event:
    """What was plain."""
    kind, what, step = plain
    return kind, bytes.fromhex(what) if kind == PACKET else what, step


def reached_to_plain(reached: Reached) -> dict[str, Any]:
    """What an event led to."""
    return {
        "digest": reached.digest.hex(),
        "sent": [(to, packet.hex()) for to, packet in reached.sent],
        "facts": None if reached.facts is None else to_plain(reached.facts),
        "raised": reached.raised,
        "gave_up": reached.gave_up,
        "waited": reached.waited,
    }


def reached_from_plain(plain: dict[str, Any]) -> Reached:
    """What was plain."""
    return Reached(
        bytes.fromhex(plain["digest"]),
        tuple((to, bytes.fromhex(packet)) for to, packet in plain["sent"]),
        None if plain["facts"] is None else from_plain(plain["facts"]),
        plain["raised"],
        plain["gave_up"],
        plain["waited"],
    )
