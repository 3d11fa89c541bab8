"""What a container is that may change its own network and nothing else, for one command, in the network it is run in.

    python -m tests.interop.container USER MODE COMMAND ...

As `docker run --cap-drop ALL --cap-add NET_ADMIN --device /dev/net/tun --user USER` has it: namespaces of its own for
processes, mounts and names, a /dev with a TUN device of mode MODE (octal; "none": without one), /sys and /proc/sys that
cannot be written, no unshare(2), and CAP_NET_ADMIN as its only capability. To be run by root.
"""

from __future__ import annotations

import ctypes
import os
import platform
import stat
import struct
import sys
from pathlib import Path
from typing import Final

from synfin.links.netns import CLONE_NEWNS, unshare
from synfin.run.files import own_mounts
from synfin.run.linux import MS_BIND, MS_RDONLY, mount
from tests.interop.test_tun_device import open_the_way

NEW: Final = CLONE_NEWNS | 0x0400_0000 | 0x0800_0000 | 0x2000_0000  # UTS, IPC, PID
REMOUNT: Final = 32
NODES: Final = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
NET_ADMIN, SETPCAP = 12, 8
KEEPCAPS, SET_SECCOMP, CAPBSET_DROP, NO_NEW_PRIVS, CAP_AMBIENT = 8, 22, 24, 38, 47
UNSHARE: Final = {"x86_64": 272, "aarch64": 97}

libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, *arguments: int) -> None:
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *words) < 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def folders(mode: str) -> None:
    own_mounts()
    mount("tmpfs", "/dev", "tmpfs", 0, "mode=755")
    for name, (major, minor) in NODES.items():
        node(f"/dev/{name}", 0o666, major, minor)
    os.symlink("/proc/self/fd", "/dev/fd")
    if mode != "none":
        os.mkdir("/dev/net")
        node("/dev/net/tun", int(mode, 8), 10, 200)
    mount("proc", "/proc", "proc", 0)
    mount("/proc/sys", "/proc/sys", "", MS_BIND)
    mount("", "/proc/sys", "", MS_BIND | REMOUNT | MS_RDONLY)
    open_the_way()
    mount("sysfs", "/sys", "sysfs", MS_RDONLY)
    mount("tmpfs", "/run", "tmpfs", 0, "mode=1777")


def node(path: str, mode: int, major: int, minor: int) -> None:
    os.mknod(path, stat.S_IFCHR, os.makedev(major, minor))
    os.chmod(path, mode)


def no_unshare() -> None:
    """As the default filter of Docker and Podman: EPERM (seccomp(2))."""
    load, equal, answer = 0x20, 0x15, 0x06
    program = b"".join(
        struct.pack("HBBI", *line)
        for line in (
            (load, 0, 0, 0),  # the call's number
            (equal, 0, 1, UNSHARE[platform.machine()]),
            (answer, 0, 0, 0x0005_0000 | 1),  # SECCOMP_RET_ERRNO, EPERM
            (answer, 0, 0, 0x7FFF_0000),  # SECCOMP_RET_ALLOW
        )
    )
    text = ctypes.create_string_buffer(program)
    filtered = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(text)))
    prctl(SET_SECCOMP, 2, ctypes.addressof(filtered))


def become(user: int) -> None:
    """This user, with CAP_NET_ADMIN and nothing else, also after execve(2)."""
    prctl(KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    [text] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapPrm:")]
    had, one = int(text.split()[1], 16), 1 << NET_ADMIN
    capset(had, had, one)
    for number in range(had.bit_length()):
        if number not in (NET_ADMIN, SETPCAP):
            prctl(CAPBSET_DROP, number)
    prctl(CAPBSET_DROP, SETPCAP)
    capset(one, one, one)
    prctl(CAP_AMBIENT, 2, NET_ADMIN)  # PR_CAP_AMBIENT_RAISE


def capset(effective: int, permitted: int, inheritable: int) -> None:
    words = [(effective >> shift & 0xFFFFFFFF, permitted >> shift & 0xFFFFFFFF, inheritable >> shift & 0xFFFFFFFF)
             for shift in (0, 32)]  # fmt: skip
    header, data = struct.pack("Ii", 0x20080522, 0), b"".join(struct.pack("3I", *one) for one in words)
    if libc.capset(header, data) < 0:
        raise OSError(ctypes.get_errno(), "capset")


def main() -> None:
    user, mode, *command = sys.argv[1:]
    unshare(NEW)
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    folders(mode)
    home = Path("/run/home")
    home.mkdir(mode=0o700)
    os.chown(home, int(user), int(user))
    os.environ["XDG_RUNTIME_DIR"] = str(home)
    no_unshare()
    become(int(user))
    # The first process of a container is none that others must look after.
    child = os.spawnvp(os.P_WAIT, command[0], command)
    os._exit(child & 0xFF)


if __name__ == "__main__":
    main()
