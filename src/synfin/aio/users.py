"""Whom an engine serves: a `User` holds a connection or a datagram port, a `Door` stands behind a listener.

Apart from the engine, since that is compiled: a compiled class has a layout of its own, and transports, which are
users, have that of asyncio's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from synfin.tcp.listener import Listener


class User:
    """Whoever a connection, or a datagram port, has for its `user`.

    No ABC: at every turn somebody is asked whether he is one, and an ABC answers six times slower.
    """

    __slots__ = ()

    def serve(self, events: int) -> bool:
        """Take one thing of what there is; True: there is more, for the turn after those who were woken by it.

        events: as of Connection.take_events(), 0 of a datagram port.
        """
        raise NotImplementedError

    def is_closing(self) -> bool:
        """What it holds is given up, and may still have something to deliver."""
        raise NotImplementedError

    def end(self, error: BaseException | None) -> None:
        """It ends under its user's hands, by `error`."""
        raise NotImplementedError


class Door(ABC):
    """Whoever takes the connections that a listener accepts."""

    @abstractmethod
    def serve(self, listener: Listener) -> None:
        """Handshakes with `listener` are complete; what it accepts is the door's from then on."""

    @abstractmethod
    def close(self) -> None:
        """Take no more, and give the listener back by `Engine.close_listener`."""
