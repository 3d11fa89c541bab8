"""Jobs cut into chunks, as long as each is to last; which chunks are out, and which jobs were answered.

A chunk lost with whoever ran it goes out again; one that takes far too long goes out a second time, and the first
answer counts. So every job is answered once, whatever becomes of the engine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

from synfin.campaign.program import Json

CHUNK: Final = 0.5  # seconds
MOST: Final = 1000  # jobs in a chunk
_FIRST: Final = 4  # jobs in the first chunks, whose time nobody knows yet


class Chunk:
    """Jobs that go out together. begun: when they did; copies: how often they are out now."""

    def __init__(self, number: int, jobs: Sequence[Json]) -> None:
        self.number = number
        self.jobs = jobs
        self.begun = 0.0
        self.copies = 0
        self.losses = 0


class Feed:
    """jobs: pulled as chunks are wanted; None from it: nothing now, but later. seconds: that a chunk is to last."""

    def __init__(self, jobs: Iterator[Json | None], seconds: float = CHUNK) -> None:
        self.out: dict[int, Chunk] = {}
        """Chunks that are not answered, by number."""
        self._jobs = jobs
        self._ahead: Json | None = None
        self._again: deque[Chunk] = deque()
        self._numbers = count()
        self._seconds = seconds
        self._each = 0.0  # seconds of a job, lately
        self._ended = False

    def next(self, now: float) -> Chunk | None:
        """A chunk to go out, if there is one now."""
        if self._again:
            chunk = self._again.popleft()
        else:
            jobs = self._pull()
            if not jobs:
                return None
            chunk = Chunk(next(self._numbers), jobs)
            self.out[chunk.number] = chunk
        chunk.begun = now
        chunk.copies += 1
        return chunk

    def answered(self, chunk: Chunk, seconds: float) -> bool:
        """A copy of it came back; False: another had before."""
        chunk.copies -= 1
        if self.out.pop(chunk.number, None) is None:
            return False
        if not chunk.jobs[0].get("alone"):
            each = seconds / len(chunk.jobs)
            self._each = each if not self._each else 0.7 * self._each + 0.3 * each
        return True

    def lost(self, chunk: Chunk) -> None:
        """A copy of it was lost with whoever ran it."""
        chunk.copies -= 1
        chunk.losses += 1
        if chunk.number in self.out and not chunk.copies and chunk not in self._again:
            self._again.append(chunk)

    def late(self, now: float, seconds: float) -> list[Chunk]:
        """Chunks that have been out for much longer than they should be; they go out again."""
        found = [
            chunk
            for chunk in self.out.values()
            if chunk.copies == 1 and now - chunk.begun > self._patience(chunk, seconds) and chunk not in self._again
        ]
        self._again.extend(found)
        return found

    @property
    def done(self) -> bool:
        """There is nothing more to do, and nothing out."""
        return self._ended and not self.out and self._ahead is None

    def _patience(self, chunk: Chunk, seconds: float) -> float:
        """seconds: real time that one job may take, after which its child is ended."""
        own = max(float(job.get("seconds", seconds)) for job in chunk.jobs)
        return 20 * self._each * len(chunk.jobs) + 1.5 * own + 10

    def _pull(self) -> list[Json]:
        wanted = _FIRST if not self._each else max(1, min(MOST, round(self._seconds / self._each)))
        jobs: list[Json] = []
        while len(jobs) < wanted and not self._ended:
            job, self._ahead = self._ahead, None
            if job is None:
                try:
                    job = next(self._jobs)
                except StopIteration:
                    self._ended = True
                    break
            if job is None:
                break
            if job.get("alone") and jobs:
                self._ahead = job
                break
            jobs.append(job)
            if job.get("alone"):
                break
        return jobs
