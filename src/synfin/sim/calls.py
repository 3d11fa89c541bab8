"""asyncio's calls inside a simulation: they go to the host that the calling code is on, and to nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVarTuple, Unpack

from synfin.aio.calls import HostCalls
from synfin.aio.host import Host
from synfin.sim.afterlife import guard_files, guarded
from synfin.sim.errors import SimulationEscape
from synfin.sim.life import Life, bare_context, current_life, life_of, living
from synfin.sim.loop import VirtualLoop
from synfin.sim.names import Names
from synfin.sim.order import Order
from synfin.sim.signals import Handler, handle, number_of
from synfin.sim.traffic import Traffic
from synfin.stack.addresses import is_address

_Ts = TypeVarTuple("_Ts")


class SimLoop(HostCalls, VirtualLoop):
    """The loop of a simulation. names: the hosts its calls can name; traffic: the packets that arrive in it."""

    _alone = True

    def __init__(self, names: Names, traffic: Traffic, order: Order | None) -> None:
        super().__init__(order)
        self.turns.outside = traffic
        self._names = names
        self._guarded = False

    def reach(self, what: str) -> Host:
        """The Host that the running code is on."""
        return living(what)

    def _is_ours(self, host: object) -> bool:
        return is_address(str(host))

    def _listens_on_host(self, host: object) -> bool:
        return True  # an address that is not the host's own is refused by its stack, as by a kernel

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """As `Names.look_up`."""
        return self._names.look_up(host, port, family, type, proto, flags)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """The name of the host that has the address, if any."""
        return self._names.name_of(sockaddr, flags)

    def add_signal_handler(self, sig: int, callback: Callable[[Unpack[_Ts]], object], *args: *_Ts) -> None:
        """As asyncio's, of the host that the running code is on."""
        if asyncio.iscoroutinefunction(callback):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        self._check_closed()  # type: ignore[attr-defined]
        number = number_of(sig)
        try:
            handle(self._life_of_signals(), number, Handler(callback, args))
        except OSError as error:
            raise RuntimeError(f"sig {sig} cannot be caught") from error

    def remove_signal_handler(self, sig: int) -> bool:
        """As asyncio's."""
        return isinstance(self._life_of_signals().signals.pop(number_of(sig), None), Handler)

    def _life_of_signals(self) -> Life:
        life = current_life()
        if life is None:
            raise SimulationEscape("signal handlers are a host's; run this code by host.start(...)")
        return life

    def thread_context(self) -> Context:
        """A thread is on the host of whoever begins it, and sees no other variable of his."""
        return bare_context()

    def on_death(self) -> None:
        """From now on what a dead host's code does to others is told."""
        if not self._guarded:
            self._guarded = True
            guard_files()
            self.call_soon = guarded(self.call_soon)  # type: ignore[method-assign, assignment]

    def on_task(self, task: Any, context: Any) -> None:
        """Each task belongs to the host that its context names."""
        life = current_life() if context is None else life_of(context)
        if life is not None:
            life.tasks.add(task)
            task.add_done_callback(life.tasks.discard)
