"""Seeds that failed once, and the few faults that were enough: a file beside the tests, to be committed with them.

The next campaign runs them first. Entries are sorted and stand one below the other, so that two branches merge; what is
mended is taken out by hand, or stays as a test.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from synfin.campaign.plain import parts_of
from synfin.campaign.program import Json

NAME: Final = "synfin_regressions.json"


class RegressionError(Exception):
    """A file is none, or can't be written."""


@dataclass(frozen=True)
class Regression:
    """A seed that failed. parts: what was enough of chance, as `plain` has it; None: not known."""

    test: str
    seed: int
    settings: Json
    failure: str
    parts: Json | None = None


def files_of(root: Path, tests: Iterable[str]) -> list[Path]:
    """Where the regressions of tests are: one file a folder."""
    return sorted({(root / test.partition("::")[0]).parent / NAME for test in tests})


def load(root: Path, tests: Sequence[str]) -> list[Regression]:
    """Those of these tests. Raises RegressionError."""
    return [one for path in files_of(root, tests) for one in _read(path) if one.test in tests]


def add(root: Path, found: Iterable[Regression]) -> list[Path]:
    """Write those that are new, one of each failure of a test; the files that have changed. Raises RegressionError."""
    by_file: dict[Path, list[Regression]] = {}
    for one in found:
        by_file.setdefault(files_of(root, [one.test])[0], []).append(one)
    changed = []
    for path, new in by_file.items():
        known = {(one.test, one.failure): one for one in _read(path)}
        count = len(known)
        for one in new:
            known.setdefault((one.test, one.failure), one)
        if len(known) > count:
            _write(path, sorted(known.values(), key=lambda one: (one.test, one.failure, one.seed)))
            changed.append(path)
    return changed


def _read(path: Path) -> list[Regression]:
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return [_regression(one) for one in found["regressions"]]
    except OSError as error:
        raise RegressionError(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RegressionError(f"{path} is no file of regressions: {error!r}") from error


def _regression(found: Any) -> Regression:
    one = Regression(
        str(found["test"]),
        int(found["seed"]),
        dict(found.get("settings", {})),
        str(found["failure"]),
        found.get("parts"),
    )
    if one.parts is not None:
        parts_of(one.parts)
    return one


def _write(path: Path, regressions: Iterable[Regression]) -> None:
    lines = [json.dumps(_plain(one), sort_keys=True) for one in regressions]
    text = '{"regressions": [\n' + ",\n".join(lines) + "\n]}\n"
    try:
        new = path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise RegressionError(f"{path}: {error.strerror or error}") from error


def _plain(one: Regression) -> Json:
    plain: Json = {"test": one.test, "seed": one.seed, "failure": one.failure}
    if one.settings:
        plain["settings"] = one.settings
    if one.parts is not None:
        plain["parts"] = one.parts
    return plain
