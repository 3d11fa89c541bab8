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

from bench import goodput, report
from bench.goodput import Goodput
from bench.paths import CORE, ENTRIES, PAIRS, Entry, Terms
from bench.peers.found import peers, version
from bench.plan import BENCHMARKS, CONTROL, MODES, PEERS, Benchmark
from bench.runner import ROOT, Failed, Runner, compile_program, environment_of, version_of

NAMES = (*(benchmark.name for benchmark in BENCHMARKS), *(entry.name for entry in ENTRIES))
CONTROLS = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
COMPILED_PYTHON = ROOT / ".venv-compiled" / "bin" / "python"


def arguments() -> argparse.Namespace:
    epilog = f"benchmarks: {', '.join(NAMES)}"
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, epilog=epilog)
    parser.add_argument("--only", action="append", metavar="NAME", help="a benchmark, or the beginning of its name")
    parser.add_argument("--mode", choices=(*MODES, "both"), default="both")
    parser.add_argument("--runs", type=int, default=5, help="rounds; the median of them counts (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a measurement (%(default)s)")
    parser.add_argument("--warm", type=float, default=0.4, help="seconds before it, not counted (%(default)s)")
    parser.add_argument(
        "--control",
        default=CONTROL,
        metavar="NAME",
        help="the kernel's congestion control, as a peer and as a reference, but for goodput_* (%(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="one short round: does everything work?")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench.json")
    parser.add_argument(
        "--compiled-python",
        default=os.environ.get("SYNFIN_COMPILED_PYTHON", str(COMPILED_PYTHON)),
        metavar="PATH",
        help="an interpreter that has synfin compiled ($SYNFIN_COMPILED_PYTHON, else .venv-compiled)",
    )
    lossy = parser.add_argument_group("goodput_*")
    lossy.add_argument("--seeds", type=int, default=Terms.seeds, help="so many different losses (%(default)s)")
    lossy.add_argument("--mbit", type=float, default=Terms.mbit, help="rate of the link (%(default)s)")
    lossy.add_argument("--megabytes", type=int, default=Terms.megabytes, help="bulk: to be carried (%(default)s) ...")
    lossy.add_argument("--patience", type=float, default=Terms.seconds, help="... in so many seconds (%(default)s)")
    cores = os.cpu_count() or 1
    lossy.add_argument("--together", type=int, default=cores, help="pairs side by side (%(default)s, the cores)")
    lossy.add_argument("--pair", action="append", choices=["-".join(pair) for pair in PAIRS], help="all without it")
    lossy.add_argument("--config", default="{}", help="further settings of synfin.Config, as JSON")
    lossy.add_argument("--realtime", action="store_true", help="both ends go before all else that the machine does")
    given = parser.parse_args()
    if given.quick:
        given.runs, given.seconds, given.warm = 1, 0.3, 0.2
        given.seeds, given.patience = 1, 1.0
    if min(given.seeds, given.megabytes, given.together) < 1 or given.mbit <= 0 or not 0 < given.patience <= 100:
        parser.error("--seeds, --megabytes, --together are at least 1, --mbit above 0, --patience at most 100")
    if given.runs < 1 or not 0 < given.seconds <= 60 or not 0 < given.warm <= 20:
        parser.error("--runs is at least 1, --seconds above 0 and at most 60, --warm above 0 and at most 20")
    return given


def check_control(name: str) -> None:
    """Raise Failed for a congestion control that this kernel has not."""
    if CONTROLS.exists() and name not in (known := CONTROLS.read_text().split()):
        raise Failed(f"this kernel has no congestion control {name!r}: it has {', '.join(known)}")


def chosen(only: Sequence[str] | None) -> tuple[list[Benchmark], list[Entry]]:
    """What --only names. Without it: all benchmarks, and of goodput the core."""
    if only is None:
        return list(BENCHMARKS), list(CORE)
    for name in only:
        if not any(known.startswith(name) for known in NAMES):
            raise Failed(f"no benchmark is called {name!r}: there are {', '.join(NAMES)}")
    prefixes = tuple(only)
    entries = [entry for entry in ENTRIES if entry.name.startswith(prefixes)]
    return [benchmark for benchmark in BENCHMARKS if benchmark.name.startswith(prefixes)], entries


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


def possible(benchmarks: list[Benchmark], entries: list[Entry]) -> tuple[list[Benchmark], list[Entry]]:
    """Those that can be measured here; says in one line which can't and why."""
    sys.path.insert(0, str(ROOT / "src"))
    from synfin.links.netns import tun_available

    reason = tun_available()
    if reason is None:
        return benchmarks, entries
    print(f"only benchmarks without a network can run here: {reason}", file=sys.stderr)
    return [benchmark for benchmark in benchmarks if not benchmark.network], []


def progress(what: str) -> None:
    """Say what is going on, to whoever watches."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


def there(benchmarks: list[Benchmark], folder: Path) -> dict[str, list[str]]:
    """The peers that are measured beside; says which are not here and what would bring them."""
    wanted = {name for benchmark in benchmarks for name in benchmark.references if name in PEERS}
    found, missing = peers(wanted, folder)
    for name, what in missing.items():
        print(f"{name} is left out: it needs {what}", file=sys.stderr)
    return found


def run_rounds(runner: Runner, benchmarks: list[Benchmark], runs: int) -> None:
    for number in range(runs):
        runner.round(benchmarks, lambda what: progress(f"round {number + 1}/{runs}: {what}"))  # noqa: B023


def lossy(given: argparse.Namespace, found: dict[str, str], folder: Path) -> tuple[Goodput, str]:
    """What measures goodput, and in which mode: compiled if it may choose."""
    mode = "compiled" if "compiled" in found else "interpreted"
    short = min(Terms.short_seconds, 3.0) if given.quick else Terms.short_seconds
    terms = Terms(
        given.mbit, given.megabytes, given.patience, short, given.seeds, given.together, given.config, given.realtime
    )
    pairs = [pair for pair in PAIRS if given.pair is None or "-".join(pair) in given.pair]
    relay = compile_program("relay", folder)
    return Goodput(relay, found[mode], environment_of(found[mode], found), terms, pairs), mode


def main() -> int:
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    begun = time.monotonic()
    try:
        found = pythons(given.mode, given.compiled_python)
        check_control(given.control)
        where = report.machine({mode: version_of(python) for mode, python in found.items()})
        benchmarks, entries = possible(*chosen(given.only))
        with tempfile.TemporaryDirectory(prefix="synfin-bench-") as folder:
            os.chmod(folder, 0o755)  # a peer runs as another user
            load, flood = (compile_program(name, Path(folder)) for name in ("load", "flood"))
            runner = Runner(
                found, load, flood, given.control, given.warm, given.seconds, there(benchmarks, Path(folder))
            )
            where["peers"] = {name: version(name) for name in runner.peers}
            paths, mode = lossy(given, found, Path(folder))
            try:
                run_rounds(runner, benchmarks, given.runs)
                paths.measure(entries, progress)
            except KeyboardInterrupt:
                print("\ninterrupted: the figures so far", file=sys.stderr)
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 2
    progress("")
    results, through = runner.results(benchmarks), paths.rows(mode)
    print(f"{where['cpu']}, {where['usable_cores']} cores, {where['system']} {where['kernel']}, {where['python']}")
    if where["peers"]:
        print("beside " + ", ".join(f"{name} {which}".rstrip() for name, which in where["peers"].items()))
    print("\n\n".join([report.table(results)] * bool(results) + [goodput.table(through)] * bool(through)))
    report.write(given.output, where, results, through)
    print(f"{given.output} written, {time.monotonic() - begun:.0f} seconds")
    for one, why in runner.failures.items():
        print(f"failed: {one.measure} {one.subject} {one.mode}: {why}", file=sys.stderr)
    for (name, pair), why in paths.failures.items():
        print(f"failed: {name} {'->'.join(pair)} {mode}: {why}", file=sys.stderr)
    return 1 if runner.failures or paths.failures or not (results or through) else 0


if __name__ == "__main__":
    sys.exit(main())
