"""Several addresses of one name: in which order, how far apart, and what becomes of those that lose."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from synfin.aio.host import Host
from synfin.aio.names import Where, interleave
from synfin.stack.addresses import packed
from tests.unit.aio.hosts import Recorder, Wire, assert_nothing_left
from tests.unit.aio.virtual import run, settle

FIRST, SECOND, SILENT = "10.0.0.2", "fd00::2", "10.0.0.9"
PORT = 80


class Scene:
    """A client, and a server of two families."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.client = Host(["10.0.0.1/24", "fd00::1/64"], send=self.wire.from_client, name="client")
        self.server = Host([f"{FIRST}/24", f"{SECOND}/64"], send=self.wire.from_server, name="server")
        self.wire.join(self.client, self.server)

    async def __aenter__(self) -> Scene:
        self.client.open()
        self.server.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()
        await self.server.aclose()

    async def connect(self, hosts: Any, **options: Any) -> tuple[str, float]:
        """Whom it reached, and after how many seconds."""
        began = self.client.clock()
        transport, _ = await self.client.create_connection(Recorder, hosts, PORT, **options)
        took = (self.client.clock() - began) / 1_000_000
        name: str = transport.get_extra_info("peername")[0]
        transport.abort()
        return name, took


def test_after_the_delay_the_next_address_is_tried_beside_a_silent_one() -> None:
    async def main() -> None:
        async with Scene() as scene:
            await scene.server.create_server(Recorder, port=PORT)
            reached, took = await scene.connect([SILENT, FIRST], happy_eyeballs_delay=0.25)
            assert reached == FIRST and 0.25 < took < 0.26
            await settle(100)
            assert_nothing_left(scene.client, "time_wait")

    run(main())


def test_an_address_that_refuses_does_not_cost_the_delay() -> None:
    async def main() -> None:
        async with Scene() as scene:
            await scene.server.create_server(Recorder, SECOND, PORT)
            reached, took = await scene.connect([FIRST, SECOND], happy_eyeballs_delay=0.25)
            assert reached == SECOND and took < 0.01

    run(main())


def test_a_slow_address_may_still_win_after_the_next_was_tried() -> None:
    async def main() -> None:
        async with Scene() as scene:
            await scene.server.create_server(Recorder, port=PORT)
            scene.wire.delay = 0.2  # the handshake takes 0.4 s, the second one's begins after 0.1 s
            reached, took = await scene.connect([FIRST, SECOND], happy_eyeballs_delay=0.1)
            assert reached == FIRST and 0.4 <= took < 0.45
            await settle(200)
            assert_nothing_left(scene.client, "time_wait")
            assert_nothing_left(scene.server, "time_wait", "listeners")

    run(main())


def test_of_two_that_answer_at_once_the_first_wins_and_the_other_is_given_up() -> None:
    async def main() -> None:
        async with Scene() as scene:
            await scene.server.create_server(Recorder, port=PORT)
            reached, _ = await scene.connect([FIRST, SECOND], happy_eyeballs_delay=0.0)
            assert reached == FIRST
            await settle(200)
            assert_nothing_left(scene.client, "time_wait")
            assert_nothing_left(scene.server, "time_wait", "listeners")

    run(main())


def test_a_race_that_is_cancelled_leaves_nothing() -> None:
    async def main() -> None:
        async with Scene() as scene:
            racing = asyncio.create_task(scene.connect([SILENT, "10.0.0.8"], happy_eyeballs_delay=0.25))
            await asyncio.sleep(1)
            assert scene.client.stack.census()["connections"] == 2
            racing.cancel()
            await asyncio.wait([racing])
            assert racing.cancelled()
            await settle()
            assert_nothing_left(scene.client)

    run(main())


def test_all_that_failed_in_a_race_are_told() -> None:
    async def main() -> None:
        async with Scene() as scene:
            with pytest.raises(ExceptionGroup) as group:
                await scene.connect([FIRST, SECOND], happy_eyeballs_delay=0.25, all_errors=True)
            assert [type(error) for error in group.value.exceptions] == [ConnectionRefusedError] * 2
            with pytest.raises(ConnectionRefusedError, match="Multiple exceptions"):
                await scene.connect([FIRST, SECOND], happy_eyeballs_delay=0.25)

    run(main())


def wheres(*addresses: str) -> list[Where]:
    return [Where(packed(address), 80) for address in addresses]


@pytest.mark.parametrize(
    ("first", "order"),
    [
        (1, ["10.0.0.1", "fd00::1", "10.0.0.2", "fd00::2", "10.0.0.3"]),
        (2, ["10.0.0.1", "10.0.0.2", "fd00::1", "10.0.0.3", "fd00::2"]),
        (9, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2"]),
    ],
)
def test_families_take_turns(first: int, order: list[str]) -> None:
    # RFC 8305 4
    found = wheres("10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2")
    assert interleave(found, first) == wheres(*order)


def test_interleaving_nothing_or_one_family_changes_nothing() -> None:
    assert interleave([], 1) == []
    assert interleave(wheres("fd00::1", "fd00::2"), 1) == wheres("fd00::1", "fd00::2")


def test_a_server_on_port_0_has_one_port_on_all_addresses() -> None:
    async def main() -> None:
        async with Scene() as scene:
            server = await scene.server.create_server(Recorder, port=0)
            assert [face.getsockname()[0] for face in server.sockets] == ["0.0.0.0", "::"]
            assert len({face.getsockname()[1] for face in server.sockets}) == 1
            server.close()
            taken = await scene.server.create_server(Recorder, "::", server_port := 40_000)
            again = await scene.server.create_server(Recorder, ["0.0.0.0", "::"], 0)
            assert server_port not in [face.getsockname()[1] for face in again.sockets]
            taken.close()

    run(main())


def test_keep_alive_of_a_server_is_its_connections() -> None:
    async def main() -> None:
        async with Scene() as scene:
            for port, keep_alive in ((81, True), (82, None)):
                accepted = Recorder()
                await scene.server.create_server(lambda: accepted, port=port, keep_alive=keep_alive)  # noqa: B023
                await scene.client.create_connection(Recorder, FIRST, port)
                await settle()
                face = accepted.transport.get_extra_info("socket")
                assert face.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == int(bool(keep_alive))

    run(main())


def test_a_datagram_endpoint_on_the_ipv6_wildcard_answers_ipv4_peers_by_either_name() -> None:
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            assert addr[0] == "::ffff:10.0.0.1"
            self.transport.sendto(b"mapped", addr)
            self.transport.sendto(b"plain", ("10.0.0.1", addr[1]))

    class Heard(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            heard.append((data, addr))

    heard: list[tuple[bytes, Any]] = []

    async def main() -> None:
        async with Scene() as scene:
            await scene.server.create_datagram_endpoint(Echo, local_addr=("::", 53))
            transport, _ = await scene.client.create_datagram_endpoint(Heard, remote_addr=(FIRST, 53))
            transport.sendto(b"?")
            await settle()
            assert heard == [(b"mapped", (FIRST, 53)), (b"plain", (FIRST, 53))]

    run(main())
