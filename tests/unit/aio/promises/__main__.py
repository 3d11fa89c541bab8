"""Show what programs see, the kernel's sockets first: python -m tests.unit.aio.promises [PROGRAM ...] [WORLD ...]"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable

import tests.unit.aio.promises.programs.all  # noqa: F401
from tests.unit.aio.promises.differences import why_different
from tests.unit.aio.promises.log import Seen, as_text
from tests.unit.aio.promises.net import PROGRAMS, WORLDS, Case
from tests.unit.aio.promises.worlds import play, play_in_kernel


def main(words: list[str]) -> None:
    """Programs are chosen by parts of their names."""
    worlds = [world for world in WORLDS if world in words] or list(WORLDS)
    parts = [word for word in words if word not in WORLDS]
    for case in PROGRAMS.values():
        if sys.version_info >= case.since and (not parts or any(part in case.name for part in parts)):
            show(case, [world for world in worlds if world in case.worlds], whole=bool(parts))


def show(case: Case, worlds: list[str], whole: bool) -> None:
    """Worlds that see the same are told of together."""
    reference = seen_by(lambda: play_in_kernel(case.program))
    print(f"== {case.name}")
    if whole:
        print("\n".join(f"   {line}" for line in reference))
    groups: dict[tuple[str, ...], list[str]] = {}
    for world in worlds:
        seen = seen_by(lambda: play(case.program, world))  # noqa: B023
        groups.setdefault(tuple(seen), []).append(world)
    for lines, same in groups.items():
        if list(lines) != reference:
            print(f" - {', '.join(same)}: {why_different(case.name, same[0]) or 'AS NOBODY EXPECTS'}")
            changes = list(difflib.unified_diff(reference, lines, lineterm="", n=1))[3:]
            print("\n".join(f"     {line}" for line in changes))


def seen_by(run: Callable[[], Seen]) -> list[str]:
    """The lines, or why there are none."""
    try:
        return as_text(run())
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


if __name__ == "__main__":
    main(sys.argv[1:])
