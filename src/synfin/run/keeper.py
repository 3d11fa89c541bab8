"""The process between a run and its program: it makes the inside, starts the program there, and keeps what it leaves.

A run that is killed, and be it by SIGKILL, leaves nothing behind: the keeper hears of it and ends all that came of the
program; a keeper that is killed takes the program with it. It is forked, so nothing here may use the parent's loop or
threads; it talks to its parent over one socket of packets, each a JSON object, perhaps with descriptors.

    keeper -> run   {"ready": device, "mtu", "offload", "words"} + TUN    or {"failed": text}
    run -> keeper   {"go": true}
    keeper -> run   {"pid"} + pidfd, then {"status": as waitpid gives it}  or {"failed": text, "code"}
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from synfin.run import linux
from synfin.run.detour import HERE
from synfin.run.namespace import Inside, enter, furnish, join

_PARENT_ENDED: Final = signal.SIGUSR2  # to the keeper alone
_PACKET: Final = 1 << 16
_GRACE_SECONDS: Final = 1.0  # for what a program leaves running
NOT_FOUND: Final = 127  # what shells say
NOT_EXECUTABLE: Final = 126


def say(pipe: socket.socket, descriptors: Sequence[int] = (), **words: Any) -> None:
    """Send a packet."""
    socket.send_fds(pipe, [json.dumps(words).encode()], list(descriptors))


def hear(pipe: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next packet and its descriptors, which do not pass to other programs; ({}, []) once the other has gone."""
    data, descriptors, _, _ = socket.recv_fds(pipe, _PACKET, 2)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return (json.loads(data) if data else {}), descriptors


def start(inside: Inside, argv: Sequence[str], mask: set[int | signal.Signals]) -> tuple[int, socket.socket]:
    """Fork a keeper: its process id, and the socket to it. This process must have one thread.

    mask: the signals that the program is to have blocked: those that were before this process blocked its own.
    """
    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        its.close()
        return pid, mine
    code = 1
    try:
        mine.close()
        _keep(its, parent, inside, argv, mask)
        code = 0
    except BaseException as error:  # nothing of the parent's may run in this process
        with contextlib.suppress(OSError):
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            say(its, failed=text or type(error).__name__)
    finally:
        os._exit(code)


def _keep(
    pipe: socket.socket, parent: int, inside: Inside, argv: Sequence[str], mask: set[int | signal.Signals]
) -> None:
    # What the terminal sends to all is the program's to answer; the keeper ends when the program has.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    if inside.netns is None:
        enter()
    elif inside.netns != HERE:
        join(inside.netns)
    link, words = furnish(inside)
    linux.adopt_orphans()
    say(pipe, [link.fileno()], ready=link.name, mtu=link.mtu, offload=link.offload, words=words)
    link.close()
    linux.give_up_privileges()
    linux.close_to_debuggers()
    linux.die_with_parent(_PARENT_ENDED)
    if os.getppid() != parent or not hear(pipe)[0]:
        return
    keeper = os.getpid()
    pid = _fork(argv[0], lambda: _become(argv, mask, keeper), pipe)
    if pid:
        status = _wait(pid)
        if status is not None:
            say(pipe, status=status)
        end_children()


def _fork(name: str, become: Callable[[], None], pipe: socket.socket) -> int:
    """The program's process id; 0 if it could not become what it should, which the run has been told."""
    seen, failure = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            become()
        except OSError as error:
            os.write(failure, str(error.errno).encode())
        finally:
            os._exit(NOT_FOUND)
    os.close(failure)
    said = os.read(seen, 16)
    os.close(seen)
    if said:
        os.waitpid(pid, 0)
        number = int(said)
        code = NOT_FOUND if number in (errno.ENOENT, errno.ENOTDIR) else NOT_EXECUTABLE
        say(pipe, failed=f"{name}: {os.strerror(number)}", code=code)
        return 0
    handle = os.pidfd_open(pid)
    say(pipe, [handle], pid=pid)
    os.close(handle)
    return pid


def _become(argv: Sequence[str], mask: set[int | signal.Signals], keeper: int) -> None:
    linux.die_with_parent()
    if os.getppid() != keeper:
        os._exit(0)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # which Python ignores
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.execvp(argv[0], list(argv))


def _wait(program: int) -> int | None:
    """How the program ended; None if the run did before it."""
    while True:
        came = signal.sigwait({signal.SIGCHLD, _PARENT_ENDED})
        if came == _PARENT_ENDED:
            return None
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == program:
                    return status
                if pid == 0:
                    break


def end_children() -> None:
    """End all children and, as they become children, what came of them: asked first, killed after a second.

    SIGCHLD must be blocked.
    """
    asked: set[int] = set()
    deadline = time.monotonic() + _GRACE_SECONDS
    while _reap():
        late = time.monotonic() >= deadline
        for pid in _children():
            if late or pid not in asked:
                asked.add(pid)
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                    os.kill(pid, signal.SIGCONT)
        signal.sigtimedwait({signal.SIGCHLD}, _GRACE_SECONDS / 10)


def _reap() -> bool:
    """Take leave of the children that have ended; False: there are no others."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _children() -> set[int]:
    """The processes whose parent this one is (proc_pid_stat(5))."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = Path("/proc", name, "stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(fields[1]) == os.getpid():
                    found.add(int(name))
    return found
