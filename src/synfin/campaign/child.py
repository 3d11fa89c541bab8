"""A warm child: `python -m synfin.campaign.child`. It reads its program, calls it, and serves jobs until stdin ends.

The pipes are taken away from the program: what that prints goes nowhere, and what it reads is empty. It ends with its
parent, and by itself where no job comes for a while, so that nobody must clean up after a parent that was killed.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
from _thread import start_new_thread
from collections.abc import Iterator
from importlib import import_module
from select import select
from time import sleep
from typing import Final

from synfin.campaign.program import Json

IDLE: Final = 30.0  # seconds without a job
_SAID: Final = 1 << 20


class Pipes:
    """The Link to the parent: lines of JSON."""

    def __init__(self) -> None:
        self._in = os.dup(0)
        self._out = os.dup(1)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        os.close(nothing)
        self._buffer = b""

    def ready(self, facts: Json) -> None:
        """Tell the parent that jobs may come; `facts` are for it to keep."""
        self._say({"ready": facts})

    def refuse(self, why: str) -> None:
        """Tell the parent that this child is of no use, and why."""
        self._say({"refused": why})

    def answer(self, answer: Json) -> None:
        """Tell the parent what came of the job that was served last."""
        self._say(answer)

    def jobs(self) -> Iterator[Json]:
        """One after the other, until the parent has no more, or gave none for IDLE seconds."""
        while line := self.line():
            yield json.loads(line)
            if os.fstat(2).st_size > _SAID:  # a file of the parent's, which wants the last lines only
                os.ftruncate(2, 0)
                os.lseek(2, 0, os.SEEK_SET)

    def line(self) -> bytes:
        """The next one; none at the end, and after a while without any."""
        while b"\n" not in self._buffer:
            if sys.platform != "win32" and not select([self._in], [], [], IDLE)[0]:
                return b""
            data = os.read(self._in, 1 << 16)
            if not data:
                return b""
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _say(self, what: Json) -> None:
        data = memoryview(json.dumps(what, separators=(",", ":")).encode() + b"\n")
        while data:
            data = data[os.write(self._out, data) :]


def _end_with(parent: int) -> None:
    """A thread that no simulation sees."""
    while os.getppid() == parent:
        sleep(1)
    os._exit(1)


def main() -> None:
    """Serve until there is no more to do."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # of a watchdog; a terminal's goes to the parent alone
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)  # into stderr, which the parent reads
    start_new_thread(_end_with, (os.getppid(),))
    pipes = Pipes()
    first = pipes.line()
    if not first:
        return
    program = json.loads(first)
    module, _, name = program["target"].partition(":")
    getattr(import_module(module), name)(program["arguments"], pipes)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # what a program left behind, a thread or a handler, keeps nobody waiting
