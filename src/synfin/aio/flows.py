"""UDP to any destination: a transport and a protocol of its own for each pair of a sender and whom he sends to.

The first datagram waits in its flow until the protocol has begun; so do those behind it, in bounded number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context

from synfin.aio.admitting import OnDatagram, ask, checked
from synfin.aio.datagram import DatagramTransport
from synfin.aio.engine import Engine
from synfin.stack.admission import ACCEPT
from synfin.stack.datagrams import DatagramPort


class FlowServer:
    """Made by Host.create_datagram_server. on_datagram: None: each flow is welcome."""

    def __init__(
        self,
        engine: Engine,
        factory: Callable[[], asyncio.DatagramProtocol],
        on_datagram: OnDatagram | None,
    ) -> None:
        self._engine = engine
        self._factory = factory
        self._on_datagram = on_datagram
        self._context = copy_context()
        engine.stack.datagrams.ask = self._ask
        engine.serve_flows = self._serve

    def is_serving(self) -> bool:
        """New flows are taken."""
        return self._engine.stack.datagrams.ask == self._ask

    def close(self) -> None:
        """Take no more; those that there are go on."""
        if self.is_serving():
            self._engine.stack.datagrams.ask = None

    def _ask(self, key: bytes) -> int:
        judge = self._on_datagram
        return ACCEPT if judge is None else checked(self._engine, judge, ask(self._engine, judge, key))

    def _serve(self, port: DatagramPort) -> None:
        context = self._context.copy()
        try:
            protocol = context.run(self._factory)
        except Exception as problem:
            self._engine.stack.close_datagrams(port)
            self._engine.loop.call_exception_handler(
                {"message": "the protocol factory of a datagram server failed", "exception": problem}
            )
            return
        DatagramTransport(self._engine, port, protocol, context).begin()
