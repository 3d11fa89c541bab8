"""What a reader of the figures needs: the machine, the table, the file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def machine(pythons: dict[str, str]) -> dict[str, Any]:
    """Where the figures were made. pythons: the version for each mode."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.system(),
        "kernel": platform.release(),
        "python": pythons,
        "load_average": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def table(results: Sequence[dict[str, Any]]) -> str:
    """One line a result; beside it each reference and how many times that the result is."""
    lines = [["benchmark", "mode", "median", "min", "max", "unit", "runs", "beside (median, result ÷ reference)"]]
    for row in results:
        beside = ", ".join(
            f"{reference['name']} {_number(reference['median'])} (×{reference['ratio']:.2f})"
            for reference in row["references"]
        )
        figures = [_number(row[name]) for name in ("median", "min", "max")]
        lines.append([row["name"], row["mode"], *figures, row["unit"], str(row["runs"]), beside])
    return columns(lines, right=(2, 3, 4, 6))


def columns(lines: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    """The cells of all lines below each other; `right`: the columns that stand at their right edge."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    printed = []
    for line in lines:
        cells = [
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        printed.append("  ".join(cells).rstrip())
    return "\n".join(printed)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def write(
    path: Path, where: dict[str, Any], results: Sequence[dict[str, Any]], goodput: Sequence[dict[str, Any]]
) -> None:
    """build/bench.json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": where, "results": list(results), "goodput": list(goodput)}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
