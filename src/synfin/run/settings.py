"""Settings of a link as words: delay=200ms loss=2%. The names and units are those of the simulation's links."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final

from synfin.sim.link import LinkSettings
from synfin.sim.units import microseconds

ALIASES: Final = {"rate": "bandwidth"}
_TRUTH: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_KINDS: Final = {field.name: type(field.default) for field in fields(LinkSettings)}
_TEXTS: Final = ("delay", "jitter", "bandwidth", "queue", "mark_above")
_NO_LIMIT: Final = ("none", "off")


def parse_setting(name: str, text: str) -> tuple[str, Any]:
    """A setting's own name, and its value as LinkSettings.changed() takes it. Raises ValueError."""
    name = ALIASES.get(name, name).replace("-", "_")
    if name not in _KINDS:
        raise ValueError(f"a link has no setting {name!r}; there are {', '.join(names())}")
    value: Any
    if name in ("bandwidth", "queue", "mark_above") and text.lower() in _NO_LIMIT:
        value = None
    elif name in _TEXTS or _KINDS[name] is str:
        value = 0 if text == "0" and name in ("delay", "jitter") else text
    elif _KINDS[name] is bool:
        if text.lower() not in _TRUTH:
            raise ValueError(f"{name} is yes or no, not {text!r}")
        value = _TRUTH[text.lower()]
    elif _KINDS[name] is int:
        if not text.isascii() or not text.isdigit():
            raise ValueError(f"{name} is a number of bytes, not {text!r}")
        value = int(text)
    else:
        value = _probability(name, text)
    LinkSettings().changed(**{name: value})  # it says what is wrong
    return name, value


def parse_settings(words: Iterable[str]) -> dict[str, Any]:
    """The settings of words such as `loss=2%`. Raises ValueError."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ValueError(f"a setting is written as loss=2%, not {word!r}; there are {', '.join(names())}")
        name, value = parse_setting(name, text)
        if name in found:
            raise ValueError(f"{name} is there twice")
        found[name] = value
    return found


def names() -> list[str]:
    """What may be set."""
    return sorted(_KINDS)


def parse_cut(text: str) -> tuple[int, int | None]:
    """5s..8s: from when to when nothing passes, in microseconds; None: for ever. Raises ValueError."""
    begin, dots, end = text.partition("..")
    if not dots:
        raise ValueError(f"a cut is written as 5s..8s, or 5s.. if it does not end, not {text!r}")
    first = microseconds(begin or "0s", "a cut's begin")
    last = microseconds(end, "a cut's end") if end else None
    if last is not None and last <= first:
        raise ValueError(f"the cut {text} ends before it begins")
    return first, last


def _probability(name: str, text: str) -> float:
    number = text.removesuffix("%")
    try:
        value = float(number)
    except ValueError:
        raise ValueError(f"{name} is a probability such as 2% or 0.02, not {text!r}") from None
    value = value / 100 if text.endswith("%") else value
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is a probability from 0 to 1, or 0% to 100%, not {text!r}")
    return value
