"""`synfin ss`: the connections of this user's running hosts, as a table."""

from __future__ import annotations

import json as json_format
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from synfin.aio.control import ask, check_folder, control_folder, control_sockets, prepared_path
from synfin.view.table import connection_table


def control_socket(name: str) -> Path | None:
    """Where a command of that name can be asked; None, and a word on stderr, if it can't."""
    try:
        return prepared_path(name)
    except OSError as error:
        print(f"synfin {name}: `synfin ss` can't ask it: {error}", file=sys.stderr)
        return None


def run(name: str | None, watch: float | None, json: bool, pause: Callable[[float], None] = time.sleep) -> int:
    """The command; its exit status: 1 if no host was there to be asked."""
    while True:
        try:
            told = gather(name or "")
        except OSError as error:
            print(f"synfin ss: {error}", file=sys.stderr)
            return 1
        if watch and not json:
            print("\x1b[H\x1b[2J", end="")
        for one in told:
            print(json_format.dumps(one) if json else "\n".join(lines_of(one)), flush=True)
        if not watch:
            if not told:
                print(f"synfin ss: no running host in {control_folder()}", file=sys.stderr)
            return 0 if told else 1
        try:
            pause(watch)
        except KeyboardInterrupt:
            return 0


def gather(prefix: str) -> list[dict[str, Any]]:
    """What each host whose socket's name begins so says; those that have gone say nothing. Raises PermissionError."""
    folder = control_folder()
    if not folder.exists():
        return []
    check_folder(folder)  # or somebody else's socket would be believed
    told = []
    for path in control_sockets():
        if path.name.startswith(prefix):
            try:
                told.append(ask(path))
            except (OSError, ValueError):
                continue
    return told


def lines_of(told: dict[str, Any]) -> list[str]:
    """One host: a heading, the tables' sizes, the connections."""
    census = told["census"]
    counts = ", ".join(f"{what.replace('_', '-')} {census[what]}" for what in ("listeners", "half_open", "time_wait"))
    heading = f"{told['name']} (process {told['pid']}): {len(told['connections'])} connections, {counts}"
    if told["flood"]["answered"]:
        heading += f", {told['flood']['answered']} SYNs of floods answered in {told['flood']['batches']} batches"
    return [heading, *(f"  {line}" for line in connection_table(told["connections"]))]
