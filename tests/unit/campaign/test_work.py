"""What a campaign does next, and what it makes of answers; the answers are made up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from synfin.campaign.guide import Among, Blind
from synfin.campaign.ledger import Key, Ledger
from synfin.campaign.program import DIED, Answer, Json, Lost, Refused
from synfin.campaign.regressions import Regression
from synfin.campaign.verdicts import ERROR, FAILED, PASSED
from synfin.campaign.work import Work, key_of

ONE, TWO = "test_shop.py::test_one", "test_shop.py::test_two"
SIGNATURE = ["ValueError", "shop.py:3 in buy", "no stock"]
SHRUNK = {"again": SIGNATURE, "verdict": FAILED, "words": ["lost"], "parts": {"faults": [], "swaps": []}}


class Story:
    """A campaign whose tests fail with the seeds in `bad`."""

    def __init__(self, ledger: Ledger, bad: tuple[int, ...] = (), **options: Any) -> None:
        self.ledger = ledger
        self.said: list[str] = []
        self.ran: list[Json] = []
        self.bad = bad
        self.answers: dict[str, Answer] = {"shrink": SHRUNK}
        number = ledger.begin("code", [ONE, TWO], {}, "/")
        chosen: dict[str, Any] = {"seeds": 5, "guide": Blind(), "say": self.said.append, **options}
        self.work = Work(ledger, number, "code", Path("/"), [ONE, TWO], **chosen)

    def answer(self, job: Json) -> Answer:
        if job.get("do") == "shrink":
            return self.answers["shrink"]
        outcome: Json = {"verdict": PASSED, "seconds": 0.001, "digest": job["seed"], "features": [job["seed"] // 2]}
        if job["seed"] in self.bad:
            outcome.update(verdict=FAILED, signature=SIGNATURE, detail="Traceback")
        return outcome

    def run(self, most: int = 1000) -> list[tuple[str, int]]:
        """Job after job, as long as there are some; what they were about."""
        for job in self.work.jobs():
            assert job is not None
            self.ran.append(job)
            self.work.take([(job, self.answer(job))])
            if len(self.ran) == most:
                break
        return [(job["test"], job["seed"]) for job in self.ran if "do" not in job]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        yield ledger


def test_each_seed_goes_through_all_tests_before_the_next(ledger: Ledger) -> None:
    story = Story(ledger, first=3, seeds=2)
    assert story.run() == [(ONE, 3), (TWO, 3), (ONE, 4), (TWO, 4)]
    assert (story.work.done, story.work.known, story.work.total) == (4, 0, 4)


def test_what_a_campaign_has_done_is_not_done_again(ledger: Ledger) -> None:
    assert len(Story(ledger).run(most=3)) == 3
    second = Story(ledger)
    assert second.run() == [(TWO, 1), (ONE, 2), (TWO, 2), (ONE, 3), (TWO, 3), (ONE, 4), (TWO, 4)]
    assert second.work.known == 3
    assert Story(ledger).run() == []


def test_the_first_seeds_of_a_failure_are_made_small_and_no_more(ledger: Ledger) -> None:
    story = Story(ledger, bad=(0, 1, 2, 3, 4), shrink=3)
    story.run()
    shrunk = [(job["test"], job["seed"]) for job in story.ran if job.get("do") == "shrink"]
    assert shrunk == [(ONE, 0), (TWO, 0), (ONE, 1)]
    [group] = ledger.groups("code", [ONE, TWO])
    assert (group.count, len(group.shrunk)) == (10, 3)
    assert story.said == [f"new failure: ValueError: no stock (shop.py:3 in buy), {ONE} with seed 0"]


def test_a_failure_found_before_an_interruption_is_made_small_by_the_next_campaign(ledger: Ledger) -> None:
    Story(ledger, bad=(0,), shrink=0).run()
    story = Story(ledger, bad=(0,), shrink=1)
    story.run()
    assert [job["seed"] for job in story.ran] == [0]
    assert story.ran[0]["do"] == "shrink"


def test_a_seed_that_fails_otherwise_when_it_is_made_small_is_flaky(ledger: Ledger) -> None:
    story = Story(ledger, bad=(1,), shrink=1)
    story.answers["shrink"] = {"again": None, "verdict": PASSED}
    story.run()
    [flaky] = ledger.flaky("code", [ONE, TWO])
    assert (flaky.key, flaky.other) == (Key(ONE, 1), "passed")
    assert story.work.flaky == [Key(ONE, 1)]


def test_a_regression_runs_first_by_its_seed_and_by_what_was_left_of_it(ledger: Ledger) -> None:
    parts = {"faults": [[["a", "b", 0, "SYN", 0, 0, 0], "drop"]], "swaps": []}
    story = Story(ledger, seeds=1, regressions=[Regression(TWO, 77, {}, "a failure", parts)])
    assert story.run() == [(TWO, 77), (TWO, 77), (ONE, 0), (TWO, 0)]
    assert story.ran[1]["parts"] == parts
    assert "regression" in key_of(story.ran[1]).settings


def test_jobs_wait_for_answers_that_may_bring_more(ledger: Ledger) -> None:
    story = Story(ledger, seeds=1, bad=(0,), shrink=1)
    jobs = story.work.jobs()
    first, second = next(jobs), next(jobs)
    assert first is not None
    assert second is not None
    assert next(jobs) is None
    story.work.take([(first, story.answer(first)), (second, story.answer(second))])
    last = next(jobs)
    assert last is not None
    assert last["do"] == "shrink"
    story.work.take([(last, SHRUNK)])
    assert next(jobs, "over") == "over"


def test_novelty_is_what_nobody_had_reached_before(ledger: Ledger) -> None:
    told: list[tuple[str, int, int]] = []

    class Guide(Blind):
        def note(self, test: str, seed: int, settings: dict[str, Any], verdict: str, novelty: int) -> None:
            told.append((test, seed, novelty))

    Story(ledger, seeds=3, guide=Guide()).run()
    assert told == [(ONE, 0, 1), (TWO, 0, 0), (ONE, 1, 0), (TWO, 1, 0), (ONE, 2, 1), (TWO, 2, 0)]
    assert ledger.features("code") == {0, 1}


def test_a_child_that_died_is_an_error_of_its_seed(ledger: Ledger) -> None:
    story = Story(ledger, seeds=1)
    job = next(story.work.jobs())
    assert job is not None
    story.work.take([(job, Lost(DIED, "its process ended by signal 11"))])
    [group] = ledger.groups("code", [ONE, TWO])
    assert (group.verdict, group.signature.exception, group.count) == (ERROR, "process died", 1)


def test_without_a_number_of_seeds_it_goes_on_until_its_time_is_over(ledger: Ledger) -> None:
    assert len(Story(ledger, seeds=None, until=1e18).run(most=50)) == 50
    assert Story(ledger, seeds=None, until=0.0).run() == []


def test_settings_of_all_seeds_stand_beside_what_the_guide_chooses(ledger: Ledger) -> None:
    class Guide(Blind):
        def settings(self, test: str, seed: int) -> dict[str, Any]:
            return {"drawn_by": "7"} if seed else {}

    story = Story(ledger, seeds=2, guide=Among({"shuffle": True}, Guide()))
    story.run()
    assert [job["settings"] for job in story.ran[1:3]] == [{"shuffle": True}, {"shuffle": True, "drawn_by": "7"}]


def test_a_worker_that_loads_other_code_than_another_did_ends_the_campaign_and_its_verdict_is_not_taken(
    ledger: Ledger,
) -> None:
    story = Story(ledger, seeds=2)
    jobs = story.work.jobs()
    first, second = next(jobs), next(jobs)
    assert first is not None
    assert second is not None
    story.work.take([(first, {**story.answer(first), "late": {"shop": "1"}})])  # type: ignore[dict-item]
    with pytest.raises(Refused, match="the code in shop is not that which the campaign began with"):
        story.work.take([(second, {**story.answer(second), "late": {"shop": "2"}})])  # type: ignore[dict-item]
    assert ledger.has("code", key_of(first))
    assert not ledger.has("code", key_of(second))
