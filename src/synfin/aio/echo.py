"""Pings to any destination, given to whoever can find out whether it is there. RFC 792, RFC 4443."""

from __future__ import annotations

from collections.abc import Callable

from synfin.aio.engine import Engine
from synfin.aio.socket_face import socket_name
from synfin.stack.admission import unreachable


class Echo:
    """A ping that came in for `dst`, from `src`."""

    def __init__(self, engine: Engine, packet: bytes, body: bytes) -> None:
        self._engine = engine
        self._packet = packet
        four = packet[0] >> 4 == 4
        self.src: str = socket_name(packet[12:16] if four else packet[8:24], 0)[0]
        self.dst: str = socket_name(packet[16:20] if four else packet[24:40], 0)[0]
        self.identifier: int = int.from_bytes(body[4:6], "big")
        self.sequence: int = int.from_bytes(body[6:8], "big")
        self.data: bytes = body[8:]

    def answer(self) -> None:
        """It has arrived: the answer has the same identifier, sequence number and data."""
        if self._engine.is_open():
            self._engine.stack.answer_echo(self._packet)
            self._engine.driver.schedule_flush()

    def unreachable(self, code: int) -> None:
        """It can't arrive. Raises ValueError for an errno that ICMP has no words for (see `unreachable`)."""
        unreachable(code)
        if self._engine.is_open():
            self._engine.stack.unreachable(code, self._packet, self._engine.clock())
            self._engine.driver.schedule_flush()


def serve_echo(engine: Engine, on_echo: Callable[[Echo], object]) -> None:
    """Give each ping for an address that is not the host's own to `on_echo`."""

    def take(packet: bytes, body: bytes) -> None:
        try:
            on_echo(Echo(engine, packet, body))
        except Exception as problem:
            engine.loop.call_exception_handler({"message": f"{on_echo!r} failed", "exception": problem})

    engine.stack.icmp_input.on_echo = take
