"""A run, from outside: the keeper is started, the device taken over, the program waited for; signals pass on to it.

The terminal is the program's: it is in the same process group, and what the terminal sends (Ctrl-C, a resize, a
hang-up) reaches it directly, while this process goes on carrying its packets. What somebody sends to this process alone
is passed on. How the program ended is how this process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, NoReturn

from synfin.links.tun import TunLink
from synfin.run import keeper, linux
from synfin.run.namespace import Inside
from synfin.run.sweeper import Sweeper

# What others may send to it; SIGTSTP and SIGCONT stop and continue this process as any other.
PASSED_ON: Final = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH
)  # fmt: skip
_ENDING: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)

Attend = Callable[[TunLink], AbstractAsyncContextManager[object]]


class LaunchError(Exception):
    """The program could not be started. code: the exit status that says so."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


def launch(
    inside: Inside, argv: Sequence[str], prepare: Callable[[], Attend], undo: Callable[[], None] | None = None
) -> int:
    """Run a program inside: how it ended, as waitpid() tells.

    prepare: called while the inside is made, for what takes time; what it gives serves the device, which is its own,
    for as long as its context lasts. undo: what is to be done when all is over, though this process be killed before.
    To be called in the main thread of a process that has no other, and no children. Raises LaunchError.
    """
    wanted = [number for number in PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {*wanted, signal.SIGCHLD})
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # an outer connection that is gone is an error, not the end
    sweeper = Sweeper(undo) if undo is not None else None
    linux.adopt_orphans()
    signals = linux.signal_descriptor(wanted)
    pid, pipe = keeper.start(inside, argv, mask)
    linux.take_all_descriptors()  # after the fork: the program's limits are its own
    try:
        with pipe:
            attend = prepare()
            link = _taken_over(keeper.hear(pipe))
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                return runner.run(_attended(pipe, signals, link, attend))
    finally:
        os.close(signals)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        if sweeper is not None:
            sweeper.close()
        keeper.end_children()  # if the keeper was killed
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _taken_over(packet: tuple[dict[str, object], list[int]]) -> TunLink:
    said, descriptors = packet
    if not descriptors:
        raise LaunchError(str(said.get("failed") or "the process that makes its network was killed"))
    words = said["words"]
    assert isinstance(words, list)
    for word in words:
        print(f"synfin run: {word}", file=sys.stderr)
    return TunLink.from_fd(descriptors[0], int(str(said["mtu"])), bool(said["offload"]), str(said["ready"]))


async def _attended(pipe: socket.socket, signals: int, link: TunLink, attend: Attend) -> int:
    async with attend(link):
        return await _Program(pipe, signals).run()


class _Program:
    """What the keeper tells of the program, and what it is told, over `pipe`.

    signals: a descriptor of those to pass on.
    """

    def __init__(self, pipe: socket.socket, signals: int) -> None:
        self._pipe = pipe
        self._signals = signals
        self._handle = -1  # of the process; -1 as long as there is none
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def run(self) -> int:
        """Start it, and wait for its end."""
        loop = asyncio.get_running_loop()
        self._pipe.setblocking(False)
        loop.add_reader(self._pipe, self._on_packet)
        try:
            for number, _ in linux.read_signals(self._signals):
                if number in _ENDING:
                    raise LaunchError(f"{signal.strsignal(number)} before the program began", 128 + number)
            keeper.say(self._pipe, go=True)
            return await self._status
        finally:
            loop.remove_reader(self._pipe)
            if self._handle >= 0:
                loop.remove_reader(self._signals)
                os.close(self._handle)

    def _on_packet(self) -> None:
        said, descriptors = keeper.hear(self._pipe)
        if descriptors:
            self._handle = descriptors[0]
            asyncio.get_running_loop().add_reader(self._signals, self._pass_on)
        elif self._status.done():
            return
        elif "status" in said:
            self._status.set_result(int(said["status"]))
        else:
            text = str(said.get("failed", "the process that keeps the program was killed, and the program with it"))
            self._status.set_exception(LaunchError(text, int(said.get("code", 1))))

    def _pass_on(self) -> None:
        for number, code in linux.read_signals(self._signals):
            if code != linux.SI_KERNEL:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._handle, number)


def end_like(status: int) -> NoReturn:
    """End this process as the program has ended, by its exit status or by the same signal."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the program has left one, if any
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
