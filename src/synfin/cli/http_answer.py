"""What is answered to a request: GET and HEAD of what a site has, whole or in part. No I/O but the site's own.

Rule for the next editor: an answer is complete; whoever sends it adds nothing and asks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from synfin.cli.conditions import NOT_MODIFIED, PRECONDITION_FAILED, Fields, judge, range_holds

TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Resource:
    """What a path names: `chunks(start, stop)` gives these bytes of the body, which has `size` in all.

    location: where the client is to look instead. modified: seconds since 1970; None for what is made anew each time.
    """

    size: int
    content_type: str
    chunks: Callable[[int, int], Iterator[bytes]]
    location: str = ""
    modified: int | None = None


class Site(Protocol):
    """Where resources come from."""

    def find(self, path: str) -> Resource | None:
        """The resource at an absolute, decoded path; None: 404."""


@dataclass(frozen=True)
class Answer:
    """A response: what the status line and the fields say, and the body that follows, if any."""

    status: int
    fields: list[tuple[str, str]]
    body: Iterable[bytes] = ()

    @property
    def reason(self) -> str:
        """What a person reads in the status line."""
        return HTTPStatus(self.status).phrase


def answer(site: Site, method: str, target: str, fields: Fields, now: float) -> Answer:
    """To one request. now: seconds since 1970."""
    if method not in ("GET", "HEAD"):
        return plain(405, "only GET and HEAD are served here", now, [("Allow", "GET, HEAD")])
    head = method == "HEAD"
    path = unquote(urlsplit(target).path)
    resource = site.find(path)
    if resource is None:
        return plain(404, f"nothing here is called {path}", now, head=head)
    if resource.location:
        return plain(301, f"look at {resource.location}", now, [("Location", resource.location)], head)
    status = judge(fields, resource.modified)
    if status == NOT_MODIFIED:
        return Answer(status, _common(now, resource))
    if status == PRECONDITION_FAILED:
        return plain(status, "it is not what the condition asks for", now, head=head)
    asked = None
    if not head and range_holds(fields, resource.modified, now):
        asked = byte_range(fields.get("range", ""), resource.size)
    return _whole(resource, now, head) if asked is None else _part(resource, now, *asked)


def plain(status: int, text: str, now: float, more: Iterable[tuple[str, str]] = (), head: bool = False) -> Answer:
    """A status, with a line of text that says why."""
    body = f"{text}\n".encode(errors="replace")
    return Answer(status, [*_common(now), *_content(TEXT, len(body)), *more], () if head else (body,))


def byte_range(field: str, size: int) -> tuple[int, int] | None:
    """The bytes [start, stop) that a Range field asks for (RFC 9110 14.2); empty: none of them exists.

    None for what may be ignored: no field, several ranges, other units, what can't be read.
    """
    found = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", field)
    if found is None:
        return None
    first, last = found.groups()
    if first:
        if last and int(last) < int(first):
            return None
        start, stop = int(first), int(last) + 1 if last else size
        return (start, min(stop, size)) if start < size else (0, 0)
    return (max(0, size - int(last)), size) if last else None


def _whole(resource: Resource, now: float, head: bool) -> Answer:
    fields = [*_common(now, resource), *_content(resource.content_type, resource.size), ("Accept-Ranges", "bytes")]
    return Answer(200, fields, () if head else resource.chunks(0, resource.size))


def _part(resource: Resource, now: float, start: int, stop: int) -> Answer:
    if start == stop:
        return plain(416, "none of these bytes exists", now, [("Content-Range", f"bytes */{resource.size}")])
    fields = [*_common(now, resource), *_content(resource.content_type, stop - start), ("Accept-Ranges", "bytes")]
    fields.append(("Content-Range", f"bytes {start}-{stop - 1}/{resource.size}"))
    return Answer(206, fields, resource.chunks(start, stop))


def _common(now: float, resource: Resource | None = None) -> list[tuple[str, str]]:
    fields = [("Date", formatdate(int(now), usegmt=True)), ("Server", "synfin")]
    if resource is not None and resource.modified is not None:
        # RFC 9110 8.8.2.1: never later than the answer itself, whatever the file's clock said.
        fields.append(("Last-Modified", formatdate(min(resource.modified, int(now)), usegmt=True)))
    return fields


def _content(kind: str, length: int) -> list[tuple[str, str]]:
    return [("Content-Type", kind), ("Content-Length", str(length))]
