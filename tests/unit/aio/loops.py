"""A loop of loop_factory, whose networks are a Host's, and another Host on its network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import synfin
from synfin.aio.host import Host

T = TypeVar("T")

OURS = "10.5.0.2"
PEER = "10.5.0.1"


def run_on(
    main: Callable[[Host, Host], Coroutine[Any, Any, T]],
    routes: list[str] | None = None,
    ends_itself: bool = False,
    **options: Any,
) -> T:
    """Run main(host, peer) on a loop whose networks are a Host's; `peer` is another Host on its network.

    ends_itself: main closes the loop's host.
    """
    host = Host(f"{OURS}/24", send=lambda packet: peer.receive(packet) if peer.is_open() else None)
    peer = Host(f"{PEER}/24", send=lambda packet: host.receive(packet) if host.is_open() else None)

    async def with_peer() -> T:
        async with peer:
            return await main(host, peer)

    with asyncio.Runner(loop_factory=synfin.loop_factory(host, routes, **options)) as runner:
        result = runner.run(with_peer())
        assert host.is_open() or ends_itself
    assert host.is_closed(), "the runner's end is the host's"
    return result


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read())
    writer.close()


async def ask(address: str, port: int, **options: Any) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection(address, port, **options)
    writer.write(b"hello")
    writer.write_eof()
    assert await reader.read() == b"hello"
    writer.close()
    return writer
