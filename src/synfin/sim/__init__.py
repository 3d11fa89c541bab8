"""Hosts and links in virtual time: unmodified asyncio programs on the real TCP of this package, replayed from a seed.

network = Network(seed=7)
server, client = network.host("server"), network.host("client")
network.link("client", "server", delay="20ms", loss=0.02)

The names are resolved on first use (PEP 562): links, rules and traffic serve without asyncio and its sockets as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synfin.sim.errors import (
        Deadlock,
        Hung,
        Livelock,
        Nondeterminism,
        SimulationError,
        SimulationEscape,
        TimeLimit,
        Violation,
    )
    from synfin.sim.host import SimHost
    from synfin.sim.network import Network
    from synfin.sim.points import point
    from synfin.sim.recording import Recording
    from synfin.sim.rules import CORRUPT, DROP, DUPLICATE, MARK, PASS, RECORD, Change, Delay, Rule, SimPacket

__all__ = [
    "CORRUPT",
    "DROP",
    "DUPLICATE",
    "MARK",
    "PASS",
    "RECORD",
    "Change",
    "Deadlock",
    "Delay",
    "Hung",
    "Livelock",
    "Network",
    "Nondeterminism",
    "Recording",
    "Rule",
    "SimHost",
    "SimPacket",
    "SimulationError",
    "SimulationEscape",
    "TimeLimit",
    "Violation",
    "point",
]

_HOMES = {
    "Network": "synfin.sim.network",
    "SimHost": "synfin.sim.host",
    "Recording": "synfin.sim.recording",
    **dict.fromkeys(("Deadlock", "Hung", "Livelock", "Nondeterminism", "TimeLimit"), "synfin.sim.errors"),
    **dict.fromkeys(("SimulationError", "SimulationEscape", "Violation"), "synfin.sim.errors"),
    "point": "synfin.sim.points",
}

# Hidden from type checkers, to whom a module with __getattr__ would seem to have every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_HOMES.get(name, "synfin.sim.rules")), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
