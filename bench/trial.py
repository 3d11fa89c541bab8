"""One measured run between two ends over one path: `python -m bench.trial synfin kernel reno loss=0.01 delay=10000`.

The ends are processes of their own (`end`), the path is another (relay.c). All of it ends by itself.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.runner import ROOT, Failed, compile_program

START_SECONDS = 60.0  # for interpreters to start and networks to be made, on a busy machine
GRACE_SECONDS = 10.0
USAGE = """LEFT, RIGHT: kernel or synfin. NAME=VALUE: a word of relay.c, or
  exactly=BYTES  what the left end sends, and then its FIN (without it: as much as it can)
  config=JSON    further settings of synfin.Config, as '{"pacing": false}'"""


@dataclass(frozen=True)
class Trial:
    """left, right: "kernel" or "synfin". path: words of relay.c. sends: bytes that each side sends, -1: without end.

    config: further settings of synfin's ends, as JSON. realtime: the ends go before all else that the machine does.
    """

    left: str
    right: str
    control: str
    path: tuple[str, ...] = ()
    sends: tuple[int, int] = (-1, 0)
    config: str = "{}"
    realtime: bool = False

    def run(self, relay: Path, python: str, environment: dict[str, str]) -> dict[str, Any]:
        """What the relay reports. python: the interpreter of synfin's ends. Raises Failed."""
        with ExitStack() as running:
            left = self._end(running, 0, python, environment)
            right = self._end(running, 1, python, environment)
            packets = [_descriptor(channel) for channel in (left, right)]
            for descriptor in packets:
                running.callback(os.close, descriptor)
            words = [str(relay), *map(str, packets), *self.path]
            path = running.enter_context(_Process(words, packets, environment))
            left.send(b"g")
            try:
                output, _ = path.communicate(timeout=self._seconds() + GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                raise Failed("the relay does not end") from None
            if path.returncode:
                raise Failed(f"the relay ended with status {path.returncode}")
            report: dict[str, Any] = json.loads(output)
            return report

    def _end(self, running: ExitStack, number: int, python: str, environment: dict[str, str]) -> socket.socket:
        """Start an end; the channel to it."""
        ours, theirs = socket.socketpair()
        running.enter_context(ours)
        ours.settimeout(START_SECONDS)
        stack, side = ((self.left, "left"), (self.right, "right"))[number]
        with theirs:
            words = [python, "-m", "bench.end", stack, side, "--control", self.control]
            words += ["--config", self.config, "--channel", str(theirs.fileno()), "--size", str(self.sends[number])]
            words += ["--realtime"] if self.realtime else []
            running.enter_context(_Process(words, [theirs.fileno()], environment))
        return ours

    def _seconds(self) -> float:
        limits = [float(word.partition("=")[2]) for word in self.path if word.startswith("limit_ms=")]
        return limits[-1] / 1000 if limits else 10.0


def _descriptor(channel: socket.socket) -> int:
    """What an end sends when it is ready: the descriptor of its packets."""
    try:
        _, found, _, _ = socket.recv_fds(channel, 1, 1)
    except OSError as error:
        raise Failed(f"an end does not start: {error}") from error
    if not found:
        raise Failed("an end does not start; it said why on stderr")
    return found[0]


class _Process(subprocess.Popen[str]):
    """A child with these descriptors and a process group of its own, which is gone when the block ends."""

    def __init__(self, words: Sequence[str], descriptors: Sequence[int], environment: dict[str, str]) -> None:
        super().__init__(
            words, cwd=ROOT, env=environment, pass_fds=descriptors, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip

    def __exit__(self, *about: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        super().__exit__(*about)  # type: ignore[arg-type]


def main() -> None:
    if len(sys.argv) < 4:
        raise SystemExit(f"usage: python -m bench.trial LEFT RIGHT CONTROL [NAME=VALUE ...]\n{USAGE}")
    left, right, control, *words = sys.argv[1:]
    own = {"exactly": "-1", "config": "{}"}
    path = []
    for word in words:
        name, _, value = word.partition("=")
        if name in own:
            own[name] = value
        else:
            path.append(word)
    size = int(own["exactly"])
    if size >= 0:
        path.append(f"size={size}")
    with tempfile.TemporaryDirectory(prefix="synfin-trial-") as folder:
        relay = compile_program("relay", Path(folder))
        trial = Trial(left, right, control, tuple(path), (size, 0), own["config"])
        report = trial.run(relay, sys.executable, dict(os.environ))
    print(json.dumps(report))
    print(f"{report['acked'][0] * 8 / max(report['seconds'], 1e-6) / 1e6:.2f} Mbit/s")


if __name__ == "__main__":
    main()
