"""How many small seeds a second: a campaign on one slot and on two, and a bare loop over the same test."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter as clock

from bench import sample
from bench.setting import Setting, finish

TESTS = (
    inspect.getsource(sample)
    + """

async def test_small(network):
    await talk(network, 0.01, None)
"""
)
MOST = 100_000_000  # seeds: it is ended by time


def campaign_seeds_bare(setting: Setting) -> None:
    """Seeds a second of `Network(seed).run(test)`, in a loop, without pytest and engine."""
    from synfin.sim import Network

    names: dict[str, Callable[..., object]] = {}
    exec(TESTS, names)  # the same text that pytest imports

    def run_for(seconds: float, first: int) -> float:
        begun, seed = clock(), first
        while (elapsed := clock() - begun) < seconds:
            network = Network(seed)
            network.run(names["test_small"](network))  # type: ignore[arg-type]
            seed += 1
        return (seed - first) / elapsed

    run_for(setting.warm, 0)
    finish(run_for(setting.seconds, 100_000))


def campaign_seeds(workers: int) -> Callable[[Setting], None]:
    """Seeds a second of a campaign on so many slots of a local cluster, ledger and all, from when it runs."""

    def measure(setting: Setting) -> None:
        from synfin.campaign import Campaign, Status

        points: list[tuple[float, int]] = []

        def watch(status: Status) -> None:
            points.append((clock(), status.done))
            if points[-1][0] - points[0][0] > setting.warm + setting.seconds:
                raise KeyboardInterrupt

        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "pytest.ini").write_text("[pytest]\n")
            Path(folder, "test_small.py").write_text(TESTS)
            found = Campaign("test_small.py", seeds=MOST, workers=workers, folder=folder, watch=watch).run()
        if found.failures or found.told.how != "interrupted":
            raise RuntimeError(f"the campaign is {found.told.how}, with {len(found.failures)} failures")
        counted = [point for point in points if point[0] - points[0][0] >= setting.warm]
        finish((counted[-1][1] - counted[0][1]) / (counted[-1][0] - counted[0][0]))

    return measure


MEASURES: dict[str, Callable[[Setting], None]] = {
    "campaign_seeds_bare": campaign_seeds_bare,
    "campaign_seeds_1": campaign_seeds(1),
    "campaign_seeds_2": campaign_seeds(2),
}
