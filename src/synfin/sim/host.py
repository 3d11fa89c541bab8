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
from synfin.links.tunnel import TunnelLink
from synfin.sim.errors import SimulationError, SimulationEscape
from synfin.tcp.config import Config
from synfin.wire.segment import Burst, split

if TYPE_CHECKING:
    from synfin.sim.link import Direction
    from synfin.sim.network import Network

HELD_PACKETS: Final = 1000  # that wait at a paused host; more are lost
SURVIVAL_SECONDS: Final = 0.001  # after a crash: a cancelled task that still runs then is reported


class Uplink(TunnelLink):
    """What a host sends, the network carries, burst by burst."""

    def __init__(self, owner: SimHost, mtu: int) -> None:
        super().__init__(lambda _: None, mtu)
        self._owner = owner

    def send(self, bursts: list[Burst]) -> None:
        """Give each burst to the network as the packets it stands for."""
        carry = self._owner.network.carry
        for burst in bursts:
            carry(self._owner, split(burst))


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
        config = owner.config if owner.config is not None else Config()
        self.host = Host(
            owner.addresses,
            link=Uplink(owner, config.mtu),
            config=config,
            name=owner.name,
            trace=network.trace,
            entropy=random.Random(f"{network.seed} {owner.name} {number}").randbytes,
        )
        self.context.run(self.host.open, network.loop)

    def deliver(self, packets: list[bytes]) -> None:
        """Packets arrive, in nobody's context but the host's."""
        if not self.alive:
            return
        if self.paused:
            self.packets += packets[: HELD_PACKETS - len(self.packets)]
            return
        self.context.run(self.host.deliver, packets)

    def thaw(self) -> None:
        """What waited happens now."""
        self.paused = False
        loop = self.owner.network.loop
        handles, self.held = self.held, []
        loop.release(handles)
        packets, self.packets = self.packets, []
        if packets:  # at the top of the loop, as all packets arrive, and not in the context of who calls this
            loop.call_soon(self.deliver, packets, context=Context())

    def end(self) -> None:
        """No packet leaves any more; tasks and callbacks are cancelled, and who waits for a connection is told."""
        self.alive = False
        self.packets.clear()
        self.thaw()
        self.owner.network.loop.cancel_handles(self.owns)
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
        self.routes: dict[bytes, tuple[SimHost, Direction]] = {}  # by address; filled by the network
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
        self.network.loop.call_later(SURVIVAL_SECONDS, self._report_survivors, self.life, context=Context())

    def restart(self) -> None:
        """Live again: a new stack on the same addresses, and the programs that were given as functions."""
        if self.life.alive:
            raise SimulationError(f"{self.name} is up: crash() comes before restart()")
        self.network.note_fault(f"{self.name} restarts")
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
        self.network.watch_pauses()

    def resume(self) -> None:
        """Go on after pause()."""
        if self.life.paused:
            self.network.note_fault(f"{self.name} resumes")
            self.life.thaw()
            self.network.watch_pauses()

    def _report_survivors(self, former: Life) -> None:
        for task in sorted(former.tasks, key=hash):
            if not task.done():
                self.survivors.append(task.get_name())
                self.network.note_fault(f"task {task.get_name()} of {self.name} outlives the crash")

    # ---- the end ----

    def unretrieved(self) -> list[tuple[str, BaseException]]:
        """Programs that failed, by task name, with an exception that nobody has awaited."""
        found: list[tuple[str, BaseException]] = []
        for task in self._started:
            if task.done() and not task.cancelled() and getattr(task, "_log_traceback", False):
                error = task.exception()
                if error is not None:
                    found.append((task.get_name(), error))
        return found


def living(what: str) -> Host:
    """The Host that the running code is on. Raises SimulationEscape on none, OSError(ENETDOWN) on one that crashed."""
    life = current_life.get()
    if life is None:
        raise SimulationEscape(f"{what}: this code runs on no host; run it by host.start(...)")
    if not life.alive:
        raise OSError(errno.ENETDOWN, f"{life.owner.name} has crashed")
    return life.host
