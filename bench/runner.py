"""Runs the plan: rounds in which everything is measured once, so that a busy machine is unkind to all alike."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.plan import ASYNCIO, CARRIERS, GVISOR, IN_SYNFIN, PEERS, PROTOCOL, TUN, Benchmark

ROOT = Path(__file__).resolve().parent.parent
WORKER_GRACE_SECONDS = 90.0  # most is what 100,000 handshakes take, interpreted, on a busy machine


class Failed(Exception):
    """One measurement gave no figure; the text says why."""


@dataclass(frozen=True)
class Measurement:
    """What one worker process measures. mode: "" for what is not synfin's."""

    subject: str
    measure: str
    offload: bool
    mode: str
    link: str = TUN


@dataclass
class Runner:
    """pythons: the interpreter for each mode, at least one. load, flood: the compiled load.c and flood.c.

    control: the congestion control of the kernel, a peer or a reference. peers: command lines, of those there are.
    """

    pythons: dict[str, str]
    load: Path
    flood: Path
    control: str
    warm: float
    seconds: float
    peers: dict[str, list[str]] = field(default_factory=dict)
    values: dict[Measurement, list[float]] = field(default_factory=dict)
    failures: dict[Measurement, str] = field(default_factory=dict)

    def round(self, benchmarks: Sequence[Benchmark], progress: Callable[[str], None]) -> None:
        """Measure everything once more."""
        wanted = dict.fromkeys(one for benchmark in benchmarks for one in self.of(benchmark))
        for number, measurement in enumerate(wanted):
            progress(f"{number + 1}/{len(wanted)} {measurement.measure} {measurement.subject} {measurement.mode}")
            try:
                value = self.measure(measurement)
            except Failed as failure:
                self.failures[measurement] = str(failure)
            else:
                self.values.setdefault(measurement, []).append(value)

    def of(self, benchmark: Benchmark) -> Iterator[Measurement]:
        """What a benchmark needs measured: itself and its references, in each mode."""
        for mode in self.pythons:
            for subject in (PROTOCOL, *benchmark.references):
                if subject in PEERS and subject not in self.peers:
                    continue
                yield measurement(benchmark, subject, mode)

    def measure(self, one: Measurement) -> float:
        """A fresh process in a fresh network. Raises Failed."""
        python = self.pythons.get(one.mode) or next(iter(self.pythons.values()))
        command = [python, "-m", "bench.worker", one.subject, one.measure, "--load", str(self.load)]
        command += ["--warm", str(self.warm), "--seconds", str(self.seconds)]
        command += ["--link", one.link, "--flood", str(self.flood), "--control", self.control]
        command += ["--peer", json.dumps(self.peers.get(one.subject, []))]
        if not one.offload:
            command.append("--plain")
        environment = environment_of(python, self.pythons)
        limit = self.warm + self.seconds + WORKER_GRACE_SECONDS
        status, output, errors = _run(command, environment, limit)
        if status != 0:
            raise Failed((errors.strip().splitlines() or [f"the worker ended with status {status}"])[-1])
        answer: dict[str, Any] = json.loads(output)
        if one.subject in IN_SYNFIN and answer["compiled"] != (one.mode == "compiled"):
            found = "compiled" if answer["compiled"] else "interpreted"
            raise Failed(f"{python} runs synfin {found}, not {one.mode}")
        return float(answer["value"])

    def results(self, benchmarks: Sequence[Benchmark]) -> list[dict[str, Any]]:
        """The results in the shape of build/bench.json; what never gave a figure is left out."""
        rows = []
        for benchmark in benchmarks:
            for mode in self.pythons:
                values = self.values.get(measurement(benchmark, PROTOCOL, mode))
                if values:
                    rows.append(self._row(benchmark, mode, values))
        return rows

    def _row(self, benchmark: Benchmark, mode: str, values: list[float]) -> dict[str, Any]:
        median = statistics.median(values)
        references = []
        for subject in benchmark.references:
            others = self.values.get(measurement(benchmark, subject, mode))
            if others:
                other = statistics.median(others)
                references.append({"name": subject, "median": _figure(other), "ratio": _figure(median / other)})
        return {
            "name": benchmark.name,
            "mode": mode,
            "unit": benchmark.unit,
            "median": _figure(median),
            "min": _figure(min(values)),
            "max": _figure(max(values)),
            "runs": len(values),
            "references": references,
        }


def measurement(benchmark: Benchmark, subject: str, mode: str) -> Measurement:
    """What `subject` does for a benchmark. The kernel to itself has no direction: one measurement serves both."""
    if subject in IN_SYNFIN:
        return Measurement(subject, benchmark.measure, benchmark.offload, mode, benchmark.link)
    if subject == GVISOR:
        return Measurement(subject, benchmark.measure, benchmark.offload and benchmark.link != TUN, "", benchmark.link)
    if subject in CARRIERS:
        offload = benchmark.offload and benchmark.measure.startswith("bulk")
        return Measurement(subject, benchmark.measure, offload, "")
    if subject in PEERS:
        return Measurement(subject, benchmark.measure, False, "")
    if subject == ASYNCIO or not benchmark.measure.startswith("bulk"):
        return Measurement(subject, benchmark.measure, True, "")
    return Measurement(subject, "bulk_send", True, "")


def environment_of(python: str, pythons: dict[str, str]) -> dict[str, str]:
    """What a child of this interpreter is told: interpreted, synfin is what the sources are now."""
    environment = dict(os.environ)
    environment.pop("PYTHONPATH", None)
    if python == pythons.get("interpreted"):
        environment["PYTHONPATH"] = str(ROOT / "src")
    return environment


def _figure(value: float) -> float:
    """Four significant digits: no measurement here is worth more."""
    return float(f"{value:.4g}")


def _run(command: list[str], environment: dict[str, str], limit: float) -> tuple[int, str, str]:
    """Status, output and errors; nothing of it outlives the limit or an interruption."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True,
        start_new_session=True,
    ) as worker:  # fmt: skip
        try:
            output, errors = worker.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise Failed(f"no figure after {limit:.0f} seconds") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)  # what the worker started has its process group
    return worker.returncode, output, errors


def compile_program(name: str, folder: Path) -> Path:
    """Compile the C program of that name into `folder`. Raises Failed with what the compiler says."""
    program = folder / name
    compiler = os.environ.get("CC", "cc")
    command = [compiler, "-O2", "-Wall", "-o", str(program), str(ROOT / "bench" / f"{name}.c")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Failed(f"{name}.c needs a C compiler: {compiler}: {error.strerror}") from error
    if done.returncode:
        raise Failed(f"{name}.c does not compile:\n{done.stderr}")
    return program


def version_of(python: str) -> str:
    """Its version and implementation, in its own words."""
    code = "import platform; print(platform.python_implementation(), platform.python_version())"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise Failed(f"{python} does not run: {error}") from error
    return done.stdout.strip()
