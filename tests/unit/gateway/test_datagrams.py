"""UDP and names through a gateway: a flow for each pair of sender and destination, until there is silence."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest

import synfin
from synfin.gateway import Limits
from synfin.gateway.dns import machine_resolvers
from tests.unit.aio.virtual import run, settle
from tests.unit.gateway.outside import FAR, FAR6, Answering, Asking, World, echo, world


async def ask(scene: World, address: str, port: int, text: bytes) -> tuple[Any, Asking]:
    asking = Asking()
    transport, _ = await scene.inside.create_datagram_endpoint(lambda: asking, remote_addr=(address, port))
    transport.sendto(text)
    return transport, asking


@pytest.mark.parametrize("address", [FAR, FAR6])
def test_datagrams_cross_both_ways_and_their_flow_ends_with_silence(address: str) -> None:
    async def main() -> None:
        async with world(limits=Limits(datagram_seconds=30)) as (scene, gateway):
            await scene.far.create_datagram_endpoint(Answering, (address, 7))
            transport, asking = await ask(scene, address, 7, b"one")
            await settle(20)
            transport.sendto(b"two")
            await settle(20)
            assert asking.heard == [b"ONE", b"TWO"]
            (flow,) = gateway.flows
            assert (flow.protocol, flow.dst, flow.sent, flow.received) == ("udp", (address, 7), 6, 6)
            await settle(20)
            assert not gateway.flows
            assert (scene.ended[0].outcome, len(scene.opened)) == ("idle", 1)
            assert scene.near.stack.census()["datagram_ports"] == 0
            assert scene.gate.stack.census()["datagram_flows"] == 0
            transport.sendto(b"three")
            await settle(1)
            assert asking.heard[-1] == b"THREE"

    run(main())


def test_that_nobody_listens_outside_is_told_inside() -> None:
    async def main() -> None:
        async with world() as (scene, _):
            _, asking = await ask(scene, FAR, 9, b"?")
            await settle(1)
            assert asking.heard == [errno.ECONNREFUSED]
            await settle(100)
            assert scene.ended[0].outcome == "refused"

    run(main())


def test_what_can_not_be_dialled_is_told_inside() -> None:
    async def dial(*_: object, **__: object) -> Any:
        raise OSError(errno.ENETUNREACH, "no way")

    async def main() -> None:
        async with world(dial_datagrams=dial) as (scene, gateway):
            _, asking = await ask(scene, FAR, 9, b"?")
            await settle(1)
            assert asking.heard == [errno.ENETUNREACH]
            assert not gateway.flows
            assert scene.ended[0].outcome == "unreachable"

    run(main())


def test_a_route_of_datagrams_leads_elsewhere_or_says_no() -> None:
    def route(protocol: str, _: Any, destination: Any) -> Any:
        assert protocol == "udp"
        return {7: (FAR, 77), 8: synfin.REFUSE, 9: synfin.DROP}[destination[1]]

    async def main() -> None:
        async with world(route=route) as (scene, _):
            await scene.far.create_datagram_endpoint(Answering, (FAR, 77))
            heard = [(await ask(scene, FAR6, port, b"x"))[1].heard for port in (7, 8, 9)]
            await settle(1)
            assert heard == [[b"X"], [errno.ECONNREFUSED], []]

    run(main())


def test_at_its_limit_the_flow_that_was_silent_the_longest_makes_room() -> None:
    async def main() -> None:
        async with world(limits=Limits(datagram_flows=3)) as (scene, gateway):
            far, _ = await scene.far.create_datagram_endpoint(Answering, (FAR, 7))
            first, heard = await ask(scene, FAR, 7, b"a")
            await settle(1)
            for _ in range(2):
                await ask(scene, FAR, 7, b"b")
                await settle(1)
            first.sendto(b"again")
            await settle(1)
            for _ in range(2):
                await ask(scene, FAR, 7, b"c")
                await settle(1)
            assert gateway.counters.flows_dropped == 2
            assert len(gateway.flows) == 3
            assert gateway.flows[0].sent == 6  # the first, which has spoken since
            assert heard.heard == [b"A", b"AGAIN"]
            assert scene.near.stack.census()["datagram_ports"] == 3
            far.close()

    run(main())


def test_a_flood_of_datagrams_to_many_destinations_stays_within_the_limit() -> None:
    async def main() -> None:
        async with world(limits=Limits(datagram_flows=10)) as (scene, gateway):
            transport, _ = await scene.inside.create_datagram_endpoint(Asking, ("10.0.0.2", 1))
            for port in range(1, 1001):
                transport.sendto(b"x", (FAR, port))
            await settle(1)
            assert len(gateway.flows) == 10
            assert gateway.counters.flows_dropped == 990
            assert scene.near.stack.census()["datagram_ports"] == 10

    run(main())


def test_the_end_of_a_gateway_ends_its_flows() -> None:
    async def main() -> None:
        async with world() as (scene, gateway):
            await scene.far.create_datagram_endpoint(Answering, (FAR, 7))
            await ask(scene, FAR, 7, b"one")
            await settle(1)
            await gateway.aclose()
            assert scene.ended[0].outcome == "ended"
            assert scene.near.stack.census()["datagram_ports"] == 0
            _, asking = await ask(scene, FAR, 7, b"two")
            await settle(1)
            assert asking.heard == [errno.ECONNREFUSED]

    run(main())


# ---- names ----

INSIDE_DNS = "10.0.0.53"


def test_what_is_asked_of_a_resolver_inside_goes_to_one_outside_by_udp_and_tcp() -> None:
    async def main() -> None:
        async with world(dns={INSIDE_DNS: [FAR, (FAR6, 5353)]}) as (scene, _):
            await scene.far.create_datagram_endpoint(Answering, (FAR, 53))
            await scene.far.start_server(echo, FAR6, 5353)
            _, asking = await ask(scene, INSIDE_DNS, 53, b"query")
            reader, writer = await scene.inside.open_connection(INSIDE_DNS, 53)  # the first resolver refuses TCP
            writer.write(b"long query")
            writer.write_eof()
            assert await reader.read() == b"long query"
            writer.close()
            assert asking.heard == [b"QUERY"]
            assert scene.dialled == [(FAR, 53), (FAR, 53), (FAR6, 5353)]
            await settle(11)
            assert {flow.outcome for flow in scene.ended} == {"idle", "closed"}

    run(main())


def test_the_next_resolver_is_asked_where_one_refuses_and_where_one_is_silent() -> None:
    async def main() -> None:
        async with world(dns={INSIDE_DNS: [(FAR, 1), (FAR, 2), (FAR, 3)]}) as (scene, _):
            silent, _ = await scene.far.create_datagram_endpoint(Asking, (FAR, 2))
            await scene.far.create_datagram_endpoint(Answering, (FAR, 3))
            transport, asking = await ask(scene, INSIDE_DNS, 53, b"query")
            await settle(5)
            assert asking.heard == []
            transport.sendto(b"query")  # as resolvers do after five seconds
            await settle(1)
            assert asking.heard == [b"QUERY"]
            assert scene.dialled == [(FAR, 1), (FAR, 2), (FAR, 3)]
            silent.close()

    run(main())


def test_the_machines_resolvers_are_those_of_resolv_conf(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# nameserver 1.1.1.1\nsearch lan\nnameserver 127.0.0.53\nnameserver\nnameserver fe80::1%eth0\n"
                    "nameserver nonsense\nnameserver 9.9.9.9\nnameserver 8.8.8.8\n")  # fmt: skip
    assert machine_resolvers(file) == ["127.0.0.53", "fe80::1%eth0", "9.9.9.9"]
    assert machine_resolvers(tmp_path / "nothing") == ["127.0.0.1"]


# ---- published ----


def test_a_client_outside_reaches_a_server_inside_by_a_published_port() -> None:
    async def main() -> None:
        async with world() as (scene, gateway):
            loop = asyncio.get_running_loop()
            published = await gateway.publish("127.0.0.1", 0, "10.0.0.2", 7, udp=True)
            await scene.inside.create_datagram_endpoint(Answering, ("10.0.0.2", 7))
            client, asking = await loop.create_datagram_endpoint(
                Asking, remote_addr=published.get_extra_info("sockname")
            )
            client.sendto(b"from outside")
            await settle(1)
            assert asking.heard == [b"FROM OUTSIDE"]
            assert gateway.flows[0].inward
            client.close()
            await settle(100)
            assert scene.ended[0].outcome == "idle"

    run(main())
