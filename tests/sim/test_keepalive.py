"""An hour of idleness costs what happens in it, and nothing else."""

from __future__ import annotations

import asyncio

from synfin.sim import Network
from synfin.tcp.config import Config
from tests.sim.programs import PORT

CONNECTIONS = 1000
IDLE_SECONDS = 900
HOUR = 3600


def test_an_hour_of_keep_alive_on_a_thousand_connections_with_every_timer_accounted_for() -> None:
    network = Network(1, keep_events=0)
    # All of them probe in the same second: a probe's answer draws on no limit but its connection's.
    server = network.host("server", config=Config(challenge_ack_limit=1))
    client = network.host("client", config=Config(keepalive_idle_us=IDLE_SECONDS * 1_000_000))
    network.link("client", "server", delay="10ms")
    transports: list[asyncio.Transport] = []

    async def serve() -> None:
        await asyncio.get_running_loop().create_server(asyncio.Protocol, port=PORT, backlog=CONNECTIONS)

    async def connect() -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "server", PORT)
        transports.append(transport)

    async def main() -> None:
        await server.start(serve())
        await asyncio.gather(*(client.start(connect()) for _ in range(CONNECTIONS)))
        await network.after("1s")
        assert network.packets == 3 * CONNECTIONS
        assert client.host.stack.census()["timers"] == CONNECTIONS
        await network.after(HOUR)
        # The timer begins anew when a probe's answer has come, a round trip later.
        probes = CONNECTIONS * int(network.now // (IDLE_SECONDS + 0.02))
        assert client.host.stack.counters.as_dict()["TCPKeepAlive"] == probes
        assert network.packets == 3 * CONNECTIONS + 2 * probes
        assert client.host.stack.census()["timers"] == CONNECTIONS
        assert server.host.stack.census()["timers"] == 0
        for transport in transports:
            transport.close()
        await network.after(200)  # TIME-WAIT
        for host in (client, server):
            left = host.host.stack.census()
            assert {name: count for name, count in left.items() if count} == (
                {"listeners": 2} if host is server else {}
            )

    network.run(main())
