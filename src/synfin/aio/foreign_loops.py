"""start_tls() and sendfile() on loops that know none but their own transports, such as uvloop's.

asyncio's own versions need nothing of a loop but what every loop has, and of a transport what ours say they can.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, BinaryIO, cast


async def start_tls(
    loop: asyncio.AbstractEventLoop,
    transport: asyncio.WriteTransport,
    protocol: asyncio.BaseProtocol,
    sslcontext: ssl.SSLContext,
    **options: Any,
) -> asyncio.Transport:
    """As loop.start_tls() of asyncio's loops, on any loop."""
    made = await asyncio.BaseEventLoop.start_tls(cast(Any, loop), transport, protocol, sslcontext, **options)
    return cast(asyncio.Transport, made)


async def sendfile(
    loop: asyncio.AbstractEventLoop,
    transport: asyncio.WriteTransport,
    file: BinaryIO,
    offset: int = 0,
    count: int | None = None,
) -> int:
    """As loop.sendfile() of asyncio's loops, on any loop: the file is read and written. Bytes sent."""
    if transport.is_closing():
        raise RuntimeError("Transport is closing")
    send: Any = asyncio.BaseEventLoop._sendfile_fallback  # type: ignore[attr-defined]
    return cast(int, await send(loop, transport, file, offset, count))


class LoopOfStreams:
    """What asyncio's streams are given as their loop where StreamWriter.start_tls() would fail on the real one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def start_tls(self, transport: Any, protocol: Any, sslcontext: Any, **options: Any) -> asyncio.Transport:
        """See the function of that name."""
        return await start_tls(self._loop, transport, protocol, sslcontext, **options)


def loop_of_streams(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """asyncio's own loops serve as they are."""
    return loop if isinstance(loop, asyncio.BaseEventLoop) else cast(asyncio.AbstractEventLoop, LoopOfStreams(loop))
