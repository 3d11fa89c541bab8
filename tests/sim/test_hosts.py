"""Code runs on the host that its context names, and reaches nothing but the network of the simulation."""

from __future__ import annotations

import asyncio
import socket
from contextvars import ContextVar
from typing import Any

import pytest

from synfin.sim import Deadlock, Network, SimulationError, SimulationEscape, TimeLimit
from synfin.tcp.config import Config
from tests.sim.programs import PORT, ask, echo, run_two, two

who: ContextVar[str] = ContextVar("who", default="nobody")


async def test_an_unmodified_program_reaches_a_host_by_its_name(network: Network) -> None:
    server, client = two(network, delay="20ms")
    server.start(echo())
    await network.after("1s")
    assert await client.start(ask("server")) == b"hello"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_a_host_is_reached_by_both_of_its_addresses(network: Network, family: int) -> None:
    server, client = two(network)
    server.start(echo())

    async def find_and_ask() -> bytes:
        loop = asyncio.get_running_loop()
        [(_, _, _, _, address)] = await loop.getaddrinfo("server", PORT, family=family, type=socket.SOCK_STREAM)
        assert address[0] in server.addresses
        return await ask(address[0])

    await network.after("1s")
    assert await client.start(find_and_ask()) == b"hello"


async def test_localhost_is_the_host_itself(network: Network) -> None:
    left, right = network.host("left"), network.host("right")
    left.start(echo())
    await network.after("1s")
    assert await left.start(ask("localhost")) == b"hello"
    assert network.packets == 0
    with pytest.raises(ConnectionRefusedError):
        await right.start(ask("localhost"))


async def test_a_name_that_no_host_has_is_not_resolved(network: Network) -> None:
    with pytest.raises(socket.gaierror, match=r"no host of the simulation is called 'example\.org'"):
        await network.host("client").start(ask("example.org"))


async def test_the_resolver_of_socket_knows_the_hosts_too(network: Network) -> None:
    server = network.host("server")
    assert socket.gethostbyname("server") == server.address
    assert socket.getaddrinfo("server", 80, type=socket.SOCK_STREAM)[0][4] == (server.address, 80)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("example.org", 80)


async def test_an_address_that_no_host_has_answers_nothing(network: Network) -> None:
    async def call() -> None:
        async with asyncio.timeout(5):
            await ask("10.1.2.3")

    with pytest.raises(TimeoutError):
        await network.host("client").start(call())


async def test_an_address_that_answered_nothing_answers_once_a_host_has_it(network: Network) -> None:
    client, last = network.host("client"), "10.77.0.9"

    async def reach() -> str:
        try:
            async with asyncio.timeout(10):
                await asyncio.open_connection(last, 7)
        except OSError as error:  # TimeoutError is one
            return type(error).__name__
        return "reached"

    assert await client.start(reach()) == "TimeoutError"
    network.host("late", address=last)
    assert await client.start(reach()) == "ConnectionRefusedError"


async def test_a_delivery_runs_no_callback_of_the_receiver_in_the_senders_context(network: Network) -> None:
    seen: list[tuple[str, str]] = []
    server, client = two(network)

    class Notes(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            seen.append(("made", who.get()))

        def data_received(self, data: bytes) -> None:
            seen.append(("data", who.get()))

        def connection_lost(self, error: Exception | None) -> None:
            seen.append(("lost", who.get()))

    async def serve() -> None:
        who.set("server")
        await asyncio.get_running_loop().create_server(Notes, port=PORT)

    async def call() -> None:
        who.set("client")
        _, writer = await asyncio.open_connection("server", PORT)
        writer.write(b"text")
        await asyncio.sleep(1)
        writer.transport.abort()

    await server.start(serve())
    await client.start(call())
    await network.after("1s")
    assert seen == [("made", "server"), ("data", "server"), ("lost", "server")]


async def test_code_on_no_host_reaches_no_network(network: Network) -> None:
    network.host("server")
    with pytest.raises(SimulationEscape, match="runs on no host"):
        await asyncio.open_connection("server", PORT)
    with pytest.raises(SimulationEscape, match="runs on no host"):
        await asyncio.start_server(lambda *_: None, port=PORT)


async def test_the_real_network_is_out_of_reach(network: Network) -> None:
    loop = asyncio.get_running_loop()

    async def reach_out() -> int:
        attempts: list[Any] = [
            lambda: socket.create_connection(("127.0.0.1", 9)),
            lambda: socket.create_server(("127.0.0.1", 0)).accept(),
            lambda: loop.add_reader(0, print),
        ]
        for attempt in attempts:
            with pytest.raises(SimulationEscape):
                attempt()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            with pytest.raises(SimulationEscape):
                plain.sendto(b"x", ("127.0.0.1", 9))
            with pytest.raises(SimulationEscape):
                await loop.create_connection(asyncio.Protocol, sock=plain)
        for call in (loop.subprocess_shell, loop.create_unix_connection):
            with pytest.raises(SimulationEscape):
                await call(asyncio.Protocol, "true")
        return len(attempts)

    assert await network.host("client").start(reach_out()) == 3


def test_after_the_simulation_the_real_network_is_back() -> None:
    network = Network()
    network.run(asyncio.sleep(1))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as connected:
        assert connected.getpeername() == server.getsockname()


def test_a_deadlock_names_each_task_and_where_it_waits() -> None:
    network = Network()
    server, client = two(network)

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        server.start(echo())
        await network.after("1s")
        await asyncio.gather(client.start(never()), asyncio.create_task(asyncio.Event().wait(), name="the other"))

    with pytest.raises(Deadlock) as caught:
        network.run(main())
    text = str(caught.value)
    line = never.__code__.co_firstlineno + 1
    assert f"{__file__}:{line} in " in text
    assert "client/test_a_deadlock" in text
    assert "the other: Event.wait, at" in text
    assert "server/echo: echo, at" in text


def test_a_deadlock_says_which_program_had_failed() -> None:
    network = Network()
    server, client = two(network)

    async def fail() -> None:
        raise ValueError("a bug")

    async def main() -> None:
        server.start(fail())
        await client.start(asyncio.Event().wait())

    with pytest.raises(Deadlock) as caught:
        network.run(main())
    assert any("fail had failed before: ValueError('a bug')" in note for note in caught.value.__notes__)


def test_a_program_that_nobody_awaits_fails_the_simulation() -> None:
    network = Network()

    async def fail() -> None:
        raise ValueError("a bug")

    async def main() -> None:
        network.host("server").start(fail)
        await network.after("1s")

    with pytest.raises(ExceptionGroup) as caught:
        network.run(main())
    assert str(caught.value.exceptions[0]) == "a bug"


def test_a_program_that_never_ends_ends_at_the_time_limit() -> None:
    network = Network(time_limit="1h")

    async def tick() -> None:
        for _ in range(1_000_000):
            await asyncio.sleep(60)

    with pytest.raises(TimeLimit, match=r"limit of 3600 s.*\n.*tick, at"):
        network.run(tick())
    assert network.now == 3600


def test_a_network_runs_once() -> None:
    network = Network()
    network.run(asyncio.sleep(1))
    with pytest.raises(SimulationError, match="a Network runs once"):
        network.run(asyncio.sleep(1))


async def test_ports_addresses_and_datagrams_work_as_on_any_host(network: Network) -> None:
    server, client = two(network)
    asked: list[bytes] = []

    class Answer(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            asked.append(data)
            self.transport.sendto(data.upper(), addr)

    class Ask(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.answer.set_result(data)

    async def serve() -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(Answer, local_addr=("0.0.0.0", 53))

    async def call() -> bytes:
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Ask, remote_addr=("server", 53))
        transport.sendto(b"name?")
        return await protocol.answer

    await server.start(serve())
    assert await client.start(call()) == b"NAME?"
    assert asked == [b"name?"]


def test_a_host_may_have_its_own_address_and_config() -> None:
    network = Network()
    network.host("server", address="192.0.2.1", config=Config(mtu=1280))
    sizes: list[int] = []
    network.rule(lambda packet: sizes.append(len(packet.data)))

    async def main() -> bytes:
        network.hosts["server"].start(echo())
        await network.after("1s")
        return await network.host("client").start(ask("192.0.2.1", bytes(5000)))

    assert network.run(main()) == bytes(5000)
    assert max(sizes) == 1280


@pytest.mark.parametrize(
    ("make", "error", "what"),
    [
        (lambda network: network.host("two words"), ValueError, "is a word"),
        (lambda network: network.host("b", address="10.77.0.1"), SimulationError, "is the address of a"),
        (lambda network: network.host("a", address="10.0.0.1"), SimulationError, "can't be changed"),
        (lambda network: network.link("a", "c", loss=1), SimulationError, "there is no host 'c'"),
        (lambda network: network.link("a", "a", loss=1), SimulationError, "without a link"),
        (lambda network: network.rule("drop"), TypeError, "a rule is a function"),
        (lambda network: network.partition("c"), SimulationError, "there is no host 'c'"),
        (lambda network: network.hosts["a"].restart(), SimulationError, r"crash\(\) comes before"),
        (lambda network: network.hosts["a"].start(5), TypeError, "a program is a coroutine"),
        (lambda network: Network(seed="7"), TypeError, "a seed is an int"),  # type: ignore[arg-type]
        (lambda network: Network(keep_events=-1), ValueError, "keep_events"),
        (lambda network: Network(keep_events=1.5), TypeError, "keep_events"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused_in_words(make: Any, error: type[Exception], what: str) -> None:
    network = Network()
    network.host("a")
    with pytest.raises(error, match=what):
        make(network)
    network.close()


def test_an_exception_of_the_main_program_is_the_result() -> None:
    network = Network()
    with pytest.raises(ConnectionRefusedError):
        run_two(network, lambda: asyncio.sleep(3600), ask("server"))
