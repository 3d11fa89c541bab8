"""A host of the simulation: a synfin Host, and the program that runs on it.

Code runs "on" a host when its context says so; tasks and callbacks inherit it, and the loop's calls look there. A host
that crashes and comes back lives again, with a new stack: what is left of its former life reaches nothing any more.
"""

from __future__ import annotations

import asyncio
import errno
import random
from asyncio import events
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, Final

from synfin.aio.host import Host
from synfin.sim.errors import SimulationError, SimulationEscape
from synfin.tcp.config import Config

if TYPE_CHECKING:
    from synfin.sim.network import Network

HELD_PACKETS: Final = 1000  # that wait at a paused host; more are lost


class Life:
    """One life of a host, from its start to its crash."""

    def __init__(self, owner: SimHost, number: int) -> None:
        self.owner = owner
        self.number = number
        self.alive = True
        self.paused = False
        self.held: list[events.Handle] = []  # callbacks that wait while it is paused
        self.packets: list[bytes] = []  # packets that do
        self.tasks: set[asyncio.Task[Any]] = set()
        self.context: Context = copy_context()
        self.context.run(current_life.set, self)
        network = owner.network
        self.host = Host(
            owner.addresses,
            send=self._send,
            config=owner.config,
            name=owner.name,
            trace=network.record,
            entropy=random.Random(f"{network.seed} {owner.name} {number}").randbytes,
        )
        self.context.run(self.host.open, network.loop)

    def _send(self, packet: bytes) -> None:
        if self.alive:
            self.owner.network.carry(self.owner, packet)

    def deliver(self, packet: bytes) -> None:
        """A packet arrives, in nobody's context but the host's."""
        if not self.alive:
            return
        if self.paused:
            if len(self.packets) < HELD_PACKETS:
                self.packets.append(packet)
            return
        self.context.run(self.host.receive, packet)

    def end(self) -> None:
        """No packet leaves any more, nothing is told to anybody; tasks and callbacks are cancelled."""
        self.alive = False
        loop = self.owner.network.loop
        loop.cancel_handles(self.owns)
        self.held.clear()
        self.packets.clear()
        self.paused = False
        for task in sorted(self.tasks, key=hash):
            task.cancel()
        self.context.run(self.host.detach)

    def owns(self, handle: events.Handle) -> bool:
        """A callback that was scheduled on this host."""
        context: Context | None = handle._context  # type: ignore[attr-defined]
        return context is not None and context.get(current_life) is self


current_life: ContextVar[Life | None] = ContextVar("synfin_life", default=None)


class SimHost:
    """Made by Network.host(). name, addresses (IPv4 and IPv6), config (for its stack)."""

    def __init__(self, network: Network, name: str, addresses: list[str], config: Config | None) -> None:
        self.network = network
        self.name = name
        self.addresses = [*addresses, "127.0.0.1", "::1"]
        self.config = config
        self._programs: list[Callable[[], Coroutine[Any, Any, Any]]] = []
        self._lives = 1
        self._started: list[asyncio.Task[Any]] = []
        self.survivors: list[str] = []
        """Tasks of former lives that did not end when they were cancelled."""
        self.life = Life(self, 1)

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
        return task

    def run_on(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call a plain function in this host's context."""
        return self.life.context.run(call, *args)

    def _launch(self, program: Any) -> asyncio.Task[Any]:
        context = self.life.context.copy()
        coro = program if asyncio.iscoroutine(program) else context.run(program)
        if not asyncio.iscoroutine(coro):
            raise TypeError(f"{program!r} returned {type(coro).__name__}, not a coroutine")
        name = f"{self.name}/{getattr(coro, '__qualname__', 'program')}"
        return self.network.loop.create_task(coro, name=name, context=context)

    # ---- faults ----

    def crash(self) -> None:
        """The host is gone at once: no FIN, no RST, its memory lost. Its tasks are cancelled, without any network."""
        if not self.life.alive:
            raise SimulationError(f"{self.name} is down already")
        self.network.note_fault(f"{self.name} crashes")
        self.life.end()

    def restart(self) -> None:
        """Live again: a new stack on the same addresses, and the programs that were given as functions."""
        if self.life.alive:
            raise SimulationError(f"{self.name} is up: crash() comes before restart()")
        self.network.note_fault(f"{self.name} restarts")
        self._look_for_survivors()
        self._lives += 1
        self.life = Life(self, self._lives)
        for program in self._programs:
            self._started.append(self._launch(program))

    def pause(self) -> None:
        """Freeze: no task or timer of it runs, packets wait at its door (at most 1,000)."""
        if not self.life.alive:
            raise SimulationError(f"{self.name} is down: only a living host can be paused")
        self.network.note_fault(f"{self.name} pauses")
        self.life.paused = True

    def resume(self) -> None:
        """Go on after pause()."""
        life = self.life
        if not life.paused:
            return
        self.network.note_fault(f"{self.name} resumes")
        life.paused = False
        handles, life.held = life.held, []
        self.network.loop.release(handles)
        packets, life.packets = life.packets, []
        for packet in packets:
            life.deliver(packet)

    def _look_for_survivors(self) -> None:
        former = self.life
        self.network.loop.call_later(0.001, self._report_survivors, former, context=Context())

    def _report_survivors(self, former: Life) -> None:
        self.survivors += [task.get_name() for task in sorted(former.tasks, key=hash) if not task.done()]

    # ---- the end ----

    def unretrieved(self) -> list[BaseException]:
        """Exceptions of programs that nobody has awaited."""
        found: list[BaseException] = []
        for task in self._started:
            if task.done() and not task.cancelled() and getattr(task, "_log_traceback", False):
                error = task.exception()
                if error is not None:
                    found.append(error)
        return found


def living(what: str) -> Host:
    """The Host that the running code is on. Raises SimulationEscape on none, OSError(ENETDOWN) on one that crashed."""
    life = current_life.get()
    if life is None:
        raise SimulationEscape(f"{what}: this code runs on no host; run it by host.start(...)")
    if not life.alive:
        raise OSError(errno.ENETDOWN, f"{life.owner.name} has crashed")
    return life.host
