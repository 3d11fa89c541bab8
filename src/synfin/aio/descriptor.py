"""A descriptor that polls readable while something waits: what stands for a socket's in a selector.

Nothing can be read from it. It is made when somebody asks for it: an eventfd, or a pipe where there is none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final

_ONE: Final = (1).to_bytes(8, sys.byteorder)  # what an eventfd takes; any eight bytes for a pipe


class Descriptor:
    """readable: asked for the present state."""

    def __init__(self, readable: Callable[[], bool]) -> None:
        self._readable = readable
        self._fd = -1
        self._write_fd = -1  # the other end, where it is a pipe
        self._raised = False
        self._closed = False

    def fileno(self) -> int:
        """The descriptor, made on first use; -1 once closed."""
        if self._fd < 0 and not self._closed:
            self._fd, self._write_fd = _signal()
            self._raised = False
            self.refresh()
        return self._fd

    def refresh(self) -> None:
        """Bring it in line with the state."""
        if self._fd < 0:
            return
        readable = self._readable()
        if readable and not self._raised:
            os.write(self._write_fd, _ONE)
        elif self._raised and not readable:
            os.read(self._fd, 8)
        self._raised = readable

    def close(self) -> None:
        """Give it back, for good."""
        self._closed = True
        self._readable = bool  # False, and of nobody
        if self._fd >= 0:
            os.close(self._fd)
            if self._write_fd != self._fd:
                os.close(self._write_fd)
            self._fd = self._write_fd = -1


def _signal() -> tuple[int, int]:
    """Descriptors to poll and to write to."""
    if hasattr(os, "eventfd"):
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return fd, fd
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends
