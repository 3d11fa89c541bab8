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

from synfin.explore.fingerprint import Walk
from synfin.scenario.model import Host, Step
from synfin.scenario.programs import Life, Outcome, Program
from synfin.stack.stack import Stack
from synfin.tcp.connection import Connection
from synfin.tcp.states import CLOSED, TIME_WAIT
from synfin.tcp.trace import Trace
from synfin.wire.segment import split

_BUDGET: Final = 1 << 20
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
        found: list[tuple[int, list[int]]] = []
        for step, outcome in self.steps:
            if step.do in ("open", "accept"):
                found.append((outcome.step, []))
            if found:
                found[-1][1].append(outcome.step)
        return found


class ExploredHost:
    """number: of the host in its scenario; address_of: where a host is. life is None while it is down."""

    def __init__(
        self,
        host: Host,
        number: int,
        steps: list[tuple[Step, Outcome]],
        address_of: Callable[[str], str],
    ) -> None:
        self.name = host.name
        self.number = number
        self.address = address_of(host.name)
        self.numbers = Numbers(host.name)
        self.life: Life | None = None
        self.crashed = False  # once at least
        self.config = host.settings.config()
        self._trace: Trace | None = None
        self._chosen = [step.at_us > 0 or step.after_us > 0 for step, _ in steps]
        self._number_of = {outcome.step: place for place, (_, outcome) in enumerate(steps)}
        plain = [(replace(step, at_us=0, after_us=0), outcome) for step, outcome in steps]
        programs = sorted({step.program for step, _ in steps})
        self.programs = [Kept([each for each in plain if each[0].program == n], 0, address_of) for n in programs]
        self._boot()

    def _boot(self) -> None:
        # The same secrets in each life: what they hide is of no concern here, and a state is not told apart by them.
        entropy = random.Random(self.name).randbytes
        stack = Stack(
            [self.address],
            self.config,
            entropy=entropy,
            name=self.name,
            isn=self.numbers,
            trace=self._trace,
        )
        self.life = Life(stack, _told_to_nobody)

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
            if self._chosen[self._number_of[number]]:
                found.append((place, number))
        return found

    def _power_of(self, program: Kept) -> int:
        """The crash or restart that comes next in a program, which waits for nobody; -1: none may happen."""
        for step, outcome in program.rest():
            if step.do in POWER:
                return outcome.step if (step.do == "crash") == (self.life is not None) else -1
        return -1

    def begin(self, place: int, number: int, now: int) -> None:
        """A program does the step of that number, or begins it."""
        program = self.programs[place]
        step, _ = next(each for each in program.steps if each[1].step == number)
        if step.do not in POWER:
            assert self.life is not None
            program.advance(self.life, now)
            return
        for each in self.programs:
            each.cut(now, number)
        program.finish(now)
        if step.do == "restart":
            self._boot()
            return
        assert self.life is not None
        self.life.stack.set_trace(None)
        self.life = None
        self.crashed = True

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
        return packets

    def _goes_on(self, program: Kept) -> bool:
        step = program.current()
        if step is None or step.do in POWER:
            return False
        return program.has_begun() or not self._chosen[self._number_of[program.next_number()]]

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
        walk.out += [self.crashed, self.numbers.given]
        for program in self.programs:
            program.read(walk)
        if self.life is None:
            walk.out.append(None)
        else:
            walk.read(self.life)


def _told_to_nobody(connection: Connection) -> None:
    pass
