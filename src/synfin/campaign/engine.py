"""What spreads jobs over slots, and how they all answer; and the simplest of its kind, one child without any engine.

An engine decides nothing and remembers nothing that counts: what dies with a worker or the scheduler is run again.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType

from synfin.campaign.feed import Feed
from synfin.campaign.program import Answer, Json, Limits, Program
from synfin.campaign.slot import end_all, run_chunk

Batch = list[tuple[Json, Answer]]


class EngineError(Exception):
    """The engine can't be had, or has gone for good."""


class Engine(ABC):
    """Runs jobs. A context manager; slots: how many run at once."""

    slots: int = 1

    @abstractmethod
    def batches(self, program: Program, jobs: Iterator[Json | None], limits: Limits) -> Iterator[Batch]:
        """Every job with its answer, once, in chunks as they come back, in any order.

        jobs is pulled as slots are free: it may look at what came back. None from it: nothing now, ask again after the
        next batch. Raises EngineError, Refused.
        """

    def run(self, program: Program, jobs: Iterator[Json | None], limits: Limits) -> Iterator[tuple[Json, Answer]]:
        """The same one by one."""
        for batch in self.batches(program, jobs, limits):
            yield from batch

    @abstractmethod
    def close(self) -> None:
        """It is needed no more."""

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class Alone(Engine):
    """One warm child of this process."""

    def batches(self, program: Program, jobs: Iterator[Json | None], limits: Limits) -> Iterator[Batch]:
        """As Engine says, one chunk after the other. Raises EngineError where a generator of jobs waits for nothing."""
        feed = Feed(jobs)
        while (chunk := feed.next(time.monotonic())) is not None:
            answers, seconds = run_chunk(program, chunk.jobs, limits)
            feed.answered(chunk, seconds)
            yield list(zip(chunk.jobs, answers, strict=True))
        if not feed.done:
            raise EngineError("nothing is out, and there is still nothing to do")

    def close(self) -> None:
        """The warm child ends."""
        end_all()
