"""A host whose programs wait for a choice: a real Stack, the scenario's programs, and no clock of its own.

A step for which the scenario names a time (`at_us`, `after_us`), a crash and a restart begin whenever the search says
so, which means in every order; the others at once, as in a program that does not linger.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2s
from typing import Final

from synfin.explore.fingerprint import Walk, digest
from synfin.scenario.forge import Numbers as Guessed
from synfin.scenario.forge import packet_of
from synfin.scenario.model import Forgery, Host, Scenario, Step
from synfin.scenario.programs import DONE, Life, Outcome, Program
from synfin.stack.addresses import packed
from synfin.stack.stack import Stack
from synfin.tcp.answers import INTERVAL_US
from synfin.tcp.config import COOKIES_ALWAYS, COOKIES_OFF
from synfin.tcp.connection import Connection
from synfin.tcp.states import CLOSED, TIME_WAIT
from synfin.tcp.trace import Trace
from synfin.wire.key import make_key
from synfin.wire.segment import split

_BUDGET: Final = 1 << 20
_FOREVER_US: Final = 1 << 62
PERIOD_US: Final = INTERVAL_US  # whole ticks; what time it is makes a difference within it
POWER: Final = ("crash", "restart")


class Numbers:
    """The initial sequence numbers of a host: of each 4-tuple its own, and with each connection a million more.

    RFC 6528's are a clock's, and would tell apart all states that differ in nothing but what time it is.
    """

    def __init__(self, name: str) -> None:
        self.given = 0
        self._name = name.encode()

    def __call__(self, key: bytes, now: int) -> int:
        self.given += 1
        begin = int.from_bytes(blake2s(key, key=self._name, digest_size=3).digest(), "big")
        return begin + self.given * 1_000_000


class Kept(Program):
    """A program that knows which connections it had. taken: by the step that opened or accepted one: its key, ISS and
    IRS (0: not known then)."""

    def __init__(
        self,
        steps: list[tuple[Step, Outcome]],
        begin: int,
        address_of: Callable[[str], str],
    ) -> None:
        super().__init__(steps, begin, address_of)
        self.taken: dict[int, tuple[bytes, int, int]] = {}

    def _take(self, connection: Connection) -> None:
        super()._take(connection)
        self.taken[self.next_number()] = (
            connection.key,
            connection.iss,
            connection.irs,
        )

    def next_number(self) -> int:
        """Of the step that it does now."""
        return self.steps[self._next][1].step

    def rest(self) -> list[tuple[Step, Outcome]]:
        """That step, and what follows."""
        return self.steps[self._next :]

    def connection(self) -> Connection | None:
        """What it talks over now."""
        return self._connection

    def read(self, walk: Walk) -> None:
        """How far it is, and how each of its steps went; what they are is the scenario's."""
        walk.out += [
            self._next, self._began, self._opening, self._written, self._taken, self.astray, sorted(self.taken.items()),
            *[(each.result, each.error, each.bytes, each.forged) for _, each in self.steps],
        ]  # fmt: skip
        walk.read(self._connection)

    def segments(self) -> list[tuple[int, list[int]]]:
        """(step that opens or accepts, the steps of that connection), by their numbers."""
        return segments([(outcome.step, step) for step, outcome in self.steps])


def segments(steps: list[tuple[int, Step]]) -> list[tuple[int, list[int]]]:
    """The steps of one program, by their numbers, as those of its connections: (that opens or accepts it, all)."""
    found: list[tuple[int, list[int]]] = []
    for number, step in steps:
        if step.do in ("open", "accept"):
            found.append((number, []))
        if found:
            found[-1][1].append(number)
    return found


class ExploredHost:
    """number: of the host in its scenario; address_of: where a host is. life is None while it is down."""

    def __init__(self, scenario: Scenario, number: int, address_of: Callable[[str], str]) -> None:
        host = scenario.hosts[number]
        self.name = host.name
        self.number = number
        self.address = address_of(host.name)
        self.numbers = Numbers(host.name)
        self.life: Life | None = None
        self.crashed = False  # once at least
        self.config = host.settings.config()
        self.scenario = scenario
        self._address_of = address_of
        self._trace: Trace | None = None
        self._by_cookie = _may_answer_by_cookie(scenario, host)
        steps = [(step, Outcome(n, step.host)) for n, step in enumerate(scenario.steps) if step.host == host.name]
        self.outcomes = {outcome.step: outcome for _, outcome in steps}
        self._steps = {outcome.step: step for step, outcome in steps}
        plain = [(replace(step, at_us=0, after_us=0), outcome) for step, outcome in steps]
        programs = sorted({step.program for step, _ in steps})
        self.programs = [Kept([each for each in plain if each[0].program == n], 0, address_of) for n in programs]
        self._boot()

    def _boot(self) -> None:
        self.life = Life(self._stack(self._trace), _told_to_nobody)

    def _stack(self, trace: Trace | None) -> Stack:
        # The same secrets in each life: what they hide is of no concern here, and a state is not told apart by them.
        entropy = random.Random(self.name).randbytes
        return Stack([self.address], self.config, entropy=entropy, name=self.name, isn=self.numbers, trace=trace)

    def watch(self, trace: Trace) -> None:
        """Tell all that happens from now on."""
        self._trace = trace
        if self.life is not None:
            self.life.stack.set_trace(trace)

    # ---- what may be chosen ----

    def choices(self) -> list[tuple[int, int]]:
        """(program, step) that may begin now; a step is the number that the scenario gives it."""
        found: list[tuple[int, int]] = []
        for place, program in enumerate(self.programs):
            power = self._power_of(program)
            if power >= 0:
                found.append((place, power))
            step = program.current()
            if step is None or step.do in POWER or self.life is None or program.has_begun():
                continue
            number = program.next_number()
            if self._is_chosen(number):
                found.append((place, number))
        return found

    def forgeries(self) -> list[int]:
        """Those to this host, by their numbers in the scenario, that could arrive now."""
        return [
            n
            for n, each in enumerate(self.scenario.forged)
            if each.to == self.name and self._aimed_at(each) is not None
        ]

    def due(self) -> int | None:
        """When it wants to be called; None: no timer runs."""
        return None if self.life is None else self.life.stack.next_deadline()

    def is_violent(self) -> bool:
        """It has crashed or aborted."""
        return self.crashed or any(
            step.do == "abort" and self.outcomes[number].result == DONE for number, step in self._steps.items()
        )

    def _is_chosen(self, number: int) -> bool:
        step = self._steps[number]
        return step.at_us > 0 or step.after_us > 0

    def _power_of(self, program: Kept) -> int:
        """The crash or restart that comes next in a program, which waits for nobody; -1: none may happen."""
        for step, outcome in program.rest():
            if step.do in POWER:
                return outcome.step if (step.do == "crash") == (self.life is not None) else -1
        return -1

    # ---- what happens to it: the packets that leave ----

    def begin(self, place: int, number: int, now: int) -> list[bytes]:
        """A program does the step of that number, or begins it."""
        program = self.programs[place]
        step = self._steps[number]
        if step.do not in POWER:
            assert self.life is not None
            program.advance(self.life, now)
        else:
            for each in self.programs:
                each.cut(now, number)
            program.finish(now)
            if step.do == "restart":
                self._boot()
            else:
                assert self.life is not None
                self.life.stack.set_trace(None)
                self.life = None
                self.crashed = True
        return self.settle(now)

    def receive(self, packet: bytes, now: int, checksum_ok: bool = False) -> list[bytes]:
        """A packet arrives; nobody takes it while it is down."""
        if self.life is None:
            return []
        self.life.stack.receive(packet, now, checksum_ok)
        return self.settle(now)

    def forge(self, number: int, now: int) -> list[bytes]:
        """The forgery of that number arrives."""
        forgery = self.scenario.forged[number]
        key = self._aimed_at(forgery)
        assert key is not None
        return self.receive(packet_of(forgery, key, self._guessed(key)), now)

    def wake(self, now: int) -> list[bytes]:
        """It is that time: a timer fires, if it is due."""
        due = self.due()
        if due is None or due > now or self.life is None:
            return []
        self.life.stack.on_timer(now)
        return self.settle(now)

    def _aimed_at(self, forgery: Forgery) -> bytes | None:
        """The key of the packet that it would get now; None: it has no such connection, and no ports are told."""
        if self.life is None:
            return None
        source, local = packed(self._address_of(forgery.as_host)), packed(self.address)
        if forgery.from_port and forgery.to_port:
            return make_key(source, local, forgery.from_port, forgery.to_port)
        return next((each.key for each in self.life.stack.connections() if each.key[:4] == source), None)

    def _guessed(self, key: bytes) -> Guessed:
        connection = None if self.life is None else self.life.stack.find(key)
        if connection is None:
            return Guessed()
        now = connection.snapshot()
        return Guessed(connection.irs + now.rcv_nxt, connection.iss + now.snd_nxt, connection.irs, connection.iss)

    # ---- what follows of itself ----

    def settle(self, now: int) -> list[bytes]:
        """Programs do what does not wait for a choice; the packets that leave."""
        packets: list[bytes] = []
        while self.life is not None:
            life = self.life
            life.hear()
            busy = False
            for program in self.programs:
                while self._goes_on(program) and program.advance(life, now) >= 0:
                    busy = True
            bursts = life.stack.poll(now, _BUDGET)
            packets += [packet for burst in bursts for packet in split(burst)]
            if not busy and not bursts:
                break
        self._forget()
        self.due()  # a queue of timers that was asked has no stale entries: when it was asked makes no difference
        return packets

    def _goes_on(self, program: Kept) -> bool:
        step = program.current()
        if step is None or step.do in POWER:
            return False
        return program.has_begun() or not self._is_chosen(program.next_number())

    def _forget(self) -> None:
        """What a connection told that has ended and that no program holds is nobody's any more."""
        if self.life is None:
            return
        held = [program.connection() for program in self.programs]
        told = self.life._told
        for connection in [each for each in told if each.state in (CLOSED, TIME_WAIT) and each not in held]:
            del told[connection]

    # ---- comparing ----

    def read(self, walk: Walk) -> None:
        """All that decides what it does from now on."""
        # What differences to now leave open: where a tick of the timestamps begins, and the half second in which nobody
        # is answered twice. And a cookie tells the time.
        walk.out += [self.crashed, self.numbers.given, walk.now % (_FOREVER_US if self._by_cookie else PERIOD_US)]
        for program in self.programs:
            program.read(walk)
        walk.read(self.life)

    def plain(self, now: int) -> list[object]:
        """The same as plain values."""
        walk = Walk(now)
        self.read(walk)
        return walk.out

    def digest(self, now: int) -> bytes:
        """The hash of that."""
        return digest(self.plain(now))


def _may_answer_by_cookie(scenario: Scenario, host: Host) -> bool:
    """It does so always, or more SYNs may come than its queue takes."""
    cookies = host.settings.config().syn_cookies
    opens = sum(step.do == "open" and step.to == host.name for step in scenario.steps)
    forged = sum(each.to == host.name and "SYN" in each.flags.split(",") for each in scenario.forged)
    return cookies == COOKIES_ALWAYS or (cookies != COOKIES_OFF and opens + forged > host.settings.syn_queue_limit)


def _told_to_nobody(connection: Connection) -> None:
    pass
