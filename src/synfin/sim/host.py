"""A host of the simulation: the programs that run on it, and its lives one after another.

A host that crashes and comes back lives again, with a new stack: what is left of its former life reaches nothing any
more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from signal import SIG_DFL
from typing import Any, Final

from synfin.aio.host import Host
from synfin.sim.errors import SimulationError
from synfin.sim.life import Life
from synfin.sim.loop import VirtualLoop
from synfin.sim.signals import IGNORED, Handler, number_of
from synfin.sim.units import probability, share_text
from synfin.tcp.config import Config

SURVIVAL_SECONDS: Final = 0.001  # after a crash: a cancelled task that still runs then is reported


class SimHost:
    """Made by Network.host(). name, addresses (IPv4 and IPv6), config (for its stack).

    begin: makes its n-th life; note: told of faults.
    """

    def __init__(
        self,
        name: str,
        addresses: list[str],
        config: Config | None,
        loop: VirtualLoop,
        begin: Callable[[SimHost, int], Life],
        note: Callable[[str], None],
    ) -> None:
        self.name = name
        self.addresses = [*addresses, "127.0.0.1", "::1"]
        self.config = config
        self._loop = loop
        self._begin = begin
        self._note = note
        self._programs: list[Callable[[], Coroutine[Any, Any, Any]]] = []
        self._lives = 1
        self._started: list[asyncio.Task[Any]] = []
        self._once: list[asyncio.Task[Any]] = []  # of them those that do not live again
        self.survivors: list[str] = []
        """Tasks of former lives that did not end when they were cancelled."""
        self.afterlife: list[str] = []
        """What cancelled code of former lives did to what outlives the host, with its place."""
        self.life = self._begin_life()

    def __repr__(self) -> str:
        return f"<SimHost {self.name} {self.addresses[0]} {'up' if self.is_up() else 'down'}>"

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return self.addresses[0]

    @property
    def host(self) -> Host:
        """Its synfin Host, of this life."""
        return self.life.host

    def is_up(self) -> bool:
        """It has not crashed, or was restarted."""
        return self.life.alive

    def lives_again(self) -> bool:
        """After a crash and a restart it runs all that it runs now: programs that were given as functions."""
        return bool(self._programs) and all(task.done() for task in self._once)

    # ---- programs ----

    def start(self, program: Coroutine[Any, Any, Any] | Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """Run a program on this host; its task.

        A function that returns a coroutine is run again by `restart()`, a coroutine is not. An exception that nobody
        awaits fails the simulation at its end. Raises TypeError for anything else, SimulationError if the host is down.
        """
        if not self.life.alive:
            if asyncio.iscoroutine(program):
                program.close()
            raise SimulationError(f"{self.name} is down: restart() it first")
        if not asyncio.iscoroutine(program):
            if not callable(program):
                raise TypeError(f"a program is a coroutine or a function that makes one, not {type(program).__name__}")
            self._programs.append(program)
        task = self._launch(program)
        self._started.append(task)
        if asyncio.iscoroutine(program):
            self._once = [one for one in self._once if not one.done()]
            self._once.append(task)
        return task

    def run_on(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call a plain function in this host's context."""
        return self.life.context.run(call, *args)

    def _begin_life(self) -> Life:
        life = self._begin(self, self._lives)
        life.signalled = self.signal
        life.haunts = self._haunted
        return life

    def _haunted(self, what: str) -> None:
        if what not in self.afterlife:
            self.afterlife.append(what)
            self._note(f"{self.name} has crashed, and its code still {what}")

    def _launch(self, program: Any) -> asyncio.Task[Any]:
        context = self.life.context.copy()
        coro = program if asyncio.iscoroutine(program) else context.run(program)
        if not asyncio.iscoroutine(coro):
            raise TypeError(f"{program!r} returned {type(coro).__name__}, not a coroutine")
        name = f"{self.name}/{getattr(coro, '__qualname__', 'program')}"
        return self._loop.create_task(coro, name=name, context=context)

    # ---- faults ----

    def crash(self) -> None:
        """The host is gone at once: no FIN, no RST, its memory lost. Its tasks are cancelled, without any network."""
        if not self.life.alive:
            raise SimulationError(f"{self.name} is down already")
        self._end(f"{self.name} crashes", orderly=False)

    def _end(self, what: str, orderly: bool) -> None:
        self._note(what)
        self._loop.on_death()
        self.life.end(orderly)
        self._loop.call_later(SURVIVAL_SECONDS, self._report_survivors, self.life, context=Context())

    def signal(self, what: str | int) -> None:
        """The process gets a signal: "SIGTERM", "INT" or a number. Its handler runs at the loop's next turn.

        By default a signal ends the process: its connections are reset, and it is down until restart().
        """
        if not self.life.alive:
            raise SimulationError(f"{self.name} is down: only a living host gets signals")
        number = number_of(what)
        handler = self.life.signals.get(number, SIG_DFL)
        if isinstance(handler, Handler):
            self._note(f"{self.name} gets {number.name}")
            self._loop.call_soon(handler.callback, *handler.args, context=handler.context)
        elif handler is SIG_DFL and number not in IGNORED:
            self._end(f"{number.name} ends {self.name}, which has no handler for it", orderly=True)

    def restart(self) -> None:
        """Live again: a new stack on the same addresses, and the programs that were given as functions."""
        if self.life.alive:
            raise SimulationError(f"{self.name} is up: crash() comes before restart()")
        self._note(f"{self.name} restarts")
        self._lives += 1
        self.life = self._begin_life()
        for program in self._programs:
            self._started.append(self._launch(program))

    def pause(self) -> None:
        """Freeze: no task or timer of it runs, packets wait at its door (at most 1,000)."""
        if not self.life.alive:
            raise SimulationError(f"{self.name} is down: only a living host can be paused")
        self._note(f"{self.name} pauses")
        self.life.freeze()

    def resume(self) -> None:
        """Go on after pause()."""
        if self.life.paused:
            self._note(f"{self.name} resumes")
            self.life.thaw()

    def slow(self, share: float) -> None:
        """Run for this part of each 100 ms only, as a container that is throttled by its quota; 1: all the time."""
        if not probability(share, "share") > 0:
            raise ValueError("a host runs for a part of the time; for none, pause() it")
        if not self.life.alive:
            raise SimulationError(f"{self.name} is down: only a living host can be slow")
        self._note(f"{self.name} runs for {share_text(share)} of the time")
        self.life.throttle(float(share))

    def _report_survivors(self, former: Life) -> None:
        for task in sorted(former.tasks, key=hash):
            if not task.done():
                self.survivors.append(task.get_name())
                self._note(f"task {task.get_name()} of {self.name} outlives the crash")

    # ---- the end ----

    def fade(self) -> None:
        """The simulation is over: it can be looked at, and holds on to nobody."""
        self._note = _unheard
        self._begin = _nothing_begins
        self.life.fade()

    def unretrieved(self) -> list[tuple[str, BaseException]]:
        """Programs that failed, by task name, with an exception that nobody has awaited."""
        found: list[tuple[str, BaseException]] = []
        for task in self._started:
            if task.done() and not task.cancelled() and getattr(task, "_log_traceback", False):
                error = task.exception()
                if error is not None:
                    found.append((task.get_name(), error))
        return found


def _unheard(what: str) -> None:
    """Nobody keeps it any more."""


def _nothing_begins(host: SimHost, number: int) -> Life:
    raise SimulationError(f"the simulation is over: {host.name} can't live again")
