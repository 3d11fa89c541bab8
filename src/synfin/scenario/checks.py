"""What a field of a scenario may be: each check takes a value of any kind and gives it back, or says what is wrong.

A scenario comes from a URL or a file, so nothing about a value is known before its check. Whole numbers only: no
fraction is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, field, fields
from typing import Any, Final

Check = Callable[[Any], Any]

_KEY: Final = "check"
_SHOWN: Final = 40  # characters of a wrong value that are repeated to its author
_PLAIN_SIGNS: Final = frozenset("<>&\"'`\\:=")


class ScenarioError(ValueError):
    """What is wrong with a scenario; `place` names where, such as `steps[2].bytes`, "" for the whole."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: {what}" if place else what)
        self.place = place
        self.what = what

    def within(self, outer: str) -> ScenarioError:
        """The same, told by whoever holds that part."""
        inner = self.place
        dot = "." if outer and inner and not inner.startswith("[") else ""
        return ScenarioError(f"{outer}{dot}{inner}", self.what)


def shown(value: object) -> str:
    """A wrong value as its author wrote it, cut and escaped."""
    if isinstance(value, (str, int, bool)) or value is None:
        text = ascii(value) if not isinstance(value, int) or abs(value) < 1 << 64 else "a number of many digits"
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return {list: "a list", tuple: "a list", dict: "an object", float: "a fraction"}.get(
        type(value), type(value).__name__
    )


def whole(low: int, high: int) -> Check:
    """A whole number within bounds."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ScenarioError("", f"must be a whole number from {low} to {high}, not {shown(value)}")
        return value

    return check


def flag(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ScenarioError("", f"must be true or false, not {shown(value)}")
    return value


def word(*known: str) -> Check:
    """One of these words."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise ScenarioError("", f"must be one of {', '.join(known)}, not {shown(value)}")
        return value

    return check


def text(most: int) -> Check:
    """A line of text that can be printed; it may be empty."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or len(value) > most or not value.isprintable():
            raise ScenarioError("", f"must be a line of at most {most} printable characters, not {shown(value)}")
        return value

    return check


def name(value: Any) -> str:
    """What a host is called: it stands in diagrams, in captures and in the text of tests."""
    if (
        not isinstance(value, str)
        or not 1 <= len(value) <= 24
        or not value.isprintable()
        or value != value.strip()
        or not _PLAIN_SIGNS.isdisjoint(value)
    ):
        raise ScenarioError(
            "", f"must be a name of 1 to 24 characters without quotes, brackets and colons, not {shown(value)}"
        )
    return value


def several(of: type[Part], most: int) -> Check:
    """Parts of a kind, in their order, as a tuple."""

    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise ScenarioError("", f"must be a list, not {shown(value)}")
        if len(value) > most:
            raise ScenarioError("", f"must have at most {most} entries, not {len(value)}")
        return tuple(_nested(of, each, f"[{number}]") for number, each in enumerate(value))

    return check


def one(of: type[Part]) -> Check:
    """A part of a kind."""
    return lambda value: _nested(of, value, "")


def _nested(of: type[Part], value: Any, place: str) -> Part:
    try:
        return value if isinstance(value, of) else of.from_plain(value)
    except ScenarioError as error:
        raise error.within(place) from None


def part(check: Check, **default: Any) -> Any:
    """A field of a Part, with its check; default or default_factory as `dataclasses.field` has them."""
    return field(metadata={_KEY: check}, **default)


class Part:
    """A frozen dataclass whose fields are made by `part`: checked whenever one is made, from Python or from JSON."""

    def __post_init__(self) -> None:
        for each in fields(self):  # type: ignore[arg-type]
            try:
                object.__setattr__(self, each.name, each.metadata[_KEY](getattr(self, each.name)))
            except ScenarioError as error:
                raise error.within(each.name) from None
        self.check_whole()

    def check_whole(self) -> None:
        """What no field can say alone. Raises ScenarioError."""

    @classmethod
    def from_plain(cls, data: Any) -> Any:
        """From dicts, lists, numbers, words. Raises ScenarioError."""
        if not isinstance(data, dict):
            raise ScenarioError("", f"must be an object, not {shown(data)}")
        known: dict[str, Field[Any]] = {each.name: each for each in fields(cls)}  # type: ignore[arg-type]
        for key in data:
            if key not in known:
                raise ScenarioError("", f"has no {shown(key)}; there are {', '.join(known)}")
        for key, each in known.items():
            if key not in data and each.default is MISSING and each.default_factory is MISSING:
                raise ScenarioError(key, "is missing")
        return cls(**data)

    def to_plain(self) -> dict[str, Any]:
        """The same as dicts, lists, numbers and words, without what is as it is anyway."""
        found: dict[str, Any] = {}
        for each in fields(self):  # type: ignore[arg-type]
            value = getattr(self, each.name)
            default = each.default_factory() if each.default_factory is not MISSING else each.default
            if value != default:
                found[each.name] = _plain(value)
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.to_plain()
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
