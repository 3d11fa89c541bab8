"""Warm children that hang, leak and die: their jobs are told, and no other is lost or run for nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from synfin.campaign.program import DIED, HUNG, MEMORY, Json, Limits, Lost, Program, Refused
from synfin.campaign.slot import end_all, keep, run_chunk
from synfin.campaign.warm import Warm

PROGRAM = """
import os, time
kept = []

def serve(arguments, link):
    print("nobody reads this")
    if arguments.get("refuse"):
        link.refuse("it is the wrong day")
        return
    if arguments.get("die"):
        os._exit(3)
    link.ready({"pid": os.getpid()})
    for job in link.jobs():
        with open(arguments["log"], "a") as file:
            file.write(f"{job['n']}\\n")
        what = job.get("what")
        if what == "hang":
            wait_for_ever()
        if what == "die" or what == "die later" and len(kept) > 3:
            os._exit(7)
        if what == "slow":
            time.sleep(0.05)
        if what == "grow":
            kept.append(b"x" * (600 << 20))
            time.sleep(5)
        kept.append(bytearray(b"x" * job.get("bytes", 1)))
        link.answer({"n": job["n"], "pid": os.getpid()})

def wait_for_ever():
    while True:
        pass
"""


class Children:
    """A program, what its jobs did, and how many there were."""

    def __init__(self, folder: Path) -> None:
        (folder / "children.py").write_text(PROGRAM)
        self.folder = folder
        self.log = folder / "log"

    def program(self, **arguments: object) -> Program:
        return Program(
            "children:serve",
            {"log": str(self.log), **arguments},
            environment={"PYTHONPATH": str(self.folder)},
            folder=str(self.folder),
        )

    def run(self, *whats: str, limits: Limits | None = None) -> list[object]:
        """What comes of jobs: a number, or why there is none."""
        jobs = [{"n": number, "what": what} for number, what in enumerate(whats)]
        answers, _ = run_chunk(self.program(), jobs, limits or Limits())
        return [answer.reason if isinstance(answer, Lost) else answer["n"] for answer in answers]

    def runs(self) -> list[int]:
        return [int(line) for line in self.log.read_text().split()]


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    if sys.platform == "win32":
        pytest.skip("children are waited for with select()")
    yield Children(tmp_path)
    end_all()


def test_a_child_is_kept_warm_from_one_chunk_to_the_next(children: Children) -> None:
    answers = [run_chunk(children.program(), [{"n": 0}, {"n": 1}], Limits())[0] for _ in range(2)]
    found = [answer for chunk in answers for answer in chunk if not isinstance(answer, Lost)]
    assert len({answer["pid"] for answer in found}) == 1
    assert [answer["n"] for answer in found] == [0, 1, 0, 1]


def test_a_child_that_was_begun_for_something_else_serves_on(children: Children) -> None:
    warm = Warm(children.program(), Limits())
    keep(children.program(other=1), Limits(), warm)
    [answer], _ = run_chunk(children.program(other=1), [{"n": 0}], Limits())
    assert isinstance(answer, dict)
    assert answer["pid"] == warm.facts["pid"]


def test_a_child_that_hangs_is_ended_with_its_place_and_the_others_are_answered(children: Children) -> None:
    jobs: list[Json] = [{"n": 0}, {"n": 1, "what": "hang", "seconds": 1}, {"n": 2}]
    answers, _ = run_chunk(children.program(), jobs, Limits())
    assert isinstance(answers[0], dict)
    lost = answers[1]
    assert isinstance(lost, Lost)
    assert lost.reason == HUNG
    assert "wait_for_ever" in lost.text
    assert isinstance(answers[2], dict)
    assert children.runs() == [0, 1, 2]


def test_a_job_whose_child_dies_is_tried_once_more_in_a_fresh_one(children: Children) -> None:
    assert children.run("", "die", "") == [0, DIED, 2]
    assert children.runs() == [0, 1, 1, 2]


def test_a_job_that_dies_of_what_was_before_it_is_answered_by_a_fresh_child(children: Children) -> None:
    assert children.run("", "", "", "", "die later", "") == [0, 1, 2, 3, 4, 5]


def test_a_job_that_takes_all_memory_is_told_and_its_neighbours_are_not(children: Children) -> None:
    assert children.run("", "grow", "", limits=Limits(memory=400 << 20)) == [0, MEMORY, 2]


def test_a_child_that_leaks_little_by_little_is_replaced_and_no_job_is_blamed(children: Children) -> None:
    jobs = [{"n": number, "what": "slow", "bytes": 20 << 20} for number in range(40)]
    answers, _ = run_chunk(children.program(), jobs, Limits(memory=200 << 20))
    found = [answer for answer in answers if not isinstance(answer, Lost)]
    assert [answer["n"] for answer in found] == list(range(40))
    assert len({answer["pid"] for answer in found}) > 1


def test_what_a_child_refuses_is_told(children: Children) -> None:
    with pytest.raises(Refused, match="the wrong day"):
        run_chunk(children.program(refuse=True), [{"n": 0}], Limits())


def test_a_program_that_never_becomes_ready_is_told_and_no_job_is_blamed(children: Children) -> None:
    with pytest.raises(Refused, match=r"does not become ready: its process ended with status 3"):
        run_chunk(children.program(die=True), [{"n": 0}], Limits())


def test_a_child_ends_with_its_parent(children: Children, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os\n"
        "from synfin.campaign.program import Limits, Program\n"
        "from synfin.campaign.warm import Warm\n"
        f"warm = Warm(Program('children:serve', {{'log': {str(children.log)!r}}}, "
        f"{{'PYTHONPATH': {str(tmp_path)!r}}}, {str(tmp_path)!r}), Limits())\n"
        "print(warm.facts['pid'], flush=True)\n"
        "os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=True)
    pid = int(done.stdout)
    until = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < until
        os.sched_yield()
