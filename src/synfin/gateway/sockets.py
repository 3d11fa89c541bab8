"""Outer connections of the kernel: non-blocking sockets behind one epoll of their own, asked once for all of them.

asyncio makes a task, two futures and several handles of an outer connection, and looks each event up in a table of
Python objects. Here a socket is an entry of one table, connecting takes no task, and what a batch of ready sockets
brings goes inside in one turn (`Driver.turn`). Each is a transport to its protocol: `socket_transport`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
from collections.abc import Callable
from typing import Any, Final

from synfin.gateway.dialling import marked
from synfin.gateway.socket_transport import OnConnected, SocketTransport

READY: Final = 256  # sockets served in a turn; then the device is read again


def can_be_had(loop: asyncio.AbstractEventLoop) -> bool:
    """There is epoll, and the loop's connections are the kernel's: neither a simulation's nor a faster loop's own."""
    call = getattr(loop.create_connection, "__func__", None)
    return hasattr(select, "epoll") and call is asyncio.BaseEventLoop.create_connection


class Sockets:
    """All of one gateway. turn: runs what it is given, and carries on what came of it. mark: of each (SO_MARK).

    read_size: how many bytes to read at once.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        turn: Callable[[Callable[[], None]], None],
        read_size: Callable[[], int],
        mark: int = 0,
    ) -> None:
        self.read_size = read_size
        self._loop = loop
        self._turn = turn
        self._mark = mark
        self._epoll: Any = select.epoll()  # type: ignore[attr-defined,unused-ignore]  # Linux
        self._open: dict[int, SocketTransport] = {}
        self._after: list[Callable[[], None]] = []  # what the batch under way has put off until its end
        self._in_batch = False
        loop.add_reader(self._epoll.fileno(), self._on_ready)

    def __len__(self) -> int:
        return len(self._open)

    def close(self) -> None:
        """Watch no more. Those that are open are closed."""
        for one in list(self._open.values()):
            one.abort()
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def connect(
        self, protocol: asyncio.Protocol, address: str, port: int, on_connected: OnConnected
    ) -> SocketTransport:
        """Begin to connect. Raises OSError.

        While it connects, `on_connected` will be told how that ended, None: it stands. One on this machine may stand at
        once, or be refused. The protocol's connection_made comes before either is known to the caller.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        one = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)  # type: ignore[attr-defined,unused-ignore]  # Linux
        try:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            marked(one, self._mark)
            code = _connect(one, (address, port))
            if code not in (0, errno.EALREADY):
                raise OSError(code, os.strerror(code))
            transport = SocketTransport(self, one, protocol, on_connected if code else None)
            self._open[one.fileno()] = transport
            transport.begin()
        except BaseException:
            self._open.pop(one.fileno(), None)
            one.close()
            raise
        return transport

    def add(self, descriptor: int, events: int) -> None:
        """Wait for these of a new socket; for an error or a hang-up always."""
        self._epoll.register(descriptor, events)

    def watch(self, descriptor: int, events: int) -> None:
        """Wait for these from now on."""
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Wait for nothing of it: a hang-up would be told again and again."""
        self._epoll.unregister(descriptor)

    def leave(self, descriptor: int) -> None:
        """It is about to be closed, and epoll forgets it by itself."""
        self._open.pop(descriptor, None)

    def later(self, call: Callable[[], None]) -> None:
        """In no user's call: at the end of the batch, or at the loop's next turn."""
        if self._in_batch:
            self._after.append(call)
        else:
            self._loop.call_soon(call)

    def _on_ready(self) -> None:
        self._turn(self._batch)

    def _batch(self) -> None:
        self._in_batch = True
        try:
            for descriptor, events in self._epoll.poll(0, READY):
                one = self._open.get(descriptor)
                if one is not None:  # it may have been closed by one before it
                    self._serve(one, events)
            while self._after:
                calls, self._after = self._after, []
                for call in calls:
                    call()
        finally:
            self._in_batch = False

    def _serve(self, one: SocketTransport, events: int) -> None:
        try:
            one.on_events(events)
        except Exception as problem:
            self._loop.call_exception_handler(
                {"message": "a protocol failed, and its connection is reset", "exception": problem, "transport": one}
            )
            one.abort()


def _connect(one: socket.socket, place: tuple[str, int]) -> int:
    """connect(2): 0: it stands, EALREADY: it connects, else why it does not.

    Over the loopback the answer to a SYN has come before the call that sent it returns, and a second call knows of it.
    """
    code = one.connect_ex(place)
    return one.connect_ex(place) if code == errno.EINPROGRESS else code
