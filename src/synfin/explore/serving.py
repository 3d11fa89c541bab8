"""What a warm child of an engine runs for a search: each job is one host's history and what is tried after it."""

from __future__ import annotations

from collections.abc import Mapping
from time import process_time
from typing import Any

from synfin.campaign.program import Link
from synfin.explore.parts import event_from_plain, reach, reached_to_plain
from synfin.explore.stage import Stage
from synfin.scenario.codec import from_json


def serve(arguments: Mapping[str, Any], link: Link) -> None:
    """arguments: the `scenario`."""
    stage = Stage(from_json(arguments["scenario"]))
    link.ready({})
    for job in link.jobs():
        began = process_time()
        history = [event_from_plain(each) for each in job["history"]]
        events = [event_from_plain(each) for each in job["events"]]
        reached = reach(stage, job["number"], history, events)
        link.answer({"reached": [reached_to_plain(each) for each in reached], "seconds": process_time() - began})
