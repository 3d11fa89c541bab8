"""`synfin lab`: lists and runs the experiments of synfin.lab."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path

from synfin.lab.catalogue import EXPERIMENTS
from synfin.lab.experiment import Experiment, Finding, as_json, report, save_capture
from synfin.view.figure_svg import figure_svg
from synfin.view.pictures import show
from synfin.view.svg import draw_svg


def run(
    name: str | None,
    seed: int,
    assignments: list[str],
    json: bool,
    pcapng: Path | None,
    svg: Path | None,
    cwnd: bool,
) -> int:
    """The command; its exit status: 0, 1 if an expected outcome did not happen, 2 for wrong arguments."""
    if name is None:
        print("\n".join(listing()))
        return 0
    if name != "all" and name not in EXPERIMENTS:
        return _wrong(f"there is no experiment {name!r}; there are: {', '.join(EXPERIMENTS)}, all")
    chosen = list(EXPERIMENTS.values()) if name == "all" else [EXPERIMENTS[name]]
    if name == "all" and (assignments or svg):
        return _wrong("--set and --svg are for one experiment")
    try:
        settings = [experiment.settings(parse(assignments), seed) for experiment in chosen]
    except ValueError as error:
        return _wrong(str(error))
    findings: list[Finding] = []
    for experiment, its in zip(chosen, settings, strict=True):
        if findings and not json:
            print("\n" + "═" * 100 + "\n")
        finding = experiment.run(its)
        findings.append(finding)
        if not json:
            print("\n".join(report(experiment, finding)), flush=True)
            if cwnd:
                _show_scenes(finding)
    if json:
        said = [as_json(*three) for three in zip(chosen, findings, settings, strict=True)]
        print(json_format.dumps(said if name == "all" else said[0], indent=2, ensure_ascii=False))
    elif name == "all":
        print("\n" + "\n".join(_summary(chosen, findings)))
    try:
        if pcapng is not None:
            save_capture(findings, pcapng, cwnd)
        if svg is not None:
            svg.write_text(_picture(chosen[0], findings[0], cwnd), encoding="utf-8")
    except OSError as error:
        return _wrong(f"can't write the file: {error}")
    return 0 if all(finding.ok for finding in findings) else 1


def _show_scenes(finding: Finding) -> None:
    """What was sent over time in each scene, below the report."""
    for scene in finding.scenes:
        figure = scene.figure()
        if figure is not None:
            print(f"\n── {scene.title}\n")
            show(figure, sys.stdout)


def _picture(experiment: Experiment, finding: Finding, cwnd: bool) -> str:
    """The experiment's own figure, or its first scene: as a diagram, or with `cwnd` as what was sent over time."""
    figure = finding.scenes[0].figure() if cwnd and finding.scenes else finding.figure
    if figure is not None:
        return figure_svg(figure)
    return draw_svg(finding.scenes[0].events, title=experiment.question)


def parse(assignments: list[str]) -> dict[str, int]:
    """NAME=N, several of them. Raises ValueError."""
    values = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not value.strip().isdecimal():
            raise ValueError(f"--set takes PARAMETER=N with a whole number, not {assignment!r}")
        values[name.strip()] = int(value)
    return values


def listing() -> list[str]:
    """All experiments with their parameters and defaults."""
    lines = ["Experiments; run one with `synfin lab NAME`, or all with `synfin lab all`:"]
    for experiment in EXPERIMENTS.values():
        lines += ["", f"  {experiment.name:16} {experiment.question}"]
        lines += [f"      --set {f'{p.name}={p.default}':24} {p.help}" for p in experiment.parameters]
    return lines


def _summary(chosen: list[Experiment], findings: list[Finding]) -> list[str]:
    return [
        f"  {'✓' if finding.ok else '✗'} {experiment.name:16} {experiment.question}"
        for experiment, finding in zip(chosen, findings, strict=True)
    ]


def _wrong(text: str) -> int:
    print(f"synfin lab: {text}", file=sys.stderr)
    return 2
