"""Whether an interface carries packets: it is up, and so is what it is plugged into. rtnetlink(7).

The kernel tells of each change of each interface of a network; nobody needs a right to hear it.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Final

from synfin.links.packet_interface import flags_of

_GROUP_LINK: Final = 1  # RTMGRP_LINK
_RTM_NEWLINK: Final = 16
_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_INTERFACE: Final = struct.Struct("=BxHiI")  # the beginning of ifinfomsg: family, type, index, flags
_CARRIES: Final = 0x1 | 0x40  # IFF_UP and IFF_RUNNING: there is a carrier, or nobody knows of none
_MESSAGES_AT_ONCE: Final = 64
_LARGEST: Final = 1 << 15


class InterfaceWatch:
    """Of one interface, by its name of now. Raises OSError for one that is not there."""

    def __init__(self, interface: str) -> None:
        self._index = socket.if_nametoindex(interface)
        self._back = False
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
        try:
            self._socket.bind((0, _GROUP_LINK))
            self._carries = flags_of(interface) & _CARRIES == _CARRIES
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Readable when there is news; -1 once closed."""
        return self._socket.fileno()

    def read(self) -> None:
        """Take the news that there is, or a part of much."""
        for _ in range(_MESSAGES_AT_ONCE):
            try:
                told = self._socket.recv(_LARGEST)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    return
                self._back = True  # some news was lost: perhaps that
                self._carries = False  # or that it is down
            else:
                self._take(told)

    def _take(self, told: bytes) -> None:
        at = 0
        while at + _HEADER.size + _INTERFACE.size <= len(told):
            length, kind, _, _, _ = _HEADER.unpack_from(told, at)
            if kind == _RTM_NEWLINK:
                _, _, index, flags = _INTERFACE.unpack_from(told, at + _HEADER.size)
                if index == self._index:
                    self._hear(flags & _CARRIES == _CARRIES)
            at += max(_HEADER.size, (length + 3) & ~3)

    def _hear(self, carries: bool) -> None:
        if carries and not self._carries:
            self._back = True
        self._carries = carries

    def has_come_back(self) -> bool:
        """It carries, and has not done so meanwhile; once."""
        back, self._back = self._back, False
        return back

    def close(self) -> None:
        """Hear no more. May be called twice."""
        self._socket.close()
