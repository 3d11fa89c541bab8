"""The parent's end of a warm child: it begins one, hands it jobs, and ends it when it hangs or takes too much memory.

One job is handed out ahead, so that the child never waits for its parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from select import select
from typing import IO, Any, Final

from synfin.campaign.program import DIED, HUNG, MEMORY, Json, Limits, Program, Refused

_AHEAD: Final = 32 << 10  # bytes of jobs that a pipe takes without waiting
_LOOK: Final = 0.25  # seconds between two looks at its memory
_PLACE: Final = 5.0  # seconds in which it may say where it hangs
_SAID: Final = 4000  # the last characters of its stderr that are told


class Gone(Exception):
    """The child could not go on: why, and what it said."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(reason, text)
        self.reason = reason
        self.text = text


class Worn(Exception):
    """The child has grown too big over many jobs, none of which is to blame."""


class Warm:
    """A child of a program. Raises Refused, or Gone, where it does not become ready. facts: what it told then."""

    def __init__(self, program: Program, limits: Limits) -> None:
        self._limits = limits
        self._buffer = b""
        self._answers = 0
        self._looked = 0.0
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the child)
        self._process = subprocess.Popen(
            # -P: its path is that of a script, to which the current folder does not belong.
            [sys.executable, "-P", "-m", "synfin.campaign.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=program.folder,
            env={**os.environ, **program.environment},
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in = self._process.stdin.fileno()
        self._out = self._process.stdout.fileno()
        try:
            self._send({"target": program.target, "arguments": dict(program.arguments)})
            said = self._next(time.monotonic() + limits.start, 1)
            if "refused" in said:
                raise Refused(said["refused"])
        except BaseException:
            self.end()
            raise
        self.facts: Json = said["ready"]

    def run(self, jobs: Sequence[Json]) -> Iterator[Json]:
        """The answers, in their order. Raises Gone at the job that was not answered, Worn before one not begun."""
        unsent = deque(jobs)
        waiting: deque[Json] = deque()
        ahead = 0
        for _ in jobs:
            while unsent and (not waiting or (len(waiting) < 2 and ahead < _AHEAD)):
                ahead = self._send(unsent[0])
                waiting.append(unsent.popleft())
            seconds = waiting[0].get("seconds", self._limits.seconds)
            answer = self._next(time.monotonic() + seconds, seconds)
            waiting.popleft()
            self._answers += 1
            yield answer
            if self._is_big() and (unsent or waiting):
                self.end()
                raise Worn

    def end(self) -> None:
        """End it at once, and all that it has begun."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        with contextlib.suppress(OSError):
            self._process.communicate(timeout=10)
        self._stderr.close()

    @property
    def alive(self) -> bool:
        """False: it has ended by itself, for it had nothing to do."""
        return self._process.poll() is None

    @property
    def is_fresh(self) -> bool:
        """It has answered nothing yet."""
        return not self._answers

    def _send(self, what: Json) -> int:
        data = memoryview(json.dumps(what, separators=(",", ":")).encode() + b"\n")
        size = len(data)
        with contextlib.suppress(BrokenPipeError):  # that it has gone is told where its answer is missing
            while data:
                data = data[os.write(self._in, data) :]
        return size

    def _next(self, deadline: float, seconds: float) -> Json:
        """Its next line. Raises Gone."""
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._gone(HUNG, f"no answer for {seconds:g} s of real time")
            if not select([self._out], [], [], min(left, _LOOK))[0]:
                if self._is_big():
                    raise self._gone(MEMORY, f"more than {self._limits.memory >> 20} MiB of memory")
                continue
            data = os.read(self._out, 1 << 16)
            if not data:
                raise self._gone(DIED, "")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        found: Any = json.loads(line)
        assert isinstance(found, dict)
        return found

    def _gone(self, reason: str, text: str) -> Gone:
        if reason == HUNG and hasattr(signal, "SIGUSR1"):
            with contextlib.suppress(ProcessLookupError):
                self._ask_where()
        if reason == DIED:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._process.wait(timeout=5)
                text = f"its process ended {f'by signal {-status}' if status < 0 else f'with status {status}'}"
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _SAID))
        said = self._stderr.read().decode(errors="replace").strip()
        self.end()
        return Gone(reason, f"{text}\n{said}".strip())

    def _ask_where(self) -> None:
        """faulthandler of the child tells where it is; a busy machine takes its time for it."""
        before = os.fstat(self._stderr.fileno()).st_size
        os.kill(self._process.pid, signal.SIGUSR1)
        until = time.monotonic() + _PLACE
        while time.monotonic() < until:
            time.sleep(0.05)
            if os.fstat(self._stderr.fileno()).st_size > before:
                time.sleep(0.05)  # what it has begun to say it says at once
                return

    def _is_big(self) -> bool:
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return False
        self._looked = now
        return resident(self._process.pid) > self._limits.memory


def resident(process: int) -> int:
    """Bytes of memory that a process has; 0 where that can't be told."""
    try:
        with open(f"/proc/{process}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        pass
    try:
        import psutil

        return int(psutil.Process(process).memory_info().rss)
    except Exception:
        return 0
