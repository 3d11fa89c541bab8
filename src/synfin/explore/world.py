"""One state of the search: hosts, the packets under way, what may still go wrong, and the actions that it offers.

Packets take no time and stay under way until they are chosen; so time passes only when a timer fires. That happens when
nothing is under way, or, as often as the bounds say, although something is. The order in which actions stand is the
same whenever the same actions led here: a path is a list of places in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from synfin.explore.fingerprint import digest
from synfin.explore.laws import check_end, check_patience, check_together
from synfin.explore.packets import relative
from synfin.explore.stage import Stage
from synfin.explore.told import facts_of
from synfin.scenario.model import Scenario
from synfin.tcp.timestamps import TICK_US
from synfin.tcp.trace import Trace

BEGIN_US: Final = 1_000_000_000  # the stacks' time at the beginning; a whole second, since some budgets count in these

DELIVER: Final = "deliver"
DUPLICATE: Final = "deliver and keep"
LOSE: Final = "lose"
STEP: Final = "step"
TIMER: Final = "timer"
EARLY: Final = "early timer"
FORGE: Final = "forge"


@dataclass(frozen=True)
class Bounds:
    """How much may go wrong on one path."""

    losses: int = 1
    duplicates: int = 0
    early_timers: int = 0

    def __post_init__(self) -> None:
        for name in ("losses", "duplicates", "early_timers"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 20:
                raise ValueError(f"{name} is a number from 0 to 20, not {value!r}")


@dataclass(frozen=True)
class Action:
    """kind; host: the number of the host that it happens to, -1: all; what: a packet and its age, or a program and its
    step, or the number of a forgery; place: of the packet in the world's list."""

    kind: str
    host: int = -1
    what: tuple[object, ...] = ()
    place: int = field(default=-1, compare=False)


@dataclass(frozen=True)
class Flying:
    """A packet under way, to the host of that number. sent_at: nothing lives longer than an MSL (RFC 9293 3.4.1)."""

    packet: bytes
    to: int
    sent_at: int

    def what(self, now: int, aging: bool) -> tuple[bytes, int]:
        """What it is, at any time: the packet (`packets.relative`), and its age, below 0.

        aging: a timer may still be early, and only then does it matter how old a packet is.
        """
        return relative(self.packet, now // TICK_US), self.sent_at - now if aging else 0


class World:
    """The state at the beginning of a scenario; `apply` moves it on. begin: the stacks' time then, a whole second."""

    def __init__(
        self,
        scenario: Scenario,
        bounds: Bounds,
        trace: Trace | None = None,
        begin: int = BEGIN_US,
    ) -> None:
        self.scenario = scenario
        self.stage = Stage(scenario, bounds.losses + bounds.early_timers)
        self.now = begin
        self.bounds = bounds
        self.losses = bounds.losses
        self.duplicates = bounds.duplicates
        self.early_timers = bounds.early_timers
        self.flying: list[Flying] = []
        self.forged = 0  # a bit for each forgery that has arrived
        self.hosts = [self.stage.host(number) for number in range(len(scenario.hosts))]
        if trace is not None:
            for host in self.hosts:
                host.watch(trace)
        for host in self.hosts:
            self._send(host.settle(self.now))

    # ---- actions ----

    def actions(self) -> list[Action]:
        """All that can happen next."""
        found: list[Action] = []
        different: list[Flying] = []
        for place, flying in enumerate(self.flying):
            if flying in different:
                continue
            different.append(flying)
            what = flying.what(self.now, self.early_timers > 0)
            found.append(Action(DELIVER, flying.to, what, place))
            if self.duplicates:
                found.append(Action(DUPLICATE, flying.to, what, place))
            if self.losses:
                found.append(Action(LOSE, flying.to, what, place))
        for host in self.hosts:
            found += [Action(STEP, host.number, choice) for choice in host.choices()]
        due = self.next_timer()
        if due is not None:
            if not self.flying:
                found.append(Action(TIMER))
            elif self.early_timers and due <= min(each.sent_at for each in self.flying) + self.stage.msl_us:
                found.append(Action(EARLY))
        for host in self.hosts:
            found += [Action(FORGE, host.number, (n,)) for n in host.forgeries() if not self.forged >> n & 1]
        return found

    def next_timer(self) -> int | None:
        """When the first host wants to be called; None: no timer runs."""
        return min((due for host in self.hosts if (due := host.due()) is not None), default=None)

    def apply(self, action: Action) -> None:
        """Let it happen."""
        kind = action.kind
        if kind == TIMER or kind == EARLY:
            self._fire(kind == EARLY)
        elif kind == LOSE:
            self.losses -= 1
            del self.flying[action.place]
        elif kind == STEP:
            program, number = action.what
            assert isinstance(program, int) and isinstance(number, int)
            self._send(self.hosts[action.host].begin(program, number, self.now))
        elif kind == FORGE:
            (number,) = action.what
            assert isinstance(number, int)
            self.forged |= 1 << number
            self._send(self.hosts[action.host].forge(number, self.now))
        else:
            flying = self.flying[action.place]
            if kind == DELIVER:
                del self.flying[action.place]
            else:
                self.duplicates -= 1
            self._send(self.hosts[flying.to].receive(flying.packet, self.now))

    def _fire(self, early: bool) -> None:
        due = self.next_timer()
        assert due is not None
        if early:
            self.early_timers -= 1
        self.now = max(due, self.now)
        for host in self.hosts:
            self._send(host.wake(self.now))

    def _send(self, packets: list[bytes]) -> None:
        for packet in packets:
            to = self.stage.number_of.get(packet[16:20])
            if to is not None:
                self.flying.append(Flying(packet, to, self.now))

    # ---- the laws ----

    def check(self) -> None:
        """Raise Broken for a law that does not hold now. At an end it is the last: listeners are closed."""
        ended = not self.actions()
        facts = [facts_of(host, self.now, ended) for host in self.hosts]
        check_together(self.stage, facts, self.forged)
        calm = self.stage.is_calm(self.forged, (each.violent for each in facts))
        for host in self.hosts:
            if calm and host.life is not None:
                counters = host.life.stack.counters
                waited = self._is_whole() and counters.TCPTimeouts > 0
                check_patience(self.stage, host.name, counters.TCPAbortOnTimeout > 0, waited)
        if ended:
            check_end(self.stage, facts, self.forged)

    def _is_whole(self) -> bool:
        """Each packet so far has arrived once, or will, and no timer was early: nobody has a reason to send twice."""
        return (self.losses, self.early_timers, self.duplicates) == (
            self.bounds.losses,
            self.bounds.early_timers,
            self.bounds.duplicates,
        ) and not self.forged

    # ---- comparing ----

    def plain(self) -> list[object]:
        """The whole state as plain values, times as differences to now."""
        out: list[object] = [value for host in self.hosts for value in host.plain(self.now)]
        out += sorted((each.to, *each.what(self.now, self.early_timers > 0)) for each in self.flying)
        return [*out, self.losses, self.duplicates, self.early_timers, self.forged]

    def digest(self) -> bytes:
        """The hash of that."""
        return digest(self.plain())
