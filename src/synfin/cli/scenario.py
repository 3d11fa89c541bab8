"""`synfin scenario`: runs what a file says, draws it, and saves it as a capture, a test, a picture."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path

from synfin.scenario.checks import ScenarioError
from synfin.scenario.codec import MAX_TEXT, from_json, to_json
from synfin.scenario.examples import EXAMPLES
from synfin.scenario.export import as_plain, as_test, write_capture
from synfin.scenario.model import Scenario
from synfin.scenario.result import REST, SEGMENTS, TIME, Result
from synfin.scenario.runner import run as run_scenario
from synfin.view.diagram import draw
from synfin.view.svg import draw_svg

_STOPPED = {
    REST: "nothing can happen any more",
    TIME: "the scenario ends there",
    SEGMENTS: "there were too many segments: the run was stopped",
}


def run(file: str | None, json: bool, pcapng: Path | None, pytest: Path | None, svg: Path | None, show: bool) -> int:
    """The command; its exit status: 2 for what is no scenario, and what can't be read or written."""
    if file is None:
        print("\n".join(_listing()))
        return 0
    try:
        scenario = load(file)
    except OSError as error:
        return _wrong(f"{error.strerror or error}: {error.filename or file}")
    except ScenarioError as error:
        return _wrong(f"{file}: {error}")
    if show:
        print(to_json(scenario))
        return 0
    result = run_scenario(scenario)
    print(json_format.dumps(as_plain(result), indent=2, ensure_ascii=False) if json else "\n".join(_report(result)))
    try:
        if pcapng is not None:
            with pcapng.open("wb") as out:
                write_capture(result, out)
        if pytest is not None:
            pytest.write_text(as_test(result), encoding="utf-8")
        if svg is not None:
            svg.write_text(draw_svg(result.events, title=scenario.title), encoding="utf-8")
    except OSError as error:
        return _wrong(f"can't write {error.filename}: {error.strerror or error}")
    return 0


def load(file: str) -> Scenario:
    """An example, a file, - for stdin. Raises OSError and ScenarioError."""
    if file == "-":
        return from_json(sys.stdin.buffer.read(MAX_TEXT * 4 + 1))
    path = Path(file)
    if file in EXAMPLES and not path.exists():
        return EXAMPLES[file]
    with path.open("rb") as found:
        return from_json(found.read(MAX_TEXT * 4 + 1))


def _report(result: Result) -> list[str]:
    """What a person reads."""
    scenario = result.scenario
    lines = [scenario.title, ""] if scenario.title else []
    lines += draw(result.events, began=result.base_us)
    lines += ["", "Programs:"]
    for step, outcome in zip(scenario.steps, result.outcomes, strict=True):
        size = f" {outcome.bytes:,} bytes" if step.do in ("read", "write") and outcome.bytes else ""
        forged = f", {outcome.forged:,} of them forged" if outcome.forged else ""
        at = f" at {outcome.ended_us / 1_000_000:.6f}" if outcome.ended_us >= 0 else ""
        why = f": {outcome.error}" if outcome.error else ""
        lines.append(f"  {outcome.host} {step.do}{size}{forged}: {outcome.result}{at}{why}")
    lines += [f"  ! {what}" for _, what in result.remarks]
    lines.append(f"Ended at {result.ended_us / 1_000_000:.6f}: {_STOPPED.get(result.stopped, 'it took too long')}.")
    return lines


def _listing() -> list[str]:
    """The examples."""
    lines = [
        "Examples; run one with `synfin scenario NAME`, or change it: `synfin scenario NAME --print > mine.json`:",
        "",
    ]
    return lines + [f"  {name:16} {scenario.title}" for name, scenario in EXAMPLES.items()]


def _wrong(text: str) -> int:
    print(f"synfin scenario: {text}", file=sys.stderr)
    return 2
