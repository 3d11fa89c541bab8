"""Every order of a few packets: a search through all states of a scenario, for synfin's own TCP.

found = explore(scenario, Bounds(losses=2, duplicates=1, early_timers=1))
"""

from synfin.explore.broken import Broken
from synfin.explore.search import Explored, Failure, check_path, explore
from synfin.explore.starts import STARTS, Start
from synfin.explore.world import Bounds

__all__ = [
    "STARTS",
    "Bounds",
    "Broken",
    "Explored",
    "Failure",
    "Start",
    "check_path",
    "explore",
]
