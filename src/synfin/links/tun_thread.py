"""A thread of the kernel's for one TUN device (NAPI, threaded): what is written to it is received there.

Without it write() runs the TCP of whoever the packet is for, inside of our system call. With it write() only hands the
packet over; what waits in the thread is merged into bursts (GRO), so that fewer ACKs come back; a packet on its own
comes a few microseconds later. The switch is a file of sysfs, which shows the network that it was mounted in.
"""

from __future__ import annotations

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from synfin.links.netns import CLONE_NEWNS, unshare

_MS_REC_PRIVATE: Final = 0x4000 | 0x40000
_PLACE: Final = "/sys"


def start(interface: str) -> bool:
    """Have the device's packets received by a thread of its own. False: this user may not, or this kernel does not.

    The device has to be opened with IFF_NAPI, else there is nothing for a thread to do.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_switch_on, interface).result()


def _switch_on(interface: str) -> bool:
    """In a thread: mounts of one's own are a thread's own, and end with it."""
    try:
        unshare(CLONE_NEWNS)
        _mount("none", "/", "", _MS_REC_PRIVATE)
        _mount("sysfs", _PLACE, "sysfs", 0)
        Path(_PLACE, "class", "net", interface, "threaded").write_text("1")
    except OSError:
        return False
    return True


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {target}: {os.strerror(number)}")
