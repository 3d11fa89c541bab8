"""One life of a host, from its start to its crash, and which life the running code belongs to.

Code runs "on" a host when its context says so; tasks and callbacks inherit it, and the loop's calls look there. A life
knows its synfin Host and its loop; the network and the host that lives again after a crash are not its business.
"""

from __future__ import annotations

import asyncio
import errno
from asyncio import events
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final

from synfin.aio.host import Host
from synfin.links.tunnel import Arrival
from synfin.sim.door import Door, Uplink
from synfin.sim.errors import SimulationEscape
from synfin.sim.loop import VirtualLoop
from synfin.sim.tasks import caller
from synfin.tcp.config import Config
from synfin.tcp.trace import Trace

HELD_PACKETS: Final = 1000  # that wait at a paused host; more are lost
QUOTA_PERIOD: Final = 0.1  # seconds: of each a throttled host runs for a part, as a container under Linux's CFS quota
_BY_HAND: Final = "pause()"
_THROTTLED: Final = "throttled"


class Life:
    """name, addresses, config, trace, entropy: of its Host; uplink: takes what it sends."""

    def __init__(
        self,
        name: str,
        addresses: list[str],
        loop: VirtualLoop,
        uplink: Uplink,
        *,
        config: Config | None,
        trace: Trace | None,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.name = name
        self.alive = True
        self._frozen: set[str] = set()  # why it is
        self._share = 1.0  # of the time that it runs
        self._quota = 0  # how often that was changed
        self.signals: dict[int, Any] = {}  # what it does about each, by number
        self.signalled: Callable[[int], None]  # who is to be told of those that it sends itself
        self.haunts: Callable[[str], None]  # who is to be told of what its code does after its end
        self.tasks: set[asyncio.Task[Any]] = set()
        self._loop = loop
        self._held: list[events.Handle] = []  # callbacks that wait while it is paused
        self._held_packets: list[Arrival] = []  # what arrives while it is
        self.context: Context = copy_context()
        self.context.run(_current.set, self)
        self.host = Host(addresses, link=uplink, config=config, name=name, trace=trace, entropy=entropy)
        self.door = Door(self.host.engine.driver, self.context, self._wait_at_the_door)
        self.context.run(self.host.open, loop)

    def _wait_at_the_door(self, arrivals: list[Arrival]) -> None:
        """They come while it is paused, or not any more."""
        if self.alive:
            room = HELD_PACKETS - len(self._held_packets)
            self._held_packets += arrivals[:room]

    @property
    def paused(self) -> bool:
        """Nothing of it runs."""
        return bool(self._frozen)

    @property
    def throttled(self) -> bool:
        """It runs for a part of the time only."""
        return self._share < 1

    def freeze(self, reason: str = _BY_HAND) -> None:
        """Nothing of it runs, and packets wait, until thaw() for each reason that there is."""
        if not self._frozen:
            self._loop.turns.holds.append(self._hold)
            self.door.is_open = False
        self._frozen.add(reason)

    def thaw(self, reason: str = _BY_HAND) -> None:
        """What waited happens now."""
        if reason not in self._frozen:
            return
        self._frozen.remove(reason)
        if not self._frozen:
            self._go_on()

    def throttle(self, share: float) -> None:
        """It runs for that part of each QUOTA_PERIOD only; 1: all the time."""
        self._share = share
        self._quota += 1
        self.thaw(_THROTTLED)
        if share < 1:
            self._spend_quota(self._quota)

    def _spend_quota(self, quota: int) -> None:
        """What it was given for this period is spent."""
        if self.alive and quota == self._quota:
            self.freeze(_THROTTLED)
            self._loop.call_later((1 - self._share) * QUOTA_PERIOD, self._get_quota, quota, context=Context())

    def _get_quota(self, quota: int) -> None:
        if self.alive and quota == self._quota:
            self.thaw(_THROTTLED)
            self._loop.call_later(self._share * QUOTA_PERIOD, self._spend_quota, quota, context=Context())

    def _go_on(self) -> None:
        self._loop.turns.holds.remove(self._hold)
        self.door.is_open = self.alive
        handles, self._held = self._held, []
        self._loop.turns.release(handles)
        held, self._held_packets = self._held_packets, []
        if held:  # at the top of the loop, as all packets arrive, and not in the context of who calls this
            self._loop.call_soon(self.door.deliver, held, context=Context())

    def end(self, orderly: bool = False) -> None:
        """No packet leaves any more; tasks and callbacks are cancelled, and who waits for a connection is told.

        orderly: before that connections are reset, as a kernel does for a process that ends.
        """
        if orderly:
            self.context.run(self.host.engine.close)
        self.alive = False
        self.door.is_open = False
        self._held_packets.clear()
        if self._frozen:
            self._frozen.clear()
            self._go_on()
        self._loop.cancel_handles(self._owns)
        self._loop.threads.end(lambda context: life_of(context) is self)
        for task in sorted(self.tasks, key=hash):
            task.cancel()
        self.context.run(self.host.detach)

    def fade(self) -> None:
        """The simulation is over: whoever holds on to this holds on to nobody else."""
        self.signalled = self.haunts = _unheard
        self.door.wall_up()
        self.context.run(_current.set, None)

    def _owns(self, handle: events.Handle) -> bool:
        """A callback that was scheduled on this host."""
        return life_of(handle._context) is self  # type: ignore[attr-defined]

    def _hold(self, handle: events.Handle) -> bool:
        """The loop asks before a callback runs."""
        if not self._owns(handle):
            return False
        self._held.append(handle)
        return True


def _unheard(what: object) -> None:
    """Nobody is left to be told."""


_current: ContextVar[Life | None] = ContextVar("synfin_life", default=None)


def life_of(context: Context | None) -> Life | None:
    """The life that a context names, if any; None stands for no context."""
    return None if context is None else context.get(_current)


def current_life() -> Life | None:
    """The life that the running code belongs to, if any."""
    return _current.get()


def bare_context() -> Context:
    """A context that names the running code's life, and nothing else."""
    context = Context()
    context.run(_current.set, _current.get())
    return context


def living(what: str) -> Host:
    """The Host that the running code is on. Raises SimulationEscape on none, OSError(ENETDOWN) on one that crashed."""
    life = current_life()
    if life is None:
        raise SimulationEscape(f"{what}: this code runs on no host; run it by host.start(...)")
    if not life.alive:
        life.haunts(f"calls {what}(){caller()}")
        raise OSError(errno.ENETDOWN, f"{life.name} has crashed")
    return life.host
