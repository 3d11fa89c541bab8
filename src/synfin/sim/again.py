"""The same seed once more, in another process and under another hash seed: does the same happen?

The other process runs the same command, and ends with the run that was asked for: what its networks did before is done
again, what would come after is not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Final

from synfin.sim.errors import Nondeterminism, SimulationError
from synfin.sim.journal import first_difference

ASKED: Final = "SYNFIN_RUN_AGAIN"  # in the environment: number of the run, and the file for its journal
_numbers = count()


def next_number() -> int:
    """Of a network that is to be checked, among all of this process."""
    return next(_numbers)


def is_again() -> bool:
    """This process runs something again, and checks nothing itself."""
    return ASKED in os.environ


def hand_in(number: int, lines: Sequence[str]) -> None:
    """If this process was begun for that run: write what happened, and end at once."""
    wanted, _, path = os.environ[ASKED].partition(":")
    if int(wanted) == number:
        Path(path).write_text("\n".join(lines), encoding="utf-8")
        sys.stdout.flush()
        os._exit(0)


def compare(lines: Sequence[str], seed: int, number: int, command: Sequence[str] | None) -> None:
    """Run again, and raise Nondeterminism if that does something else. command: None for that of this process."""
    if command is None:
        command = [sys.executable, *sys.orig_argv[1:]]
        if len(command) == 1:
            raise SimulationError("check=True runs the program once more, and there is no command: put it into a file")
    hashes = os.environ.get("PYTHONHASHSEED", "")
    with tempfile.TemporaryDirectory(prefix="synfin-") as folder:
        path = Path(folder) / "journal"
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(int(hashes) % 1000 + 1) if hashes.isdecimal() else "1",
            ASKED: f"{number}:{path}",
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
        if not path.exists():
            said = (done.stdout + done.stderr).strip()[-2000:]
            raise SimulationError(f"the program did not come so far when it was run again ({command}):\n{said}")
        again = path.read_text(encoding="utf-8").split("\n")
    difference = first_difference(lines, again)
    if difference:
        raise Nondeterminism(f"two runs of seed {seed} are not the same; the first difference:\n{difference}")
