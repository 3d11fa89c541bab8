"""Packets that nobody sent: what a forger, or the network's long memory, puts before a host."""

import asyncio

import pytest

from synfin.sim import RECORD, Network, SimPacket, SimulationError
from synfin.wire.ip import IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.segment import Segment, build, parse_untrusted
from synfin.wire.tcp_header import RST


def reset_like(packet: SimPacket, beyond: int) -> bytes:
    """A RST in the name of whoever sent the packet, numbered so much beyond its end."""
    ip, seg = IpHeader(), Segment()
    parse_ip(packet.data, ip)
    parse_untrusted(packet.data, ip, seg, True, 0)
    forged = Segment()
    forged.key = seg.key
    forged.flags = RST
    forged.seq = (seg.seq + len(seg.payload) + beyond) & 0xFFFFFFFF
    return build(forged)


async def talk_until_reset(network: Network, beyond: int) -> str:
    """What the server's program learns when a RST is forged, so much beyond the number it expects."""
    server, client = network.host("server"), network.host("client")
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(5)
            await asyncio.wait_for(reader.read(), 10)
        except OSError as error:  # TimeoutError is one
            heard.set_result(type(error).__name__)
        writer.close()

    async def serve() -> None:
        await asyncio.start_server(answer, port=7)

    rule = network.rule(lambda packet: RECORD if packet.length else None)
    await server.start(serve())
    _, writer = await client.start(asyncio.open_connection("server", 7))
    writer.write(b"hello")
    await network.after("1s")
    network.inject("server", reset_like(rule.recorded[-1], beyond), after="20ms")
    found = await heard
    writer.transport.abort()
    return found


@pytest.mark.parametrize(
    ("beyond", "learned"),
    [(0, "ConnectionResetError"), (100, "TimeoutError"), (-1, "TimeoutError")],
)
def test_an_injected_reset_ends_a_connection_by_the_very_number_that_is_expected(beyond: int, learned: str) -> None:
    network = Network()
    assert network.run(talk_until_reset(network, beyond)) == learned


def test_what_is_injected_is_bytes_and_arrives_at_a_host_that_there_is() -> None:
    network = Network()
    network.host("server")
    with pytest.raises(TypeError, match="a packet is bytes, not str"):
        network.inject("server", "RST")  # type: ignore[arg-type]
    with pytest.raises(SimulationError, match="no host 'sever'"):
        network.inject("sever", b"")
    network.close()
