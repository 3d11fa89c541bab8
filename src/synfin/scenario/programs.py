"""What the programs of one host do: steps one after another, as a program that blocks does them, on a real Stack.

A step that fails ends what its program still wanted of that connection, as an exception nobody catches; it goes on with
its next listen, accept or open. A host that crashes loses its Stack, and with it all that the Stack knew.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from synfin.scenario.model import Step
from synfin.stack.stack import Stack
from synfin.tcp import errors
from synfin.tcp.connection import Connection
from synfin.tcp.listener import Listener
from synfin.tcp.turn import CONNECTED, EOF

# How a step ended.
DONE: Final = "done"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"  # after one that failed
CRASHED: Final = "crashed"  # its host did
WAITING: Final = "waiting"  # it never ended

FORGED_BYTE: Final = b"X"  # all that a forger writes; no program does
_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz"
_BEGINNINGS: Final = ("listen", "accept", "open", "crash", "restart")


@dataclass
class Outcome:
    """How the step of that number in the scenario went. bytes: that were read or written; forged: of those read, how
    many no program wrote; error: as its user sees it, such as `ConnectionResetError (ECONNRESET)`."""

    step: int
    host: str
    result: str = WAITING
    began_us: int = -1
    ended_us: int = -1
    error: str = ""
    bytes: int = 0
    forged: int = 0


def error_text(error: OSError) -> str:
    """The exception's name and the errno's: the same on every system, as numbers and texts are not."""
    return f"{type(error).__name__} ({errno.errorcode.get(error.errno or 0, '?')})"


class Life:
    """A Stack from its start to its crash, and what its programs share: listeners by port, and what they were told."""

    def __init__(self, stack: Stack, opened: Callable[[Connection], None]) -> None:
        self.stack = stack
        self.opened = opened
        self.listeners: dict[int, Listener] = {}
        self._told: dict[Connection, int] = {}

    def hear(self) -> None:
        """Take what the stack has to tell."""
        while self.stack.accepting() is not None:
            pass
        while (connection := self.stack.ready()) is not None:
            self._told[connection] = self._told.get(connection, 0) | connection.take_events()

    def was_told(self, connection: Connection, event: int) -> bool:
        """The connection has told its user of it."""
        return bool(self._told.get(connection, 0) & event)


class Program:
    """Steps of one host, with their outcomes; begin: the time from which theirs count; address_of: where a host is."""

    def __init__(self, steps: list[tuple[Step, Outcome]], begin: int, address_of: Callable[[str], str]) -> None:
        self.steps = steps
        self._begin = begin
        self._address_of = address_of
        self._next = 0
        self._free_at = begin
        self._connection: Connection | None = None
        self._began = False
        self._opening = False  # the open that it does now has been asked of the stack
        self._written = 0
        self._taken = 0  # bytes read of this connection
        self.astray = False  # it has read bytes that stand elsewhere in what a program wrote

    def current(self) -> Step | None:
        """What it does now, or waits to begin."""
        return self.steps[self._next][0] if self._next < len(self.steps) else None

    def begins_at(self) -> int:
        """When what it does now may begin."""
        step = self.steps[self._next][0]
        return max(self._begin + step.at_us, self._free_at + step.after_us)

    def has_begun(self) -> bool:
        """It waits for something else than the clock."""
        return self._began

    def finish(self, now: int) -> int:
        """What it does now is done; the number of the step."""
        outcome = self.steps[self._next][1]
        if outcome.began_us < 0:
            outcome.began_us = now
        outcome.result, outcome.ended_us = DONE, now
        self._go_on(now)
        return outcome.step

    def cut(self, now: int, number: int) -> None:
        """The host is gone, or back: what stands before the step of that number is never done.

        Where that is another program's: what was not to happen later than now.
        """
        mine = any(outcome.step == number for _, outcome in self.steps)
        while self._next < len(self.steps):
            step, outcome = self.steps[self._next]
            if outcome.step == number if mine else self._begin + step.at_us > now:
                break
            outcome.result, outcome.ended_us = CRASHED, now
            self._go_on(now)
        self._connection = None

    def advance(self, life: Life, now: int) -> int:
        """Do what can be done now; the number of the step that did something, -1: nothing did."""
        if self._next >= len(self.steps) or now < self.begins_at():
            return -1
        step, outcome = self.steps[self._next]
        first = not self._began
        if first:
            self._began = True
            outcome.began_us = now
        try:
            if not _DO[step.do](self, life, step, outcome, now):
                return outcome.step if first else -1
        except OSError as error:
            self._fail(outcome, error, now)
        else:
            self.finish(now)
        return outcome.step

    def _fail(self, outcome: Outcome, error: OSError, now: int) -> None:
        outcome.result, outcome.ended_us, outcome.error = FAILED, now, error_text(error)
        self._connection = None
        self._go_on(now)
        while self._next < len(self.steps) and self.steps[self._next][0].do not in _BEGINNINGS:
            self.steps[self._next][1].result = SKIPPED
            self._next += 1

    def _go_on(self, now: int) -> None:
        self._next += 1
        self._free_at = now
        self._began = self._opening = False

    # ---- what a step does: True once it is done ----

    def _live(self) -> Connection:
        if self._connection is None:
            raise errors.oserror(errors.NOT_CONNECTED)
        return self._connection

    def _listen(self, life: Life, step: Step, outcome: Outcome, now: int) -> bool:
        life.listeners[step.port] = life.stack.listen(step.port, backlog=step.backlog)
        return True

    def _accept(self, life: Life, step: Step, outcome: Outcome, now: int) -> bool:
        listener = life.listeners.get(step.port)
        if listener is None:
            raise OSError(errno.EINVAL, "nobody listens there")
        connection = listener.accept()
        if connection is None:
            return False
        connection.remind()
        self._take(connection)
        return True

    def _open(self, life: Life, step: Step, outcome: Outcome, now: int) -> bool:
        if not self._opening:
            self._opening = True
            address = self._address_of(step.to)
            self._take(life.stack.connect(address, step.port, now, local_port=step.from_port))
            life.opened(self._live())
        connection = self._live()
        if connection.error:
            raise errors.oserror(connection.error)
        return not step.wait or life.was_told(connection, CONNECTED)

    def _write(self, life: Life, step: Step, outcome: Outcome, now: int) -> bool:
        self._live().write(_text(self._written, step.bytes))
        self._written += step.bytes
        outcome.bytes = step.bytes
        return True

    def _read(self, life: Life, step: Step, outcome: Outcome, now: int) -> bool:
        connection = self._live()
        data = b"".join(connection.read(now, step.bytes - outcome.bytes if step.bytes else -1))
        outcome.bytes += len(data)
        outcome.forged += data.count(FORGED_BYTE)
        self.astray |= FORGED_BYTE not in data and data != _text(self._taken, len(data))
        self._taken += len(data)
        if step.bytes and outcome.bytes >= step.bytes:
            return True
        if connection.error:
            raise errors.oserror(connection.error)
        return life.was_told(connection, EOF) and not connection.receiver.ready_bytes

    def _shutdown(self, life: Life, step: Step, outcome: Outcome, now: int) -> bool:
        self._live().shutdown(now)
        return True

    def _close(self, life: Life, step: Step, outcome: Outcome, now: int) -> bool:
        self._live().close(now)
        self._connection = None
        return True

    def _abort(self, life: Life, step: Step, outcome: Outcome, now: int) -> bool:
        self._live().abort(now)
        self._connection = None
        return True

    def _take(self, connection: Connection) -> None:
        self._connection = connection
        self._written = self._taken = 0


def _text(begin: int, size: int) -> bytes:
    """What a program writes from that place of its stream on: the alphabet, again and again."""
    shift = begin % len(_LETTERS)
    return (_LETTERS * (size // len(_LETTERS) + 2))[shift : shift + size]


_DO: Final[dict[str, Callable[[Program, Life, Step, Outcome, int], bool]]] = {
    "listen": Program._listen,
    "accept": Program._accept,
    "open": Program._open,
    "write": Program._write,
    "read": Program._read,
    "shutdown": Program._shutdown,
    "close": Program._close,
    "abort": Program._abort,
}
