"""HTTP/1.1 over asyncio streams, for the demo and `synfin serve`: GET and HEAD of what a site has.

The protocol is h11's; here is only what is served and how fast it is written.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import h11

CHUNK: Final = 256 * 1024
IDLE_SECONDS: Final = 60.0
MAX_HEADER: Final = 64 * 1024


@dataclass(frozen=True)
class Resource:
    """What a path names: `chunks(start, stop)` gives these bytes of the body, which has `size` in all.

    location: where the client is to look instead.
    """

    size: int
    content_type: str
    chunks: Callable[[int, int], Iterator[bytes]]
    location: str = ""


class Site(Protocol):
    """Where resources come from."""

    def find(self, path: str) -> Resource | None:
        """The resource at an absolute, decoded path; None: 404."""


Log = Callable[[str, str, int], None]


class HttpServer:
    """serve(reader, writer) is a callback for start_server. log(peer, request, status) hears of each request.

    before_close: awaited between the client's last word and our own FIN.
    """

    def __init__(
        self, site: Site, log: Log | None = None, before_close: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._site = site
        self._log = log
        self._before_close = before_close

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends; requests on it one after the other."""
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADER)
        try:
            while await self._one(connection, reader, writer):
                connection.start_next_cycle()
            if self._before_close is not None:
                await self._before_close()
        except (OSError, TimeoutError):
            pass  # the client has gone, or said nothing for a minute: nothing is left to be told to it
        finally:
            writer.close()

    async def _one(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Serve one request; True if another may follow on the same connection."""
        try:
            request = await self._next(connection, reader)
            if not isinstance(request, h11.Request):
                return False
            while not isinstance(await self._next(connection, reader), h11.EndOfMessage):
                pass
        except h11.RemoteProtocolError as error:
            if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                await self._answer(connection, writer, None, error.error_status_hint, str(error))
            return False
        method = request.method.decode("ascii")
        target = request.target.decode("latin-1")
        path = unquote(urlsplit(target).path)
        if method not in ("GET", "HEAD"):
            status, resource, text = 405, None, "only GET and HEAD are served here"
        else:
            resource = self._site.find(path)
            status, text = (200, "") if resource is not None else (404, f"nothing here is called {path}")
        start, stop = 0, resource.size if resource is not None else 0
        if resource is not None and resource.location:
            status = 301
        elif resource is not None and method == "GET" and (asked := _range(request, resource.size)) is not None:
            start, stop = asked
            status = 206 if start < stop else 416
        if self._log is not None:
            peer = writer.get_extra_info("peername")
            self._log(str(peer[0]), f"{method} {target}", status)
        await self._answer(connection, writer, resource, status, text, start, stop, method == "HEAD")
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE

    async def _next(self, connection: h11.Connection, reader: asyncio.StreamReader) -> object:
        while True:
            event = connection.next_event()
            if event is not h11.NEED_DATA:
                return event
            async with asyncio.timeout(IDLE_SECONDS):
                connection.receive_data(await reader.read(CHUNK))

    async def _answer(
        self,
        connection: h11.Connection,
        writer: asyncio.StreamWriter,
        resource: Resource | None,
        status: int,
        text: str,
        start: int = 0,
        stop: int = 0,
        head: bool = False,
    ) -> None:
        body = (text + "\n").encode()
        content_type = "text/plain; charset=utf-8" if resource is None else resource.content_type
        length = len(body) if resource is None else stop - start
        headers = [("Server", "synfin"), ("Content-Type", content_type), ("Content-Length", str(length))]
        if status == 405:
            headers.append(("Allow", "GET, HEAD"))
        if resource is not None:
            headers.append(("Location", resource.location) if resource.location else ("Accept-Ranges", "bytes"))
            if status in (206, 416):
                which = f"{start}-{stop - 1}" if status == 206 else "*"
                headers.append(("Content-Range", f"bytes {which}/{resource.size}"))
        response = h11.Response(status_code=status, headers=headers)
        writer.write(connection.send(response) or b"")
        if not head and length:
            for chunk in (body,) if resource is None else resource.chunks(start, stop):
                for piece in connection.send_with_data_passthrough(h11.Data(data=chunk)) or ():
                    writer.write(piece)
                await writer.drain()
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()


def _range(request: h11.Request, size: int) -> tuple[int, int] | None:
    """The bytes [start, stop) that a Range field asks for (RFC 9110 14.2); empty: none of them exists.

    None if there is no such field, or one that may be ignored: several ranges, other units, what can't be read.
    """
    fields = [value for name, value in request.headers if name == b"range"]
    found = re.fullmatch(rb"bytes=([0-9]{0,18})-([0-9]{0,18})", fields[0].strip()) if len(fields) == 1 else None
    if found is None:
        return None
    first, last = found.groups()
    if first:
        if last and int(last) < int(first):
            return None
        start, stop = int(first), int(last) + 1 if last else size
        return (start, min(stop, size)) if start < size else (0, 0)
    return (max(0, size - int(last)), size) if last else None
