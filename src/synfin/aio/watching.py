"""Watching a host through its control socket: its table again and again, and all that happens to one connection.

It is bounded, whatever the caller does. Of the table only what has changed is told, in short parts. What is told, of
the table and of the connection that is followed, comes before a rest of many times what it took, so that each takes at
most a hundredth of the host's processor. Of a connection that is followed so many events are kept in each turn; of what
comes then only its states, notes, and the packets with SYN, FIN or RST are told, and the caller hears that there is a
gap. A caller that does not read is not told more: what it has not taken is not made.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from synfin.aio import connection_rows
from synfin.aio.changes import Changes
from synfin.aio.told import Told, told
from synfin.stack.stack import Stack
from synfin.tcp.trace import Event, Follower

WATCH: Final = b"watch"
NEXT: Final = "next"
TURN_SECONDS: Final = 0.2
PART_SECONDS: Final = 0.02  # between two parts of the table, at least
TABLE_SECONDS: Final = 1.0
EVENTS: Final = 128  # of one turn, told whole
MOST_EVENTS: Final = 1024  # of one turn, with those that are told in a gap
REST: Final = 99  # times what a part took: until the next one
_KEY_SIZES: Final = (12, 36)


class Watches:
    """Whom of this host's callers a connection is told to: a connection has one follower, and may have many callers."""

    def __init__(self, stack: Stack, clock: Callable[[], int]) -> None:
        self.stack = stack
        self.clock = clock
        self._shared: list[_Shared] = []

    def begin(self, key: bytes, watch: Watch) -> None:
        """Tell it what happens to the connection with this key, b"": to the one that begins next."""
        for shared in self._shared:
            if shared.key == key:
                shared.watches.append(watch)
                return
        shared = _Shared(key, self.stack)
        shared.watches.append(watch)
        if self.stack.follow(key, shared.follower):
            self._shared.append(shared)

    def end(self, watch: Watch) -> None:
        """Tell it no more."""
        for shared in list(self._shared):
            if watch in shared.watches:
                shared.watches.remove(watch)
                if not shared.watches:
                    self._shared.remove(shared)
                    self.stack.unfollow(shared.follower)

    def settle(self) -> None:
        """After a turn: who has heard enough hears again."""
        for shared in self._shared:
            if shared.follower.quiet and not all(watch.is_full() for watch in shared.watches):
                self.stack.hush(shared.follower, False)


class _Shared:
    """One follower of the stack's, and who hears it."""

    def __init__(self, key: bytes, stack: Stack) -> None:
        self.key = key
        self.watches: list[Watch] = []
        self._stack = stack
        self.follower = Follower(self._hear)

    def _hear(self, event: Event) -> None:
        self.key = event.key  # of the one that was to begin next
        for watch in self.watches:
            watch.hear(event)
        if not self.follower.quiet and all(watch.is_full() for watch in self.watches):
            self._stack.hush(self.follower, True)


class Watch:
    """One caller. head: what is said of the host beside its connections. seconds: a clock, for what work takes."""

    def __init__(
        self, watches: Watches, head: Callable[[], dict[str, Any]], seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._watches = watches
        self._head = head
        self._asked = b""
        self._following = False
        self._which = ""  # as it was asked for
        self._key = b""
        self._events: list[Told] = []
        self._gap = False
        self._missed = 0

    def ask(self, said: bytes) -> bool:
        """Lines of a caller: "follow KEY", "follow next" (or next.1, next.2, ...) or "follow". False: it says else."""
        *lines, self._asked = (self._asked + said).split(b"\n")
        return len(self._asked) <= 128 and all(self._follow(line.decode("ascii", "replace")) for line in lines)

    def close(self) -> None:
        """The caller has gone."""
        self._watches.end(self)
        self._following = False

    def _follow(self, line: str) -> bool:
        word, _, which = line.partition(" ")
        if word != "follow":
            return False
        key = b""
        if which and which.partition(".")[0] != NEXT:
            try:
                key = bytes.fromhex(which)
            except ValueError:
                return False
            if len(key) not in _KEY_SIZES:
                return False
        self._watches.end(self)
        self._events.clear()
        self._gap = False
        self._missed = 0
        self._key = key
        self._which = which
        self._following = which != ""
        if self._following:
            self._watches.begin(key, self)
        return True

    # ---- what is told ----

    def is_full(self) -> bool:
        """This turn's events are enough."""
        return len(self._events) >= EVENTS

    def hear(self, event: Event) -> None:
        """Something happened to the connection."""
        self._key = event.key
        if len(self._events) >= MOST_EVENTS:
            self._missed += 1
            return
        self._events.append(told(event))
        if len(self._events) == EVENTS:
            self._gap = True

    async def tell(self, send: Callable[[str], Awaitable[None]]) -> None:
        """Until `send` raises, which waits until the caller has read what was said."""
        parts = self._parts()
        due = next_turn = 0.0
        while True:
            if self._following and self._seconds() >= next_turn:
                begun = self._seconds()
                text = self.followed()
                now = self._seconds()
                next_turn = now + max((now - begun) * REST, TURN_SECONDS)
                await send(text + "\n")
            if self._seconds() >= due:
                begun = self._seconds()
                text, pause = next(parts)
                now = self._seconds()
                due = now + max((now - begun) * REST, pause)
                await send(text + "\n")
            await asyncio.sleep(min(max(due - self._seconds(), PART_SECONDS), TURN_SECONDS))

    def followed(self) -> str:
        """What has happened to the connection since the last turn, and how it stands."""
        connection = self._watches.stack.find(self._key) if self._key else None
        now = self._watches.clock()
        said = {
            "which": self._which,
            "key": self._key.hex(),
            "time_us": now,
            "row": None if connection is None else connection_rows.row(connection, now),
            "events": self._events,
            "gap": self._gap,
            "missed": self._missed,
        }
        text = json.dumps({"followed": said})
        self._events = []
        self._gap = False
        self._missed = 0
        self._watches.settle()
        return text

    def _parts(self) -> Iterator[tuple[str, float]]:
        """Parts of the table, for ever, and for how long each is enough."""
        changes = Changes(self._watches.stack, self._watches.clock, self._seconds)
        while True:
            head: dict[str, Any] | None = self._head()
            begun = self._seconds()
            for rows, gone, last in changes.round():
                pause = max(begun + TABLE_SECONDS - self._seconds(), 0.0) if last else 0.0
                yield json.dumps({"table": head, "rows": rows, "gone": gone, "last": last}), pause
                head = None
