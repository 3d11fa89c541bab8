"""One direction between two hosts: what it does to packets. Everything random is drawn from its own generator."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from statistics import NormalDist
from typing import Any, Final
from zlib import crc32

from synfin.sim.units import bits_per_second, byte_count, microseconds, probability

# What becomes of a packet.
PASSED: Final = ""
LOST: Final = "drop"
DUPLICATED: Final = "duplicate"
CORRUPTED: Final = "corrupt"
MARKED: Final = "mark"
# What the link itself does to one.
CUT: Final = "cut"  # it is down
TOO_BIG: Final = "mtu"
QUEUE_FULL: Final = "queue"

# How jitter is spread, by tc-netem(8)'s names. Half of the jitter is the mean of each.
UNIFORM: Final = "uniform"  # none takes more than all of it
NORMAL: Final = "normal"  # a bell around the mean, a quarter of the jitter its standard deviation, cut off at none
PARETO: Final = "pareto"  # most little, a few very much: one in eight more than the jitter, one in 1,331 ten times
DISTRIBUTIONS: Final = (UNIFORM, NORMAL, PARETO)
_BELL: Final = NormalDist(0.5, 0.25)


@dataclass(frozen=True, kw_only=True)
class LinkSettings:
    """What may be set at any moment, for each direction. Times in microseconds, sizes in bytes."""

    delay: int = 1000
    jitter: int = 0
    distribution: str = UNIFORM
    reorder: bool = False
    loss: float = 0.0
    burst_enter: float = 0.0
    burst_leave: float = 1.0
    burst_loss: float = 1.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    mark: float = 0.0
    bandwidth: int = 0
    queue: int = 0
    mark_above: int = 0
    mtu: int = 65535
    icmp: bool = True
    up: bool = True

    def changed(self, **wanted: Any) -> LinkSettings:
        """A copy with these settings, as people write them. Raises TypeError or ValueError for what makes no sense.

        delay, jitter: "20ms"; distribution: of the jitter, "uniform", "normal" or "pareto"; reorder: jitter may let
        packets overtake; loss, duplicate, corrupt, mark: probabilities; bursts of loss by Gilbert-Elliott: burst_enter
        and burst_leave are the probabilities, per packet, that the bad state begins and ends, burst_loss is the loss in
        it; bandwidth: "10Mbit/s" or None; queue: "64KB" or None, what may wait for the bandwidth; mark_above: "20KB" or
        None, from how much on that waits a packet is marked; mtu: bytes; icmp: False drops what is bigger without a
        word; up: False stops the direction. Only what is capable of ECN is marked (RFC 3168); the rest passes.
        """
        try:
            return _changed(self, **wanted)
        except TypeError:  # one of them may have no hash
            return replace(self, **_checked(wanted))


@lru_cache(maxsize=256, typed=True)
def _changed(before: LinkSettings, **wanted: Any) -> LinkSettings:
    """Simulations are made of the same few links again and again."""
    return replace(before, **_checked(wanted))


def _checked(wanted: dict[str, Any]) -> dict[str, Any]:
    known = _known()
    checked: dict[str, Any] = {}
    for name, value in wanted.items():
        if name not in known:
            raise TypeError(f"a link has no setting {name!r}; there are {', '.join(sorted(known))}")
        if name in ("delay", "jitter"):
            checked[name] = microseconds(value, name)
        elif name == "bandwidth":
            checked[name] = bits_per_second(value)
        elif name in ("queue", "mark_above"):
            checked[name] = byte_count(value, name)
        elif name == "mtu":
            if isinstance(value, bool) or not isinstance(value, int) or not 576 <= value <= 65535:
                raise ValueError(f"mtu is from 576 to 65535 bytes, not {value!r}")
            checked[name] = value
        elif name == "distribution":
            if value not in DISTRIBUTIONS:
                raise ValueError(f"distribution is {', '.join(DISTRIBUTIONS)}, not {value!r}")
            checked[name] = value
        elif name in ("reorder", "icmp", "up"):
            if not isinstance(value, bool):
                raise TypeError(f"{name} is True or False, not {value!r}")
            checked[name] = value
        else:
            checked[name] = probability(value, name)
    return checked


@cache
def _known() -> frozenset[str]:
    return frozenset(field.name for field in fields(LinkSettings))


class Direction:
    """Carries packets one way. counters: sent, lost (queue_drops of them at the queue)."""

    def __init__(self, settings: LinkSettings, seed: str) -> None:
        self._parted = False
        self._cuts: set[int] = set()  # the episodes that part it
        self._overlay: Callable[[LinkSettings], LinkSettings] | None = None
        self.set(settings)
        self.sent = 0
        self.lost = 0
        self.queue_drops = 0
        self._chance: Callable[[], float] = random.Random(seed).random
        self._bad = False  # the state of Gilbert-Elliott's model
        self._free_at = 0  # when the last bit of what was sent has left
        self._last_arrival = 0

    def set(self, settings: LinkSettings) -> None:
        """Carry packets like this from now on, and as the overlay makes it."""
        self.declared = settings
        if self._overlay is not None:
            settings = self._overlay(settings)
        self.settings = settings
        self.open = settings.up and not self._parted and not self._cuts
        self.has_chance = bool(
            settings.burst_enter
            or settings.loss
            or settings.duplicate
            or settings.corrupt
            or settings.mark
            or settings.jitter
        )

    def part(self, parted: bool) -> None:
        """Begin or end a partition; its end is that of all cuts too."""
        self._parted = parted
        if not parted:
            self._cuts.clear()
        self.set(self.declared)

    def cut(self, number: int) -> None:
        """Part it, until `mend` of the same number; cuts may overlap."""
        self._cuts.add(number)
        self.set(self.declared)

    def mend(self, number: int) -> None:
        """That cut is over."""
        self._cuts.discard(number)
        self.set(self.declared)

    def overlay(self, change: Callable[[LinkSettings], LinkSettings] | None) -> None:
        """From now on what is set is changed by this."""
        self._overlay = change
        self.set(self.declared)

    def draw(self) -> tuple[str, int]:
        """What chance does to the next packet, and microseconds of extra delay, which only one that passes has."""
        settings = self.settings
        chance = self._chance
        if settings.burst_enter:
            self._bad = chance() >= settings.burst_leave if self._bad else chance() < settings.burst_enter
            if self._bad and chance() < settings.burst_loss:
                return LOST, 0
        if settings.loss and chance() < settings.loss:
            return LOST, 0
        if settings.duplicate and chance() < settings.duplicate:
            return DUPLICATED, 0
        if settings.corrupt and chance() < settings.corrupt:
            return CORRUPTED, 0
        if settings.mark and chance() < settings.mark:
            return MARKED, 0
        return PASSED, int(spread(settings.distribution, chance()) * settings.jitter) if settings.jitter else 0

    def draw_many(self, count: int) -> tuple[int, str, int]:
        """The same for packets that are sent together: of at most `count` how many pass as they are, and what happens
        to the one after them, if there is one. What becomes of those behind it is not drawn yet."""
        for passed in range(count):
            kind, extra = self.draw()
            if kind or extra:
                return passed, kind, extra
        return count, PASSED, 0

    def is_congested(self, now: int) -> bool:
        """So much waits for the bandwidth that packets are marked."""
        settings = self.settings
        if not settings.mark_above or not settings.bandwidth:
            return False
        return max(self._free_at - now, 0) * settings.bandwidth // 8_000_000 > settings.mark_above

    def arrival(self, size: int, now: int, extra: int, overtake: bool) -> int:
        """When a packet of `size` bytes sent now arrives; -1 if the queue before the link is full. Microseconds.

        overtake: it may come before earlier packets and after later ones.
        """
        settings = self.settings
        leaves = now
        if settings.bandwidth:
            waiting = max(self._free_at - now, 0)
            if settings.queue and waiting * settings.bandwidth // 8_000_000 + size > settings.queue and waiting:
                self.queue_drops += 1
                return -1
            leaves = now + waiting + size * 8_000_000 // settings.bandwidth
            self._free_at = leaves
        arrives = leaves + settings.delay + extra
        if not overtake:
            if arrives < self._last_arrival:
                return self._last_arrival
            self._last_arrival = arrives
        return arrives


def spread(distribution: str, drawn: float) -> float:
    """How much of the jitter one packet gets, by a number drawn evenly from 0 up to 1. One draw for each distribution,
    so that what else chance does to a packet does not depend on it."""
    if distribution == NORMAL:
        return max(_BELL.inv_cdf(drawn), 0.0) if drawn else 0.0
    if distribution == PARETO:  # of the second kind (Lomax): it begins at 0
        return float((1.0 - drawn) ** (-1 / 3)) - 1.0
    return drawn


def corrupted(packet: bytes) -> bytes:
    """One bit turned over; which one depends on the packet alone, so that a replay turns over the same."""
    bit = crc32(packet) % (len(packet) * 8)
    changed = bytearray(packet)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
