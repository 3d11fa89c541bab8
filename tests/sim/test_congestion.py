"""One upload over 100 Mbit/s and 20 ms, by the whole stack in virtual time: each congestion control fills the path."""

from __future__ import annotations

import asyncio
import functools
import statistics
from collections.abc import Callable
from typing import Any

import pytest

from synfin.sim import Network
from synfin.tcp.config import Config
from synfin.tcp.congestion.base import CongestionControl
from synfin.tcp.congestion.bbr import BBR

SIZE = 10_000_000
BDP = "250KB"
TENTH = "25KB"


def mbit(
    control: str | Callable[[int], CongestionControl],
    loss: float,
    queue: str,
    *,
    seed: int = 1,
    size: int = SIZE,
    mark: float = 0.0,
    **settings: Any,
) -> float:
    """The rate of one upload, from its SYN to the last byte acknowledged."""
    network = Network(seed)

    async def serve() -> None:
        async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1 << 20):
                pass
            writer.close()
            await writer.wait_closed()

        await (await asyncio.start_server(sink, port=7)).serve_forever()

    async def upload() -> None:
        reader, writer = await asyncio.open_connection("server", 7)
        writer.write(bytes(size))
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async def main() -> float:
        config = Config(congestion_control=control, **settings)
        server, client = network.host("server", config=config), network.host("client", config=config)
        network.link("client", "server", delay="10ms", loss=loss, mark=mark, bandwidth="100Mbit/s", queue=queue)
        server.start(serve)
        await network.after("1s")
        began = network.now
        await client.start(upload())
        return size * 8 / 1e6 / (network.now - began)

    return network.run(main())


@pytest.mark.parametrize(
    ("control", "loss", "queue", "least"),
    [
        ("cubic", 0.0, BDP, 80),
        ("cubic", 0.0, TENTH, 70),
        ("reno", 0.0, BDP, 80),
        ("bbr", 0.0, BDP, 75),
        ("bbr", 0.0, TENTH, 65),
        ("bbr", 0.001, BDP, 75),
        ("bbr", 0.01, BDP, 60),
    ],
)
def test_one_upload_fills_the_path(control: str, loss: float, queue: str, least: float) -> None:
    assert mbit(control, loss, queue) > least


def test_bbr_with_a_raised_threshold_fills_a_path_that_loses_three_percent() -> None:
    assert mbit(functools.partial(BBR, loss_thresh=0.5), 0.03, BDP) > 65


@pytest.mark.parametrize(("control", "loss", "size"), [("reno", 0.01, 1_500_000), ("reno", 0.03, 1_000_000)])
def test_small_windows_lose_nothing_by_pacing(control: str, loss: float, size: int) -> None:
    # the ACKs are their pace: what each lets out goes with it, and adds nothing to the round trip
    ratios = []
    for seed in range(1, 9):
        paced, unpaced = (mbit(control, loss, BDP, seed=seed, size=size, pacing=pacing) for pacing in (True, False))
        ratios.append(paced / unpaced)
    assert statistics.geometric_mean(ratios) > 0.96


def test_a_path_that_marks_every_packet_does_not_hold_up_who_counts_marks() -> None:
    # RFC 9768 3.2.2.3; with one bit (RFC 3168) nobody can tell that no packet comes unmarked
    assert mbit("cubic", 0.0, BDP, mark=1.0, ecn="accurate") > 25
    assert mbit("cubic", 0.0, BDP, mark=1.0, ecn="on", size=300_000) < 1


@pytest.mark.parametrize("control", ["reno", "cubic"])
@pytest.mark.parametrize(("pacing", "begins_anew"), [(True, False), (False, True)])
def test_after_a_pause_a_paced_writer_is_as_fast_as_before_it(control: str, pacing: bool, begins_anew: bool) -> None:
    # RFC 7661: what cwnd lets out after a pause is spread, so that it need not be found again by slow start
    network = Network(1)
    size = 500_000

    async def serve() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.readexactly(size):
                writer.write(b"!")

        await (await asyncio.start_server(answer, port=7)).serve_forever()

    async def upload() -> list[float]:
        reader, writer = await asyncio.open_connection("server", 7)
        took = []
        for _ in range(3):
            await network.after("10s")
            began = network.now
            writer.write(bytes(size))
            await reader.readexactly(1)
            took.append(network.now - began)
        writer.transport.abort()
        return took

    async def main() -> list[float]:
        config = Config(congestion_control=control, pacing=pacing)
        server, client = network.host("server", config=config), network.host("client", config=config)
        network.link("client", "server", delay="50ms", bandwidth="100Mbit/s", queue="1MB")
        server.start(serve)
        await network.after("1s")
        return await client.start(upload())

    first, *others = network.run(main())
    for took in others:
        assert (took > 0.8 * first) is begins_anew, f"{first:.3f} s, then {took:.3f}"
        assert begins_anew or took < 0.5 * first
