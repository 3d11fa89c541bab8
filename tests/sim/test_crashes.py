"""A host that crashes is gone without a word; its peers find out, or not, as they would on any network."""

from __future__ import annotations

import asyncio
import contextlib
from contextvars import ContextVar

import pytest

from synfin.sim import Network, SimPacket, SimulationError
from synfin.tcp.config import Config
from tests.sim.programs import PORT, ask, echo, two


async def talk(lines: list[bytes], again: asyncio.Event) -> None:
    """Says one line, waits for `again`, and says another."""
    reader, writer = await asyncio.open_connection("server", PORT)
    with contextlib.closing(writer):
        for _ in range(2):
            writer.write(b"line\n")
            lines.append(await reader.readline())
            await again.wait()


async def test_a_crash_sends_neither_fin_nor_reset(network: Network) -> None:
    server, client = two(network)
    server.start(echo)
    await network.after("1ms")
    lines: list[bytes] = []
    talking = client.start(talk(lines, asyncio.Event()))
    await network.after("1s")
    packets: list[SimPacket] = []
    network.rule(packets.append)
    server.crash()
    await network.after("1h")
    assert packets == []
    assert not talking.done()
    assert server.host.is_closed()
    assert not server.is_up()
    talking.cancel()


async def test_a_half_open_connection_is_discovered_when_the_host_is_back(network: Network) -> None:
    server, client = two(network)
    server.start(echo)
    await network.after("1ms")
    lines: list[bytes] = []
    again = asyncio.Event()
    talking = client.start(talk(lines, again))
    await network.after("1s")
    server.crash()
    await network.after("1s")
    server.restart()
    await network.after("1h")
    assert not talking.done()  # nothing tells it: the connection is half-open
    again.set()
    with pytest.raises(ConnectionResetError):
        await talking
    assert lines == [b"line\n"]


async def test_a_half_open_connection_to_a_dead_host_fails_by_timeout(network: Network) -> None:
    server = network.host("server")
    client = network.host("client", config=Config(user_timeout_us=30_000_000))
    server.start(echo)
    await network.after("1ms")
    again = asyncio.Event()
    talking = client.start(talk([], again))
    await network.after("1s")
    server.crash()
    again.set()
    with pytest.raises(TimeoutError):
        await talking
    assert 30 < network.now < 60


async def test_keep_alive_discovers_a_dead_host(network: Network) -> None:
    server = network.host("server")
    client = network.host("client", config=Config(keepalive_idle_us=60_000_000))
    server.start(echo)
    await network.after("1ms")
    talking = client.start(talk([], asyncio.Event()))
    await network.after("1s")
    server.crash()
    await network.after("1h")
    assert client.host.stack.census()["connections"] == 0
    talking.cancel()


async def test_programs_given_as_functions_live_again_after_a_restart(network: Network) -> None:
    server, client = two(network)
    server.start(echo)
    await network.after("1ms")
    former = server.host
    server.crash()
    assert [what for _, what in network.incidents] == ["server crashes"]
    server.restart()
    await network.after("1ms")
    assert server.host is not former
    assert await client.start(ask("server")) == b"hello"


async def test_a_coroutine_does_not_live_again(network: Network) -> None:
    server, client = two(network)
    server.start(echo())
    await network.after("1ms")
    server.crash()
    server.restart()
    await network.after("1ms")
    with pytest.raises(ConnectionRefusedError):
        await client.start(ask("server"))


async def test_what_a_crashed_program_does_in_its_finally_reaches_nothing(network: Network) -> None:
    server, client = two(network)
    errors: list[OSError] = []

    async def last_words() -> None:
        reader, writer = await asyncio.open_connection("client", PORT)
        try:
            await reader.read()
        finally:
            writer.write(b"good bye")
            writer.close()
            try:
                await asyncio.open_connection("client", PORT)
            except OSError as error:
                errors.append(error)

    client.start(echo)
    await network.after("1ms")
    server.start(last_words())
    await network.after("1s")
    packets: list[SimPacket] = []
    network.rule(packets.append)
    server.crash()
    await network.after("1min")
    assert [str(error) for error in errors] == ["[Errno 100] server has crashed"]
    assert packets == []
    assert server.survivors == []


async def test_who_waits_for_a_connection_to_close_ends_with_the_host(network: Network) -> None:
    server, client = two(network)
    server.start(echo)
    await network.after("1ms")
    ended: list[type[BaseException] | None] = []

    async def linger() -> None:
        _, writer = await asyncio.open_connection("server", PORT)
        try:
            await asyncio.sleep(3600)
        finally:
            writer.close()
            try:
                await writer.wait_closed()
            except OSError as error:
                ended.append(type(error))

    client.start(linger())
    await network.after("1s")
    packets: list[SimPacket] = []
    network.rule(packets.append)
    client.crash()
    await network.after("1s")
    assert client.survivors == []
    assert ended in ([], [ConnectionAbortedError])
    assert packets == []


async def test_timers_and_callbacks_of_a_crashed_host_never_run(network: Network) -> None:
    host, other = network.host("host"), network.host("other")
    ran: list[str] = []

    async def schedule(who: str) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(5, ran.append, f"{who} later")
        loop.call_soon(ran.append, f"{who} soon")
        await asyncio.sleep(3600)

    host.start(schedule("host"))
    other.start(schedule("other"))
    await network.after("1s")
    host.run_on(network.loop.call_soon, ran.append, "host at the last moment")
    host.crash()
    await network.after("1min")
    assert ran == ["host soon", "other soon", "other later"]


async def test_a_task_that_will_not_die_is_reported(network: Network) -> None:
    host = network.host("host")

    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(10)

    host.start(stubborn())
    await network.after("1s")
    host.crash()
    await network.after("1s")
    [survivor] = host.survivors
    assert "stubborn" in survivor
    assert f"task {survivor} of host outlives the crash" in [what for _, what in network.incidents]


async def test_all_who_wait_for_a_gathering_of_a_crashed_host_end(network: Network) -> None:
    host = network.host("host")
    woken: list[str] = []

    async def gatherer() -> None:
        try:
            await asyncio.gather(*(asyncio.sleep(1) for _ in range(3)), return_exceptions=True)
        finally:
            woken.append("gatherer")

    async def waiter() -> None:
        try:
            await asyncio.wait([asyncio.ensure_future(asyncio.sleep(1))])
        finally:
            woken.append("waiter")

    for program in (gatherer, waiter):
        host.start(program())
    await network.after("1s")  # the very moment in which all of it is under way
    host.crash()
    await network.after("1s")
    assert sorted(woken) == ["gatherer", "waiter"]
    assert host.survivors == []


async def test_a_paused_host_does_nothing_and_loses_nothing(network: Network) -> None:
    server, client = two(network)
    server.start(echo)
    await network.after("1ms")
    server.pause()
    asking = client.start(ask("server"))
    await network.after("10s")
    assert not asking.done()
    server.resume()
    resumed = network.now
    assert await asking == b"hello"
    assert network.now - resumed < 0.1
    assert [what for _, what in network.incidents] == ["server pauses", "server resumes"]


async def test_timers_of_a_paused_host_run_when_it_goes_on(network: Network) -> None:
    host, other = network.host("host"), network.host("other")
    ticks: dict[str, list[float]] = {"host": [], "other": []}

    async def tick(who: str) -> None:
        for _ in range(4):
            await asyncio.sleep(1)
            ticks[who].append(round(network.now, 3))

    for one in (host, other):
        one.start(tick(one.name))
    await network.after("1.5s")
    host.pause()
    await network.after("5s")
    host.resume()
    await network.after("10s")
    assert ticks["other"] == [1, 2, 3, 4]
    assert ticks["host"] == [1, 6.5, 7.5, 8.5]


async def test_a_paused_host_can_crash(network: Network) -> None:
    server, client = two(network)
    server.start(echo)
    await network.after("1ms")
    server.pause()
    asking = client.start(ask("server"))
    await network.after("1s")
    server.crash()
    await network.after("1s")
    assert server.survivors == []
    server.restart()
    assert await asking == b"hello"


async def test_a_host_that_is_down_does_nothing(network: Network) -> None:
    host = network.host("host")
    host.crash()
    assert repr(host) == "<SimHost host 10.77.0.1 down>"
    for call in (host.crash, host.pause, lambda: host.start(echo())):
        with pytest.raises(SimulationError, match="host is down"):
            call()


async def test_a_host_may_crash_itself(network: Network) -> None:
    host = network.host("host")
    after: list[str] = []

    async def fall() -> None:
        host.crash()
        await asyncio.sleep(0)
        after.append("still here")

    host.start(fall())
    await network.after("1s")
    assert after == []


async def test_a_restarted_host_forgets_what_its_context_had(network: Network) -> None:
    host = network.host("host")
    memory: ContextVar[int] = ContextVar("memory", default=0)
    seen: list[int] = []

    async def count() -> None:
        seen.append(memory.get())
        memory.set(memory.get() + 1)

    host.start(count)
    await network.after("1s")
    host.crash()
    host.restart()
    await network.after("1s")
    assert seen == [0, 0]
