"""A program inside, a gateway, and a server outside: four hosts on two wires, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from synfin.aio.host import Host
from synfin.gateway import Flow, Gateway
from synfin.tcp.config import Config
from tests.unit.aio.hosts import Wire

FAR = "93.184.216.34"
FAR6 = "2001:db8::1"


class World:
    """inside -- gate | near -- far. dialled: where the gateway has gone. ended: the flows that are over."""

    def __init__(self, config: Config | None = None) -> None:
        self.inner, self.outer = Wire(), Wire()
        self.dialled: list[tuple[str, int]] = []
        self.opened: list[Flow] = []
        self.ended: list[Flow] = []
        seed = iter(range(1, 9))

        def host(addresses: list[str], send: Callable[[bytes], object], name: str, **options: Any) -> Host:
            return Host(addresses, send=send, name=name, entropy=random.Random(next(seed)).randbytes, **options)

        self.inside = host(["10.0.0.2", "fd00::2"], self.inner.from_client, "client", config=config)
        self.gate = host(
            ["10.0.0.1"], self.inner.from_server, "server", any_destination=True, config=Config(icmp_ratelimit_us=0)
        )
        self.near = host(["198.51.100.1", "2001:db8:1::1"], self.outer.from_client, "client", config=config)
        self.far = host([FAR, FAR6], self.outer.from_server, "server")
        self.inner.join(self.inside, self.gate)
        self.outer.join(self.near, self.far)

    async def dial(self, factory: Any, address: str, port: int) -> Any:
        self.dialled.append((address, port))
        return await self.near.create_connection(factory, address, port)

    async def dial_datagrams(self, factory: Any, remote_addr: Any) -> Any:
        self.dialled.append(remote_addr)
        return await self.near.create_datagram_endpoint(factory, remote_addr=remote_addr)

    def gateway(self, **options: Any) -> Gateway:
        chosen = {
            "dial": self.dial,
            "dial_datagrams": self.dial_datagrams,
            "on_open": self.opened.append,
            "on_end": self.ended.append,
        }
        return Gateway(self.gate, **(chosen | options))


@asynccontextmanager
async def world(config: Config | None = None, **options: Any) -> AsyncIterator[tuple[World, Gateway]]:
    """All of it, for the time of the block."""
    scene = World(config)
    async with scene.inside, scene.gate, scene.near, scene.far, scene.gateway(**options) as gateway:
        yield scene, gateway


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends back all that came, once it has all come."""
    with suppress(OSError):
        writer.write(await reader.read())
    writer.close()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Answering(asyncio.DatagramProtocol):
    """Sends each datagram back in capitals."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, Any]] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.heard.append((data, address[:2]))
        self.transport.sendto(data.upper(), address[:2])


class Asking(asyncio.DatagramProtocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.heard.append(data)

    def error_received(self, exc: Exception) -> None:
        assert isinstance(exc, OSError)
        self.heard.append(exc.errno)
