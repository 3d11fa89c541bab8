"""A thread of the kernel's for one TUN device (NAPI, threaded): what is written to it is received there.

Without it write() runs the TCP of whoever the packet is for, inside of our system call. With it write() only hands the
packet over; what waits in the thread is merged into bursts (GRO), so that fewer ACKs come back; a packet on its own
comes a few microseconds later. So it is switched on while much is carried, and off when there was little for a second:
10 microseconds each, but off now and then 20 milliseconds, in which the kernel waits for what the thread has at hand.
The switch is a file of sysfs, which shows the network that it was mounted in.
"""

from __future__ import annotations

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from synfin.links.netns import CLONE_NEWNS, unshare

WINDOW_US: Final = 10_000  # for so long what is carried is counted
MUCH: Final = 50  # bytes a microsecond, both ways: 400 Mbit/s. Connections that only open and close carry a quarter
LITTLE: Final = 12
QUIET_US: Final = 1_000_000  # of little, one window after the other: then the thread is not needed

_MS_REC_PRIVATE: Final = 0x4000 | 0x40000
_PLACE: Final = "/sys"


class DeviceThread:
    """Of one device, which has to be opened with IFF_NAPI. switch: a descriptor of its file, this object's from now."""

    def __init__(self, switch: int) -> None:
        self._switch = switch  # -1 once closed, or refused
        self._carried = 0
        self._since = 0
        self._quiet = 0  # microseconds of little
        self.on = False

    def carries(self, packets: list[bytes]) -> None:
        """These go, or came."""
        self._carried += sum(map(len, packets))

    def look(self, now: int) -> None:
        """Switch it on or off by what was carried of late. now: microseconds."""
        elapsed = now - self._since
        if elapsed < WINDOW_US:
            return
        self._quiet = self._quiet + elapsed if self._carried < LITTLE * elapsed else 0
        if self._carried >= MUCH * elapsed:
            self._turn(True)
        elif self._quiet >= QUIET_US:
            self._turn(False)
        self._carried = 0
        self._since = now

    def _turn(self, on: bool) -> None:
        if on == self.on or self._switch < 0:
            return
        try:
            os.pwrite(self._switch, b"1" if on else b"0", 0)
        except OSError:  # the device is gone, which its link notices; or the kernel has no room for a thread
            self.close()
        else:
            self.on = on

    def close(self) -> None:
        """Touch it no more; it ends with its device."""
        switch, self._switch = self._switch, -1
        if switch >= 0:
            os.close(switch)


def of_device(interface: str) -> DeviceThread | None:
    """None: this user may not have one, or this kernel has none to give."""
    try:
        with ThreadPoolExecutor(1) as pool:
            switch = pool.submit(_open_switch, interface).result()
    except RuntimeError:  # this process may have no more threads
        return None
    return None if switch is None else DeviceThread(switch)


def _open_switch(interface: str) -> int | None:
    """In a thread: mounts of one's own are a thread's own, and end with it; what was opened there stays open."""
    try:
        unshare(CLONE_NEWNS)
        _mount("none", "/", "", _MS_REC_PRIVATE)
        _mount("sysfs", _PLACE, "sysfs", 0)
        return os.open(f"{_PLACE}/class/net/{interface}/threaded", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {target}: {os.strerror(number)}")
