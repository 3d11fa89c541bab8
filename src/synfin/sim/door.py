"""Where a host's packets leave and come in: what each packet passes, and compiled. Whose life it is, `life` knows."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

from synfin.aio.driver import Driver
from synfin.links.tunnel import Arrival, TunnelLink
from synfin.sim.station import Station
from synfin.sim.traffic import Traffic
from synfin.sim.turns import Turns
from synfin.wire.segment import Burst


class Uplink(TunnelLink):
    """What a host sends leaves its station, in bursts."""

    def __init__(self, traffic: Traffic, station: Station, turns: Turns, mtu: int) -> None:
        super().__init__(_nowhere, mtu)
        self._traffic = traffic
        self._station = station
        self._turns = turns

    def send(self, bursts: list[Burst]) -> None:
        """Have them carried."""
        turns, traffic = self._turns, self._traffic
        traffic.carry(self._station, bursts, turns.now_us)
        turns.arrival = traffic.next_arrival()


class Door:
    """context: what packets come in to; shut: takes them while it is not open."""

    def __init__(self, driver: Driver, context: Context, shut: Callable[[list[Arrival]], None]) -> None:
        self.is_open: bool = True
        self._run: Any = context.run
        self._inside: Any = driver.deliver
        self._shut = shut

    def deliver(self, arrivals: list[Arrival]) -> None:
        """Packets arrive, in nobody's context but the host's."""
        if self.is_open:
            self._run(self._inside, arrivals)
        else:
            self._shut(arrivals)

    def wall_up(self) -> None:
        """Nobody lives here any more: what comes is lost."""
        self.is_open = False
        self._shut = _lost


def _lost(arrivals: list[Arrival]) -> None:
    """There is no host for them."""


def _nowhere(packet: bytes) -> None:
    """Bursts are carried whole: no packet is given to a function."""
