"""The shape that all experiments share: a question, parameters, and what was found.

Rule for the next editor: an experiment's outcome is a list of expectations, each a sentence that can turn out false; a
parameter that breaks one must show it by the exit status. Nothing here reads a clock: all times are virtual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synfin.tcp.trace import Event
from synfin.view.capture import AnnotatedCapture
from synfin.view.diagram import Only, draw
from synfin.view.figure import Figure
from synfin.view.figure_text import figure_text
from synfin.view.plots import connection_figure
from synfin.view.text import plain
from synfin.view.timeline import Timelines


@dataclass(frozen=True)
class Parameter:
    """A whole number that may be set: `--set name=value`."""

    name: str
    default: int
    help: str
    low: int = 0
    high: int = 1 << 31


class Settings:
    """The parameters of one run, and its seed. Raises ValueError for a name or a value that can't be."""

    def __init__(self, parameters: Iterable[Parameter], values: Mapping[str, int], seed: int = 0) -> None:
        self.seed = seed
        known = {parameter.name: parameter for parameter in parameters}
        self.values = {name: parameter.default for name, parameter in known.items()}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"no parameter {name!r}; there are: {', '.join(known) or 'none'}")
            if not known[name].low <= value <= known[name].high:
                raise ValueError(f"{name} is within {known[name].low} and {known[name].high}, not {value}")
            self.values[name] = value

    def __getitem__(self, name: str) -> int:
        return self.values[name]


@dataclass(frozen=True)
class Scene:
    """A part of a trace that is worth a diagram. only: the connections to draw, None: all."""

    title: str
    events: list[Event]
    only: Only = None

    def lines(self) -> list[str]:
        """The title and the diagram."""
        return ["", f"── {self.title}", "", *draw(self.events, only=self.only)]

    def figure(self) -> Figure | None:
        """What was sent in it over time, in the connection that carried most; None: no packet was."""
        timelines = Timelines()
        for event in self.events:
            timelines(event)
        connection = timelines.largest()
        return None if connection is None else connection_figure(connection)


@dataclass
class Finding:
    """What an experiment found: lines (text, in the order told), scenes, data for --json, and what was expected."""

    lines: list[str] = field(default_factory=list)
    scenes: list[Scene] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    expectations: list[tuple[str, bool]] = field(default_factory=list)
    figure: Figure | None = None

    @property
    def ok(self) -> bool:
        """Everything came as expected, and something was expected."""
        return bool(self.expectations) and all(held for _, held in self.expectations)

    @property
    def events(self) -> list[Event]:
        """All events of all scenes."""
        return [event for scene in self.scenes for event in scene.events]

    def say(self, *lines: str) -> None:
        """Tell something."""
        self.lines += lines

    def draw(self, title: str, events: list[Event], only: Only = None) -> None:
        """Draw a part of the trace here."""
        scene = Scene(title, list(events), only)
        self.scenes.append(scene)
        self.lines += scene.lines()
        self.lines.append("")

    def plot(self, figure: Figure) -> None:
        """Draw something over time here."""
        self.figure = figure
        self.lines += [*(plain(line) for line in figure_text(figure)), ""]

    def expect(self, sentence: str, held: bool) -> None:
        """What had to happen, and if it did."""
        self.expectations.append((sentence, bool(held)))


@dataclass(frozen=True)
class Experiment:
    """why: the answer in a few lines, with its sections; told after what was seen."""

    name: str
    question: str
    why: str
    run: Callable[[Settings], Finding]
    parameters: tuple[Parameter, ...] = ()

    def settings(self, values: Mapping[str, int] | None = None, seed: int = 0) -> Settings:
        """The settings of a run. Raises ValueError for what can't be."""
        return Settings(self.parameters, values or {}, seed)


def report(experiment: Experiment, finding: Finding) -> list[str]:
    """What a person reads."""
    lines = [f"{experiment.name}: {experiment.question}", *finding.lines, "", "Found:"]
    lines += [f"  {'✓' if held else '✗'} {sentence}" for sentence, held in finding.expectations]
    lines += ["", "Why:", *(f"  {line}" for line in experiment.why.strip().splitlines())]
    if not finding.ok:
        lines += ["", f"{experiment.name}: the expected outcome did not happen"]
    return lines


def as_json(experiment: Experiment, finding: Finding, settings: Settings) -> dict[str, Any]:
    """What a program reads: plain JSON types."""
    return {
        "experiment": experiment.name,
        "question": experiment.question,
        "seed": settings.seed,
        "parameters": settings.values,
        "ok": finding.ok,
        "expectations": [{"expected": sentence, "held": held} for sentence, held in finding.expectations],
        "data": finding.data,
    }


def save_capture(findings: Iterable[Finding], path: Path, samples: bool = False) -> None:
    """All scenes, one section of the file each, with comments that say what each packet caused. Raises OSError.

    samples: and what each ACK did to cwnd and its like.
    """
    with path.open("wb") as file:
        for finding in findings:
            for scene in finding.scenes:
                with AnnotatedCapture(file, both_ends=True, samples=samples) as capture:
                    for event in scene.events:
                        capture(event)
                if capture.error is not None:
                    raise capture.error
