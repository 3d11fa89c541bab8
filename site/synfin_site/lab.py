"""The lab's pages: each experiment with what can be set, what was seen, what was found, and why."""

from __future__ import annotations

import re

from synfin.lab.catalogue import EXPERIMENTS
from synfin.lab.experiment import Experiment
from synfin_site.runs import finding

# A scene of thousands of segments tells nothing as a diagram; its experiment has a figure.
MOST_EVENTS = 500


def pages() -> dict[str, str]:
    """Name and text of each page."""
    found = {"lab/index": _index()}
    found.update({f"lab/{name}": _page(experiment) for name, experiment in EXPERIMENTS.items()})
    return found


def runs() -> list[str]:
    """All runs that the pages show."""
    return [run for name in EXPERIMENTS for run, _ in _scenes(name)]


def _index() -> str:
    lines = [
        "# Experiments",
        "",
        "The questions people ask about TCP, each answered by a run of the protocol.",
        "",
    ]
    lines += ["Each can be run with other parameters by the command that its page names.", ""]
    return "\n".join([*lines, "```{toctree}", ":maxdepth: 1", "", *EXPERIMENTS, "```", ""])


def _scenes(name: str) -> list[tuple[str, str]]:
    """(run, title) of what is drawn."""
    found = finding(name)
    drawn = [(f"{name}/{n}", s.title) for n, s in enumerate(found.scenes) if len(s.events) <= MOST_EVENTS]
    if found.figure is not None:
        drawn.insert(0, (f"{name}/figure", found.figure.title))
    return drawn


def _page(experiment: Experiment) -> str:
    name, found = experiment.name, finding(experiment.name)
    lines = [f"# {experiment.question}", "", "```console", f"$ synfin lab {name}", "```", ""]
    lines += ["## What happens", ""]
    for run, title in _scenes(name):
        lines += [f"### {plain(title)}", "", f"```{{drawing}} {run.replace('/', '-')}", "```", ""]
    lines += ["## What was found", ""]
    for sentence, held in found.expectations:
        lines.append(f"- {'✓' if held else '✗'} {plain(sentence)}")
    lines += ["", "## Why", "", plain(" ".join(experiment.why.split())), ""]
    lines += ["## What can be set", "", "| parameter | default | from | to | what it is |", "|---|---|---|---|---|"]
    for p in experiment.parameters:
        lines.append(f"| `{p.name}` | {p.default:,} | {p.low:,} | {p.high:,} | {plain(p.help)} |")
    first = experiment.parameters[0]
    lines += ["", "One of them, or several, are set so:", ""]
    lines += ["```console", f"$ synfin lab {name} --set {first.name}={first.default}", "```", ""]
    return "\n".join(lines)


def plain(text: str) -> str:
    """The text, of which Markdown makes nothing else; names in backticks stay code."""
    return re.sub(r"([*_<>\[\]|])", r"\\\1", text)
