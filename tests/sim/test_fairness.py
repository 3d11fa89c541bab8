"""Flows that share one link: what each gets, by Jain's index (1: all the same; 1/n: one has it all), and what a small
flow beside them sees of the queue.

`python -m tests.sim.test_fairness` prints the tables of docs/congestion.md.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import ceil
from statistics import fmean

import pytest

from synfin.sim import Network

PORT = 7
PING_PORT = 8
LINK_MBIT = 5.0
ONE_BDP = 12_500  # bytes: what LINK_MBIT carry in a round trip of 20 ms
SECONDS = 20


class Seen:
    """mbit: of each flow in the second half of the time. round_trips: of single bytes meanwhile, milliseconds."""

    def __init__(self, flows: int) -> None:
        self.mbit = [0.0] * flows
        self.round_trips: list[float] = []


def together(
    controls: Sequence[str], mbit: float = LINK_MBIT, queue: int = ONE_BDP, seed: int = 1, seconds: int = SECONDS
) -> Seen:
    """Flows without end over one link and 20 ms, each begun at some moment of the first second, by seed."""
    network = Network(seed)
    server, client = network.host("server"), network.host("client")
    network.link("client", "server", delay="10ms", bandwidth=f"{mbit}Mbit/s", queue=f"{queue}B")
    begins = random.Random(seed)
    got = [0] * len(controls)
    seen = Seen(len(controls))

    async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = (await reader.readexactly(1))[0]
        while data := await reader.read(1 << 20):
            got[number] += len(data)
        writer.close()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1):
            writer.write(data)
        writer.close()

    async def serve() -> None:
        sinks = await asyncio.start_server(sink, "0.0.0.0", PORT)
        echoes = await asyncio.start_server(echo, "0.0.0.0", PING_PORT)
        await asyncio.gather(sinks.serve_forever(), echoes.serve_forever())

    async def send(number: int, control: str, wait: float) -> None:
        await asyncio.sleep(wait)
        _, writer = await asyncio.open_connection("server", PORT)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
        writer.write(bytes([number]))
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()

    async def ping() -> None:
        reader, writer = await asyncio.open_connection("server", PING_PORT)
        while True:
            asked = asyncio.get_running_loop().time()
            writer.write(b"?")
            await reader.readexactly(1)
            seen.round_trips.append((asyncio.get_running_loop().time() - asked) * 1000)
            await asyncio.sleep(0.05)

    async def main() -> None:
        server.start(serve)
        await network.after("1ms")
        for number, control in enumerate(controls):
            client.start(partial(send, number, control, begins.random()))
        await network.after(f"{seconds // 2}s")
        before = list(got)
        client.start(ping)
        await network.after(f"{seconds // 2}s")
        seen.mbit = [(now - then) * 16 / seconds / 1e6 for now, then in zip(got, before, strict=True)]
        client.crash()
        server.crash()

    network.run(main())
    return seen


def shares(controls: Sequence[str], seed: int = 1) -> list[float]:
    return together(controls, seed=seed).mbit


def jain(values: list[float]) -> float:
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


@pytest.mark.parametrize("control", ["reno", "cubic", "bbr"])
def test_two_flows_of_one_control_share_a_link_and_fill_it(control: str) -> None:
    rates = shares([control] * 2)
    assert jain(rates) > 0.9 and sum(rates) > 0.85 * LINK_MBIT, rates


@pytest.mark.parametrize("control", ["reno", "cubic", "bbr"])
def test_ten_flows_of_one_control_share_a_link_and_fill_it(control: str) -> None:
    rates = shares([control] * 10)
    assert jain(rates) > 0.8 and sum(rates) > 0.85 * LINK_MBIT, rates


def test_neither_cubic_nor_bbr_starves_the_other() -> None:
    rates = shares(["cubic", "bbr"])
    assert min(rates) > 0.15 * LINK_MBIT and sum(rates) > 0.85 * LINK_MBIT, rates


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[ceil(share * len(values)) - 1]


def test_who_fills_the_queue_makes_others_wait_for_it_and_bbr_does_not() -> None:
    deep = 5 * ONE_BDP  # which takes 100 ms
    cubic = percentile(together(["cubic"], queue=deep).round_trips, 0.5)
    bbr = percentile(together(["bbr"], queue=deep).round_trips, 0.5)
    assert 60 < cubic < 125
    assert bbr < 35


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


# ---- the tables of docs/congestion.md ----

SEEDS = range(1, 6)
TABLE_MBIT = 20.0
TABLE_BDP = 50_000


def spread(values: Sequence[float]) -> str:
    """Median, smallest, and largest."""
    return f"{percentile(values, 0.5):.2f} ({min(values):.2f} to {max(values):.2f})"


def print_shares() -> None:
    print("| flows | queue | each, Mbit/s: mean of the slowest and of the fastest | together | Jain's index |")
    for controls in (*([control] * count for control in ("reno", "cubic", "bbr") for count in (2, 10)),
                     ["cubic", "bbr"], ["cubic"] * 5 + ["bbr"] * 5):  # fmt: skip
        for depth in (1, 5):
            runs = [together(controls, TABLE_MBIT, depth * TABLE_BDP, seed).mbit for seed in SEEDS]
            if len(set(controls)) == 1:
                name = f"{len(controls)} of {controls[0]}"
                parts = [[min(run) for run in runs], [max(run) for run in runs]]
            else:
                half = len(controls) // 2
                name = f"{half} of cubic beside {half} of bbr"
                parts = [[sum(run[:half]) / half for run in runs], [sum(run[half:]) / half for run in runs]]
            each = " and ".join(f"{fmean(part):.1f}" for part in parts)
            total = fmean(sum(run) for run in runs)
            index = spread([jain(run) for run in runs])
            print(f"| {name} | {depth} | {each} | {total:.1f} | {index} |", flush=True)


def print_latency() -> None:
    print("| one bulk flow of | queue 1: median, 95th percentile, ms | queue 5 |")
    for control in ("reno", "cubic", "bbr"):
        cells = []
        for depth in (1, 5):
            runs = [together([control], TABLE_MBIT, depth * TABLE_BDP, seed).round_trips for seed in SEEDS]
            waits = [wait for run in runs for wait in run]
            cells.append(f"{percentile(waits, 0.5):.0f} and {percentile(waits, 0.95):.0f}")
        print(f"| {control} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    print_shares()
    print_latency()
