"""How a command with connections is ended: its work is cancelled; so connections end, and their peers hear of it."""

from __future__ import annotations

import asyncio
import select
import signal
from collections.abc import Coroutine
from typing import Any, Final

# By the terminal's user, by the system, by a terminal that has gone, by whoever read our output and has gone.
SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE")


def output_has_gone() -> bool:
    """Nobody can read what is written to stdout or stderr any more."""
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)
    return any(found & select.POLLERR for _, found in poll.poll(0))


def run_until_ended(work: Coroutine[Any, Any, int]) -> int:
    """asyncio.run() of work that returns an exit status; 128 and the signal's number if a signal cancelled it.

    A signal that was ignored when the command began stays so: nohup, and a shell's background jobs.
    """
    came: list[int] = []

    async def cancelled_by_signals() -> int:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def end(number: int) -> None:
            if signal.Signals(number).name == "SIGPIPE" and not output_has_gone():
                return  # a socket's peer has: whoever wrote to it is told by an error
            came.append(number)
            task.cancel()

        for name in SIGNALS:
            number = getattr(signal, name)
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, end, number)
        try:
            return await work
        except asyncio.CancelledError:
            if not came:
                raise
            return 128 + came[0]

    return asyncio.run(cancelled_by_signals())
