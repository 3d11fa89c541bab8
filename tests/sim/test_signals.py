"""A process of a simulation gets signals as any other: daemons run unmodified."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any

import pytest

from synfin.sim import Network, SimulationError, SimulationEscape
from tests.sim.programs import PORT, ask, echo, two


async def daemon(said: list[str]) -> None:
    """Serves until it is told to end, as daemons do."""
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, end.set)
    loop.add_signal_handler(signal.SIGHUP, said.append, "read again")
    server = await asyncio.start_server(lambda _, writer: writer.close(), port=PORT)
    await end.wait()
    server.close()
    await server.wait_closed()
    said.append("ended")


async def test_a_daemon_ends_in_order_by_sigterm(network: Network) -> None:
    server, client = two(network)
    said: list[str] = []
    task = server.start(daemon(said))
    await network.after("1s")
    _, writer = await client.start(asyncio.open_connection("server", PORT))
    writer.close()
    server.signal("SIGHUP")
    await network.after("1s")
    server.signal("TERM")
    await task
    assert said == ["read again", "ended"]
    assert server.is_up()
    assert [what for _, what in network.incidents] == ["server gets SIGHUP", "server gets SIGTERM"]


async def test_handlers_belong_to_their_host(network: Network) -> None:
    left, right = two(network)
    said: list[str] = []

    async def listen(name: str) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, said.append, name)

    await left.start(listen("left"))
    await right.start(listen("right"))
    right.signal(signal.SIGUSR1)
    await network.after("1s")
    assert said == ["right"]


async def test_a_signal_without_a_handler_ends_the_process_and_resets_its_connections(network: Network) -> None:
    server, client = two(network)
    server.start(echo)
    await network.after("1ms")

    async def hold() -> None:
        reader, writer = await asyncio.open_connection("server", PORT)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        await reader.read()

    holding = client.start(hold())
    await network.after("1s")
    server.signal("SIGTERM")
    with pytest.raises(ConnectionResetError):
        await holding
    assert not server.is_up()
    assert "SIGTERM ends server, which has no handler for it" in [what for _, what in network.incidents]
    server.restart()
    await network.after("1ms")
    assert await client.start(ask("server")) == b"hello"


async def test_a_restarted_process_has_no_handlers(network: Network) -> None:
    host = network.host("host")
    said: list[str] = []
    host.start(daemon(said))
    await network.after("1s")
    host.crash()
    with pytest.raises(SimulationError, match="host is down"):
        host.signal("SIGTERM")
    host.restart()
    host.signal("SIGTERM")
    assert not host.is_up()


async def test_signal_signal_sets_handlers_of_the_host(network: Network) -> None:
    seen: list[Any] = []
    real = signal.getsignal(signal.SIGTERM)

    async def program() -> None:
        def note(*arguments: object) -> None:
            seen.append(arguments)

        assert signal.signal(signal.SIGTERM, note) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is note
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(1)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(1)
        assert signal.signal(signal.SIGTERM, signal.SIG_IGN) is note
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), 0)
        await asyncio.sleep(1)

    await network.host("host").start(program())
    assert seen == [(signal.SIGTERM, None)] * 2
    assert signal.getsignal(signal.SIGTERM) is real


async def test_what_no_process_notices_by_default_is_ignored(network: Network) -> None:
    host = network.host("host")
    for name in ("SIGCHLD", "SIGWINCH", "SIGCONT"):
        host.signal(name)
    assert host.is_up()


async def test_what_asyncio_refuses_is_refused(network: Network) -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(SimulationEscape, match="signal handlers are a host's"):
        loop.add_signal_handler(signal.SIGTERM, print)

    async def program() -> None:
        with pytest.raises(TypeError, match="coroutines cannot"):
            loop.add_signal_handler(signal.SIGTERM, program)
        with pytest.raises(RuntimeError, match="cannot be caught"):
            loop.add_signal_handler(signal.SIGKILL, print)
        with pytest.raises(ValueError, match="99"):
            loop.add_signal_handler(99, print)
        loop.add_signal_handler(signal.SIGTERM, print)
        assert loop.remove_signal_handler(signal.SIGTERM)
        assert not loop.remove_signal_handler(signal.SIGTERM)

    host = network.host("host")
    await host.start(program())
    with pytest.raises(ValueError, match="there is no signal 'SIGNONE'"):
        host.signal("SIGNONE")
    with pytest.raises(TypeError, match="a signal is a name or a number, not float"):
        host.signal(1.5)  # type: ignore[arg-type]


def test_a_thread_outside_may_send_real_signals() -> None:
    asked, answered = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def outside() -> None:
        asked.wait()
        try:
            os.kill(os.getpid(), 0)
        except BaseException as error:
            errors.append(error)
        answered.set()

    thread = threading.Thread(target=outside)
    thread.start()

    async def main() -> None:
        asked.set()
        thread.join()

    Network().run(main())
    assert errors == []
    assert answered.is_set()
