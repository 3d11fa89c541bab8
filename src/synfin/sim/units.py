"""Quantities as people write them: "20ms", "10Mbit/s", "64KB"."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_NUMBER: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-zµ/]*)\s*")
_TIME: Final = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_RATE: Final = {"bit/s": 1, "kbit/s": 10**3, "mbit/s": 10**6, "gbit/s": 10**9}
_SIZE: Final = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}

_MOST: Final = 1e18  # of bytes, and of bits a second: no link and no memory has as many, and an i64 holds it


def microseconds(value: str | float, what: str = "time") -> int:
    """ "20ms", "3s", "1.5h", or a number of seconds. Raises ValueError or TypeError that say what was expected."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(f"{what} is seconds, or a str such as '20ms', not {type(value).__name__}")
    seconds = float(value) if isinstance(value, (int, float)) else _parse(value, _TIME, what, "20ms")
    if not 0 <= seconds < 1e9:
        raise ValueError(f"{what} can't be {value!r}")
    return round(seconds * 1_000_000)


def bits_per_second(value: str | float | None, what: str = "bandwidth") -> int:
    """ "10Mbit/s", or a number of bits a second; None: no limit, returned as 0."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(f"{what} is bits a second, or a str such as '10Mbit/s', not {type(value).__name__}")
    rate = float(value) if isinstance(value, (int, float)) else _parse(value, _RATE, what, "10Mbit/s")
    if not 1 <= rate < _MOST:
        raise ValueError(f"{what} can't be {value!r}")
    return round(rate)


def byte_count(value: str | int | None, what: str = "size") -> int:
    """ "64KB", "1MiB", or a number of bytes; None: no limit, returned as 0."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TypeError(f"{what} is bytes, or a str such as '64KB', not {type(value).__name__}")
    size = value if isinstance(value, int) else _parse(value, _SIZE, what, "64KB")
    if not 1 <= size < _MOST:
        raise ValueError(f"{what} can't be {value!r}")
    return round(size)


def check_count(value: int, what: str, least: int) -> None:
    """Raises TypeError or ValueError for what is no int from `least` on."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} is an int, not {type(value).__name__}")
    if value < least:
        raise ValueError(f"{what} is at least {least}, not {value}")


def probability(value: float, what: str) -> float:
    """0.0 to 1.0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what} is a probability from 0 to 1, not {type(value).__name__}")
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{what} is a probability from 0 to 1, not {value}")
    return float(value)


@lru_cache(maxsize=256)
def _match(text: str) -> tuple[str, str] | None:
    """A number and its unit. A simulation is made of the same few quantities again and again."""
    match = _NUMBER.fullmatch(text)
    return (match.group(1), match.group(2).lower()) if match else None


def _parse(text: str, units: dict[str, float] | dict[str, int], what: str, example: str) -> float:
    match = _match(text)
    if match is None or match[1] not in units:
        raise ValueError(f"{what} {text!r} is not understood: write it like {example!r} (units: {', '.join(units)})")
    return float(match[0]) * units[match[1]]


def time_text(us: int) -> str:
    """ "20ms": what `microseconds` reads, with at most four digits that count."""
    for unit, size in (("s", 1_000_000), ("ms", 1_000)):
        if us >= size:
            return f"{us / size:.4g}{unit}" if us < 10_000 * size else f"{us / size:.0f}{unit}"
    return f"{us}us"


def rate_text(bits: int) -> str:
    """ "10Mbit/s": what `bits_per_second` reads, with at most four digits that count."""
    for unit, size in (("Gbit/s", 10**9), ("Mbit/s", 10**6), ("kbit/s", 10**3)):
        if bits >= size:
            return f"{bits / size:.4g}{unit}"
    return f"{bits}bit/s"


def share_text(share: float) -> str:
    """ "3.1 %"."""
    return f"{100 * share:.2g} %"
