"""A scenario as JSON, and as the short text that stands in a URL behind its #.

What is read is a stranger's: text of bounded length and depth, which becomes data and nothing else. Whatever it is,
only ScenarioError comes out. Both forms carry the version of what they mean; one that is not known is refused.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any, Final

from synfin.scenario.checks import ScenarioError, shown
from synfin.scenario.model import VERSION, Scenario

MAX_TEXT: Final = 256 * 1024  # characters of JSON
MAX_FRAGMENT: Final = 32 * 1024  # characters of a URL
MAX_DEPTH: Final = 8
MAX_DIGITS: Final = 20

_OUTSIDE_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^\[\]{}"]+')  # leaves brackets


def to_json(scenario: Scenario, indent: int | None = 2) -> str:
    """JSON: what stands in a file. What is as it is anyway is left out."""
    return json.dumps({"version": VERSION, **scenario.to_plain()}, indent=indent, ensure_ascii=False)


def from_json(text: str | bytes) -> Scenario:
    """Read what `to_json` wrote, or a person. Raises ScenarioError."""
    return from_plain(_loads(text))


def from_plain(data: Any) -> Scenario:
    """From what JSON became. Raises ScenarioError."""
    if not isinstance(data, dict):
        raise ScenarioError("", f"a scenario is an object, not {shown(data)}")
    version = data.get("version")
    if version is None:
        raise ScenarioError("version", f"is missing: this synfin writes {VERSION}")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ScenarioError("version", f"must be a whole number from 1 on, not {shown(version)}")
    if version > VERSION:
        raise ScenarioError("version", f"{version} is of a newer synfin: this one reads up to {VERSION}")
    found = Scenario.from_plain({key: value for key, value in data.items() if key != "version"})
    assert isinstance(found, Scenario)
    return found


def to_fragment(scenario: Scenario) -> str:
    """The short form: letters, digits, - and _ behind `1.`, its version."""
    text = json.dumps(scenario.to_plain(), separators=(",", ":"), ensure_ascii=False)
    packed = zlib.compress(text.encode(), 9)
    return f"{VERSION}.{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def from_fragment(fragment: str) -> Scenario:
    """Read what `to_fragment` wrote. Raises ScenarioError."""
    if len(fragment) > MAX_FRAGMENT:
        raise ScenarioError("", f"the address has {len(fragment)} characters: {MAX_FRAGMENT} at most")
    number, dot, rest = fragment.partition(".")
    if not dot or not number.isascii() or not number.isdecimal() or len(number) > 9:
        raise ScenarioError("", "the address holds no scenario")
    try:
        packed = base64.b64decode(rest + "=" * (-len(rest) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, MAX_TEXT)
    except (ValueError, zlib.error):
        raise ScenarioError("", "the address is damaged: a part of it may be missing") from None
    if unpacker.unconsumed_tail:
        raise ScenarioError("", f"the address holds more than {MAX_TEXT} bytes")
    if not unpacker.eof:
        raise ScenarioError("", "the address is damaged: its end is missing")
    data = _loads(text)
    if not isinstance(data, dict):
        raise ScenarioError("", "the address holds no scenario")
    return from_plain({**data, "version": int(number)})


def _loads(text: str | bytes) -> Any:
    """JSON of a stranger, with whole numbers only, and no name twice in an object."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ScenarioError("", "is no UTF-8 text") from None
    if len(text) > MAX_TEXT:
        raise ScenarioError("", f"has {len(text)} characters: {MAX_TEXT} at most")
    _check_depth(text)
    try:
        return json.loads(text, parse_int=_whole, parse_float=_whole, parse_constant=_whole, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise ScenarioError("", f"is no JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None


def _check_depth(text: str) -> None:
    """Before it is parsed: what is nested without end would end the parser's stack."""
    depth = 0
    for sign in _OUTSIDE_STRINGS.sub("", text):
        depth += sign in "[{"
        depth -= sign in "]}"
        if depth > MAX_DEPTH:
            raise ScenarioError("", f"is nested deeper than {MAX_DEPTH}")


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS or not digits.lstrip("-").isdecimal():
        raise ScenarioError("", f"has {shown(digits)}: there are whole numbers of at most {MAX_DIGITS} digits")
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ScenarioError("", f"has {shown(key)} twice in one object")
        found[key] = value
    return found
