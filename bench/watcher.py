"""A reader of `synfin watch`, of its own process: `python -m bench.watcher SOCKET`.

"on" on stdin has it watch the host, follow the connection that received most, and draw both twice a second as for a
browser; "off" ends that. Each is answered by the same word once it is so.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from synfin.cli.watch.command import stand_back
from synfin.cli.watch.feed import Feed
from synfin.cli.watch.picture import Look, state

DRAWN_SECONDS = 0.5


async def watch(path: Path, begun: asyncio.Event) -> None:
    feed = Feed(path)
    running = asyncio.create_task(feed.run())
    try:
        while not feed.rows:
            await feed.newer(feed.version, DRAWN_SECONDS)
        feed.follow(max(feed.rows.values(), key=lambda row: row["received"])["key"])
        while feed.chosen is None or feed.chosen.row is None:
            await feed.newer(feed.version, DRAWN_SECONDS)
        begun.set()
        while True:
            await asyncio.sleep(DRAWN_SECONDS)
            state(feed, Look())
    finally:
        running.cancel()


async def main() -> None:
    stand_back()
    watching: asyncio.Task[None] | None = None
    while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if word == "on":
            begun = asyncio.Event()
            watching = asyncio.create_task(watch(Path(sys.argv[1]), begun))
            await begun.wait()
        elif watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        print(word, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
