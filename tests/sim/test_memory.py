"""A network that has run can be looked at, and whoever drops it has its memory at once."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from synfin.sim import Network, SimulationError
from synfin.sim.host import SimHost
from tests.sim.programs import ask, echo, two


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def begin(**settings: Any) -> tuple[Network, SimHost]:
    network = Network(1, **settings)
    server, client = two(network, delay="20ms", jitter="5ms", loss=0.02)
    server.start(echo)
    return network, client


def talk(network: Network, client: SimHost) -> None:
    async def main() -> None:
        await network.after("1s")
        assert await client.start(ask("server", b"text")) == b"text"

    network.run(main())


def parts(network: Network) -> list[Any]:
    hosts = [host.host for host in network.hosts.values()]
    return [weakref.ref(part) for part in (network, network.loop, *hosts)]


@pytest.mark.parametrize(
    "settings",
    [{}, {"shuffle": True, "keep_faults": True}, {"swarm": True}, {"keep_events": 0}],
    ids=str,
)
def test_a_network_that_has_run_is_freed_when_it_is_dropped(settings: dict[str, Any]) -> None:
    network, client = begin(**settings)
    talk(network, client)
    left = parts(network)
    del network, client
    assert [part() for part in left] == [None] * len(left)


def test_a_network_that_was_closed_without_a_run_is_freed_when_it_is_dropped() -> None:
    network, client = begin()
    network.close()
    left = parts(network)
    del network, client
    assert [part() for part in left] == [None] * len(left)


def test_what_a_run_leaves_can_be_looked_at_and_begins_nothing_any_more() -> None:
    network, client = begin()
    talk(network, client)
    assert network.now == pytest.approx(1.0, abs=0.1)
    assert network.direction("client", "server").sent > 3
    assert client.host.stack.counters.ActiveOpens == 1
    assert "client" in network.report()
    with pytest.raises(RuntimeError, match="closed"):
        network.loop.call_soon(print)
    with pytest.raises(SimulationError, match="over"):
        client.restart()
    assert asyncio.isfuture(network.loop.create_future())
