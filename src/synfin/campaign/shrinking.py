"""A failure made small in a child: the fewest of what chance did that fail the same way, and how that looks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from synfin.campaign.plain import plain
from synfin.campaign.program import Json
from synfin.campaign.verdicts import BAD
from synfin.sim.shrink import OutOfRuns, Parts, Search

REPORT: Final = 40_000  # characters
PICTURE: Final = 400_000
EVENTS: Final = 400  # that a picture shows at most

Run = Callable[..., tuple[Json, Any]]


def shrunk(job: Json, run: Run) -> Json:
    """What becomes of the job of a failure: `runs` and `stop` (seconds) limit it; `signature` is how it must fail.

    The answer has `again`: the signature with which the seed failed now, or None: it is flaky. Then `parts`, `found`
    (how many there were), `done` (runs), `whole` (it could be finished), `words`, `code`, `report`, `detail` and `svg`.
    """
    until = time.monotonic() + job["stop"]
    first, made = run(keep_faults=True)
    if first.get("signature") != job["signature"] or made is None:
        return {"again": first.get("signature"), "verdict": first["verdict"], "digest": first.get("digest", 0)}
    found = Parts(list(made.faults.items()), list(made.swaps.items()), list(made.episodes))

    def fails(parts: Parts) -> bool:
        if time.monotonic() > until:
            raise OutOfRuns
        outcome, _ = run(parts=parts)
        return outcome["verdict"] in BAD and outcome["signature"] == job["signature"]

    search = Search(found, fails, job["runs"])
    by_parts, whole = True, True
    try:
        by_parts = search.again()
        if by_parts:
            search.run()
    except OutOfRuns:
        whole = False
    last, made = run(parts=search.best if by_parts else None)
    return {
        "again": last.get("signature"),
        "verdict": last["verdict"],
        "digest": last.get("digest", 0),
        "by_parts": by_parts,
        "whole": whole,
        "found": len(found),
        "done": search.done,
        "parts": plain(search.best) if by_parts else None,
        "words": search.best.in_words() if by_parts else [],
        "code": search.best.as_code() if by_parts else "",
        "detail": last.get("detail", ""),
        **_looks(made),
    }


def _looks(made: Any) -> Json:
    """Its report, and its diagram, as far as they are small."""
    from synfin.view.diagram import connections
    from synfin.view.svg import drawing

    if made is None:
        return {"report": "", "svg": ""}
    names = {address: host.name for host in made.hosts.values() for address in host.addresses[:2]}
    svg = drawing(connections(list(made.events)[-EVENTS:], names=names))
    return {"report": made.report()[-REPORT:], "svg": svg if len(svg) <= PICTURE else ""}
