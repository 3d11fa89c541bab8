"""Congestion controls behind one small abstract class. `BY_NAME` holds those that come with synfin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from synfin.tcp.congestion.base import CongestionControl
from synfin.tcp.congestion.newreno import NewReno

BY_NAME: Final[dict[str, Callable[[int], CongestionControl]]] = {"newreno": NewReno, "reno": NewReno}
