"""Flows that share one link: what each gets, by Jain's index (1: all the same; 1/n: one has it all)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from synfin.sim import Network

PORT = 7
LINK_MBIT = 5.0
SECONDS = 20


def shares(controls: list[str]) -> list[float]:
    """Mbit/s of each flow in the second half of SECONDS, over 5 Mbit/s, 20 ms and a queue of one such round trip."""
    network = Network(1)
    server, client = network.host("server"), network.host("client")
    network.link("client", "server", delay="10ms", bandwidth=f"{LINK_MBIT}Mbit/s", queue="12500B")
    got = [0] * len(controls)
    before = list(got)

    async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = (await reader.readexactly(1))[0]
        while data := await reader.read(1 << 20):
            got[number] += len(data)
        writer.close()

    async def serve() -> None:
        await (await asyncio.start_server(sink, "0.0.0.0", PORT)).serve_forever()

    async def send(number: int, control: str) -> None:
        _, writer = await asyncio.open_connection("server", PORT)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
        writer.write(bytes([number]))
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()

    async def main() -> None:
        server.start(serve)
        await network.after("1ms")
        for number, control in enumerate(controls):
            client.start(lambda number=number, control=control: send(number, control))  # type: ignore[misc]
        await network.after(f"{SECONDS // 2}s")
        before[:] = got
        await network.after(f"{SECONDS // 2}s")
        client.crash()
        server.crash()

    network.run(main())
    return [(after - earlier) * 16 / SECONDS / 1e6 for earlier, after in zip(before, got, strict=True)]


def jain(values: list[float]) -> float:
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


@pytest.mark.parametrize("control", ["reno", "cubic", "bbr"])
def test_two_flows_of_one_control_share_a_link_and_fill_it(control: str) -> None:
    rates = shares([control] * 2)
    assert jain(rates) > 0.9 and sum(rates) > 0.85 * LINK_MBIT, rates


def test_ten_flows_of_cubic_share_a_link_and_fill_it() -> None:
    rates = shares(["cubic"] * 10)
    assert jain(rates) > 0.8 and sum(rates) > 0.85 * LINK_MBIT, rates


def test_neither_cubic_nor_bbr_starves_the_other() -> None:
    rates = shares(["cubic", "bbr"])
    assert min(rates) > 0.15 * LINK_MBIT and sum(rates) > 0.85 * LINK_MBIT, rates


def test_a_relay_carries_both_directions_alike() -> None:
    network = Network(1)
    near, relay, far = network.host("near"), network.host("relay"), network.host("far")
    for side in ("near", "far"):
        network.link(side, "relay", delay="5ms", bandwidth="2Mbit/s", queue="10000B")
    got = {"near": 0, "far": 0}

    async def both_ways(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def write() -> None:
            while True:
                writer.write(bytes(1 << 16))
                await writer.drain()

        writing = asyncio.ensure_future(write())
        while data := await reader.read(1 << 16):
            got[name] += len(data)
        writing.cancel()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        beyond = await asyncio.open_connection("far", PORT)
        await asyncio.gather(pipe(reader, beyond[1]), pipe(beyond[0], writer))

    async def serve(handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
        await (await asyncio.start_server(handler, "0.0.0.0", PORT)).serve_forever()

    async def ask() -> None:
        await both_ways("near", *await asyncio.open_connection("relay", PORT))

    async def main() -> None:
        far.start(partial(serve, partial(both_ways, "far")))
        relay.start(partial(serve, carry))
        await network.after("1ms")
        near.start(ask)
        await network.after("5s")
        for host in (near, relay, far):
            host.crash()

    network.run(main())
    rates = [count * 8 / 5 / 1e6 for count in got.values()]
    assert jain(rates) > 0.99 and min(rates) > 1.2, rates
