"""A process that undoes what a run has changed for others, should the run be killed before it can.

It waits for the end of a pipe whose other end the run and its keeper have, and no program: that end is closed when the
last of the two has gone, and be it by SIGKILL. It is in a session of its own, so that what is sent to the run's process
group passes it by, holds nothing else of what the run has open, and is closed to debuggers, as it keeps its rights.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable
from typing import Final, NoReturn

from synfin.run import linux

_DONE: Final = b"."


class Sweeper:
    """undo: called once all is over, by close() or, if that never came, in the other process. It may be in vain.

    To be made in a process of one thread, before what it must not hold.
    """

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo = undo
        seen, self._alive = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _wait(seen, undo)
        os.close(seen)

    def close(self) -> None:
        """Undo it here; the other process ends."""
        self._undo()
        with contextlib.suppress(BrokenPipeError):
            os.write(self._alive, _DONE)
        os.close(self._alive)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _wait(seen: int, undo: Callable[[], None]) -> NoReturn:
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        os.setsid()
        linux.close_to_debuggers()
        _hold_only(seen)
        if os.read(seen, 1) != _DONE:
            undo()
    finally:  # nothing of the parent's may run in this process
        os._exit(0)


def _hold_only(descriptor: int) -> None:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, most)
