"""One state of the search: hosts, the packets under way, what may still go wrong, and the actions that it offers.

Packets take no time and stay under way until they are chosen; so time passes only when a timer fires. That happens when
nothing is under way, or, as often as the bounds say, although something is. The order in which actions stand is the
same whenever the same actions led here: a path is a list of places in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from synfin.explore.fingerprint import Walk, digest
from synfin.explore.host import ExploredHost, Kept
from synfin.explore.packets import Flying
from synfin.scenario.forge import Numbers, packet_of
from synfin.scenario.model import EXPECTED, Forgery, Scenario
from synfin.scenario.programs import DONE, Outcome
from synfin.stack.addresses import packed
from synfin.tcp.trace import Trace
from synfin.wire.key import make_key, reverse_key

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
    """kind; host: the number of the host that it happens to, -1: the network or time; what: a packet's bytes and when
    it was sent, or a program and its step, or the number of a forgery; place: of the packet in the world's list."""

    kind: str
    host: int
    what: tuple[object, ...] = ()
    place: int = -1

    def commutes(self) -> bool:
        """It concerns its host alone and uses up nothing: with one of another host the order makes no difference."""
        return self.kind == DELIVER or self.kind == STEP


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
        self.now = begin
        self.bounds = bounds
        self.losses = bounds.losses
        self.duplicates = bounds.duplicates
        self.early_timers = bounds.early_timers
        self.flying: list[Flying] = []
        self.forged: list[bool] = [False] * len(scenario.forged)
        self.outcomes = [Outcome(number, step.host) for number, step in enumerate(scenario.steps)]
        addresses = {host.name: f"10.77.0.{number}" for number, host in enumerate(scenario.hosts, 1)}
        self.hosts = [
            ExploredHost(
                host,
                number,
                [
                    (step, outcome)
                    for step, outcome in zip(scenario.steps, self.outcomes, strict=True)
                    if step.host == host.name
                ],
                addresses.__getitem__,
            )
            for number, host in enumerate(scenario.hosts)
        ]
        self._host_of = {packed(host.address): host.number for host in self.hosts}
        self._msl_us = min(host.settings.msl_us for host in scenario.hosts)
        if trace is not None:
            for host in self.hosts:
                host.watch(trace)
        self._rude = any(self._is_rude(host, steps) for host, _, steps in self._by_host())
        for host in self.hosts:
            self._settle(host)

    # ---- actions ----

    def actions(self) -> list[Action]:
        """All that can happen next."""
        found: list[Action] = []
        different: list[Flying] = []
        for place, flying in enumerate(self.flying):
            if any(flying.same(each) for each in different):
                continue
            different.append(flying)
            what = (flying.packet, flying.sent_at)
            found.append(Action(DELIVER, flying.to, what, place))
            if self.duplicates:
                found.append(Action(DUPLICATE, flying.to, what, place))
            if self.losses:
                found.append(Action(LOSE, -1, what, place))
        for host in self.hosts:
            found += [Action(STEP, host.number, choice) for choice in host.choices()]
        due = self.next_timer()
        if due is not None:
            if not self.flying:
                found.append(Action(TIMER, -1))
            elif self.early_timers and due <= min(each.sent_at for each in self.flying) + self._msl_us:
                found.append(Action(EARLY, -1))
        found += [
            Action(FORGE, self._number(forgery.to), (number,))
            for number, forgery in enumerate(self.scenario.forged)
            if not self.forged[number] and self._forgery(forgery) is not None
        ]
        return found

    def next_timer(self) -> int | None:
        """When the first host wants to be called; None: no timer runs."""
        times = [host.life.stack.next_deadline() for host in self.hosts if host.life is not None]
        return min((at for at in times if at is not None), default=None)

    def apply(self, action: Action) -> None:
        """Let it happen."""
        kind = action.kind
        if kind == LOSE:
            self.losses -= 1
            del self.flying[action.place]
        elif kind == DELIVER or kind == DUPLICATE:
            flying = self.flying[action.place]
            if kind == DELIVER:
                del self.flying[action.place]
            else:
                self.duplicates -= 1
            self._receive(flying.packet, flying.to)
        elif kind == STEP:
            host = self.hosts[action.host]
            program, number = action.what
            assert isinstance(program, int) and isinstance(number, int)
            host.begin(program, number, self.now)
            self._settle(host)
        elif kind == FORGE:
            (number,) = action.what
            assert isinstance(number, int)
            self.forged[number] = True
            packet = self._forgery(self.scenario.forged[number])
            assert packet is not None
            self._receive(packet, action.host)
        else:
            self._fire(kind == EARLY)

    def _fire(self, early: bool) -> None:
        due = self.next_timer()
        assert due is not None
        if early:
            self.early_timers -= 1
        self.now = max(due, self.now)
        for host in self.hosts:
            if host.life is not None:
                at = host.life.stack.next_deadline()
                if at is not None and at <= self.now:
                    host.life.stack.on_timer(self.now)
                    self._settle(host)

    def _receive(self, packet: bytes, number: int) -> None:
        host = self.hosts[number]
        if host.life is not None:
            host.life.stack.receive(packet, self.now)
            self._settle(host)

    def _settle(self, host: ExploredHost) -> None:
        for packet in host.settle(self.now):
            to = self._host_of.get(packet[16:20])
            if to is not None:
                self.flying.append(Flying(packet, to, self.now))

    # ---- what was read and written ----

    def streams_of(self, number: int) -> tuple[int, int | None]:
        """Of the connection of a step that reads: bytes read of it up to that step, and all that its peer wrote.

        None: nobody knows a peer of it.
        """
        mine, begin, steps = next(each for each in self._streams() if number in each[2])
        read = sum(self.outcomes[each].bytes for each in steps if each <= number and self._does(each, "read"))
        key, iss, irs = mine.taken[begin]
        peers = [(each.taken[began], its) for each, began, its in self._streams() if began in each.taken]
        peers = [each for each in peers if each[0][0] == reverse_key(key)]
        if len(peers) > 1:  # several incarnations: which of them?
            peers = [each for each in peers if irs in (0, each[0][1]) and each[0][2] in (0, iss)]
        if not peers:
            return read, None
        return read, sum(self.outcomes[each].bytes for each in peers[0][1] if self._does(each, "write"))

    def _streams(self) -> list[tuple[Kept, int, list[int]]]:
        """Every connection that a program may have: by whom, the step that it begins with, and all its steps."""
        return [
            (program, begin, steps)
            for host in self.hosts
            for program in host.programs
            for begin, steps in program.segments()
        ]

    def _by_host(self) -> list[tuple[int, int, list[int]]]:
        return [
            (host.number, begin, steps)
            for host in self.hosts
            for program in host.programs
            for begin, steps in program.segments()
        ]

    def _is_rude(self, number: int, steps: list[int]) -> bool:
        """These close without having read to the end, although somebody may write: the peer may get a RST for it."""
        does = [(self.scenario.steps[each].do, self.scenario.steps[each].bytes) for each in steps]
        others = [step.do for step in self.scenario.steps if step.host != self.hosts[number].name]
        return ("close", 0) in does and ("read", 0) not in does and "write" in others

    def _does(self, number: int, what: str) -> bool:
        return self.scenario.steps[number].do == what

    # ---- what has happened ----

    def is_calm(self) -> bool:
        """Nobody has crashed, aborted or forged, so that nothing is to fail and nobody to be left alone.

        A forgery that RFC 5961 makes harmless leaves the calm as it is.
        """
        return not (
            self._rude
            or any(done and not harmless(self.scenario.forged[n]) for n, done in enumerate(self.forged))
            or any(host.crashed for host in self.hosts)
            or any(
                step.do == "abort" and outcome.result == DONE
                for step, outcome in zip(self.scenario.steps, self.outcomes, strict=True)
            )
        )

    def is_whole(self) -> bool:
        """Each packet so far has arrived once, or will, and no timer was early: nobody has a reason to send twice."""
        return (self.losses, self.early_timers, self.duplicates) == (
            self.bounds.losses,
            self.bounds.early_timers,
            self.bounds.duplicates,
        ) and not any(self.forged)

    def reads_to_the_end(self, number: int) -> bool:
        """Whatever a host's programs close they have read to the end."""
        does = [
            [(self.scenario.steps[each].do, self.scenario.steps[each].bytes) for each in steps]
            for program in self.hosts[number].programs
            for _, steps in program.segments()
        ]
        return not any(("close", 0) in each and ("read", 0) not in each for each in does)

    def is_deceived(self) -> bool:
        """A forger who knew the exact numbers has spoken: from there on both ends may believe different things."""
        return any(done and not harmless(self.scenario.forged[n]) for n, done in enumerate(self.forged))

    def host_of(self, address: bytes) -> ExploredHost | None:
        """Whose address that is."""
        number = self._host_of.get(address)
        return None if number is None else self.hosts[number]

    # ---- forgeries ----

    def _number(self, name: str) -> int:
        return next(host.number for host in self.hosts if host.name == name)

    def _forgery(self, forgery: Forgery) -> bytes | None:
        """The packet that its receiver would get now; None: it has no such connection, and no ports are told."""
        host = self.hosts[self._number(forgery.to)]
        source = packed(self.hosts[self._number(forgery.as_host)].address)
        local = packed(host.address)
        if host.life is None:
            return None
        told = bool(forgery.from_port and forgery.to_port)
        for connection in host.life.stack.connections():
            key = connection.key
            if key == make_key(source, local, forgery.from_port, forgery.to_port) if told else key[:4] == source:
                now = connection.snapshot()
                numbers = Numbers(
                    connection.irs + now.rcv_nxt,
                    connection.iss + now.snd_nxt,
                    connection.irs,
                    connection.iss,
                )
                return packet_of(forgery, key, numbers)
        if not told:
            return None
        return packet_of(
            forgery,
            make_key(source, local, forgery.from_port, forgery.to_port),
            Numbers(),
        )

    # ---- comparing ----

    def plain(self) -> list[object]:
        """The whole state as plain values, times as differences to now."""
        walk = Walk(self.now)
        for host in self.hosts:
            host.read(walk)
        walk.out.append(sorted(each.plain(self.now) for each in self.flying))
        # Where a tick of the timestamps begins is what differences leave open.
        walk.out += [
            self.losses,
            self.duplicates,
            self.early_timers,
            self.forged,
            self.now % 1000,
        ]
        return walk.out

    def digest(self) -> bytes:
        """The hash of that."""
        return digest(self.plain())


_FAR: Final = 1 << 20  # beyond any window of a scenario


def harmless(forgery: Forgery) -> bool:
    """Into a connection that is there it makes no difference: RFC 5961, RFC 9293 3.10.7.4 (first)."""
    told = bool(forgery.from_port and forgery.to_port)
    if told or forgery.seq_from != EXPECTED or forgery.ack_from != EXPECTED:
        return False
    flags = forgery.flags.split(",")
    if abs(forgery.seq) >= _FAR or "SYN" in flags or forgery.ack >= _FAR:
        return True
    return ("RST" in flags and forgery.seq != 0) or (flags == ["ACK"] and forgery.ack > 0)
