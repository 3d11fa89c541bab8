"""What a program sees on synfin is what it sees on the kernel's sockets, in the same Python, in the same run.

`python -m tests.unit.aio.promises PROGRAM` shows both.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest

import tests.unit.aio.promises.programs.all  # noqa: F401
from tests.unit.aio.promises.differences import KNOWN, ON_PURPOSE, why_different
from tests.unit.aio.promises.log import as_text
from tests.unit.aio.promises.net import PROGRAMS, Case
from tests.unit.aio.promises.worlds import play, play_in_kernel

CASES = [(case, world) for case in PROGRAMS.values() for world in case.worlds if sys.version_info >= case.since]


@functools.cache
def seen_in_kernel(case: Case) -> list[str]:
    return as_text(play_in_kernel(case.program))


def seen(case: Case, world: str) -> list[str]:
    """What the program saw, or why it ended early; that is a difference as well."""
    try:
        return as_text(play(case.program, world))
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


@pytest.mark.parametrize(("case", "world"), CASES, ids=[f"{case.name}-{world}" for case, world in CASES])
def test_a_program_sees_what_it_sees_on_the_kernels_sockets(case: Case, world: str) -> None:
    subject = why_different(case.name, world)
    if subject:
        assert seen(case, world) != seen_in_kernel(case), f"no difference any more: take it off the list ({subject})"
    else:
        assert seen(case, world) == seen_in_kernel(case)


def test_what_differs_on_purpose_is_told_in_the_documentation() -> None:
    page = " ".join(Path("docs/asyncio.md").read_text().split())
    assert [subject for subject in ON_PURPOSE if f"**{subject}**" not in page] == []


def test_each_difference_is_of_a_program_and_listed_once() -> None:
    listed = [name for programs in [*KNOWN.values(), *ON_PURPOSE.values()] for name in programs]
    assert sorted(set(listed)) == sorted(listed)
    assert set(listed) <= set(PROGRAMS)
