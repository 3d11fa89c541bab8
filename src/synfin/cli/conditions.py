"""Conditional requests (RFC 9110 13): GET and HEAD of a representation that has a date, and no entity tag.

Fields that can't be read count as absent, as the RFC wants it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

OK: Final = 200
NOT_MODIFIED: Final = 304
PRECONDITION_FAILED: Final = 412

_TIME: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES: Final = (
    re.compile(rf"[A-Z]\w\w, (?P<day>\d\d) (?P<month>\w{{3}}) (?P<year>\d{{4}}) {_TIME} GMT", re.ASCII),
    re.compile(rf"[A-Z]\w+day, (?P<day>\d\d)-(?P<month>\w{{3}})-(?P<year>\d\d) {_TIME} GMT", re.ASCII),
    re.compile(rf"[A-Z]\w\w (?P<month>\w{{3}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})", re.ASCII),
)
_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

Fields = dict[str, str]


def fields_of(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Header fields by their names in lower case; several lines of a name are one list (RFC 9110 5.3)."""
    fields: Fields = {}
    for name, value in headers:
        key, text = name.decode("ascii").lower(), value.decode("latin-1").strip()
        fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields


def http_date(text: str) -> int | None:
    """Seconds since 1970 of any of the three forms of RFC 9110 5.6.7; None for what is none."""
    found = next((match for form in _DATES if (match := form.fullmatch(text))), None)
    if found is None or found["month"] not in _MONTHS:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:  # the old form: never far in the future
        year += 2000 if year < 70 else 1900
    day, hour, minute, second = (int(found[name]) for name in ("day", "hour", "minute", "second"))
    try:
        when = datetime(year, _MONTHS.index(found["month"]) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int(when.timestamp())


def judge(fields: Fields, modified: int | None) -> int:
    """OK: do what the method says; else the status to answer instead. In the order of RFC 9110 13.2.2.

    modified: the second in which the representation was last changed; None: nobody knows.
    """
    if "if-match" in fields:
        if fields["if-match"] != "*":  # a tag, and ours has none
            return PRECONDITION_FAILED
    elif _newer(fields.get("if-unmodified-since"), modified):
        return PRECONDITION_FAILED
    if "if-none-match" in fields:
        return NOT_MODIFIED if fields["if-none-match"] == "*" else OK
    since = http_date(fields.get("if-modified-since", ""))
    return NOT_MODIFIED if since is not None and modified is not None and modified <= since else OK


def _newer(date: str | None, modified: int | None) -> bool:
    since = http_date(date or "")
    return since is not None and modified is not None and modified > since


def range_holds(fields: Fields, modified: int | None, now: float) -> bool:
    """May a Range field be obeyed? If-Range (RFC 9110 13.1.5): only of what the client has a part of already.

    A date tells it from others once a second has gone by in which it might have changed again (8.8.2.2).
    """
    if "if-range" not in fields:
        return True
    return modified is not None and http_date(fields["if-range"]) == modified and modified + 1 <= now
