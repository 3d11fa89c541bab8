"""The end of a simulation's loop: what still runs is cancelled, and that is no part of the program's story."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from synfin.sim.errors import Livelock
from synfin.sim.loop import VirtualLoop
from synfin.sim.tasks import abandon

GRACE: Final = 10  # virtual seconds for tasks that are cancelled


def finish(loop: VirtualLoop) -> None:
    """Let all tasks and threads end, and close the loop."""
    loop.deaf = True
    loop.set_exception_handler(lambda *_: None)
    tasks = sorted(asyncio.all_tasks(loop), key=hash)
    for task in tasks:
        task.cancel()
    try:
        loop.threads.end(lambda _: True)
        if tasks:
            loop.run_until_complete(_all_ended(loop, tasks))
        if loop.has_asyncgens():
            loop.run_until_complete(loop.shutdown_asyncgens())
    except Livelock:  # of a task that does not let itself be cancelled; what `run` tells came before
        for task in asyncio.all_tasks(loop):
            abandon(task)
    finally:
        loop.close()


def _all_ended(loop: VirtualLoop, tasks: list[asyncio.Task[Any]]) -> asyncio.Future[None]:
    """Done when they are, or have had time enough. asyncio.wait() is a task more, at the end of every test."""
    over: asyncio.Future[None] = loop.create_future()
    left = set(tasks)

    def enough() -> None:
        if not over.done():
            over.set_result(None)

    def ended(task: asyncio.Task[Any]) -> None:
        left.discard(task)
        if not left:
            enough()

    for task in tasks:
        task.add_done_callback(ended)
    loop.call_later(GRACE, enough)
    return over
