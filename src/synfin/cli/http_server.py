"""HTTP/1.1 over asyncio streams, for the demo and `synfin serve`. The protocol is h11's, the answers http_answer's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import h11

from synfin.cli.conditions import Fields, fields_of
from synfin.cli.http_answer import Answer, Site, answer, plain

CHUNK: Final = 256 * 1024
IDLE_SECONDS: Final = 60.0
MAX_HEADER: Final = 64 * 1024

Log = Callable[[str, str, int], None]


class HttpServer:
    """serve(reader, writer) is a callback for start_server. log(peer, request, status) hears of each request.

    before_close: awaited between the client's last word and our own FIN. more: fields that every answer has.
    """

    def __init__(
        self,
        site: Site,
        log: Log | None = None,
        before_close: Callable[[], Awaitable[None]] | None = None,
        more: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._site = site
        self._more = more
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

    async def respond(self, method: str, target: str, fields: Fields) -> Answer:
        """The answer to a request; what came with it is not read."""
        return answer(self._site, method, target, fields, time.time())

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
                await self._send(connection, writer, plain(error.error_status_hint, str(error), time.time()))
            return False
        method, target = request.method.decode("ascii"), request.target.decode("latin-1")
        response = await self.respond(method, target, fields_of(request.headers))
        if self._log is not None:
            peer = writer.get_extra_info("peername")
            self._log(str(peer[0]), f"{method} {target}", response.status)
        await self._send(connection, writer, response)
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE

    async def _next(self, connection: h11.Connection, reader: asyncio.StreamReader) -> object:
        while True:
            event = connection.next_event()
            if event is not h11.NEED_DATA:
                return event
            async with asyncio.timeout(IDLE_SECONDS):
                connection.receive_data(await reader.read(CHUNK))

    async def _send(self, connection: h11.Connection, writer: asyncio.StreamWriter, response: Answer) -> None:
        fields = [*response.fields, *self._more]
        head = h11.Response(status_code=response.status, headers=fields, reason=response.reason)
        writer.write(connection.send(head) or b"")
        for chunk in response.body:
            for piece in connection.send_with_data_passthrough(h11.Data(data=chunk)) or ():
                writer.write(piece)
            await writer.drain()
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()
