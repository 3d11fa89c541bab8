"""A place in the network that packets leave from and arrive at."""

from __future__ import annotations

from collections.abc import Callable

from mypy_extensions import i64

from synfin.links.tunnel import Arrival
from synfin.sim.link import Direction


class Station:
    """A host's name, and its door, which whoever lives there sets."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.deliver: Callable[[list[Arrival]], object]
        self.routes: dict[bytes, Route] = {}  # by address, as far as they were asked for
        self.last_asked: i64 = -1  # an IPv4 address, as a number, whose route is the last one asked for
        self.last_route: Route = self, None

    def close(self) -> None:
        """Nothing leaves or arrives any more."""
        self.routes.clear()
        self.last_asked = -1
        self.last_route = self, None
        self.deliver = bool  # nowhere


Route = tuple[Station, Direction | None]
"""Whose an address is, and what leads there."""
