"""How fast a simulated network runs: unmodified asyncio programs in synfin.sim.

`clock` is the machine's, taken by name before any simulation begins; inside, `time` is virtual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter as clock

from bench.setting import Setting, finish
from bench.users import CHUNK

HOSTS = 100
PORT = 80
MINUTE_US = 60_000_000
REQUESTS = 10  # of a test, one a second


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends back each line; what is no line it takes in."""
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            if data.endswith(b"\n"):
                writer.write(data)
    writer.close()


async def server() -> None:
    """For ever."""
    listening = await asyncio.start_server(serve, port=PORT)
    await listening.serve_forever()


def sim_bulk_segments(setting: Setting) -> None:
    """Segments a second, both ways and lost ones included, of one bulk transfer over a link that loses 1 %."""
    from synfin.sim import Network

    network = Network(seed=1, keep_events=0)
    _ = network.host("server").start(server)
    client = network.host("client")
    network.link("client", "server", delay="10ms", loss=0.01)

    async def send() -> float:
        _, writer = await asyncio.open_connection("server", PORT)

        async def run_for(seconds: float) -> float:
            begun, before = clock(), network.packets
            while (elapsed := clock() - begun) < seconds:
                writer.write(CHUNK)
                await writer.drain()
            return (network.packets - before) / elapsed

        await run_for(setting.warm)
        value = await run_for(setting.seconds)
        writer.transport.abort()
        return value

    async def main() -> float:
        value: float = await client.start(send())
        return value

    finish(network.run(main()))


def sim_keepalive(setting: Setting) -> None:
    """Virtual seconds a second for 100 hosts in a ring, each connected with the next; keep-alives after a minute."""
    from synfin.sim import Network
    from synfin.tcp.config import Config

    network = Network(seed=1, keep_events=0, time_limit="10000d")
    config = Config(keepalive_idle_us=MINUTE_US)
    hosts = [network.host(f"host{number}", config=config) for number in range(HOSTS)]

    async def hold(peer: str) -> None:
        reader, _ = await asyncio.open_connection(peer, PORT)
        await reader.read()

    async def run_for(seconds: float) -> float:
        begun, before = clock(), network.now
        while (elapsed := clock() - begun) < seconds:
            await network.after("1min")
        return (network.now - before) / elapsed

    async def main() -> float:
        _ = [host.start(server) for host in hosts]
        await network.after("1s")
        _ = [host.start(hold(f"host{(number + 1) % HOSTS}")) for number, host in enumerate(hosts)]
        await run_for(setting.warm)
        value = await run_for(setting.seconds)
        if any(host.host.stack.census()["connections"] != 2 for host in hosts):
            raise RuntimeError("a connection did not last")
        return value

    finish(network.run(main()))


def sim_tests(setting: Setting) -> None:
    """Tests a minute: a new network as the fixture makes it, ten requests in ten virtual seconds over a bad link."""
    from synfin.sim import Network

    async def talk() -> None:
        reader, writer = await asyncio.open_connection("server", PORT)
        for number in range(REQUESTS):
            writer.write(b"request %d\n" % number)
            await reader.readline()
            await asyncio.sleep(1)
        writer.close()
        await writer.wait_closed()

    def test(seed: int) -> None:
        network = Network(seed=seed)
        _ = network.host("server").start(server)
        client = network.host("client")
        network.link("client", "server", delay="20ms", jitter="5ms", loss=0.02, bandwidth="10Mbit/s", queue="64KB")

        async def main() -> None:
            await client.start(talk())

        network.run(main())
        if network.now < REQUESTS:
            raise RuntimeError(f"the test lasted {network.now} seconds")

    def run_for(seconds: float) -> float:
        begun, tests = clock(), 0
        while (elapsed := clock() - begun) < seconds:
            test(tests)
            tests += 1
        return tests * 60 / elapsed

    run_for(setting.warm)
    finish(run_for(setting.seconds))


MEASURES: dict[str, Callable[[Setting], None]] = {
    "sim_bulk_segments": sim_bulk_segments,
    "sim_keepalive": sim_keepalive,
    "sim_tests": sim_tests,
}
