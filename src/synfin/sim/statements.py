"""Statements about all times: what must hold after each event, and what must come to hold in time.

A check is a plain function of no arguments. It fails by an AssertionError or by a result that is false; None holds. It
runs between two callbacks of the loop, so it sees what every other task could see, and it must change nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator
from functools import partial
from inspect import iscoroutine, iscoroutinefunction
from typing import Any, Final

from synfin.sim.errors import Violation
from synfin.sim.life import life_of
from synfin.sim.loop import VirtualLoop
from synfin.sim.tasks import describe_waiting, task_of, where
from synfin.sim.turns import RESOLUTION, START

Check = Callable[[], object]
_DIRECTOR: Final = "the director"


class Statement:
    """A check in force. name: what it is called in a report. end(): it is stated no more."""

    def __init__(self, what: str, check: Check) -> None:
        self.name = f"{what} {_name_of(check)}"
        self.check = check
        self.ended = False

    def __repr__(self) -> str:
        return f"<{self.name}{' (ended)' if self.ended else ''}>"

    def end(self) -> None:
        """Check it no more."""
        self.ended = True

    def problem(self) -> str | AssertionError | None:
        """What is wrong now, if anything; raises what the check raises that is no AssertionError."""
        try:
            result = self.check()
        except AssertionError as error:
            return error
        if iscoroutine(result):
            result.close()
            raise TypeError(f"{self.name}: a check is a plain function, not a coroutine's")
        return None if result is None or result else f"it is {result!r}"


class Promise(Statement):
    """A statement that has until `deadline`, in the loop's time, to come true once. It can be awaited."""

    def __init__(self, what: str, check: Check, loop: VirtualLoop, deadline: float) -> None:
        super().__init__(what, check)
        self.deadline = deadline
        self._loop = loop
        self._waiting: asyncio.Future[None] | None = None

    def __await__(self) -> Generator[Any, None, None]:
        if not self.ended:
            if self._waiting is None:
                self._waiting = self._loop.create_future()
            yield from asyncio.shield(self._waiting).__await__()

    def end(self) -> None:
        """It has come true, or is not waited for any more."""
        super().end()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Statements:
    """All that is stated in one simulation; a loop's `witness` while there is anything."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._stated: list[Statement] = []

    def always(self, check: Check) -> Statement:
        """It must hold after each event from now on."""
        statement = Statement("always", _checked(check))
        self._state(statement)
        return statement

    def eventually(self, within_us: int, check: Check) -> Promise:
        """It must hold after some event, or at the end, of so many microseconds."""
        seconds = within_us / 1_000_000
        promise = Promise(f"eventually within {seconds:g} s", _checked(check), self._loop, self._loop.time() + seconds)
        self._state(promise)
        self._loop.call_at(promise.deadline, _nothing)  # so that there is an event then
        return promise

    def promised(self) -> bool:
        """Something has yet to come true."""
        return any(isinstance(statement, Promise) for statement in self._stated)

    async def settle(self) -> None:
        """Wait for what has been promised."""
        for statement in tuple(self._stated):
            if isinstance(statement, Promise):
                await statement

    def _state(self, statement: Statement) -> None:
        self._stated.append(statement)
        self._loop.turns.witness = self.observe

    def observe(self, handle: Any) -> Callable[[], None]:
        """A callback is about to run (None: packets arrive); call what this returns when it has."""
        if handle is None:
            return partial(self._judge, "packets arrived", None)
        life = life_of(handle._context)
        task = task_of(handle)
        if task is None:
            return partial(self._judge, f"a callback of {_DIRECTOR if life is None else life.name}", None)
        return partial(self._judge, where(task), task)

    def _judge(self, before: str, task: asyncio.Task[Any] | None) -> None:
        """Raises Violation for a statement that does not hold."""
        for statement in self._stated:
            if statement.ended:
                continue
            problem = statement.problem()
            if isinstance(statement, Promise):
                if problem is None:
                    statement.end()
                elif self._loop.time() + RESOLUTION >= statement.deadline:
                    self._fail(statement, problem, describe_waiting(self._loop, "these tasks wait:"))
            elif problem is not None:
                self._fail(statement, problem, f"after {before if task is None else _step(before, task)}")
        if any(statement.ended for statement in self._stated):
            self._stated = [statement for statement in self._stated if not statement.ended]
            if not self._stated:
                self._loop.turns.witness = None

    def _fail(self, statement: Statement, problem: str | AssertionError, place: str) -> None:
        at = self._loop.time() - START
        error = Violation(f"{statement.name} does not hold at {at:.6f} s: {problem}\n  {place}")
        error.statement, error.place, error.time = statement.name, place, at
        raise error from (problem if isinstance(problem, AssertionError) else None)


def _step(before: str, task: asyncio.Task[Any]) -> str:
    after = "ended" if task.done() else where(task)
    return f"{task.get_name()} went on: {before} -> {after}"


def _checked(check: Check) -> Check:
    if not callable(check):
        raise TypeError(f"a check is a function, not {type(check).__name__}")
    if iscoroutinefunction(check):
        raise TypeError("a check is a plain function, not a coroutine's: it runs between two events")
    return check


def _name_of(check: Any) -> str:
    """What a function is called, and where it is written."""
    while isinstance(check, partial):
        check = check.func
    name = getattr(check, "__qualname__", type(check).__qualname__).replace("<locals>.", "")
    code = getattr(check, "__code__", None)
    return name if code is None else f"{name} ({os.path.basename(code.co_filename)}:{code.co_firstlineno})"


def _nothing() -> None:
    """What happens at a deadline: it is an event."""
