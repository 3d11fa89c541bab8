"""Named points in a program, for whoever directs a simulation of it.

    from synfin import sim
    ...
    sim.point("after-commit")

Outside of a simulation a point is a comparison with None, and this module imports nothing that the interpreter has not
loaded anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_on_point: Callable[[str], None] | None = None  # of the simulation that runs


def point(name: str) -> None:
    """The program is here. It says so to the simulation it runs in, if any; see Network.reached."""
    if _on_point is not None:
        _on_point(name)


@contextmanager
def noticed(on_point: Callable[[str], None]) -> Iterator[None]:
    """While it lasts, `on_point` is told of each point that is passed."""
    global _on_point  # noqa: PLW0603  a point must cost nothing
    before, _on_point = _on_point, on_point
    try:
        yield
    finally:
        _on_point = before
