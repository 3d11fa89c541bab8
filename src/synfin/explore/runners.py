"""Who runs what the hosts do: this process, or a campaign's engine, whose children do what `serving` says.

Both see the same: a job is a host's history and the events to be tried after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from synfin.campaign.engine import Engine, EngineError
from synfin.campaign.program import Json, Limits, Lost, Program
from synfin.explore.parts import Event, Reached, Replay, event_to_plain, reach, reached_from_plain
from synfin.explore.stage import Stage
from synfin.scenario.codec import to_json
from synfin.scenario.model import Scenario

_FEW: Final = 200  # events that are not worth the way to other processes


@dataclass(frozen=True)
class Job:
    """number: of the host; each of the events is tried in the state that its history leads to."""

    number: int
    history: Sequence[Event]
    events: Sequence[Event]


class Runner(ABC):
    """seconds: of processors other than this one's, that were taken so far."""

    seconds: float = 0.0

    def __init__(self, scenario: Scenario) -> None:
        self.stage = Stage(scenario)

    def beginnings(self) -> list[Reached]:
        """Each host before anything has happened."""
        return [Replay(self.stage, number).reached() for number in range(len(self.stage.names))]

    @abstractmethod
    def run(self, jobs: Sequence[Job]) -> list[list[Reached]]:
        """What each event of each job leads to."""


class Here(Runner):
    """This process."""

    def run(self, jobs: Sequence[Job]) -> list[list[Reached]]:
        return [reach(self.stage, job.number, job.history, job.events) for job in jobs]


class Spread(Runner):
    """An engine's workers, where there is enough to do."""

    def __init__(self, scenario: Scenario, engine: Engine) -> None:
        super().__init__(scenario)
        self._engine = engine
        self._program = Program("synfin.explore.serving:serve", {"scenario": to_json(scenario)})
        self._here = Here(scenario)

    def run(self, jobs: Sequence[Job]) -> list[list[Reached]]:
        if sum(len(job.events) for job in jobs) < _FEW:
            return self._here.run(jobs)
        found: dict[int, list[Reached]] = {}
        for job, answer in self._engine.run(self._program, _plain(jobs), Limits()):
            if isinstance(answer, Lost):
                raise EngineError(f"what a host does could not be found out: {answer.reason} {answer.text}")
            self.seconds += answer["seconds"]
            found[job["place"]] = [reached_from_plain(each) for each in answer["reached"]]
        return [found[place] for place in range(len(jobs))]


def _plain(jobs: Sequence[Job]) -> Iterator[Json]:
    for place, job in enumerate(jobs):
        yield {
            "place": place,
            "number": job.number,
            "history": [event_to_plain(each) for each in job.history],
            "events": [event_to_plain(each) for each in job.events],
        }
