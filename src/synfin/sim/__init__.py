"""Hosts and links in virtual time: unmodified asyncio programs on the real TCP of this package, replayed from a seed.

network = Network(seed=7)
server, client = network.host("server"), network.host("client")
network.link("client", "server", delay="20ms", loss=0.02)
"""

from synfin.sim.errors import Deadlock, SimulationError, SimulationEscape, TimeLimit
from synfin.sim.host import SimHost
from synfin.sim.network import Network
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
    "Network",
    "Rule",
    "SimHost",
    "SimPacket",
    "SimulationError",
    "SimulationEscape",
    "TimeLimit",
]
