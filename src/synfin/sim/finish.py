"""The end of a simulation's loop: what still runs is cancelled, and that is no part of the program's story."""

from __future__ import annotations

import asyncio

from synfin.sim.errors import Livelock
from synfin.sim.loop import VirtualLoop
from synfin.sim.tasks import abandon


def finish(loop: VirtualLoop) -> None:
    """Let all tasks and threads end, and close the loop."""
    loop.set_exception_handler(lambda *_: None)
    tasks = sorted(asyncio.all_tasks(loop), key=hash)
    for task in tasks:
        task.cancel()
    try:
        loop.threads.end(lambda _: True)
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=10))
        if loop.has_asyncgens():
            loop.run_until_complete(loop.shutdown_asyncgens())
    except Livelock:  # of a task that does not let itself be cancelled; what `run` tells came before
        for task in asyncio.all_tasks(loop):
            abandon(task)
    finally:
        loop.close()
