"""Who is let in, as a user says it: verdicts on SYNs, at once or by a coroutine that finds out.

The core asks by keys and holds a SYN whose verdict is to come (`stack.admission`); here keys become addresses, and what
is to come a task. A user who fails, or says what is no verdict, is reported, and the SYN is dropped.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial

from synfin.aio.engine import Engine
from synfin.aio.socket_face import socket_name
from synfin.stack.admission import DROP, LATER, check_verdict
from synfin.wire.key import key_dst, key_dst_port, key_src, key_src_port

Place = tuple[str, int]
Verdict = int


class Later:
    """A verdict that is to come, without a task: settle() gives it, once, in no call of on_syn."""

    def __init__(self) -> None:
        self._on_verdict: Callable[[Verdict], None] | None = None

    def settle(self, verdict: Verdict) -> None:
        """This is it. Where nobody waits any more it is of no use."""
        told, self._on_verdict = self._on_verdict, None
        if told is not None:
            told(verdict)

    def forgotten(self) -> None:
        """Nobody waits any more: the sender has given up, or too many SYNs are held. Subclasses end what they began."""

    def await_verdict(self, on_verdict: Callable[[Verdict], None]) -> None:
        """Whom to tell."""
        self._on_verdict = on_verdict

    def forget(self) -> None:
        """Tell nobody."""
        self._on_verdict = None
        self.forgotten()


OnSyn = Callable[[Place, Place], Verdict | Later | Awaitable[Verdict]]
OnLost = Callable[[Place, Place], object]
OnDatagram = Callable[[Place, Place], Verdict]


def source_of(key: bytes) -> Place:
    """Who sent what came in under `key`."""
    return socket_name(key_src(key), key_src_port(key))[:2]


def destination_of(key: bytes) -> Place:
    """For whom he meant it."""
    return socket_name(key_dst(key), key_dst_port(key))[:2]


def ask(engine: Engine, judge: Callable[[Place, Place], object], key: bytes) -> object:
    """What a user says; DROP: nothing, for he failed."""
    try:
        return judge(source_of(key), destination_of(key))
    except Exception as problem:
        report(engine, judge, problem)
        return DROP


def checked(engine: Engine, judge: object, verdict: object) -> Verdict:
    """The verdict; DROP if it is none."""
    try:
        return check_verdict(verdict)
    except (TypeError, ValueError) as problem:
        report(engine, judge, problem)
        return DROP


def report(engine: Engine, judge: object, problem: BaseException) -> None:
    """A user's verdict failed, which nobody awaits."""
    engine.loop.call_exception_handler({"message": f"{judge!r} gave no verdict", "exception": problem})


class Doorkeeper:
    """Asks `on_syn` about each SYN that a listener would take; tells `on_lost` of those let in that came to nothing."""

    def __init__(self, engine: Engine, on_syn: OnSyn, on_lost: OnLost | None = None) -> None:
        self._engine = engine
        self._on_syn = on_syn
        self._context = copy_context()
        self._asked: dict[bytes, asyncio.Future[int] | Later] = {}  # as many as SYNs are held
        admission = engine.stack.admission
        admission.ask = self._ask
        admission.forget = self._forget
        self._on_lost = on_lost
        if on_lost is not None:
            engine.stack.tell_of_lost(self._lost)

    def _ask(self, key: bytes) -> int:
        verdict = ask(self._engine, self._on_syn, key)
        if isinstance(verdict, Later):
            self._asked[key] = verdict
            verdict.await_verdict(partial(self._on_verdict, key))
            return LATER
        if not inspect.isawaitable(verdict):
            return checked(self._engine, self._on_syn, verdict)
        task = self._context.copy().run(partial(asyncio.ensure_future, verdict, loop=self._engine.loop))
        self._asked[key] = task
        task.add_done_callback(partial(self._on_answer, key))
        return LATER

    def _on_answer(self, key: bytes, task: asyncio.Future[int]) -> None:
        if self._asked.get(key) is not task:
            if not task.cancelled():
                task.exception()  # nobody waits for it any more
            return
        if task.cancelled():
            verdict = DROP
        elif (problem := task.exception()) is not None:
            report(self._engine, self._on_syn, problem)
            verdict = DROP
        else:
            verdict = checked(self._engine, self._on_syn, task.result())
        self._on_verdict(key, verdict)

    def _on_verdict(self, key: bytes, verdict: Verdict) -> None:
        del self._asked[key]
        if self._engine.is_open() and self._engine.stack.settle(key, verdict, self._engine.clock()):
            self._engine.driver.schedule_flush()

    def _forget(self, key: bytes) -> None:
        """Its SYN is held no more."""
        asked = self._asked.pop(key, None)
        if isinstance(asked, Later):
            asked.forget()
        elif asked is not None:
            asked.cancel()

    def _lost(self, key: bytes) -> None:
        """Its handshake was not completed."""
        assert self._on_lost is not None
        ask(self._engine, self._on_lost, key)

    def close(self) -> None:
        """The host ends: nobody is asked any more, and who still finds out need not."""
        admission = self._engine.stack.admission
        admission.ask = None
        admission.forget = None
        self._engine.stack.tell_of_lost(None)
        for key in list(self._asked):
            self._forget(key)
