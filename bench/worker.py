"""One measurement: `python -m bench.worker SUBJECT MEASURE ...`, in a private network of its own; prints one JSON line.

{"value": 5.1, "compiled": true}: the figure, and what synfin.compiled() said in the very process that made it.
"""

from __future__ import annotations

import argparse
import os

from bench import campaigns, embedded, in_memory, memory, relayed, served, simulation, tables
from bench.peers import beside
from bench.plan import ASYNCIO, IN_SYNFIN, LINKS, PEERS, RUN, TUN
from bench.setting import Setting

WITHOUT_SERVER = {
    **embedded.MEASURES,
    **in_memory.MEASURES,
    **tables.MEASURES,
    **memory.MEASURES,
    **simulation.MEASURES,
    **campaigns.MEASURES,
    **relayed.MEASURES,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.worker", description=__doc__)
    parser.add_argument("subject")
    parser.add_argument("measure")
    parser.add_argument("--plain", action="store_true", help="a device without offload")
    parser.add_argument("--link", choices=LINKS, default=TUN, help="what carries synfin's packets")
    parser.add_argument("--flood", default="", help="the compiled flood.c")
    parser.add_argument("--peer", default="[]", help="the command line of a peer, as JSON")
    parser.add_argument("--load", required=True, help="the compiled load.c")
    parser.add_argument("--warm", type=float, default=0.3)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--control", default="", help="the congestion control of load.c's connections")
    given = parser.parse_args()
    os.environ["LOAD_CONTROL"] = given.control  # whatever starts load.c, and in whichever network
    setting = Setting(given)
    if setting.subject in PEERS or setting.link == RUN:
        beside.of_peer(setting)
    elif setting.subject in IN_SYNFIN:
        WITHOUT_SERVER.get(setting.measure, served.of_synfin)(setting)
    elif setting.subject == ASYNCIO:
        served.of_asyncio(setting)
    elif setting.measure in memory.KERNEL_OBJECTS:
        memory.of_kernel(setting)
    elif setting.measure in relayed.MEASURES:
        relayed.of_kernel(setting)
    else:
        served.of_kernel(setting)


if __name__ == "__main__":
    main()
