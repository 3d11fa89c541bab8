"""UDP ports of this machine that lead inwards: each client outside has an endpoint of the Host for itself."""

from __future__ import annotations

import asyncio
from typing import Any

from synfin.gateway.datagrams import Datagrams, Relayed
from synfin.gateway.flow import Place


async def publish_datagrams(flows: Datagrams, where: Place, place: Place) -> Any:
    """Hear what clients send to `where`, and hand it on to `place`. The transport; close() ends it. Raises OSError."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Published(flows, place), local_addr=where)
    return transport


class _Client:
    """What answers go to: one client of a port that all have in common."""

    def __init__(self, transport: Any, client: Any) -> None:
        self._transport = transport
        self._client = client

    def sendto(self, data: bytes) -> None:
        """An answer."""
        if not self._transport.is_closing():
            self._transport.sendto(data, self._client)

    def get_write_buffer_size(self) -> int:
        """Bytes that the kernel has not taken yet, of all clients."""
        size: int = self._transport.get_write_buffer_size()
        return size

    def close(self) -> None:
        """The port goes on."""


class _Published(asyncio.DatagramProtocol):
    """Clients by their address; each is forgotten when its flow has ended."""

    def __init__(self, flows: Datagrams, place: Place) -> None:
        self._flows = flows
        self._place = place
        self._clients: dict[Any, Relayed] = {}
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, client: Any) -> None:
        relayed = self._clients.get(client)
        if relayed is None or relayed.flow.ended is not None:
            relayed = self._begin(client)
        relayed.from_outside(data)

    def _begin(self, client: Any) -> Relayed:
        if len(self._clients) >= 2 * self._flows.limit:
            self._clients = {one: relayed for one, relayed in self._clients.items() if relayed.flow.ended is None}
        relayed = self._flows.from_client(client[:2], self._place)
        relayed.outer = _Client(self._transport, client)
        self._clients[client] = relayed
        self._flows.spawn(self._flows.reach_inside(relayed))
        return relayed
