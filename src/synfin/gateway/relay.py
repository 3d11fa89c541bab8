"""Two connections as one: what comes in at one end goes out at the other; so do half-close, reset, back-pressure.

An end whose other end takes no more stops reading, so that its own peer's window closes: a connection keeps at most its
buffer and one read in each direction. Data that came before a reset is delivered before it, as a kernel would let its
reader have it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from synfin.gateway.flow import GATEWAY, INSIDE, OUTSIDE, Flow

_BY_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s
_FIRST_LOOK: Final = 0.001
_READ: Final = 256 * 1024  # as by asyncio's own transports
_SMALL_READ: Final = 32 * 1024


class Held:
    """Bytes that all ends together keep for peers that are slow to take them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0

    def is_full(self) -> bool:
        """No more connections, please."""
        return self.bytes >= self.limit

    def read_size(self) -> int:
        """Bytes to be read at once; few where much is kept already, for what is read of a peer whose other end takes no
        more is kept too."""
        return _READ if self.bytes < self.limit // 8 else _SMALL_READ


class End(asyncio.Protocol):
    """One end of a relayed connection. side: "inside" or "outside". Nothing is read before it is joined to another."""

    def __init__(
        self, flow: Flow, side: str, held: Held, buffer: int, linger: float, on_end: Callable[[End], None]
    ) -> None:
        self.flow = flow
        self.side = side
        self.transport: Any = None
        self.lost = False
        self.eof = False  # it has ended what it sends
        self._other: End | None = None
        self._held = held
        self._here = 0  # what of `held` is kept for this end
        self._buffer = buffer
        self._linger = linger
        self._on_end = on_end
        self._resetting = False

    # ---- asyncio's side ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands; it waits for the other one."""
        self.transport = transport
        self.transport.set_write_buffer_limits(high=self._buffer)
        if self._other is None:
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """To the other end."""
        flow = self.flow
        if self.side is INSIDE:
            flow.sent += len(data)
        else:
            flow.received += len(data)
        other = self._other
        if other is not None and not other.lost:
            other.transport.write(data)

    def eof_received(self) -> bool:
        """Half-close: the other direction goes on."""
        self.eof = True
        self.flow.close(self.side)
        other = self._other
        if other is None:
            return True
        if other.eof:
            self._close_both()  # which ends what the other one is sent as well
            return False
        if not other.lost:
            other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        """Its peer takes no more: neither does the other end."""
        self._count(self.transport.get_write_buffer_size())
        if self._other is not None and not self._other.lost:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        """It takes more again."""
        self._count(0)
        if self._other is not None and not self._other.lost:
            self._other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """It is over, by `error` or in order."""
        self.lost = True
        self._count(0)
        other = self._other
        if error is not None:
            self.flow.close(self.side)
            if self.flow.error is None:
                self.flow.error = error
            if other is not None:
                other.reset()
        elif other is not None and not other.lost and not self._resetting and not self.eof:
            other.transport.close()  # it has closed without a word
        self._on_end(self)

    # ---- the gateway's side ----

    def join(self, other: End) -> None:
        """From now on each gives the other what it gets."""
        self._other, other._other = other, self
        for one in (self, other):
            if not one.lost and not one.transport.is_closing():
                one.transport.resume_reading()

    def other_is_over(self) -> bool:
        """The other end has ended, or there never was one."""
        return self._other is None or self._other.lost

    def reset(self) -> None:
        """End by RST, once what is under way has been delivered, or has had its time."""
        if self._resetting or self.lost or self.transport is None:
            return
        self._resetting = True
        self.transport.pause_reading()
        loop = asyncio.get_running_loop()
        self._reset_when_delivered(loop, loop.time() + self._linger, _FIRST_LOOK)

    def _reset_when_delivered(self, loop: asyncio.AbstractEventLoop, until: float, pause: float) -> None:
        if self.lost:
            return
        now = loop.time()
        if now >= until or not self._undelivered():
            self.abort()
        else:
            loop.call_at(min(now + pause, until), self._reset_when_delivered, loop, until, 2 * pause)

    def _undelivered(self) -> int:
        """Bytes that the peer's TCP has not acknowledged."""
        waiting: int = self.transport.get_write_buffer_size()
        status = self.transport.get_extra_info("tcp_info")
        if status is not None:
            return waiting + int(status.unsent + status.unacknowledged)
        return waiting + _in_kernel(self.transport)

    def abort(self) -> None:
        """RST, now."""
        if self.transport is None or self.lost:
            return
        face = self.transport.get_extra_info("socket")
        if face is not None and hasattr(face, "setsockopt"):
            with suppress(OSError):  # what carries it may have no resets: then its end is all that can be told
                face.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _BY_RESET)
        self.transport.abort()

    def end(self) -> None:
        """The gateway ends."""
        self.flow.close(GATEWAY)
        self.abort()

    def _close_both(self) -> None:
        other = self._other
        assert other is not None
        self.transport.close()
        if not other.lost:
            other.transport.close()

    def _count(self, kept: int) -> None:
        self._held.bytes += kept - self._here
        self._here = kept


def _in_kernel(transport: Any) -> int:
    """Bytes in a kernel's send queue; 0 where there is none, or it does not tell."""
    face = transport.get_extra_info("socket")
    try:
        import fcntl
        from termios import TIOCOUTQ

        return int(struct.unpack("i", fcntl.ioctl(face.fileno(), TIOCOUTQ, b"\0\0\0\0"))[0])
    except (ImportError, AttributeError, OSError, ValueError, TypeError):
        return 0


__all__ = ["INSIDE", "OUTSIDE", "End", "Held"]
