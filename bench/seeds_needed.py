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
from math import comb, inf
from random import Random
from typing import Any

from bench.planted import BUGS, HORIZON
from synfin.sim import Network
from synfin.sim.guide import Guide


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
        seed = campaign * 1000 + number
        settings = guide.settings(bug, seed)
        failed, reached = run(bug, seed, True, features=True, **settings)
        if failed:
            return number + 1
        guide.note(bug, seed, settings, "passed", len(reached - seen))
        seen |= reached
    return inf


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
    parser.add_argument("--pool", type=int, default=600, help="seeds of each pool")
    parser.add_argument("--most", type=int, default=300, help="seeds of a guided campaign")
    terms = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print("| bug | blind | swarm | guided |\n|---|---|---|---|")
    for bug in terms.bugs:
        cells = []
        for swarm in (False, True):
            verdicts = [run(bug, 1_000_000 + seed, swarm)[0] for seed in range(terms.pool)]
            share = sum(verdicts) / terms.pool
            cells.append(f"{shown(from_pool(verdicts, terms.campaigns), terms.pool)}, {share:.1%} of seeds")
        cells.append(shown([guided(bug, campaign, terms.most) for campaign in range(terms.campaigns)], terms.most))
        print(f"| {bug} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
