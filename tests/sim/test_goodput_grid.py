"""Goodput in virtual time, cell by cell: loss, round trip and reordering, for each control; no cell stalls.

`goodput_grid.txt` beside this file is the reviewed snapshot of all cells, with what theory allows. A cell of today must
reach most of what stands there. `python -m tests.sim.test_goodput_grid` writes it anew: read the difference before you
commit it.
"""

from __future__ import annotations

import asyncio
import math
import random
from itertools import product
from pathlib import Path

import pytest

from synfin.sim import PASS, Delay, Network
from synfin.tcp.config import Config

SNAPSHOT = Path(__file__).with_name("goodput_grid.txt")
LINK_MBIT = 10
CONTROLS = ("reno", "cubic", "bbr")
LOSSES = (0.0, 0.001, 0.01, 0.03, 0.1, 0.2, 0.3)
ROUND_TRIPS_MS = (1, 20, 200)
REORDERED = (0.0, 0.1)  # of all packets come ten milliseconds late
SEEDS = (1, 2)
SEEDS_OF_FEW_LOSSES = range(1, 9)  # where a megabyte meets one or none
SIZE = 1_000_000
PATIENCE_S = 1200
MSS = 1448
AT_LEAST = 0.6  # of the snapshot: two seeds of a random process, after a harmless change of its packets
AT_LEAST_BY_TIMEOUTS = 0.2  # from 20 % on each way chance alone decides when a timeout comes

Cell = tuple[str, float, int, float]  # control, loss, round trip, reordered
CELLS = list(product(CONTROLS, LOSSES, ROUND_TRIPS_MS, REORDERED))


def goodput(cell: Cell, seed: int) -> float:
    """Mbit/s of one connection over 10 Mbit/s and a queue of one bandwidth-delay product; 0.0: not done in time."""
    control, loss, rtt, late = cell
    config = Config(congestion_control=control, retries=100, syn_retries=20, synack_retries=20)
    network = Network(seed)
    server, client = network.host("server", config=config), network.host("client", config=config)
    queue = max(30_000, LINK_MBIT * 125 * rtt)
    network.link("client", "server", delay=f"{rtt / 2}ms", bandwidth=f"{LINK_MBIT}Mbit/s", queue=f"{queue}B", loss=loss)
    if late:
        draw = random.Random(seed)
        network.rule(lambda _: Delay("10ms") if draw.random() < late else PASS)
    got = [0]
    took = [0.0]

    async def serve() -> None:
        async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(1 << 16):
                got[0] += len(data)
                if got[0] == SIZE:
                    took[0] = asyncio.get_running_loop().time() - begun
            writer.close()

        await (await asyncio.start_server(sink, "0.0.0.0", 7)).serve_forever()

    async def send() -> None:
        _, writer = await asyncio.open_connection("server", 7)
        writer.write(bytes(SIZE))
        writer.close()
        await writer.wait_closed()

    begun = 0.0

    async def main() -> None:
        nonlocal begun
        server.start(serve)
        await network.after("1ms")
        begun = asyncio.get_running_loop().time()
        client.start(send)
        while not took[0] and asyncio.get_running_loop().time() - begun < PATIENCE_S:
            await network.after("100ms")
        client.crash()
        server.crash()

    network.run(main())
    return SIZE * 8 / took[0] / 1e6 if took[0] else 0.0


def theory(cell: Cell) -> float:
    """What the response function of Reno (Mathis) or CUBIC (RFC 9438 5.1) gives for long flows, at most the link."""
    control, loss, rtt, _ = cell
    if loss == 0.0 or control == "bbr":
        return float(LINK_MBIT)
    seconds = rtt / 1000
    reno = MSS * 8 / seconds * math.sqrt(1.5 / loss) / 1e6
    cubic = MSS * 8 / seconds * 1.054 * (seconds / loss) ** 0.75 / 1e6
    return min(float(LINK_MBIT), reno if control == "reno" else max(reno, cubic))


def measured(cell: Cell) -> float:
    seeds = SEEDS_OF_FEW_LOSSES if 0.0 < cell[1] < 0.01 else SEEDS
    rates = [goodput(cell, seed) for seed in seeds]
    return len(rates) / sum(1 / rate for rate in rates) if all(rates) else 0.0


def name(cell: Cell) -> str:
    control, loss, rtt, late = cell
    return f"{control:6}{loss * 100:6.1f} %{rtt:5} ms{late * 100:5.0f} % late"


WIDTH = len(name(CELLS[0]))


def snapshot() -> dict[str, float]:
    lines = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    return {line[:WIDTH]: float(line[WIDTH:].split()[0]) for line in lines if line[:5].strip() in CONTROLS}


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("rtt", ROUND_TRIPS_MS)
def test_each_cell_reaches_what_the_snapshot_says(control: str, rtt: int) -> None:
    expected = snapshot()
    for cell in CELLS:
        if cell[0] == control and cell[2] == rtt:
            rate = measured(cell)
            part = AT_LEAST if cell[1] < 0.2 else AT_LEAST_BY_TIMEOUTS
            assert rate >= part * expected[name(cell)], f"{name(cell)}: {rate:.2f}, not {expected[name(cell)]}"


def test_the_snapshot_has_every_cell_and_none_stalls() -> None:
    assert snapshot().keys() == {name(cell) for cell in CELLS}
    assert all(snapshot().values())


def main() -> None:
    lines = [f"Mbit/s of {SIZE:,} bytes over {LINK_MBIT} Mbit/s; theory: of a long flow, at most the link", ""]
    for cell in CELLS:
        lines.append(f"{name(cell)}{measured(cell):8.2f}   theory {theory(cell):6.2f}")
        print(lines[-1], flush=True)
    SNAPSHOT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
