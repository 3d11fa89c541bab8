"""Which congestion control a connection gets: by name, or by whatever makes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from synfin.tcp.congestion.base import CongestionControl
from synfin.tcp.congestion.bbr import BBR
from synfin.tcp.congestion.cubic import Cubic
from synfin.tcp.congestion.newreno import NewReno

BY_NAME: Final[dict[str, Callable[[int], CongestionControl]]] = {
    "reno": NewReno,
    "newreno": NewReno,
    "cubic": Cubic,
    "bbr": BBR,
}


def factory(choice: str | Callable[[int], CongestionControl]) -> Callable[[int], CongestionControl]:
    """What makes the congestion control chosen: a name of BY_NAME, or a class or function of the segment size.

    Raises ValueError for an unknown name, listing those known, and TypeError for what is neither.
    """
    if isinstance(choice, str):
        if choice not in BY_NAME:
            raise ValueError(f"no congestion control is called {choice!r}; known: {', '.join(BY_NAME)}")
        return BY_NAME[choice]
    if not callable(choice):
        raise TypeError(
            "a congestion control is chosen by name, or by a class or function that makes a CongestionControl, "
            f"not by {type(choice).__name__}"
        )
    return choice
