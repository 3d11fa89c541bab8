"""asyncio's calls inside a simulation: they go to the host that the calling code is on, and to nothing else."""

from __future__ import annotations

from typing import Any

from synfin.aio.calls import HostCalls
from synfin.aio.host import Host
from synfin.sim.life import current_life, life_of, living
from synfin.sim.loop import VirtualLoop
from synfin.sim.names import Names, is_address
from synfin.sim.traffic import Traffic


class SimLoop(HostCalls, VirtualLoop):
    """The loop of a simulation. names: the hosts its calls can name; traffic: the packets that arrive in it."""

    _alone = True

    def __init__(self, names: Names, traffic: Traffic, shuffle: int | None) -> None:
        super().__init__(shuffle)
        self._names = names
        self._traffic = traffic

    def reach(self, what: str) -> Host:
        """The Host that the running code is on."""
        return living(what)

    def _is_ours(self, host: object) -> bool:
        return is_address(host)

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

    def expect(self) -> None:
        """Packets are on their way."""
        self.arrival = self._traffic.next_arrival()

    def arrive(self) -> None:
        """Deliver those that are due."""
        self._traffic.arrive(self)

    def on_task(self, task: Any, context: Any) -> None:
        """Each task belongs to the host that its context names."""
        life = current_life() if context is None else life_of(context)
        if life is not None:
            life.tasks.add(task)
            task.add_done_callback(life.tasks.discard)
