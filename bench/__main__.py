"""python -m bench: measure synfin beside the kernel, print a table, write build/bench.json."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import report
from bench.plan import BENCHMARKS, MODES, Benchmark
from bench.runner import ROOT, Failed, Runner, compile_load, version_of

COMPILED_PYTHON = ROOT / ".venv-compiled" / "bin" / "python"


def arguments() -> argparse.Namespace:
    names = ", ".join(benchmark.name for benchmark in BENCHMARKS)
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, epilog=f"benchmarks: {names}")
    parser.add_argument("--only", action="append", metavar="NAME", help="a benchmark, or the beginning of its name")
    parser.add_argument("--mode", choices=(*MODES, "both"), default="both")
    parser.add_argument("--runs", type=int, default=5, help="rounds; the median of them counts (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a measurement (%(default)s)")
    parser.add_argument("--warm", type=float, default=0.4, help="seconds before it, not counted (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="one short round: does everything work?")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench.json")
    parser.add_argument(
        "--compiled-python",
        default=os.environ.get("SYNFIN_COMPILED_PYTHON", str(COMPILED_PYTHON)),
        metavar="PATH",
        help="an interpreter that has synfin compiled ($SYNFIN_COMPILED_PYTHON, else .venv-compiled)",
    )
    given = parser.parse_args()
    if given.quick:
        given.runs, given.seconds, given.warm = 1, 0.3, 0.2
    if given.runs < 1 or not 0 < given.seconds <= 60 or not 0 < given.warm <= 20:
        parser.error("--runs is at least 1, --seconds above 0 and at most 60, --warm above 0 and at most 20")
    return given


def chosen(only: Sequence[str] | None) -> list[Benchmark]:
    """The benchmarks that --only names, all without it."""
    if only is None:
        return list(BENCHMARKS)
    for name in only:
        if not any(benchmark.name.startswith(name) for benchmark in BENCHMARKS):
            raise Failed(f"no benchmark is called {name!r}: there are {', '.join(b.name for b in BENCHMARKS)}")
    return [benchmark for benchmark in BENCHMARKS if benchmark.name.startswith(tuple(only))]


def pythons(mode: str, compiled: str) -> dict[str, str]:
    """The interpreter for each mode that is to be measured."""
    found = {}
    if mode != "compiled":
        found["interpreted"] = sys.executable
    if mode != "interpreted":
        if Path(compiled).exists():
            found["compiled"] = os.path.abspath(compiled)
        elif mode == "compiled":
            raise Failed(f"there is no compiled synfin at {compiled}: make compiled")
        else:
            print(f"compiled mode is left out: there is no {compiled} (make compiled)", file=sys.stderr)
    return found


def without_network(benchmarks: list[Benchmark]) -> list[Benchmark]:
    """Those that can be measured here; says in one line which can't and why."""
    sys.path.insert(0, str(ROOT / "src"))
    from synfin.links.netns import tun_available

    reason = tun_available()
    if reason is None:
        return benchmarks
    print(f"only benchmarks without a network can run here: {reason}", file=sys.stderr)
    return [benchmark for benchmark in benchmarks if not benchmark.network]


def main() -> int:
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    live = sys.stderr.isatty()
    begun = time.monotonic()
    try:
        found = pythons(given.mode, given.compiled_python)
        where = report.machine({mode: version_of(python) for mode, python in found.items()})
        benchmarks = without_network(chosen(given.only))
        with tempfile.TemporaryDirectory(prefix="synfin-bench-") as folder:
            runner = Runner(found, compile_load(Path(folder)), given.warm, given.seconds)
            for number in range(given.runs):

                def progress(what: str, number: int = number) -> None:
                    if live:
                        print(f"\r\033[Kround {number + 1}/{given.runs}: {what}", end="", file=sys.stderr, flush=True)

                try:
                    runner.round(benchmarks, progress)
                except KeyboardInterrupt:
                    print("\ninterrupted: the figures so far", file=sys.stderr)
                    break
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 2
    if live:
        print("\r\033[K", end="", file=sys.stderr)
    results = runner.results(benchmarks)
    print(f"{where['cpu']}, {where['usable_cores']} cores, {where['system']} {where['kernel']}, {where['python']}")
    print(report.table(results))
    report.write(given.output, where, results)
    print(f"{given.output} written, {time.monotonic() - begun:.0f} seconds")
    for one, why in runner.failures.items():
        print(f"failed: {one.measure} {one.subject} {one.mode}: {why}", file=sys.stderr)
    return 1 if runner.failures or not results else 0


if __name__ == "__main__":
    sys.exit(main())
