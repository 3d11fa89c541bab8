"""A slot of the engine: runs chunks of jobs in a warm child, which it keeps for the next chunk.

It never runs a job in its own process: a simulation replaces sockets and clocks, of which an engine's worker would die.
What becomes of a child costs the jobs of others nothing but a new child.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Lock
from typing import Final

from synfin.campaign.program import HUNG, Answer, Json, Limits, Lost, Program, Refused
from synfin.campaign.warm import Gone, Warm, Worn

_KEPT: Final = 64  # children without work, the oldest ends first
_idle: Final[list[tuple[str, Warm]]] = []
_lock: Final = Lock()


def run_chunk(program: Program, jobs: Sequence[Json], limits: Limits) -> tuple[list[Answer], float]:
    """An answer to each job, in their order, and the seconds it took. Raises Refused."""
    began = time.perf_counter()
    key = _key(program, limits)
    warm = _take(key)
    answers: list[Answer] = []
    tried = False  # the next job, in a child that went by it
    while len(answers) < len(jobs):
        warm = warm or _begin(program, limits)
        try:
            for answer in warm.run(jobs[len(answers) :]):
                answers.append(answer)
                tried = False
        except Worn:
            warm = None
        except Gone as gone:
            warm = None
            if gone.reason == HUNG or tried:
                answers.append(Lost(gone.reason, gone.text))
                tried = False
            else:  # jobs before it may be to blame: once more, in a fresh child
                tried = True
    if warm is not None:
        _give_back(key, warm)
    return answers, time.perf_counter() - began


def _begin(program: Program, limits: Limits) -> Warm:
    """A new child. That it does not become ready is no job's fault: Refused, if it happens twice."""
    try:
        return Warm(program, limits)
    except Gone:
        pass
    try:
        return Warm(program, limits)
    except Gone as gone:
        raise Refused(f"a child process for {program.target} does not become ready: {gone.text}") from None


def keep(program: Program, limits: Limits, warm: Warm) -> None:
    """A child that was begun for something else, for the next chunk of this program."""
    _give_back(_key(program, limits), warm)


def end_all() -> None:
    """End the children that have no work."""
    with _lock:
        ended = [warm for _, warm in _idle]
        _idle.clear()
    for warm in ended:
        warm.end()


def _key(program: Program, limits: Limits) -> str:
    return f"{program} {limits}"


def _take(key: str) -> Warm | None:
    while True:
        with _lock:
            at = next((at for at in reversed(range(len(_idle))) if _idle[at][0] == key), -1)
            if at < 0:
                return None
            warm = _idle.pop(at)[1]
        if warm.alive:
            return warm
        warm.end()


def _give_back(key: str, warm: Warm) -> None:
    with _lock:
        _idle.append((key, warm))
        over = _idle.pop(0)[1] if len(_idle) > _KEPT else None
    if over is not None:
        over.end()
