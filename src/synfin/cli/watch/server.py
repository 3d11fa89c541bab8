"""HTTP on loopback for `synfin watch`: pages for anybody, what the host says for who has a key.

Nothing is queued for a browser: it asks for the state that is newest when it is ready to draw it, and a feed whose
reader has not asked for a while leaves the host alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from synfin.cli.conditions import Fields
from synfin.cli.http_answer import Answer, answer, plain
from synfin.cli.http_server import HttpServer
from synfin.cli.watch.door import Door
from synfin.cli.watch.feed import Feed
from synfin.cli.watch.pages import FIELDS, Pages
from synfin.cli.watch.picture import WIDTHS, Look, state

PATIENCE_SECONDS: Final = 5.0  # that a question waits for news
FORGET_SECONDS: Final = 20.0  # without a question: the reader has gone
MOST_CONNECTIONS: Final = 32
_JSON: Final = ("Content-Type", "application/json; charset=utf-8")


class WatchServer(HttpServer):
    """path: of the host's control socket. port: of this server. say: is told the address for the next browser."""

    def __init__(self, path: Path, port: int, say: Callable[[str], None] = lambda address: None) -> None:
        super().__init__(Pages(), more=FIELDS)
        self.door = Door(port, self._drop)
        self._path = path
        self._say = say
        self._open = 0
        self._feeds: dict[str, tuple[Feed, asyncio.Task[None]]] = {}
        self._asked: dict[str, float] = {}  # when each key last asked

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends; at once where MOST_CONNECTIONS are open."""
        if self._open >= MOST_CONNECTIONS:
            writer.close()
            return
        self._open += 1
        try:
            await super().serve(reader, writer)
        finally:
            self._open -= 1

    async def close(self) -> None:
        """No feed runs any more."""
        tasks = [task for _, task in self._feeds.values()]
        for key in list(self._feeds):
            self._drop(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def respond(self, method: str, target: str, fields: Fields) -> Answer:
        """The answer to a request: its own page, an entry, or news of the host; 403 to others."""
        now = time.time()
        if not self.door.is_ours(fields):
            return plain(403, "this is for its own page alone", now)
        path = urlsplit(target).path
        if path == "/enter":
            return self._enter(method, fields, now)
        if path == "/state":
            return await self._state(method, target, fields, now)
        return answer(self._site, method, target, fields, now)

    def _enter(self, method: str, fields: Fields, now: float) -> Answer:
        if method != "POST":
            return plain(405, "it is entered by POST", now, [("Allow", "POST")])
        key = self.door.enter(fields)
        if not key:
            return plain(403, "this address was used before: take the one that `synfin watch` has printed since", now)
        self._say(self.door.address)
        return _json({"key": key})

    async def _state(self, method: str, target: str, fields: Fields, now: float) -> Answer:
        if method != "GET":
            return plain(405, "only GET is served here", now, [("Allow", "GET")])
        key = self.door.key_of(fields)
        if not key:
            return plain(401, "no key", now, [("WWW-Authenticate", "Bearer")])
        asked = {name: values[-1] for name, values in parse_qs(urlsplit(target).query).items()}
        feed = self._feed(key)
        try:
            feed.follow(asked.get("follow", ""))
            seen, look = int(asked.get("seen", "0")), look_of(asked)
        except ValueError as error:
            return plain(400, str(error), now)
        await feed.newer(seen, PATIENCE_SECONDS)
        self._asked[key] = asyncio.get_running_loop().time()
        return _json(state(feed, look))

    def _feed(self, key: str) -> Feed:
        loop = asyncio.get_running_loop()
        self._asked[key] = loop.time()
        if key not in self._feeds:
            feed = Feed(self._path)
            self._feeds[key] = feed, loop.create_task(feed.run())
            loop.call_later(FORGET_SECONDS, self._forget, key)
        return self._feeds[key][0]

    def _forget(self, key: str) -> None:
        """Leave the host alone once nobody looks."""
        if key not in self._feeds:
            return
        loop = asyncio.get_running_loop()
        rest = self._asked[key] + FORGET_SECONDS - loop.time()
        if rest > 0:
            loop.call_later(rest, self._forget, key)
        else:
            self._drop(key)

    def _drop(self, key: str) -> None:
        self._asked.pop(key, None)
        with contextlib.suppress(KeyError):
            self._feeds.pop(key)[1].cancel()


def look_of(asked: dict[str, str]) -> Look:
    """What the page says that its reader looks at. Raises ValueError for what is no number."""
    low, high = WIDTHS
    return Look(
        order=asked.get("order", ""),
        down=asked.get("down") == "1",
        find=asked.get("find", "")[:100].lower(),
        width=min(max(int(asked.get("width", "700")), low), high),
        language="zh-Hans" if asked.get("language") == "zh-Hans" else "en",
    )


def _json(value: object) -> Answer:
    body = json.dumps(value, ensure_ascii=False).encode()
    return Answer(200, [_JSON, ("Content-Length", str(len(body)))], (body,))
