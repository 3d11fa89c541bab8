"""Bad input to a public call is a clear error at that call, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

import pytest

import synfin
from synfin.aio.host import Host
from synfin.links.tunnel import TunnelLink
from synfin.tcp.config import Config
from tests.unit.aio.hosts import CLIENT, PORT, SERVER, Recorder, assert_nothing_left, hosts
from tests.unit.aio.virtual import run, settle


def nothing(*_: object) -> None:
    pass


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        (([],), {}, ValueError, "at least one address"),
        (("",), {}, ValueError, "does not appear to be"),
        (("10.0.0.300",), {}, ValueError, "10.0.0.300"),
        (("10.0.0.1/99",), {}, ValueError, "10.0.0.1/99"),
        (("host.name",), {}, ValueError, "host.name"),
        ((5,), {}, TypeError, "int"),
        (([b"\x0a\0\0\1"],), {}, TypeError, "an address is a str such as"),
        (([ipaddress.ip_address(CLIENT)],), {}, TypeError, "an address is a str such as"),
        ((CLIENT,), {"send": 5}, TypeError, "send must be a function"),
        ((CLIENT,), {"send": nothing, "link": TunnelLink(nothing)}, TypeError, "link"),
        ((CLIENT,), {"link": object()}, TypeError, "link"),
        ((CLIENT,), {"config": {"mtu": 1500}}, TypeError, "config must be a synfin.Config"),
        (("fd00::1",), {"config": Config(mtu=1000)}, ValueError, "1280"),
        ((CLIENT, nothing), {}, TypeError, "positional"),
    ],
)
def test_a_host_that_can_not_work_is_not_made(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Host(*arguments, **options)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        ((Recorder, SERVER, 0), {}, ValueError, "port"),
        ((Recorder, SERVER, 65536), {}, ValueError, "port"),
        ((Recorder, SERVER, -1), {}, ValueError, "port"),
        ((Recorder, SERVER, "0"), {}, ValueError, "port"),
        ((Recorder, SERVER, 80.0), {}, TypeError, "port"),
        ((Recorder, SERVER, True), {}, TypeError, "port"),
        ((Recorder, SERVER, None), {}, ValueError, "port"),
        ((Recorder, None, None), {}, ValueError, "host and port"),
        ((Recorder, 5, 80), {}, TypeError, "host"),
        ((Recorder, [SERVER], 80), {"ssl": True}, ValueError, "server_hostname"),
        ((5, SERVER, 80), {}, TypeError, "callable"),
        ((None, SERVER, 80), {}, TypeError, "callable"),
        ((Recorder, SERVER, 80), {"local_addr": (CLIENT, 70000)}, ValueError, "port"),
        ((Recorder, SERVER, 80), {"local_addr": (CLIENT,)}, ValueError, "local_addr"),
        ((Recorder, SERVER, 80), {"local_addr": CLIENT}, TypeError, "local_addr"),
        ((Recorder, SERVER, 80), {"local_addr": 7}, TypeError, "local_addr"),
        ((Recorder, SERVER, 80), {"local_addr": ("fd00::1", 0)}, OSError, "no matching local address"),
        ((Recorder, SERVER, 80), {"unknown": 1}, TypeError, "unknown"),
        ((Recorder, SERVER, 80), {"happy_eyeballs_delay": "soon"}, TypeError, "happy_eyeballs_delay"),
        ((Recorder, SERVER, 80), {"happy_eyeballs_delay": -0.25}, ValueError, "happy_eyeballs_delay"),
        ((Recorder, SERVER, 80), {"happy_eyeballs_delay": float("nan")}, ValueError, "happy_eyeballs_delay"),
        ((Recorder, SERVER, 80), {"interleave": 1.5}, TypeError, "interleave"),
        ((Recorder, SERVER, 80), {"interleave": -1}, ValueError, "interleave"),
    ],
)
def test_create_connection_refuses_what_makes_no_sense(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], says: str
) -> None:
    async def main() -> None:
        async with hosts() as pair:
            with pytest.raises(error, match=says):
                await pair.client.create_connection(*arguments, **options)
            await settle()
            assert pair.wire.sent["client"] == 0, "no packet went out"
            assert_nothing_left(pair.client)

    run(main())


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        ((Recorder, None, 65536), {}, ValueError, "port"),
        ((Recorder, None, -1), {}, ValueError, "port"),
        ((Recorder, None, 80.0), {}, TypeError, "port"),
        ((Recorder,), {}, ValueError, "host/port"),
        ((Recorder, [], 80), {}, OSError, "any address"),
        ((Recorder, 5, 80), {}, TypeError, "int"),
        ((Recorder, None, 80), {"backlog": -1}, ValueError, "backlog"),
        ((Recorder, None, 80), {"unknown": 1}, TypeError, "unknown"),
        ((Recorder, None, 80), {"backlog": "many"}, TypeError, "backlog"),
        ((5, None, 80), {}, TypeError, "callable"),
    ],
)
def test_create_server_refuses_what_makes_no_sense(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], says: str
) -> None:
    async def main() -> None:
        async with hosts() as pair:
            with pytest.raises(error, match=says):
                await pair.server.create_server(*arguments, **options)
            assert_nothing_left(pair.server)

    run(main())


def test_streams_refuse_what_makes_no_sense() -> None:
    async def main() -> None:
        async with hosts() as pair:
            with pytest.raises(ValueError, match=r"[Ll]imit"):
                await pair.client.open_connection(SERVER, PORT, limit=0)
            with pytest.raises(TypeError, match="callable"):
                await pair.server.start_server(5, port=PORT)  # type: ignore[arg-type]
            for limit in (0, -1):
                with pytest.raises(ValueError, match=r"[Ll]imit"):
                    await pair.server.start_server(nothing, port=PORT, limit=limit)
            assert_nothing_left(pair.client)
            assert_nothing_left(pair.server)

    run(main())


def test_receive_takes_bytes_only() -> None:
    async def main() -> None:
        async with hosts() as pair:
            for wrong in ("packet", None, 5, [69]):
                with pytest.raises(TypeError, match="bytes-like"):
                    pair.client.receive(wrong)  # type: ignore[arg-type]

    run(main())


def test_write_buffer_limits_refuse_what_makes_no_sense() -> None:
    async def main() -> None:
        async with hosts() as pair:
            transport, _, _ = await pair.connect(Recorder(), Recorder())
            with pytest.raises(ValueError, match="must be >="):
                transport.set_write_buffer_limits(high=1, low=2)
            with pytest.raises(ValueError, match="must be >="):
                transport.set_write_buffer_limits(high=-1)

    run(main())


@pytest.mark.parametrize("grace", ["soon", None, -1])
def test_aclose_refuses_a_grace_that_is_no_time(grace: Any) -> None:
    async def main() -> None:
        async with hosts() as pair:
            with pytest.raises((TypeError, ValueError), match=r"grace|not supported"):
                await pair.client.aclose(grace)
            assert pair.client.is_open()

    run(main())


def test_a_host_opens_on_a_loop_only() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        Host(CLIENT).open()


def test_a_route_that_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/24"):
        synfin.loop_factory(Host(CLIENT), routes=["10.0.0.1/24"])


def test_a_factory_that_raises_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with hosts() as pair:

            def factory() -> asyncio.Protocol:
                raise LookupError("no protocol today")

            await pair.server.create_server(Recorder, port=PORT)
            with pytest.raises(LookupError):
                await pair.client.create_connection(factory, SERVER, PORT)
            with pytest.raises(LookupError):
                await pair.client.create_datagram_endpoint(factory, (CLIENT, 0))  # type: ignore[arg-type]
            await settle()
            assert_nothing_left(pair.client, "time_wait")
            assert_nothing_left(pair.server, "listeners")

    run(main())
