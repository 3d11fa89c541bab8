"""Who waits for which point of a program: the director of a simulation, who may have the host held there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from synfin.sim.host import SimHost
from synfin.sim.life import current_life


@dataclass(frozen=True, eq=False)
class _Barrier:
    point: str
    host: str | None
    hold: bool
    future: asyncio.Future[SimHost | None]


class Barriers:
    """passed: how often each point was. hosts: those of the network, by name; create_future: the loop's."""

    def __init__(self, hosts: Mapping[str, SimHost], create_future: Callable[[], asyncio.Future[Any]]) -> None:
        self.passed: dict[str, int] = {}
        self._hosts = hosts
        self._create_future = create_future
        self._barriers: list[_Barrier] = []

    def on_point(self, name: str) -> None:
        """The running code is there."""
        self.passed[name] = self.passed.get(name, 0) + 1
        if not self._barriers:
            return
        life = current_life()
        host = None if life is None or not life.alive else self._hosts[life.name]
        here = None if host is None else host.name
        for barrier in [each for each in self._barriers if each.point == name and each.host in (None, here)]:
            self._barriers.remove(barrier)
            if barrier.future.done():
                continue
            if barrier.hold and host is not None:
                host.pause()
            barrier.future.set_result(host)

    async def reached(self, point: str, host: str | None, hold: bool) -> SimHost | None:
        """The host whose program next passes the point; None: the director's own code."""
        barrier = _Barrier(point, host, hold, self._create_future())
        self._barriers.append(barrier)
        try:
            return await barrier.future
        finally:
            if barrier in self._barriers:
                self._barriers.remove(barrier)
