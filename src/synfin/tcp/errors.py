"""Why a connection failed, as an errno; `oserror()` makes the exception that asyncio's users know."""

from __future__ import annotations

import errno
import os
from typing import Final

NONE: Final = 0
RESET: Final = errno.ECONNRESET
REFUSED: Final = errno.ECONNREFUSED
ABORTED: Final = errno.ECONNABORTED
TIMED_OUT: Final = errno.ETIMEDOUT
HOST_UNREACHABLE: Final = errno.EHOSTUNREACH
NETWORK_UNREACHABLE: Final = errno.ENETUNREACH
BROKEN_PIPE: Final = errno.EPIPE
NOT_CONNECTED: Final = errno.ENOTCONN
ADDRESS_IN_USE: Final = errno.EADDRINUSE
ADDRESS_NOT_AVAILABLE: Final = errno.EADDRNOTAVAIL
NO_BUFFERS: Final = errno.ENOBUFS
MESSAGE_SIZE: Final = errno.EMSGSIZE
PROHIBITED: Final = errno.EACCES


def oserror(code: int, what: str = "") -> OSError:
    """The OSError of an errno, of the subclass Python knows for it; `what` says what was being done."""
    text = os.strerror(code)
    return OSError(code, f"{text}: {what}" if what else text)
