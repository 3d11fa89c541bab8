"""python -m bench.seeds_needed: how many seeds find each planted bug, blind, by a swarm, and by a guided one.

blind: what a careful author writes by hand: links of 20 ms that lose 5 % and jitter, and shuffled tasks. A campaign
tries seeds until one fails. Blind and swarm seeds do not depend on each other: their campaigns are drawn from a pool of
seeds that are run once. A guided campaign learns, and is run each for itself. Shown is the median of all campaigns with
an interval of 95 % (by order statistics); one that finds nothing counts as longer than all others.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from math import comb, inf
from random import Random
from typing import Any, Final, NamedTuple

from bench.planted import BUGS, HORIZON
from synfin.sim import Network
from synfin.sim.guide import Guide

POOL: Final = 1_000_000_000  # its first seed: no guided campaign has one of them
PART: Final = 50  # seeds of a pool that one process runs without a break


def run(bug: str, seed: int, swarm: bool, **settings: Any) -> tuple[bool, frozenset[int]]:
    """One seed; whether the bug has shown, and what was reached."""
    program, hosts = BUGS[bug]
    watched = bool(settings.get("features"))
    network = Network(
        seed, shuffle=not swarm, swarm=swarm, swarm_until=HORIZON, keep_events=4000 if watched else 0, **settings
    )
    for name in hosts:
        network.host(name)
    if not swarm:
        for one in hosts:
            for other in hosts:
                if one < other:
                    network.link(one, other, delay="20ms", jitter="20ms", loss=0.05)
    try:
        network.run(program(network))
    except AssertionError:
        return True, network.features
    return False, network.features if watched else frozenset()


def from_pool(verdicts: Sequence[bool], campaigns: int) -> list[float]:
    """Seeds needed by so many campaigns, each with its own order of the pool."""
    needed = []
    for campaign in range(campaigns):
        order = list(verdicts)
        Random(campaign).shuffle(order)
        needed.append(order.index(True) + 1 if True in order else inf)
    return needed


def guided(bug: str, campaign: int, most: int) -> float:
    """Seeds needed by one campaign."""
    guide, seen = Guide(campaign), set[int]()
    for number in range(most):
        seed = campaign * 1_000_000 + number
        settings = guide.settings(bug, seed)
        failed, reached = run(bug, seed, True, features=True, **settings)
        if failed:
            return number + 1
        guide.note(bug, seed, settings, "passed", len(reached - seen))
        seen |= reached
    return inf


def verdicts_of(bug: str, swarm: bool, seeds: range) -> list[bool]:
    """Of some of a pool's seeds."""
    return [run(bug, POOL + seed, swarm)[0] for seed in seeds]


class Measured(NamedTuple):
    """What is under way of one bug."""

    blind: list[Future[list[bool]]]
    swarm: list[Future[list[bool]]]
    guided: list[Future[float]]

    def row(self, bug: str, campaigns: int, most: int) -> str:
        """Of the table, when all of it has come."""
        cells = [bug]
        for parts in (self.blind, self.swarm):
            pool = [verdict for part in parts for verdict in part.result()]
            needed = from_pool(pool, campaigns)
            cells.append(f"{shown(needed, len(pool))}, {sum(pool) / len(pool):.2%} of seeds")
        cells.append(shown([one.result() for one in self.guided], most))
        return f"| {' | '.join(cells)} |"


def begin(workers: Executor, bug: str, campaigns: int, most: int) -> Measured:
    """All three ways to look for it, a part of each in every process that is free."""
    parts = [range(first, min(first + PART, most)) for first in range(0, most, PART)]
    return Measured(
        [workers.submit(verdicts_of, bug, False, part) for part in parts],
        [workers.submit(verdicts_of, bug, True, part) for part in parts],
        [workers.submit(guided, bug, campaign, most) for campaign in range(1, campaigns + 1)],
    )


def interval(needed: Sequence[float]) -> tuple[float, float, float]:
    """The median, and the interval that has it with 95 %: from one order statistic to the other."""
    order = sorted(needed)
    count = len(order)
    out, below = 0, comb(count, 0) / 2**count
    while below + comb(count, out + 1) / 2**count < 0.025:
        out += 1
        below += comb(count, out) / 2**count
    return order[count // 2], order[out], order[count - 1 - out]


def shown(needed: Sequence[float], most: int) -> str:
    """As a cell of the table."""
    middle, low, high = (f">{most}" if one == inf else f"{one:.0f}" for one in interval(needed))
    return f"{middle} ({low} to {high})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.seeds_needed", description=__doc__)
    parser.add_argument("bugs", nargs="*", default=list(BUGS), metavar="BUG", help=f"of {', '.join(BUGS)}")
    parser.add_argument("--campaigns", type=int, default=30)
    parser.add_argument("--most", type=int, default=1000, help="seeds of a campaign")
    parser.add_argument("--workers", type=int, help="processes, one a core by default")
    terms = parser.parse_args()
    with ProcessPoolExecutor(terms.workers, initializer=logging.disable, initargs=(logging.CRITICAL,)) as workers:
        begun = {bug: begin(workers, bug, terms.campaigns, terms.most) for bug in terms.bugs}
        print("| bug | blind | swarm | guided |\n|---|---|---|---|")
        for bug, measured in begun.items():
            print(measured.row(bug, terms.campaigns, terms.most), flush=True)


if __name__ == "__main__":
    main()
