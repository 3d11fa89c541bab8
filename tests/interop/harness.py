"""What the interop tests share: a synfin host in a private network, the programs beside it, and what must hold after.

    with SynfinSide(Settings(offload=False, capture=str(path))) as side:
        side.network.run([curl, side.url(4, "/1000")])
        report = side.finish()

Rules for the next editor: whatever a machine may be slow at is waited for, never timed; a deadline here only turns a
hang into a failure. What every test demands of the end stands in `assert_clean` and `assert_explained`, once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from synfin.links.netns import PrivateNetwork
from tests.conftest import ROOT
from tests.interop.synfin_side import KERNEL, PORT, SYNFIN, Settings
from tests.interop.tshark import COMPLETE, DATA, Capture, Stream, read_capture

__all__ = ["KERNEL", "PORT", "SYNFIN", "Report", "Settings", "SynfinSide"]

HANG_SECONDS: Final = 150
SNAPLEN: Final = 128  # IPv6 and TCP headers with all options: 40 + 60
QUIET: Final = ("connections", "half_open", "accept_queue", "timers", "active", "ready", "outbox")
_WRONG: Final = "InHdrErrors ReasmFails InErrs InCsumErrors InUnknownProtos OutDiscards".split()
_WRONG_IN_KERNEL: Final = "InCsumErrors TCPAbortOnTimeout".split()
# As Linux numbers them in /proc/net/tcp, from 1; SYN-RCVD stands there a second time, for a request that waits.
_TCP_STATES: Final = (
    "ESTABLISHED SYN-SENT SYN-RCVD FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT CLOSED CLOSE-WAIT LAST-ACK LISTEN CLOSING SYN-RCVD"
).split()


@dataclasses.dataclass(frozen=True)
class Report:
    """What a synfin side told at its end. `kernel` and `dropped` are of its whole network."""

    settings: Settings
    census: dict[str, int]
    counters: dict[str, int]
    notes: list[tuple[int, bytes, str]]
    problems: list[str]
    served: int
    refused: int
    overflowed: int
    kernel: dict[str, int]
    dropped: int

    def assert_clean(self, resets: int | None = 0) -> None:
        """Neither end met anything that it could not make sense of. resets: RSTs each end meant to send, None any."""
        expected = () if resets == 0 else ("ConnectionResetError",)
        assert [problem for problem in self.problems if not problem.startswith(expected)] == []
        assert (self.refused, self.overflowed) == (0, 0)
        # On a busy machine a packet socket's ring may be full before we are asked again: a loss as of any network.
        assert self.dropped == 0 or self.settings.device == "packet"
        kernel = self.kernel
        assert {name: self.counters[name] for name in _WRONG if self.counters[name]} == {}
        assert {name: kernel[name] for name in _WRONG_IN_KERNEL if kernel[name]} == {}
        # A bare ACK that another overtook by a tick of the clock is old to PAWS (RFC 7323 5.3), here as in Linux.
        assert not self._in_order or self.counters["PAWSEstab"] == kernel["PAWSEstab"] == 0
        # A SYN,ACK that came twice, as it may on a busy machine, is an error and a challenge to Linux; else none is.
        assert max(kernel["InErrs"], kernel["TCPChallengeACK"]) <= kernel["TCPSYNChallenge"]
        assert kernel["TCPSYNChallenge"] <= self.counters["RetransSegs"]
        if resets is not None:
            assert self.counters["OutRsts"] == resets
            # A FIN that came twice, as it may on a busy machine, is acknowledged twice, and then there is no socket.
            assert resets <= kernel["OutRsts"] <= resets + kernel["RetransSegs"]

    @property
    def _in_order(self) -> bool:
        """Packets that cross a veth pair may overtake each other: each processor has a queue of its own for them."""
        return self.settings.device == "tun"

    def read_capture(self, tshark: str) -> Capture:
        """What tshark says; it finds nothing malformed, no bad checksum, and every retransmission is explained."""
        capture = read_capture(tshark, Path(self.settings.capture), PORT, self.settings.snaplen == 0)
        assert capture.wrong == []
        self._assert_explained(capture)
        return capture

    def _assert_explained(self, capture: Capture) -> None:
        """A TUN device lost nothing (`assert_clean`), so bytes travel twice only if their sender thought them lost.

        Of ours each is preceded by a note in the trace of its connection; of the kernel's it counts as many itself.
        """
        in_order = self._in_order
        kernels = 0
        for stream in capture.streams.values():
            for at, source in stream.again:
                if source in KERNEL.values():
                    kernels += 1
                    continue
                key = stream.key_at(source)
                reasons = [what for noted, key_noted, what in self.notes if key_noted == key and noted <= at]
                assert reasons, f"a retransmission at {at} that the trace does not explain, of {stream}"
            assert stream.gaps == [] or not in_order
        assert kernels <= self.kernel["RetransSegs"] or not in_order

    def read_conversations(self, tshark: str, if_with_data: bool = False) -> list[Stream]:
        """As `read_capture`; and each conversation is complete, closed by a FIN of either side and no RST before.

        if_with_data: only those that carried data count; some programs open more than they need, and give them up.
        """
        streams = self.read_capture(tshark).streams.values()
        meant = [stream for stream in streams if not if_with_data or stream.completeness & DATA]
        for stream in meant:
            assert (stream.completeness, len(stream.fins)) == (COMPLETE, 2), stream
            # The kernel answers by RST when its FIN is acknowledged once more: only if it had sent it once more.
            assert stream.resets <= {source for _, source in stream.again if source in KERNEL.values()}, stream
        return meant


class SynfinSide:
    """A synfin host (`synfin_side`) in a private network of its own; leave it, and both are gone."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.network = PrivateNetwork()
        self._complaints = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 (close() closes it)
        self._unread = b""
        try:
            self._process = self.network.popen(
                [sys.executable, "-m", "tests.interop.synfin_side", json.dumps(dataclasses.asdict(settings))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                bufsize=0,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
            self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> SynfinSide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything, as it is."""
        self.network.close()
        for pipe in (self._process.stdin, self._process.stdout, self._complaints):
            if pipe is not None:
                pipe.close()

    @staticmethod
    def url(version: int, path: str) -> str:
        """Of the synfin side's server."""
        host = SYNFIN[version]
        return f"http://{host if version == 4 else f'[{host}]'}:{PORT}{path}"

    def ask(self, order: str, **arguments: Any) -> Any:
        """Give an order, one of the methods of `synfin_side.Side`; its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": order, **arguments}).encode() + b"\n")
        return self._answer()

    def finish(self) -> Report:
        """Wait until no connection is left on either side but in TIME-WAIT; then end. What there is to know."""
        wait_until(lambda: not any(self._busy()), lambda: f"left over: {self._busy()}")
        report = self.report()
        assert self.ask("finish") == "finished"
        assert self._process.wait(HANG_SECONDS) == 0
        assert self._complained() == ""
        return report

    def report(self) -> Report:
        """As things are now."""
        facts = self.ask("facts")
        facts["notes"] = [(at, bytes.fromhex(key), what) for at, key, what in facts["notes"]]
        return Report(self.settings, self.ask("census"), **facts)

    def _busy(self) -> list[Any]:
        census = self.ask("census")
        mine = {name: census[name] for name in QUIET if census[name]}
        theirs = [state for state in self.kernel_states() if state not in ("LISTEN", "TIME-WAIT", "CLOSED")]
        return [*mine.items(), *theirs]

    def kernel_states(self) -> list[str]:
        """The state of each TCP socket of the kernel in this network."""
        tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        shown = self.network.run(["cat", *tables], capture_output=True, text=True, check=True).stdout
        return [
            _TCP_STATES[int(fields[3], 16) - 1] for fields in map(str.split, shown.splitlines()) if fields[3] != "st"
        ]

    def _answer(self) -> Any:
        """The next line of the side's stdout."""
        stdout = self._process.stdout
        assert stdout is not None
        deadline = time.monotonic() + HANG_SECONDS
        while b"\n" not in self._unread:
            readable, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(stdout.fileno(), 1 << 20) if readable else b""
            if not data:
                how = "ended" if readable else "hangs"
                raise AssertionError(f"the synfin side {how}:\n{self._complained()}")
            self._unread += data
        line, self._unread = self._unread.split(b"\n", 1)
        answer = json.loads(line)
        assert "answer" in answer, answer["problem"]
        return answer["answer"]

    def _complained(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read()


def wait_until(condition: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Look again and again; AssertionError(otherwise()) if it never holds."""
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.02)


def run_all(side: SynfinSide, commands: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """Run programs at the same time in the side's network; the status and output of each, its complaints behind."""
    running = [
        side.network.popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for command in commands
    ]
    ended = [(child.communicate(timeout=HANG_SECONDS)[0], child.returncode) for child in running]
    return [(status, text) for text, status in ended]


def run(side: SynfinSide, *command: str) -> str:
    """Run a program in the side's network; its output, if it succeeds."""
    ((status, text),) = run_all(side, [command])
    assert status == 0, f"{' '.join(command)} ended with status {status}: {text}"
    return text


def curl_get(side: SynfinSide, curl: str, version: int, size: int, folder: Path) -> str:
    """GET of `size` bytes into a file that is gone afterwards; its SHA-256."""
    path = folder / "got"
    run(side, *curl_command(curl), "-o", str(path), side.url(version, f"/{size}"))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    path.unlink()
    return digest


def curl_put(side: SynfinSide, curl: str, version: int, body: Path) -> str:
    """PUT of a file; the SHA-256 that the synfin side says it got."""
    return run(side, *curl_command(curl), "-T", str(body), side.url(version, "/"))


def curl_command(curl: str) -> list[str]:
    """curl, that fails on errors, says why, asks no proxy and does not wait for 100 Continue by the clock."""
    return [
        *(curl, "--silent", "--show-error", "--fail", "--noproxy", "*", "--globoff"),
        *("--max-time", str(HANG_SECONDS), "--expect100-timeout", str(HANG_SECONDS)),
    ]
