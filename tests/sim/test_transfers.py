"""synfin's own transfer and close under a swarm of faults, with every option: what a campaign of it runs.

A seed draws the options of both hosts, how much each end sends and in which way the two close; the swarm draws what
goes wrong meanwhile. Whatever that is, what is read is the beginning of what was sent, and long afterwards nothing is
left. Unless a host has crashed or a user has aborted, all of it arrives, nobody is told of an error, and both ends
close.

A listener that sends cookies takes an old segment for the end of a handshake, also after its connection has ended (RFC
4987 section 3.6): what becomes of that ghost is no error of the connection.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

import pytest

from synfin.sim import Network
from synfin.tcp.config import COOKIES_ALWAYS, COOKIES_OFF, COOKIES_WHEN_FULL, Config
from synfin.tcp.states import CLOSED, LISTEN
from synfin.tcp.trace import TransitionEvent
from tests.sim.programs import PORT, noise

FAULTS_END: Final = "10s"
CLOSES: Final = ("the client first", "the server first", "both at once", "one half each", "the client aborts")
CLIENT_FIRST, SERVER_FIRST, AT_ONCE, HALVES, ABORT = CLOSES
MINUTE: Final = 60_000_000


def options(random: Random) -> Config:
    """Of one host: each of them is drawn."""
    return Config(
        mtu=random.choice((1280, 1500, 9000)),
        timestamps=random.random() < 0.7,
        timestamps_required=random.random() < 0.3,
        window_scale=random.random() < 0.7,
        sack=random.random() < 0.7,
        receive_buffer=random.choice((2048, 16_000, 128 * 1024)),
        send_buffer=random.choice((2048, 64 * 1024)),
        congestion_control=random.choice(("newreno", "cubic", "bbr")),
        path_mtu_probing=random.choice(("off", "black-hole", "always")),
        send_mss_max=random.choice((0, 0, 0, 100)),
        initial_window=random.choice((1, 2, 10)),
        pacing=random.random() < 0.7,
        ecn=random.choice(("off", "accept", "on", "accurate")),
        nodelay=random.random() < 0.5,
        ack_delay_us=random.choice((0, 40_000, 500_000)),
        # With a shorter one eight timeouts are over in seconds, and who has closed is given up (`orphan_retries`).
        rto_min_us=random.choice((200_000, 1_000_000)),
        no_metrics_save=random.random() < 0.3,
        abort_on_overflow=random.random() < 0.3,
        syn_cookies=random.choice((COOKIES_OFF, COOKIES_WHEN_FULL, COOKIES_ALWAYS)),
        reassembly_limit=random.choice((1, 4, 1024)),
        scoreboard_limit=random.choice((1, 4, 4096)),
        outbox_limit=random.choice((2, 4096)),
        msl_us=random.choice((0, MINUTE // 2)),
        # Without keep-alive nothing would ever tell who waits for a host that has forgotten him.
        keepalive_idle_us=MINUTE,
        keepalive_interval_us=MINUTE // 6,
    )


@dataclass
class Talk:
    """What both ends send, how they close, and what came of it."""

    close: str
    there: bytes
    back: bytes
    got: dict[str, bytearray] = field(default_factory=lambda: {"client": bytearray(), "server": bytearray()})
    ended: dict[str, str] = field(default_factory=dict)
    """Of each end: "" after an end of file, or its error."""

    @property
    def is_whole(self) -> bool:
        return (bytes(self.got["server"]), bytes(self.got["client"])) == (self.there, self.back)


async def end_of(talk: Talk, me: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One end of it, from after the client's first line to its close."""
    sends = talk.there if me == "client" else talk.back
    waits = talk.close == (SERVER_FIRST if me == "client" else CLIENT_FIRST)  # for the end of file, and then closes

    async def write() -> None:
        for at in range(0, len(sends), 3000):
            writer.write(sends[at : at + 3000])
            await writer.drain()
        if talk.close == ABORT and me == "client":
            writer.transport.abort()
        elif not waits:
            writer.write_eof()

    writing = asyncio.ensure_future(write())
    try:
        while data := await reader.read(1 << 16):
            talk.got[me] += data
        await writing
        talk.ended.setdefault(me, "")
    except OSError as error:
        talk.ended.setdefault(me, repr(error))
    finally:
        writing.cancel()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def serve(talks: list[Talk]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            writer.close()
            return
        await end_of(talks[int(line)], "server", reader, writer)

    async with await asyncio.start_server(answer, port=PORT) as server:
        await server.serve_forever()


async def talk_to_server(talks: list[Talk], number: int, turn: float) -> None:
    await asyncio.sleep(turn)
    try:
        reader, writer = await asyncio.open_connection("server", PORT)
    except OSError as error:
        talks[number].ended["client"] = repr(error)
        return
    writer.write(b"%d\n" % number)
    await end_of(talks[number], "client", reader, writer)


def last_states(network: Network) -> list[int]:
    """Those of every end of a connection."""
    last = {
        (event.host, event.key): event.after
        for event in network.events
        if isinstance(event, TransitionEvent) and len(event.key) >= 12
    }
    return list(last.values())


@pytest.mark.synfin(seeds=30, swarm=True, swarm_until=FAULTS_END)
async def test_all_arrives_and_both_ends_close(network: Network, synfin_seed: int) -> None:
    random = Random(f"transfers {synfin_seed}")
    hosts = [network.host(name, config=options(random)) for name in ("server", "client")]
    network.link("client", "server", mtu=random.choice((1280, 1400, 9000)))
    talks = [
        Talk(random.choice(CLOSES), noise(random.choice((0, 1, 5000, 40_000)), 1), noise(random.randrange(30_000), 2))
        for _ in range(3)
    ]
    hosts[0].start(lambda: serve(talks))
    await network.after("1ms")
    for number in range(len(talks)):
        hosts[1].start(talk_to_server(talks, number, random.choice((0.0, 0.3, 4.0))))
    await network.after("1h")
    for host in hosts:
        assert host.survivors == []
        left = {name: count for name, count in host.host.stack.census().items() if count}
        assert left == ({"listeners": 2} if host is hosts[0] else {}), f"{host.name} has {left}"
    for talk in talks:
        assert talk.there.startswith(talk.got["server"])
        assert talk.back.startswith(talk.got["client"])
    if any(episode[0] == "crash" for episode in network.episodes):
        return
    assert set(last_states(network)) <= {CLOSED, LISTEN}  # LISTEN: of a late SYN that was refused
    for talk in talks:
        if talk.close != ABORT:
            assert talk.ended == {"client": "", "server": ""}
            assert talk.is_whole
