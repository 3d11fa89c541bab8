"""A host of a scenario: its lives one after another, and its programs.

Nothing here knows links or other hosts; packets are taken from `poll` and given to `receive`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from synfin.scenario.model import Host, Step
from synfin.scenario.programs import DONE, FAILED, Life, Outcome, Program
from synfin.stack.stack import Stack
from synfin.tcp.connection import Connection
from synfin.tcp.states import CLOSED, LISTEN
from synfin.tcp.trace import CAUSE_USER, Event, Trace, TransitionEvent
from synfin.wire.segment import Burst

POWER_OFF: Final = "power off: all is forgotten, and nobody is told"
_BUDGET: Final = 1 << 20
_HOSTS: Final = ("crash", "restart")

Opened = Callable[[str, Connection], None]


def label_of(seed: int, number: int) -> str:
    """Of the host of that number, the first is 1, in a scenario of that seed."""
    return f"scenario {seed} {number}"


def entropy_of(label: str, life: int) -> Callable[[int], bytes]:
    """What is random to a host in that life, the first is 1."""
    return random.Random(f"{label} {life}").randbytes


class Machine:
    """address: its own; steps: what its programs do, with their outcomes; address_of: where a host is.

    Times are the stack's; begin: that from which the steps' count. opened: told of each connection that a program
    opens. causes: what happened since the last poll, as far as it may be why something is sent.
    """

    def __init__(
        self,
        host: Host,
        address: str,
        label: str,
        steps: list[tuple[Step, Outcome]],
        begin: int,
        address_of: Callable[[str], str],
        opened: Opened,
        trace: Trace,
    ) -> None:
        self.name = host.name
        self.address = address
        self.causes: list[str] = []
        self.life: Life | None = None
        self._config = host.settings.config()
        self._label = label
        self._opened = opened
        self._trace = trace
        self._states: dict[bytes, int] = {}  # of connections, half-open entries and TIME-WAIT, as the trace tells it
        self._lives = 0
        numbers = sorted({step.program for step, _ in steps})
        self._programs = [Program([each for each in steps if each[0].program == n], begin, address_of) for n in numbers]
        # What happens to the host at a time of its own, whatever its programs wait for.
        self._fated = sorted(
            (
                (begin + step.at_us, outcome.step, program)
                for program in self._programs
                for step, outcome in program.steps
                if step.do in _HOSTS and step.at_us
            ),
            key=lambda each: each[:2],
        )
        self._boot()

    def _boot(self) -> None:
        self._lives += 1
        entropy = entropy_of(self._label, self._lives)
        stack = Stack([self.address], self._config, entropy=entropy, name=self.name, trace=self._record)
        self.life = Life(stack, lambda connection: self._opened(self.name, connection))

    def _record(self, event: Event) -> None:
        if isinstance(event, TransitionEvent):
            self._states[event.key] = event.after
        self._trace(event)

    # ---- programs ----

    def next_begin(self, now: int) -> int | None:
        """When the clock lets something begin that has not begun."""
        times = [
            program.begins_at()
            for program in self._programs
            if (step := program.current()) is not None
            and not program.has_begun()
            and (self.life is not None or step.do in _HOSTS)
        ]
        times += [at for at, _, _ in self._fated]
        later = [max(at, now) for at in times]
        return min(later, default=None)

    def serve(self, now: int) -> bool:
        """Let the programs do what they can; False: there was nothing to do."""
        worked = False
        while self._fated and self._fated[0][0] <= now:
            _, number, program = self._fated.pop(0)
            for each in self._programs:
                each.cut(now, number)
            self._switch(program, now)
            worked = True
        if self.life is not None:
            self.life.hear()
        for program in self._programs:
            while self._advance(program, now):
                worked = True
        return worked

    def _advance(self, program: Program, now: int) -> bool:
        step = program.current()
        if step is None or now < program.begins_at():
            return False
        if step.do in _HOSTS:
            self._switch(program, now)
            return True
        if self.life is None:
            return False
        number = program.advance(self.life, now)
        if number >= 0:
            self.causes.append(f"step {number}")
        return number >= 0

    def _switch(self, program: Program, now: int) -> None:
        """Crash or restart, as that program's step says; a host that is down can't crash, one that is up not start."""
        step = program.current()
        if step is None or step.do not in _HOSTS:
            return  # it has been done already
        number = program.finish(now)
        outcome = next(outcome for _, outcome in program.steps if outcome.step == number)
        if (step.do == "crash") == (self.life is None):
            outcome.result, outcome.error = FAILED, "the host is down" if self.life is None else "the host is up"
        elif step.do == "crash":
            self._crash(now)
            for each in self._programs:
                if each is not program:
                    each.cut(now, number)
        else:
            self._boot()
        assert outcome.result in (DONE, FAILED)

    def _crash(self, now: int) -> None:
        assert self.life is not None
        self.life.stack.set_trace(None)
        self.life = None
        self.causes.clear()
        for key, state in self._states.items():
            if state not in (CLOSED, LISTEN):
                self._trace(TransitionEvent(now, self.name, key, state, CLOSED, POWER_OFF, "", CAUSE_USER))
        self._states.clear()

    # ---- packets and timers ----

    def receive(self, packet: bytes, now: int, cause: str) -> None:
        """A packet comes in; its host is up."""
        assert self.life is not None
        self.causes.append(cause)
        self.life.stack.receive(packet, now)

    def poll(self, now: int) -> list[Burst]:
        """What it sends now; nothing while it is down."""
        return self.life.stack.poll(now, _BUDGET) if self.life is not None else []

    def next_timer(self) -> int | None:
        """When its stack wants to be called."""
        return self.life.stack.next_deadline() if self.life is not None else None

    def on_timer(self, now: int) -> None:
        """Call it, if that has come."""
        due = self.next_timer()
        if self.life is not None and due is not None and due <= now:
            self.causes.append("timer")
            self.life.stack.on_timer(now)

    def find(self, key: bytes) -> Connection | None:
        """Its connection of that key, if it has one."""
        if self.life is None:
            return None
        return next((each for each in self.life.stack.connections() if each.key == key), None)
