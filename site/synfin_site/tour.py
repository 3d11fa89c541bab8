"""The tour through the source: each stop a piece of code by its name, what it holds, and what holds it.

Line numbers are found by the symbol when the pages are made, and stand nowhere else.
"""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST = 60  # lines of code on a page; the rest is behind the link


@dataclass(frozen=True)
class Place:
    """Lines of a file, from the first to the last, counted from 1."""

    file: Path
    first: int
    last: int


def parts(toml: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(toml)["part"]
    return found


def stops(toml: str) -> list[dict[str, str]]:
    return [stop for part in parts(toml) for stop in part["stop"]]


def runs(toml: str) -> list[str]:
    """All runs that the pages show."""
    return sorted({stop["run"] for stop in stops(toml) if "run" in stop})


def find(root: Path, module: str, symbol: str) -> Place:
    """Where a class, function, method ("Class.method") or constant stands. Raises LookupError."""
    file = root / "src" / Path(*module.split(".")).with_suffix(".py")
    if not file.exists():
        raise LookupError(f"no module {module}")
    body: list[ast.stmt] = ast.parse(file.read_text(encoding="utf-8")).body
    found: ast.stmt | None = None
    for name in symbol.split("."):
        found = next((node for node in body if name in _names(node)), None)
        if found is None:
            raise LookupError(f"no {symbol} in {module}")
        body = getattr(found, "body", [])
    assert found is not None
    return Place(file, found.lineno, found.end_lineno or found.lineno)


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    return set()


def find_test(root: Path, name: str) -> Place:
    """Where a test of this name stands. Raises LookupError."""
    for file in sorted((root / "tests").rglob("test_*.py")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if line.lstrip().startswith((f"def {name}(", f"async def {name}(")):
                return Place(file, number, number)
    raise LookupError(f"no test {name}")


def pages(root: Path, toml: str) -> dict[str, str]:
    """Name and text of each page."""
    found = {"tour/index": _index(parts(toml))}
    found.update({f"tour/{part['name']}": _page(root, part) for part in parts(toml)})
    return found


def _index(found: list[dict[str, Any]]) -> str:
    lines = ["# Read the source", "", "A walk through the code in the order in which a chapter tells of TCP.", ""]
    lines += ["Each piece stands with what it claims, the section of the standard, the test that holds it, and", ""]
    lines[-2] += " a run that passes through it."
    return "\n".join([*lines, "```{toctree}", ":maxdepth: 1", "", *(part["name"] for part in found), "```", ""])


def _page(root: Path, part: dict[str, Any]) -> str:
    lines = [f"# {part['title']}", ""]
    for stop in part["stop"]:
        lines += _stop(root, stop)
    return "\n".join(lines)


def _stop(root: Path, stop: dict[str, str]) -> list[str]:
    place = find(root, stop["module"], stop["symbol"])
    code = place.file.read_text(encoding="utf-8").splitlines()[place.first - 1 : place.last]
    more = max(len(code) - LONGEST, 0)
    code = code[:LONGEST]
    indent = min((len(line) - len(line.lstrip()) for line in code if line.strip()), default=0)
    lines = [f"## `{stop['module'].removeprefix('synfin.')}`: `{stop['symbol']}`", "", stop["claim"], ""]
    lines += [f"```{{code-block}} python\n:lineno-start: {place.first}\n", *(line[indent:] for line in code), "```", ""]
    lines += [f"```{{source}} {stop['module']} {stop['symbol']}", f":more: {more}", f":rfc: {stop['rfc']}"]
    test = find_test(root, stop["test"])
    lines += [f":test: {stop['test']} {test.file.relative_to(root)} {test.first}"]
    lines += [f":place: {place.file.relative_to(root)} {place.first}", "```", ""]
    if "run" in stop:
        lines += [f"```{{drawing}} {stop['run'].replace('/', '-')}", "```", ""]
    return lines
