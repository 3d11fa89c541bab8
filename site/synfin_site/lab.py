"""The lab's pages: each experiment with what can be set, what was seen, what was found, and why."""

from __future__ import annotations

import re

from synfin.lab.catalogue import EXPERIMENTS
from synfin.lab.experiment import Experiment, Scene
from synfin_site.runs import finding
from synfin_site.scenes import SEED, SEEDS, shown


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
    lines += [
        "Each has a page, on which it can be run with other parameters: below its table of what can be set, where the "
        "site comes from a web server. The command that the page names does the same, and finds the same.",
        "",
    ]
    return "\n".join([*lines, "```{toctree}", ":maxdepth: 1", "", *EXPERIMENTS, "```", ""])


def _scenes(name: str) -> list[tuple[str, str]]:
    """(run, title) of what is drawn."""
    found = finding(name)
    return [
        (f"{name}/{found.scenes.index(part) if isinstance(part, Scene) else 'figure'}", part.title)
        for part in shown(found)
    ]


def _page(experiment: Experiment) -> str:
    name, found = experiment.name, finding(experiment.name)
    lines = [f"# {experiment.question}", "", "```console", f"$ synfin lab {name}", "```", ""]
    lines += ["It runs on this page too, with other parameters: see [what can be set](#what-can-be-set).", ""]
    lines += ["## What happens", ""]
    for run, title in _scenes(name):
        lines += [f"### {plain(title)}", "", f"```{{drawing}} {run.replace('/', '-')}", "```", ""]
    lines += ["## What was found", ""]
    for sentence, held in found.expectations:
        lines.append(f"- {'✓' if held else '✗'} {plain(sentence)}")
    lines += ["", "## Why", "", plain(" ".join(experiment.why.split())), ""]
    lines += ["## What can be set", "", f"::::{{experiment}} {name}", ""]
    lines += ["| parameter | default | from | to | what it is |", "|---|---|---|---|---|"]
    for p in experiment.parameters:
        lines.append(f"| `{p.name}` | {p.default:,} | {p.low:,} | {p.high:,} | {plain(p.help)} |")
    seeds = "other secrets, numbers and addresses; the same seed gives the same run"
    lines.append(f"| `{SEED}` | 0 | 0 | {SEEDS:,} | {seeds} |")
    lines += ["", "::::"]
    first = experiment.parameters[0]
    lines += ["", "With the command they are set so:", ""]
    lines += ["```console", f"$ synfin lab {name} --set {first.name}={first.default} --{SEED} 0", "```", ""]
    return "\n".join(lines)


def plain(text: str) -> str:
    """The text, of which Markdown makes nothing else; names in backticks stay code."""
    return re.sub(r"([*_<>\[\]|])", r"\\\1", text)
