"""Uploads that begin with a SYN cookie, whatever happens to their first packets."""

from __future__ import annotations

import asyncio

import pytest

from synfin.sim import DROP, PASS, Delay, Network, SimPacket
from synfin.sim.rules import Verdict
from synfin.tcp.config import COOKIES_ALWAYS, COOKIES_WHEN_FULL, Config
from tests.sim.programs import PORT, collect, noise, send

TEXT = noise(100_000)


def upload(network: Network, *, timestamps: bool, cookies: int = COOKIES_ALWAYS) -> dict[str, int]:
    """Sends TEXT from client to server, which answers SYNs by cookies; the server's counters when all has arrived."""
    config = Config(syn_cookies=cookies, syn_queue_limit=1, timestamps=timestamps)
    server = network.host("server", config=config)
    client = network.host("client")
    network.link("client", "server", delay="10ms", bandwidth="10Gbit/s")  # which takes bursts apart
    got = bytearray()

    async def main() -> None:
        server.start(lambda: collect(got))
        await network.after("1ms")
        await client.start(send("server", TEXT))

    network.run(main())
    assert got == TEXT
    return server.host.stack.counters.as_dict()


@pytest.mark.parametrize("timestamps", [True, False])
@pytest.mark.parametrize("lost", [1, 2, 3, 5, 9, 10, 11])
def test_an_upload_whose_first_packets_after_the_cookie_are_lost_is_completed(lost: int, timestamps: bool) -> None:
    network = Network()
    sent = 0

    def lose(packet: SimPacket) -> Verdict:
        nonlocal sent
        if packet.sender == "client" and "SYN" not in packet.flags:
            sent += 1
            return DROP if sent <= lost else PASS
        return PASS

    network.rule(lose)
    seen = upload(network, timestamps=timestamps)
    assert (seen["SyncookiesSent"], seen["SyncookiesRecv"], seen["OutRsts"]) == (1, 1, 0)
    if 2 <= lost <= 10:  # the bare ACK and the first text, but not the last of the initial window
        assert 11 - lost <= seen["SyncookiesOvertaken"] <= 12 - lost  # and perhaps a tail-loss probe
    assert seen["SyncookiesFailed"] == 0


def test_an_upload_that_a_late_third_segment_follows_is_completed() -> None:
    network = Network()
    late = {"seen": 0}

    def delay(packet: SimPacket) -> Verdict:
        if packet.sender == "client" and "SYN" not in packet.flags:
            late["seen"] += 1
            if late["seen"] <= 2:
                return Delay("100ms")
        return PASS

    network.rule(delay)
    seen = upload(network, timestamps=True)
    assert (seen["SyncookiesRecv"], seen["SyncookiesFailed"], seen["OutRsts"]) == (1, 0, 0)
    assert seen["SyncookiesOvertaken"] > 0


@pytest.mark.parametrize("seed", range(20))
def test_uploads_over_a_bad_network_into_a_flooded_server_end_whole_and_without_a_reset(seed: int) -> None:
    network = Network(seed)
    server = network.host("server", config=Config(syn_cookies=COOKIES_WHEN_FULL, syn_queue_limit=1))
    clients = [network.host(f"client{number}") for number in range(6)]
    for client in clients:
        network.link(client.name, "server", delay="10ms", jitter="30ms", reorder=True, loss=0.1, duplicate=0.1)
    got = {client.name: 0 for client in clients}
    wanted = len(TEXT) // 4

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        text = await reader.readexactly(wanted)
        assert text == TEXT[:wanted]
        writer.write(b"all")
        writer.close()

    async def serve() -> None:
        await (await asyncio.start_server(take, port=PORT)).serve_forever()

    async def give(name: str) -> None:
        reader, writer = await asyncio.open_connection("server", PORT)
        writer.write(TEXT[:wanted])
        got[name] = len(await reader.read())
        writer.close()

    async def main() -> None:
        server.start(serve)
        await network.after("1ms")
        await asyncio.gather(*(client.start(give(client.name)) for client in clients))

    network.run(main())
    assert set(got.values()) == {3}
    seen = server.host.stack.counters.as_dict()
    assert seen["SyncookiesRecv"] > 0 and seen["EstabResets"] == 0
