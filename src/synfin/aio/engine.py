"""A Stack with what runs it, and its users served: what everything else of a Host stands on.

It knows its users by two small classes (`users`), and no more of them. Rule for the next editor: nothing here knows a
transport, a server or a Host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from threading import get_ident

from synfin.aio.driver import Driver
from synfin.aio.users import Door, User
from synfin.links.link import Link
from synfin.links.tunnel import TunnelLink
from synfin.stack.datagrams import DatagramPort
from synfin.stack.stack import Stack
from synfin.tcp import errors
from synfin.tcp.connection import Connection
from synfin.tcp.listener import Listener


@lru_cache(maxsize=1024)
def _text(address: bytes) -> str:
    """As people write it. Hosts of a simulation have the same again and again."""
    return str(ip_address(address))


class Engine:
    """One per Host. link, verify_checksums, busy_poll: see Host. on_lost: the link is gone."""

    def __init__(
        self,
        stack: Stack,
        link: Link | TunnelLink | None,
        verify_checksums: bool,
        on_lost: Callable[[OSError], None],
        busy_poll: int = 0,
    ) -> None:
        self.stack = stack
        self.driver = Driver(stack, link, verify_checksums, self.serve, on_lost, busy_poll)
        self.clock = self.driver.clock
        self.serve_flows: Callable[[DatagramPort], None] | None = None  # takes each UDP flow that begins
        self._doors: dict[Listener, Door] = {}
        self._ports: dict[DatagramPort, User] = {}

    def __repr__(self) -> str:
        addresses = ", ".join(sorted([_text(address) for address in self.stack.addresses]))
        return f"<synfin Host {self.stack.name} {addresses}{' closed' if self.driver.closed else ''}>"

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop it runs on; RuntimeError before it was opened."""
        loop = self.driver.loop
        if loop is None:
            raise RuntimeError(f"{self!r} is not open: use `async with Host(...)`")
        return loop

    def is_open(self) -> bool:
        """It runs on a loop."""
        return self.driver.loop is not None and not self.driver.closed

    def check_open(self) -> None:
        """RuntimeError unless it is."""
        if not self.is_open():
            raise RuntimeError(f"{self!r} is not open: use `async with Host(...)`")

    def check_thread(self) -> None:
        """RuntimeError before it was opened, and in any thread but that of the loop while it runs."""
        loop = self.loop
        if getattr(loop, "_thread_id", None) == get_ident():
            return  # asyncio's own loops know where they run; asking for the running one is a system call (getpid)
        if asyncio._get_running_loop() is not loop and loop.is_running():
            raise RuntimeError(f"{self!r} runs in another thread: use loop.call_soon_threadsafe() there")

    def closed_error(self) -> OSError:
        """Why what a user holds ends with its host."""
        return errors.oserror(errors.ABORTED, f"{self!r} was closed")

    # ---- users ----

    def serve(self) -> None:
        """Give to each user one thing of what the stack has for it."""
        stack = self.stack
        more: list[Connection | DatagramPort] = []
        while (listener := stack.accepting()) is not None:
            door = self._doors.get(listener)
            if door is not None:
                door.serve(listener)
                continue
            while (connection := listener.accept()) is not None:
                self.abort(connection)
        while (ready := stack.ready()) is not None:
            events = ready.take_events()
            user = ready.user
            if isinstance(user, User) and user.serve(events):
                more.append(ready)
        while (begun := stack.datagrams_begun()) is not None:
            if self.serve_flows is not None:
                self.serve_flows(begun)
            else:
                stack.close_datagrams(begun)
        while (port := stack.datagrams_ready()) is not None:
            if isinstance(port.user, User) and port.user.serve(0):
                more.append(port)
        for one in more:
            one.remind()

    def abort(self, connection: Connection, error: BaseException | None = None) -> None:
        """Reset a connection. Its user, if there is one, is told at the next turn; `error` says why."""
        user = connection.user
        if isinstance(user, User):
            user.end(error)
        connection.abort(self.clock())
        connection.remind()
        self.driver.schedule_serve()

    def drop(self, connection: Connection) -> None:
        """End a connection in order that has no user, or has him no more."""
        connection.user = None
        connection.close(self.clock())
        self.driver.schedule_flush()

    def listen(self, listener: Listener, door: Door) -> None:
        """Give what `listener` accepts to `door`."""
        self._doors[listener] = door

    def close_listener(self, listener: Listener) -> None:
        """Listen no more; what nobody accepted is reset."""
        self._doors.pop(listener, None)
        self.stack.close_listener(listener, self.clock())
        self.driver.schedule_flush()

    def hold_port(self, port: DatagramPort, user: User) -> None:
        """Give what comes to `port` to `user`."""
        port.user = user
        self._ports[port] = user

    def close_port(self, port: DatagramPort) -> None:
        """Give a datagram port back."""
        port.user = None
        self._ports.pop(port, None)
        self.stack.close_datagrams(port)

    # ---- the end ----

    def close_doors(self) -> None:
        """Listen no more."""
        for door in list(self._doors.values()):
            door.close()

    def abort_held(self) -> None:
        """Reset each connection that its user has not closed itself."""
        for connection in self.stack.connections():
            user = connection.user
            if not connection.closer.reader_gone and not (isinstance(user, User) and user.is_closing()):
                self.abort(connection, self.closed_error())

    def close(self) -> None:
        """End at once: every connection is reset, the link is closed."""
        if self.driver.loop is not None:
            self._end_all()
        self.driver.close()

    def stop(self) -> None:
        """The same, but nothing is sent."""
        self.driver.stop()
        if self.driver.loop is not None:
            self._end_all()
        self.stack.forget_output()

    def _end_all(self) -> None:
        self.close_doors()
        for user in list(self._ports.values()):
            user.end(None)
        for connection in self.stack.connections():
            self.abort(connection, None if connection.user is None else self.closed_error())
        self.stack.abort_all(self.clock())
        if not self.loop.is_closed():
            self.loop.call_soon(self.serve)  # connection_lost, outside of this call
