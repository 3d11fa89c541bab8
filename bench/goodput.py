"""What comes through a bad path, beside the kernel pair with the same congestion control on the same path.

For every seed the pairs of an entry run side by side and lose the same packets: the n-th of each direction.
Bulk: Mbit/s acknowledged by the receiver; the ratio to the kernel pair is the geometric mean over the seeds, with its
interval of 95 %. Short flows: seconds until the last byte is acknowledged, median and 90th percentile.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.paths import KERNEL_PAIR, Entry, Terms
from bench.report import columns
from bench.runner import Failed

Pair = tuple[str, str]
# Two-sided 95 % of Student's distribution for 1 to 19 degrees of freedom; beyond, the last is near enough.
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10,
           2.09)  # fmt: skip


@dataclass
class Goodput:
    """relay: the compiled relay.c. python: the interpreter of both ends, in `environment`."""

    relay: Path
    python: str
    environment: dict[str, str]
    terms: Terms
    pairs: Sequence[Pair]
    found: dict[tuple[Entry, Pair], dict[int, float]] = field(default_factory=dict)  # by seed
    failures: dict[tuple[str, Pair], str] = field(default_factory=dict)

    def measure(self, entries: Sequence[Entry], progress: Callable[[str], None]) -> None:
        """Every entry with every seed, the kernel pair beside the others."""
        pairs = [KERNEL_PAIR, *self.pairs]
        self.found.update({(entry, pair): {} for entry in entries for pair in pairs})
        pool = ThreadPoolExecutor(self.terms.together)
        try:
            for seed in range(1, self.terms.seeds + 1):
                running = [(entry, pool.submit(self._one, entry, pair, seed)) for entry in entries for pair in pairs]
                for entry, one in running:
                    progress(f"seed {seed}/{self.terms.seeds}: {entry.name}")
                    one.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _one(self, entry: Entry, pair: Pair, seed: int) -> None:
        try:
            report = entry.trial(pair, self.terms, seed).run(self.relay, self.python, self.environment)
        except Failed as failure:
            self.failures[entry.name, pair] = str(failure)
        else:
            self.found[entry, pair][seed] = figure(entry, report)

    def rows(self, mode: str) -> list[dict[str, Any]]:
        """For build/bench.json: one row for each entry and pair, where both it and the kernel pair gave figures."""
        rows = []
        for (entry, pair), mine in self.found.items():
            kernel = self.found[entry, KERNEL_PAIR]
            both = [(mine[seed], kernel[seed]) for seed in mine if seed in kernel]
            if pair != KERNEL_PAIR and both:
                rows.append({"name": entry.name, "pair": "->".join(pair), "mode": mode, **compare(both, entry.short)})
        return rows


def figure(entry: Entry, report: dict[str, Any]) -> float:
    """The one number of a trial. Of a short flow that was not done in time, the time."""
    seconds = float(report["seconds"])
    if entry.short:
        return seconds
    acked = sum(report["acked"]) if entry.both else report["acked"][0]
    return max(acked, 1) * 8 / max(seconds, 1e-6) / 1e6


def compare(both: Sequence[tuple[float, float]], short: bool) -> dict[str, Any]:
    """Figures by seed, and the kernel pair's beside them."""
    mine, kernel = ([pair[place] for pair in both] for place in (0, 1))
    row: dict[str, Any] = {"seeds": len(both)}
    if short:
        row |= {"unit": "s", "median": percentile(mine, 0.5), "p90": percentile(mine, 0.9)}
        row |= {"kernel_median": percentile(kernel, 0.5), "kernel_p90": percentile(kernel, 0.9)}
    else:
        row |= {"unit": "Mbit/s", "mean": geometric(mine)[0], "kernel_mean": geometric(kernel)[0]}
    ratio, low, high = geometric([one / other for one, other in both])
    return row | {"ratio": ratio, "low": low, "high": high}


def geometric(values: Sequence[float]) -> tuple[float, float, float | None]:
    """Geometric mean, and its interval of 95 %; one value alone has none above it."""
    logs = [math.log(value) for value in values]
    mean = statistics.fmean(logs)
    if len(logs) < 2:
        return math.exp(mean), 0.0, None
    reach = STUDENT[min(len(logs) - 1, len(STUDENT)) - 1] * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - reach), math.exp(mean + reach)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """One line for each entry: the kernel pair, and each pair beside it."""
    pairs = list(dict.fromkeys(row["pair"] for row in rows))
    lines = [["goodput", "kernel->kernel", *pairs]]
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = {row["pair"]: row for row in rows if row["name"] == name}
        first = next(iter(mine.values()))
        if first["unit"] == "s":
            reference = f"{first['kernel_median']:.2f} s, 90 %: {first['kernel_p90']:.2f} s"
        else:
            reference = f"{first['kernel_mean']:.2f} Mbit/s"
        lines.append([name, reference, *(_cell(mine[pair]) if pair in mine else "-" for pair in pairs)])
    return columns(lines, right=())


def _cell(row: dict[str, Any]) -> str:
    if row["unit"] == "s":
        return f"{row['median']:.2f} s, 90 %: {row['p90']:.2f} s (×{row['ratio']:.2f})"
    interval = f" {row['low']:.2f} to {row['high']:.2f}" if row["high"] is not None else ""
    return f"{row['mean']:.2f} (×{row['ratio']:.2f}{interval})"
