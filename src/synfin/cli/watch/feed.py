"""What the control socket of a host tells, kept for drawing: the latest table, how it went on, one connection.

Everything is bounded: rows, history, events. Nothing here writes to the host but which connection it follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from synfin.aio.told import heard
from synfin.aio.watching import NEXT
from synfin.view.diagram import Rows
from synfin.view.rows import Opening, Remark, Row

MOST_ROWS: Final = 20_000
MOST_POINTS: Final = 900  # of each history
MOST_DRAWN: Final = 160  # rows of the diagram, the latest
LINE_LIMIT: Final = 1 << 22
GAP: Final = "more came and went here than is drawn"
_AGAIN_SECONDS: Final = 1.0
_WHICH: Final = re.compile(rf"(?:[0-9a-f]{{24}}|[0-9a-f]{{72}}|{NEXT}(?:\.\d{{1,9}})?)")


class Chosen:
    """The connection that is followed, from the moment on at which it was chosen.

    which: its key, or NEXT, with a number behind a dot to tell one such wish from the next.
    """

    def __init__(self, which: str, host: str) -> None:
        self.which = which
        self.key = "" if which.startswith(NEXT) else which
        self.heard = False  # the host knows that it is followed
        self.row: dict[str, Any] | None = None  # as it was last
        self.is_open = True
        self.points: deque[dict[str, Any]] = deque(maxlen=MOST_POINTS)  # rows with time_us
        self.opening: Opening | None = None
        self.drawn: deque[Row] = deque(maxlen=MOST_DRAWN)
        self.left_out = 0  # rows before those
        self.missed = 0  # events that the host could not tell
        self._host = host
        self._began: int | None = None
        self._rows = Rows(self._draw)

    def take(self, said: Mapping[str, Any]) -> None:
        """A turn's news."""
        self.heard = True
        self.key = said["key"]
        now = said["time_us"]
        for event in said["events"]:
            if self._began is None:
                self._began = event[1]
            self._rows(heard(event, self._host, bytes.fromhex(self.key)))
        if said["gap"] and self._began is not None:
            self._rows.flush()
            self._draw(0, Remark(True, max(now - self._began, 0), GAP, ""))
        self.missed += said["missed"]
        self._rows.tick(now)
        if said["row"] is not None:
            self.row = said["row"]
            self.is_open = True
            self.points.append({**said["row"], "time_us": now})
        elif self.row is not None or self._began is not None:
            self.is_open = False
            self.row = {**self.row, "state": "CLOSED", "timer": None} if self.row is not None else None

    def rows(self) -> list[Row]:
        """What is to be drawn, with what is held back in case that more of its kind comes."""
        return [*self.drawn, *(row for _, row in self._rows.pending())]

    def _draw(self, _: int, row: Row) -> None:
        if isinstance(row, Opening):
            self.opening = row
            return
        if len(self.drawn) == MOST_DRAWN:
            self.left_out += 1
        self.drawn.append(row)


class Feed:
    """One watching caller of the control socket at `path`. `version` counts what has come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = 0
        self.trouble = True  # the host cannot be reached
        self.head: dict[str, Any] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        self.rates: dict[str, tuple[float, float]] = {}  # bytes a second, in and out, since the table before
        self.points: deque[tuple[int, float, float, int]] = deque(maxlen=MOST_POINTS)  # at, in, out, connections
        self.chosen: Chosen | None = None
        self._asked = ""
        self._coming: dict[str, dict[str, Any]] = {}
        self._coming_head: dict[str, Any] = {}
        self._news = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Until cancelled; a host that has gone is tried again."""
        while True:
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError, asyncio.LimitOverrunError):
                await self._listen()
            self._writer = None
            self._set_trouble(True)
            await asyncio.sleep(_AGAIN_SECONDS)

    def follow(self, which: str) -> None:
        """A connection's key, NEXT, or "" for none. Raises ValueError for what is neither."""
        if which and not _WHICH.fullmatch(which):
            raise ValueError(f"{which!r} is no connection's key")
        if (self.chosen.which if self.chosen is not None else "") == which:
            return
        self.chosen = Chosen(which, str(self.head.get("name", ""))) if which else None
        self._say_follow()
        self._changed()

    async def newer(self, version: int, seconds: float) -> None:
        """Wait until there is news after `version`, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.version <= version:
                    await self._news.wait()

    async def _listen(self) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self.path), limit=LINE_LIMIT)
        try:
            self._writer = writer
            self.rows = {}  # to a new caller all is told, and no rates: time may not have gone on where it was
            self.head.pop("time_us", None)
            writer.write(b"watch\n")
            first = True
            while line := await reader.readline():
                self._take(json.loads(line))
                if first:
                    first = False
                    self._set_trouble(False)
                    self._say_follow()
        finally:
            writer.close()

    def _say_follow(self) -> None:
        self._asked = (self.chosen.key or self.chosen.which) if self.chosen is not None else ""
        if self._writer is not None and not self.trouble:
            self._writer.write(f"follow {self._asked}\n".encode())

    def _take(self, said: dict[str, Any]) -> None:
        if "followed" in said:
            followed = said["followed"]
            chosen = self.chosen
            if chosen is not None and followed["which"] == self._asked:
                chosen.take(followed)
                self._changed()
            return
        if said["table"] is not None:
            self._coming = {}
            self._coming_head = said["table"]
        for key in said["gone"]:
            self.rows.pop(key, None)
        for row in said["rows"]:
            if row["key"] in self.rows or len(self.rows) + len(self._coming) < MOST_ROWS:
                self._coming[row["key"]] = row
        if said["last"]:
            self._table(self._coming_head, self._coming)
            self._changed()

    def _table(self, head: dict[str, Any], rows: dict[str, dict[str, Any]]) -> None:
        """A round is whole: rows are those that are new or have changed."""
        now, before = head["time_us"], self.head.get("time_us", 0)
        seconds = (now - before) / 1e6 if before and now > before else 0.0
        rates: dict[str, tuple[float, float]] = {}
        if seconds:
            for key, row in rows.items():
                old = self.rows.get(key)
                came = row["received"] - (old["received"] if old else 0)
                went = row["sent"] - (old["sent"] if old else 0)
                if old is not None or len(self.points):
                    rates[key] = max(came, 0) / seconds, max(went, 0) / seconds
            total_in, total_out = (sum(rate[which] for rate in rates.values()) for which in (0, 1))
        self.rows.update(rows)
        if seconds:
            self.points.append((now, total_in, total_out, len(self.rows)))
        for row in self.rows.values():
            if row["deadline"]:
                row["timer"] = max(0, row["deadline"] - now)
        self.head, self.rates = head, rates

    def _set_trouble(self, trouble: bool) -> None:
        if self.trouble != trouble:
            self.trouble = trouble
            self._changed()

    def _changed(self) -> None:
        self.version += 1
        self._news.set()
        self._news.clear()
