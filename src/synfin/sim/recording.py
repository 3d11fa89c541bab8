"""What a real network did to each packet, as a file: `synfin run --record` writes it, a simulation replays it.

A file is JSON. For each place and way it has what the link was set to and from when on, in the words of
`LinkSettings.changed`, and what became of which packet, counted one after the other: [number, fate, microseconds of
extra delay, may overtake]. Those below `known` that are not listed passed unhurt. What a rate, a cut or a narrow link
does, the simulated link does by itself: its fates (BY_LINK) are there to be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from synfin.sim.link import CUT, QUEUE_FULL, TOO_BIG, LinkSettings
from synfin.sim.rules import FATES, PASS, Delay, SimPacket, Verdict
from synfin.sim.turns import START

if TYPE_CHECKING:
    from synfin.sim.network import Network

VERSION: Final = 1
EVERYTHING: Final = "*"
BY_LINK: Final = (CUT, TOO_BIG, QUEUE_FULL)

MOST_BYTES: Final = 8 << 20
MOST_PACKETS: Final = 100_000  # of all ways together, as are the changes
MOST_CHANGES: Final = 10_000
MOST_PLACES: Final = 256
_LONGEST: Final = 10**15 - 1  # microseconds
_MOST_WORDS: Final = 200
_NAME: Final = "synfin recording"
_NOTHING: Final = LinkSettings(delay=0)
_UNHURT: Final = Delay("0us", overtake=False)

Fate = tuple[int, str, int, bool]


@dataclass
class Way:
    """One direction. known: how many packets have a known fate; left_out: how many came after these."""

    settings: list[tuple[int, LinkSettings]] = field(default_factory=list)  # from when on, in microseconds
    packets: list[Fate] = field(default_factory=list)
    known: int = 0
    left_out: int = 0


@dataclass
class Recording:
    """seed: of the run's chance. places: by name, what leads there and back. left_out: changes and places too many."""

    seed: int = 0
    places: dict[str, tuple[Way, Way]] = field(default_factory=dict)
    left_out: int = 0

    @classmethod
    def load(cls, path: str | Path) -> Recording:
        """Read a file. Raises OSError, or ValueError that says what is wrong with it."""
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        try:
            if len(data) > MOST_BYTES:
                raise ValueError(f"it has more than {MOST_BYTES >> 20} MiB")
            return _recording(json.loads(data))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            words = str(error)
            words = words if len(words) <= _MOST_WORDS else words[:_MOST_WORDS] + "..."
            raise ValueError(f"{str(path)!r} is no recording of a network: {words}") from None

    def save(self, path: str | Path) -> None:
        """Write it. Raises OSError."""
        places = {name: {"up": _way_words(up), "down": _way_words(down)} for name, (up, down) in self.places.items()}
        said = {"format": _NAME, "version": VERSION, "seed": self.seed, "left_out": self.left_out, "places": places}
        Path(path).write_text(json.dumps(said, separators=(",", ":")) + "\n", encoding="utf-8")

    def install(self, network: Network, inside: str, outside: str, *, place: str = EVERYTHING) -> None:
        """The link between two hosts behaves from now on as what led from the program, `inside`, to a place.

        The packets of each way get what those with their numbers got; after the last that is known, chance decides by
        what the link was set to. Raises ValueError for a place that was not recorded.
        """
        if place not in self.places:
            raise ValueError(f"{place!r} was not recorded; there are {', '.join(sorted(self.places)) or 'no places'}")
        up, down = self.places[place]
        _install(up, network, inside, outside)
        _install(down, network, outside, inside)


def _install(way: Way, network: Network, sender: str, receiver: str) -> None:
    direction = network.direction(sender, receiver)
    now = network.loop.turns.now_us

    def change(settings: LinkSettings) -> None:
        direction.set(settings)
        network.note_fault(f"{sender} > {receiver} is as recorded: {json.dumps(_words(settings))}")

    direction.set(_NOTHING)
    for at, settings in way.settings:
        if at:
            network.loop.call_at(START + (now + at) / 1_000_000, change, settings)
        else:
            direction.set(settings)
    network.rule(_replay(way, sender, receiver))


def _replay(way: Way, sender: str, receiver: str) -> Callable[[SimPacket], Verdict]:
    verdicts = {number: _verdict(fate, extra, overtake) for number, fate, extra, overtake in way.packets}
    number = -1

    def decide(packet: SimPacket) -> Verdict:
        nonlocal number
        if (packet.sender, packet.receiver) != (sender, receiver):
            return PASS
        number += 1
        return verdicts.get(number, _UNHURT) if number < way.known else PASS

    return decide


def _verdict(fate: str, extra: int, overtake: bool) -> Verdict:
    if fate == PASS:
        return Delay(f"{extra}us", overtake)
    return fate if fate in FATES else _UNHURT


# ---- the file ----


def _words(settings: LinkSettings) -> dict[str, Any]:
    """What is not as nothing was said, as LinkSettings.changed() takes it."""
    found = {one.name: getattr(settings, one.name) for one in fields(settings)}
    changed = {name: value for name, value in found.items() if value != getattr(_NOTHING, name)}
    return {name: f"{value}us" if name in ("delay", "jitter") else value for name, value in changed.items()}


def _way_words(way: Way) -> dict[str, Any]:
    settings = [[at, _words(one)] for at, one in way.settings]
    return {"settings": settings, "packets": way.packets, "known": way.known, "left_out": way.left_out}


def _recording(said: object) -> Recording:
    if not isinstance(said, dict) or said.get("format") != _NAME:
        raise ValueError(f"it does not say that it is a {_NAME}")
    if said.get("version") != VERSION:
        raise ValueError(f"its version is {said.get('version')!r}, and this synfin reads version {VERSION}")
    _only(said, ("format", "version", "seed", "left_out", "places"), "a recording")
    seed = said.get("seed")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed is a number, not {seed!r}")
    places = _dict(said.get("places"), "places")
    if len(places) > MOST_PLACES:
        raise ValueError(f"it has {len(places)} places; there may be {MOST_PLACES}")
    found = {}
    for name, ways in places.items():
        if not name.isprintable() or len(name) > _MOST_WORDS:
            raise ValueError(f"{name!r} is no place")
        _only(_dict(ways, name), ("up", "down"), name)
        found[name] = _way(ways.get("up"), f"{name} up"), _way(ways.get("down"), f"{name} down")
    for what, most in (("settings", MOST_CHANGES), ("packets", MOST_PACKETS)):
        count = sum(len(getattr(way, what)) for both in found.values() for way in both)
        if count > most:
            raise ValueError(f"it has {count} {what}; there may be {most}")
    return Recording(seed, found, _count(said.get("left_out"), "left_out"))


def _way(said: object, where: str) -> Way:
    said = _dict(said, where)
    _only(said, ("settings", "packets", "known", "left_out"), where)
    way = Way([], [], _count(said.get("known"), f"{where}: known"), _count(said.get("left_out"), f"{where}: left_out"))
    before = -1
    for entry in _list(said.get("settings"), f"{where}: settings"):
        at, words = _list(entry, f"{where}: one of the settings", 2)
        if _count(at, f"{where}: a time", _LONGEST) < before:
            raise ValueError(f"{where}: the settings are not in the order of their times")
        before = at
        way.settings.append((at, _NOTHING.changed(**_dict(words, f"{where}: one of the settings"))))
    before = -1
    for entry in _list(said.get("packets"), f"{where}: packets"):
        number, fate, extra, overtake = _list(entry, f"{where}: a packet", 4)
        if not before < _count(number, f"{where}: a packet's number") < way.known:
            raise ValueError(f"{where}: packet {number} is out of order, or beyond the {way.known} that are known")
        if fate not in (PASS, *FATES, *BY_LINK):
            known = ", ".join((PASS, *FATES, *BY_LINK))
            raise ValueError(f"{where}: what becomes of a packet is {known}, not {fate!r}")
        if not isinstance(overtake, bool):
            raise ValueError(f"{where}: a packet may overtake or not, true or false, not {overtake!r}")
        before = number
        way.packets.append((number, fate, _count(extra, f"{where}: a packet's delay", _LONGEST), overtake))
    return way


def _only(said: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in said:
        if name not in names:
            raise ValueError(f"{where} has no {name!r}")


def _dict(said: object, where: str) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise ValueError(f"{where}: that is no object, but {said!r}")
    return said


def _list(said: object, where: str, size: int | None = None) -> list[Any]:
    if not isinstance(said, list) or (size is not None and len(said) != size):
        raise ValueError(f"{where}: that is no list{f' of {size}' if size else ''}, but {said!r}")
    return said


def _count(said: object, where: str, most: int = 10**12) -> int:
    if isinstance(said, bool) or not isinstance(said, int) or not 0 <= said <= most:
        raise ValueError(f"{where} is a number from 0 to {most}, not {said!r}")
    return said
