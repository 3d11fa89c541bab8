"""What the page asks of Python, in its worker: each function takes and gives JSON text.

Rule for the next editor: what comes in is a stranger's; whatever it is, an answer comes out, with `error` in it if need
be. Nothing of TCP and nothing of drawing is here.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from synfin.lab.experiment import Scene
from synfin.scenario import (
    Result,
    Scenario,
    ScenarioError,
    as_test,
    compare,
    from_fragment,
    from_json,
    run,
    to_fragment,
    to_json,
    write_capture,
)
from synfin.scenario.examples import EXAMPLES
from synfin.scenario.export import details, outline
from synfin.view import figure_svg, svg
from synfin.view.diagram import connections
from synfin.view.figure import Figure
from synfin.view.plots import connection_figure
from synfin.view.rows import Row
from synfin.view.text import rfc_text
from synfin.view.timeline import Timelines

FEW = 300  # segments that are drawn one by one; of more, plain data is folded
_REASON = re.compile(r"(?P<who>[^:]+): (?:(?P<change>[A-Z0-9-]+ -> [A-Z0-9-]+): )?(?P<what>.*?)(?P<rfc> \([^()]*\))?")


class _Speech:
    """Puts phrases into the reader's language; English until `speak` is told another."""

    catalogue: Any = None

    def __call__(self, text: str) -> str:
        return text if self.catalogue is None else str(self.catalogue(text))


_say = _Speech()


def speak(phrases: str) -> None:
    """From now on drawings and reasons are in the language of this catalogue; "{}" for English."""
    known = json.loads(phrases)
    if known:
        from synfin.view.words import Catalogue

        _say.catalogue = Catalogue(known)


def examples() -> str:
    """All examples, by name."""
    return json.dumps({name: json.loads(to_json(scenario)) for name, scenario in EXAMPLES.items()})


def opened(text: str) -> str:
    """A scenario from a file or from an address."""
    return _answer(lambda: {"scenario": _plain(from_json(text) if text.lstrip()[:1] == "{" else from_fragment(text))})


def ran(text: str, before: str, width: int) -> str:
    """A run, drawn for that width, with what differs from the run of the scenario `before` ("": nothing to compare)."""

    def work() -> dict[str, Any]:
        result = _run(text)
        told = outline(result, compare(_run(before), result) if before else None)
        for one in told["states"]:
            one["said"], one["rfc"] = _say(one["reason"]), rfc_text(one["rfc"])
        return {"result": told, "fragment": to_fragment(result.scenario), "diagram": _diagram(text, width)}

    return _answer(work)


def redrawn(text: str, width: int) -> str:
    """The drawing of a run for another width."""
    return _answer(lambda: {"diagram": _diagram(text, width)})


def opened_segment(text: str, identity: str) -> str:
    """What a segment of a run consists of, and what it did."""

    def work() -> dict[str, Any]:
        result = _run(text)
        one = next((one for one in result.segments if one.id == identity), None)
        if one is None:
            raise ScenarioError("", "there is no such segment")
        found = details(result, one)
        found["reasons"] = [_reason(reason) for reason in found["reasons"]]
        found["fields"] = [(name, _value(name, value), *where) for name, value, *where in found["fields"]]
        return found

    return _answer(work)


def plotted(text: str, width: int) -> str:
    """What each end of each connection sent over time, with cwnd and windows, as drawings."""

    def work() -> dict[str, Any]:
        timelines = Timelines()
        for event in _run(text).events:
            timelines(event)
        figures = []
        for connection in timelines.connections[:4]:
            figure = connection_figure(connection)
            if _say.catalogue is not None:
                figure = _say.catalogue.figure(figure)
            figures.append(figure_svg.drawing(figure, width=max(width, 480)))
        return {"figures": figures}

    return _answer(work)


def saved(text: str, kind: str) -> str | bytes:
    """The run or the scenario as a file."""
    result = _run(text)
    if kind == "pcapng":
        file = io.BytesIO()
        write_capture(result, file, samples=True)
        return file.getvalue()
    return as_test(result) if kind == "pytest" else to_json(result.scenario)


def experimented(name: str, given: str, width: int) -> str:
    """An experiment of the lab with these parameters and seed (as typed): what `synfin lab --json` tells, and drawings.

    `wrong` has the bounds of each parameter that the experiment refuses.
    """
    from scenes import SEED, SEEDS, shown

    from synfin.lab.catalogue import EXPERIMENTS
    from synfin.lab.experiment import as_json

    experiment, values, wrong = EXPERIMENTS[name], {}, {}
    texts = json.loads(given)
    for parameter in experiment.parameters:
        text = str(texts.get(parameter.name, parameter.default)).strip()
        try:
            values[parameter.name] = int(text) if text.isdecimal() else -1
            experiment.settings({parameter.name: values[parameter.name]})
        except ValueError:
            wrong[parameter.name] = [parameter.low, parameter.high]
    typed = str(texts.get(SEED, 0)).strip()
    seed = int(typed) if typed.isdecimal() and len(typed) <= len(str(SEEDS)) else SEEDS + 1
    if seed > SEEDS:
        wrong[SEED] = [0, SEEDS]
    if wrong:
        return json.dumps({"wrong": wrong})
    settings = experiment.settings(values, seed)
    finding = experiment.run(settings)
    return json.dumps(
        {
            "told": json.dumps(as_json(experiment, finding, settings), indent=2, ensure_ascii=False),
            "claims": [[_say(sentence), held] for sentence, held in finding.expectations],
            "drawings": [[_say(part.title), _drawn(part, width)] for part in shown(finding)],
        }
    )


def _drawn(part: Figure | Scene, width: int) -> str:
    if isinstance(part, Figure):
        figure = part if _say.catalogue is None else _say.catalogue.figure(part)
        return figure_svg.drawing(figure, width=width)
    return svg.drawing(connections(part.events, only=part.only), width=width, title=part.title, say=_say)


def state_diagram() -> str:
    """The states and what leads from one to the other."""
    from state_diagram import drawing

    return str(drawing(_say))


@lru_cache(maxsize=4)
def _run(text: str) -> Result:
    return run(from_json(text))


@lru_cache(maxsize=2)
def _rows(text: str) -> list[list[Row]]:
    result = _run(text)
    return connections(
        result.events,
        fold=len(result.segments) > FEW,
        began=result.base_us,
        refs=lambda event: result.refs.get(event, ()),
    )


def _diagram(text: str, width: int) -> str:
    return svg.drawing(_rows(text), width=width, title=_run(text).scenario.title, say=_say)


def _plain(scenario: Scenario) -> Any:
    return json.loads(to_json(scenario))


def _value(name: str, value: str) -> str:
    """What a field has, its words in the reader's language."""
    if name not in ("tcp.options", "tcp.data_offset", "tcp.data"):
        return value
    return "; ".join(_say(part) for part in value.split("; "))


def _reason(reason: str) -> dict[str, str]:
    """A line of the trace in its parts, its words in the reader's language."""
    found = _REASON.fullmatch(reason)
    if found is None:
        return {"who": "", "change": "", "what": reason, "rfc": ""}
    parts = {name: text or "" for name, text in found.groupdict().items()}
    return {**parts, "what": _say(parts["what"]), "rfc": parts["rfc"].strip(" ()")}


def _answer(work: Callable[[], dict[str, Any]]) -> str:
    try:
        return json.dumps(work())
    except ScenarioError as error:
        return json.dumps({"error": str(error), "place": error.place})
