"""Every failure is the OSError that a program written for the kernel's sockets expects. RST is never end of file."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
from typing import Any

import pytest

from synfin.aio.host import Host
from synfin.tcp.config import Config
from synfin.wire import icmp
from tests.unit.aio.hosts import CLIENT, PORT, SERVER, Pair, Recorder, assert_nothing_left, hosts, reset
from tests.unit.aio.virtual import run, settle


def test_refused_is_connection_refused_error() -> None:
    async def main() -> None:
        async with hosts() as pair:
            with pytest.raises(ConnectionRefusedError) as caught:
                await pair.client.create_connection(Recorder, SERVER, 81)
            assert caught.value.errno == errno.ECONNREFUSED
            assert "10.0.0.2" in str(caught.value) and "81" in str(caught.value)
            await settle()
            assert_nothing_left(pair.client)

    run(main())


def test_silence_is_timeout_error_after_all_retries() -> None:
    async def main() -> None:
        async with hosts(Config(syn_retries=2)) as pair:
            pair.wire.drop = lambda *_: True
            began = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError) as caught:
                await pair.client.create_connection(Recorder, SERVER, PORT)
            assert caught.value.errno == errno.ETIMEDOUT
            assert 6.9 < asyncio.get_running_loop().time() - began < 7.1  # 1 + 2 + 4 seconds
            assert pair.wire.sent["client"] == 3
            pair.wire.drop = None
            await settle()
            assert_nothing_left(pair.client)

    run(main())


def test_data_that_is_never_acknowledged_is_timeout_error() -> None:
    async def main() -> None:
        async with hosts(Config(retries=3)) as pair:
            sender = Recorder()
            transport, _, _ = await pair.connect(sender, Recorder())
            pair.wire.drop = lambda *_: True
            transport.write(b"x")
            await settle(60)
            assert isinstance(sender.lost, TimeoutError)
            pair.wire.drop = None

    run(main())


@pytest.mark.parametrize("moment", ["reading", "writing", "draining"])
def test_a_reset_is_connection_reset_error_never_end_of_file(moment: str) -> None:
    async def main() -> None:
        async with hosts(Config(receive_buffer=4096, receive_buffer_max=4096)) as pair:

            async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if moment != "draining":
                    await reader.readexactly(1)
                else:
                    writer.transport.pause_reading()  # type: ignore[attr-defined]
                    await asyncio.sleep(1)
                reset(writer.transport)

            await pair.server.start_server(handler, port=PORT)
            reader, writer = await pair.client.open_connection(SERVER, PORT)
            writer.write(b"x")

            async def use() -> None:
                if moment == "reading":
                    await reader.read()
                while True:
                    writer.write(b"x" if moment == "writing" else bytes(100_000))
                    await writer.drain()
                    await asyncio.sleep(0.01)

            with pytest.raises(ConnectionResetError):
                await use()
            with pytest.raises(ConnectionResetError):
                await writer.wait_closed()

    run(main())


def test_an_address_in_use_is_eaddrinuse() -> None:
    async def main() -> None:
        async with hosts() as pair:
            await pair.server.create_server(Recorder, port=PORT)
            with pytest.raises(OSError) as caught:
                await pair.server.create_server(Recorder, port=PORT)
            assert caught.value.errno == errno.EADDRINUSE
            local = (CLIENT, 4000)
            await pair.client.create_connection(Recorder, SERVER, PORT, local_addr=local)
            with pytest.raises(OSError) as caught:
                await pair.client.create_connection(Recorder, SERVER, PORT, local_addr=local)
            assert caught.value.errno == errno.EADDRINUSE

    run(main())


def test_an_address_of_somebody_else_is_eaddrnotavail() -> None:
    async def main() -> None:
        async with hosts() as pair:
            with pytest.raises(OSError) as caught:
                await pair.server.create_server(Recorder, "10.0.0.77", PORT)
            assert caught.value.errno == errno.EADDRNOTAVAIL
            with pytest.raises(OSError) as caught:
                await pair.client.create_connection(Recorder, SERVER, PORT, local_addr=("10.0.0.77", 0))
            assert caught.value.errno == errno.EADDRNOTAVAIL

    run(main())


def test_a_family_that_the_host_lacks_is_enetunreach() -> None:
    async def main() -> None:
        async with hosts() as pair:
            with pytest.raises(OSError) as caught:
                await pair.client.create_connection(Recorder, "fd00::1", PORT)
            assert caught.value.errno == errno.ENETUNREACH

    run(main())


async def connect_and_tell(kind: int, code: int, config: Config) -> tuple[BaseException, float]:
    """Connect through a router that answers each SYN by an ICMP error: (what was raised, after how many seconds)."""
    loop = asyncio.get_running_loop()

    def route(packet: bytes) -> None:
        error = icmp.build_error(4, kind, code, bytes([10, 0, 0, 254]), packet[12:16], packet)
        loop.call_later(0.001, host.receive, error)

    began = loop.time()
    async with Host(CLIENT, send=route, config=config) as host:
        try:
            await host.create_connection(Recorder, SERVER, PORT)
        except OSError as problem:
            ended = loop.time()
            await settle()
            assert_nothing_left(host)
            return problem, ended - began
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("kind", "code", "expected", "at_once"),
    [
        (3, 0, errno.ENETUNREACH, False),
        (3, 1, errno.EHOSTUNREACH, False),
        (11, 0, errno.EHOSTUNREACH, False),
        (3, 2, errno.ECONNREFUSED, True),
        (3, 3, errno.ECONNREFUSED, True),
    ],
    ids=["net unreachable", "host unreachable", "time exceeded", "protocol unreachable", "port unreachable"],
)
def test_icmp_errors_end_a_connect_at_once_when_hard_and_at_give_up_when_soft(
    kind: int, code: int, expected: int, at_once: bool
) -> None:
    problem, seconds = run(connect_and_tell(kind, code, Config(syn_retries=1)))
    assert isinstance(problem, OSError) and problem.errno == expected
    assert (seconds < 0.5) is at_once
    assert at_once or 2.9 < seconds < 3.1  # 1 + 2 seconds of SYN timers


def test_a_soft_icmp_error_does_not_hurt_an_open_connection_but_names_its_end() -> None:
    async def main() -> None:
        async with hosts(Config(retries=2)) as pair:
            sender = Recorder()
            transport, _, _ = await pair.connect(sender, Recorder())
            said: list[Any] = []

            def drop(sender: Host, packet: bytes) -> bool:
                if sender.name == "client":
                    error = icmp.build_error(4, 3, 1, bytes([10, 0, 0, 254]), packet[12:16], packet)
                    said.append(asyncio.get_running_loop().call_later(0.001, pair.client.receive, error))
                return True

            pair.wire.drop = drop
            transport.write(b"x")
            await settle(0.1)
            assert said and not sender.over.done()
            await settle(60)
            assert sender.lost is not None and isinstance(sender.lost, OSError)
            assert sender.lost.errno == errno.EHOSTUNREACH
            pair.wire.drop = None

    run(main())


def test_every_name_that_resolves_to_no_usable_address_is_enetunreach() -> None:
    async def main() -> None:
        async with Host("fd00::1", send=lambda packet: None) as host:
            with pytest.raises(OSError) as caught:
                await host.create_connection(Recorder, "127.0.0.1", PORT)
            assert caught.value.errno == errno.ENETUNREACH

    run(main())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"happy_eyeballs_delay": 0.25},
        {"happy_eyeballs_delay": 0.0},
        {"all_errors": True},
        {"local_addr": (CLIENT, 0)},
        {"local_addr": ("10.9.9.9", 0)},
        {"local_addr": ("fd00::1", 0)},
    ],
    ids=str,
)
def test_a_failed_connect_leaves_no_reference_cycle(options: dict[str, Any]) -> None:
    async def main() -> None:
        async with hosts(Config(syn_retries=0)) as pair:
            kept: list[BaseException] = []
            for targets in ([SERVER], [SERVER, "10.0.0.9", "10.0.0.8"]):
                try:
                    await pair.client.create_connection(Recorder, targets, 81, **options)
                except (OSError, ExceptionGroup) as error:
                    kept.append(error)
            await settle()
            while kept:
                last = kept.pop()
                assert gc.get_referrers(last) == []

    run(main())


def test_several_addresses_are_tried_in_turn_and_all_their_errors_are_told() -> None:
    async def main() -> None:
        async with hosts(Config(syn_retries=0)) as pair:
            loop = asyncio.get_running_loop()
            answers = [(2, 1, 6, "", (SERVER, 81)), (2, 1, 6, "", ("10.0.0.9", 81)), (2, 1, 6, "", (SERVER, 81))]

            async def getaddrinfo(*_: object, **__: object) -> list[Any]:
                return answers

            loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
            with pytest.raises(OSError, match=r"Multiple exceptions: .*refused.*, .*timed out") as caught:
                await pair.client.create_connection(Recorder, "a.name", 81)
            assert type(caught.value) is OSError and caught.value.errno is None
            with pytest.raises(ExceptionGroup) as group:
                await pair.client.create_connection(Recorder, "a.name", 81, all_errors=True)
            assert [type(error) for error in group.value.exceptions] == [ConnectionRefusedError, TimeoutError]
            with pytest.raises(TimeoutError, match=r"^\[Errno 110\] Multiple exceptions") as caught:
                await pair.client.create_connection(Recorder, ["10.0.0.8", "10.0.0.9"], 81)
            assert caught.value.errno == errno.ETIMEDOUT, "what failed everywhere alike keeps its type"
            server = Recorder()
            await pair.server.create_server(lambda: server, port=81)
            transport, _ = await pair.client.create_connection(Recorder, "a.name", 81)
            assert transport.get_extra_info("peername") == (SERVER, 81)

    run(main())


@pytest.mark.parametrize("why", ["refused", "silent", "several addresses", "factory", "cancelled", "host closed"])
def test_a_connect_that_fails_leaves_no_reference_cycle(why: str) -> None:
    """What it left behind would live until the collector runs: in a program that connects and fails, a leak."""

    async def fail(pair: Pair) -> None:
        if why == "silent":
            pair.wire.drop = lambda *_: True
        if why == "factory":
            await pair.client.create_connection(lambda: 1 / 0, SERVER, PORT + 1)  # type: ignore[arg-type, return-value]
        connecting = pair.client.create_connection(Recorder, "two" if why == "several addresses" else SERVER, PORT)
        if why == "cancelled":
            async with asyncio.timeout(0.0005):
                await connecting
        if why == "host closed":
            asyncio.get_running_loop().call_later(0.0005, pair.client.close)
        await connecting

    async def main() -> None:
        async with hosts(Config(syn_retries=1)) as pair:
            pair.client.loop.getaddrinfo = two_addresses  # type: ignore[method-assign]
            await pair.server.create_server(Recorder, port=PORT + 1)
            gc.collect()
            gc.disable()
            with pytest.raises(ZeroDivisionError if why == "factory" else OSError):
                await fail(pair)
            await settle()
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            kinds = {type(one) for one in gc.garbage}
            ours = {kind for kind in kinds if kind.__module__.startswith("synfin")}
            assert not ours and not any(issubclass(kind, BaseException) for kind in kinds), kinds

    async def two_addresses(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, PORT)) for address in (SERVER, CLIENT)]

    try:
        run(main())
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
