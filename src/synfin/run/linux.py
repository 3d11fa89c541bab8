"""The few calls of Linux that Python has not: mounts, capabilities, signals as a descriptor, what a process may become.

Each raises OSError as Python's own calls do. Of the calling process and thread only; nothing is remembered.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_BIND: Final = 4096
MS_REC: Final = 16384
MS_SLAVE: Final = 1 << 19
MNT_DETACH: Final = 2

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITY_VERSION_3: Final = 0x20080522
_SFD_NONBLOCK_CLOEXEC: Final = 0o2004000
_SIGINFO: Final = struct.Struct("IiiI112x")  # signalfd_siginfo: signo, errno, code, pid
SI_KERNEL: Final = 0x80  # the code of a signal that the terminal sends


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, argument: int, what: str, second: int = 0) -> None:
    long = ctypes.c_ulong
    _check(_libc().prctl(ctypes.c_int(option), long(argument), long(second), long(0), long(0)), what)


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2)."""
    text = options.encode() if options else None
    result = _libc().mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), text)
    _check(result, f"mount {source or kind} on {target}")


def unmount(target: str) -> None:
    """umount2(2): away at once from the sight of all, though it may be in use."""
    _check(_libc().umount2(target.encode(), MNT_DETACH), f"unmount {target}")


def setns(descriptor: int) -> None:
    """setns(2): into whatever namespace the descriptor is of."""
    _check(_libc().setns(descriptor, 0), "setns")


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Get this signal when the thread that made this process ends. To be said again after a change of credentials."""
    _prctl(_PR_SET_PDEATHSIG, number, "PR_SET_PDEATHSIG")


def adopt_orphans() -> None:
    """Descendants of this process whose parent ends become its children."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, "PR_SET_CHILD_SUBREAPER")


def close_to_debuggers() -> None:
    """Nobody without privileges may trace this process or look into its /proc."""
    _prctl(_PR_SET_DUMPABLE, 0, "PR_SET_DUMPABLE")


def give_up_privileges() -> None:
    """No capabilities, now or after any execve (capabilities(7)), whoever the user is.

    no_new_privs alone holds that for the future: with a smaller bounding set a program whose file has capabilities,
    as ping's often has, would not start at all.
    """
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")
    header, nothing = struct.pack("Ii", _CAPABILITY_VERSION_3, 0), bytes(24)
    _check(_libc().capset(header, nothing), "capset")  # the ambient ones go with them


def take_all_descriptors() -> None:
    """As many as this process may have at all (setrlimit(2)): each connection outside is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def has_capability(number: int) -> bool:
    """It is in this process's effective set."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def signal_descriptor(numbers: Iterable[int]) -> int:
    """signalfd(2): signals that this thread has blocked can be read from it."""
    mask = (ctypes.c_uint64 * 16)()  # a sigset_t of either C library fits
    for number in numbers:
        mask[0] |= 1 << (number - 1)
    return _check(_libc().signalfd(-1, mask, _SFD_NONBLOCK_CLOEXEC), "signalfd")


def read_signals(descriptor: int) -> list[tuple[int, int]]:
    """What came since: (signal, code) of each; see SI_KERNEL."""
    try:
        data = os.read(descriptor, _SIGINFO.size * 16)
    except BlockingIOError:
        return []
    return [(number, code) for number, _, code, _ in _SIGINFO.iter_unpack(data)]
