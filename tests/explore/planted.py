"""Faults to be planted, one a mechanism: a place in the source, what stands there instead, and which search finds it.

The source is copied, changed and run interpreted in a process of its own, since a compiled class can't be changed.
`python -m tests.explore.planted` shows each with its shortest path and diagram.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import synfin

SOURCE: Final = Path(synfin.__path__[0])

SEARCH: Final = """
import json, sys
import synfin
from synfin.explore import STARTS, Bounds, explore
from synfin.explore.report import failure_text, story
from synfin.explore.saved import as_scenario
from synfin.scenario import to_json
name, losses, duplicates, early, folder = sys.argv[1:]
assert synfin.__path__[0].startswith(folder) and not synfin.compiled()
found = explore(STARTS[name].scenario, Bounds(int(losses), int(duplicates), int(early)), max_states=3000)
failure = found.failures[0] if found.failures else None
print(json.dumps({
    "what": failure.what if failure else "",
    "path": list(failure.path) if failure else [],
    "steps": story(found.scenario, found.bounds, failure.path)[0] if failure else [],
    "text": failure_text(found, failure) if failure else [],
    "states": found.states,
    "saved": to_json(as_scenario(found, failure)) if failure else "",
}))
"""


@dataclass(frozen=True)
class Fault:
    """start, bounds: the search that finds it; what: the law that is broken; steps: how long the shortest path is."""

    file: str
    right: str
    wrong: str
    start: str
    what: str
    steps: int
    bounds: tuple[int, int, int] = (0, 0, 0)


FAULTS: Final[dict[str, Fault]] = {
    "the SYN timer is not set again": Fault(
        "tcp/handshake.py",
        "self.deadline = now + self._interval",
        "self.deadline = now + self._interval if self.tries == 0 else 0",
        "nobody",
        "A: SYN-SENT waits for its peer without a deadline",
        2,
        (1, 0, 0),
    ),
    "the retransmission timer is not set": Fault(
        "tcp/send_state.py",
        "if self.rto_deadline == 0:  # RFC 6298 5.1",
        "if self.rto_deadline == 0 and size != 1:",
        "open",
        "A: ESTABLISHED waits for its peer without a deadline",
        2,
    ),
    "a FIN is reached before what stands before it": Fault(
        "tcp/receiver.py",
        "if start > self.rcv_nxt:\n            return",
        "if start > self.rcv_nxt and not fin:\n            return",
        "open",
        "B read: the stream ended after 0 bytes of 1 written",
        11,
    ),
    "what waited behind a hole is joined in a wrong order": Fault(
        "tcp/receiver.py",
        "        for piece in filled:\n            self._keep(piece)",
        "        for piece in filled:\n            self._keep(piece[::-1])",
        "losses",
        "B has read bytes that stand elsewhere in what the other wrote",
        4,
    ),
    "simultaneous close does not wait for the ACK of its FIN": Fault(
        "tcp/close.py",
        "    CLOSING,  # both",
        "    TIME_WAIT,  # both",
        "at-once",
        "A is in FIN-WAIT-1 while B is in TIME-WAIT",
        6,
    ),
    "TIME-WAIT does not acknowledge the FIN again": Fault(
        "tcp/time_wait.py",
        "return RESTART",
        "return IGNORE",
        "in-turn",
        "B is in LAST-ACK, and A knows nothing of it",
        22,
        (1, 0, 0),
    ),
    "FIN-WAIT-2 without a reader has no end": Fault(
        "tcp/tcb.py",
        "self._linger_deadline = now + self.env.config.fin_timeout_us",
        "pass",
        "open",
        "A: FIN-WAIT-2 waits for its peer without a deadline",
        6,
    ),
    "a closed window is not probed": Fault(
        "tcp/persist.py",
        "self.deadline: i64 = now + rto",
        "self.deadline: i64 = 0",
        "window",
        "A: FIN-WAIT-1 waits for its peer without a deadline",
        5,
    ),
    "a RST in the window resets": Fault(
        "tcp/acceptance.py",
        "if seq == rcv_nxt:",
        "if rcv_nxt <= seq <= edge:",
        "rst-inside",
        "A is in FIN-WAIT-2, and B knows nothing of it",
        7,
    ),
    "a SYN in the window resets": Fault(
        "tcp/acceptance.py",
        "return CHALLENGE  # RFC 5961 4.2",
        "return RESET  # RFC 5961 4.2",
        "syn-inside",
        "A is in FIN-WAIT-2, and B knows nothing of it",
        7,
    ),
    "an ACK of what was never sent is taken": Fault(
        "tcp/acceptance.py",
        "if ack > ack_limit or",
        "if",
        "ack-too-new",
        "B has SND.UNA 1001 and has sent up to 1001; A has got 1",
        4,
    ),
    "orphans are not counted down": Fault(
        "tcp/tcb.py", "self.env.orphans -= 1", "pass", "open", "A: (0, 1) counted, (0, 0) half open, orphans", 7
    ),
    "memory is not given back": Fault(
        "stack/memory.py",
        "self._change(-connection.charged)",
        "pass",
        "in-turn",
        "A: 1 bytes are charged, and 0 held",
        4,
    ),
    "PAWS drops what has the same timestamp": Fault(
        "tcp/timestamps.py",
        "self.recent) & MASK) >= HALF",
        "self.recent + HALF - 1) & MASK) < HALF",
        "modern",
        "A waited in vain although nothing was lost",
        13,
    ),
    "the client's number is read wrong out of a cookie's ACK": Fault(
        "tcp/listener.py",
        "connection = self._begin(seg, iss, irs, agreed, seg.ts_val",
        "connection = self._begin(seg, iss, seg.seq, agreed, seg.ts_val",
        "cookie",
        "A and B do not agree on their first numbers",
        3,
    ),
    "a half-open entry that gives up is still counted": Fault(
        "tcp/listener.py", "self._env.half_open -= 1", "pass", "open", "B: (1, 0) counted, (0, 0) half open, orphans", 3
    ),
}


def search(fault: Fault) -> dict[str, Any]:
    """What the search says of the source with that fault."""
    with TemporaryDirectory() as folder:
        there = Path(folder).resolve()
        shutil.copytree(
            SOURCE,
            there / "synfin",
            ignore=lambda _, names: [n for n in names if n.endswith((".so", ".pyd", "__pycache__"))],
        )
        file = there / "synfin" / fault.file
        text = file.read_text(encoding="utf-8")
        assert fault.right in text, f"{fault.file} has no {fault.right!r} any more"
        file.write_text(text.replace(fault.right, fault.wrong), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", SEARCH, fault.start, *map(str, fault.bounds), str(there)],
            env={**os.environ, "PYTHONPATH": str(there), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    for name, fault in FAULTS.items():
        found = search(fault)
        print(
            f"\n## {name}: {found['what']} ({len(found['path'])}, {found['states']} states)",
            *found["text"],
            sep="\n",
            flush=True,
        )
