"""The goodput_* entries: which congestion control on which path, in the words of relay.c.

Rule for the next editor: a path is one line of `_entries`. Without --only the first of each kind are measured (CORE).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.trial import Trial

KERNEL_PAIR = ("kernel", "kernel")
PAIRS = (("synfin", "kernel"), ("kernel", "synfin"), ("synfin", "synfin"))
CONTROLS = ("reno", "cubic", "bbr")
LOSSY_BBR = "bbr@0.5"  # for who knows that a path loses at random
SHORT_BYTES = 300_000
QUEUE_LEAST = 10 * 1500  # bytes


@dataclass(frozen=True)
class Terms:
    """What holds for all entries of a run. Bulk: `megabytes`, or as much as `seconds` give."""

    mbit: float = 100.0
    megabytes: int = 8
    seconds: float = 4.0
    short_seconds: float = 60.0
    seeds: int = 2
    together: int = 2
    """Trials that run at the same time."""
    config: str = "{}"
    """Further settings of synfin.Config, as JSON."""
    realtime: bool = False
    """The ends go before whatever else the machine does."""


@dataclass(frozen=True)
class Entry:
    """rtt_ms: without queueing. queue: in bandwidth-delay products. path: further words of relay.c."""

    name: str
    control: str
    path: tuple[str, ...] = ()
    rtt_ms: float = 20.0
    queue: float = 1.0
    short: bool = False
    """SHORT_BYTES from the left, and how long they take; else as much as goes in a while."""
    both: bool = False
    """Both sides send, on the same connection."""

    def trial(self, pair: tuple[str, str], terms: Terms, seed: int) -> Trial:
        """One run of it."""
        rate = terms.mbit * 1e6
        size = SHORT_BYTES if self.short else terms.megabytes * 1_000_000
        limit = terms.short_seconds if self.short else terms.seconds
        words = [f"rate={rate:.0f}", f"queue={max(rate * self.rtt_ms / 8000 * self.queue, QUEUE_LEAST):.0f}"]
        words += [f"delay={self.rtt_ms * 500:.0f}", f"seed={seed}", f"size={size}", f"limit_ms={limit * 1000:.0f}"]
        words += ["watch=both"] if self.both else []
        sent = size if self.short else -1
        return Trial(
            *pair, self.control, (*words, *self.path), (sent, sent if self.both else 0), terms.config, terms.realtime
        )


def _entries() -> Iterator[Entry]:
    for control in CONTROLS:
        name = f"goodput_{control}_"
        for percent in (0, 0.1, 1, 3, 10):
            yield Entry(f"{name}loss_{percent}", control, (f"loss={percent / 100}",))
        for percent in (5, 10, 20, 30):
            yield Entry(f"{name}short_{percent}", control, (f"loss={percent / 100}",), short=True)
        little = "loss=0.001"
        yield Entry(f"{name}queue_0.1", control, queue=0.1)
        yield Entry(f"{name}rtt_100", control, (little,), rtt_ms=100.0)
        yield Entry(f"{name}late_1ms", control, ("late=0.05/0", "late_by=1000"))
        yield Entry(f"{name}late_10ms", control, ("late=0.05/0", "late_by=10000"))
        yield Entry(f"{name}bursts_of_20", control, ("loss=0.01", "burst=20"))
        yield Entry(f"{name}acks_lost_50", control, ("loss=0/0.5",))
        yield Entry(f"{name}jitter_5ms", control, (little, "jitter=5000"))
        yield Entry(f"{name}gather_10ms", control, (little, "gather=0/10000"))
        yield Entry(f"{name}both_ways", control, (little,), both=True)
    for percent in (1, 3, 10):
        yield Entry(f"goodput_{LOSSY_BBR}_loss_{percent}", LOSSY_BBR, (f"loss={percent / 100}",))
    for percent in (20, 30):
        yield Entry(f"goodput_{LOSSY_BBR}_short_{percent}", LOSSY_BBR, (f"loss={percent / 100}",), short=True)


ENTRIES = tuple(_entries())
CORE = tuple(entry for entry in ENTRIES if "_loss_" in entry.name or entry.name.endswith("_short_10"))
