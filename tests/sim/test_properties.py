"""Over random topologies and faults: what arrives was sent, what both ends closed is closed, and nothing is left."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from synfin.sim import Network
from synfin.sim.link import DISTRIBUTIONS
from synfin.tcp.config import Config
from synfin.tcp.states import CLOSED
from synfin.tcp.trace import TransitionEvent
from synfin.wire.key import reverse_key
from tests.sim.programs import PORT, noise

links = st.fixed_dictionaries(
    {"delay": st.sampled_from(["0ms", "1ms", "40ms"])},
    optional={
        "jitter": st.sampled_from(["1ms", "50ms"]),
        "distribution": st.sampled_from(DISTRIBUTIONS),
        "reorder": st.booleans(),
        "loss": st.sampled_from([0.01, 0.1, 0.3]),
        "burst_enter": st.sampled_from([0.01, 0.05]),
        "burst_leave": st.sampled_from([0.2, 0.5]),
        "duplicate": st.sampled_from([0.01, 0.1]),
        "corrupt": st.sampled_from([0.01, 0.1]),
        "mark": st.sampled_from([0.01, 0.5]),
        "bandwidth": st.sampled_from(["200kbit/s", "100Mbit/s"]),
        "queue": st.sampled_from(["5KB", "100KB"]),
        "mtu": st.sampled_from([576, 1000, 1500]),
    },
)
incidents = st.lists(
    st.tuples(
        st.floats(0, 5),
        st.sampled_from(["partition", "one_way", "heal", "crash", "pause", "resume", "mtu"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=4,
)
talks = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 60_000), st.integers(0, 60_000)),
    min_size=1,
    max_size=4,
)


@dataclass
class Stream:
    """What one end wrote, and what the other has read of it."""

    sent: bytes
    got: bytearray = field(default_factory=bytearray)


class Scene:
    """Hosts that talk pairwise while things go wrong."""

    def __init__(self, seed: int, shuffle: bool, hosts: int) -> None:
        self.network = Network(seed, shuffle=shuffle, keep_events=100_000, delay="1ms")
        # Without keep-alive nothing would ever tell who waits for a host that has forgotten him.
        config = Config(keepalive_idle_us=600_000_000)
        self.hosts = [self.network.host(f"h{number}", config=config) for number in range(hosts)]
        self.streams: list[Stream] = []

    async def serve(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                number = int(await reader.readline())
                there, back = self.streams[2 * number : 2 * number + 2]
                await self.exchange(reader, writer, there, back)
            except (OSError, ValueError):
                pass  # ValueError: the connection ended within the first line
            finally:
                writer.close()

        server = await asyncio.start_server(answer, port=PORT)
        await server.serve_forever()

    async def talk(self, to: str, number: int) -> None:
        there, back = self.streams[2 * number : 2 * number + 2]
        try:
            reader, writer = await asyncio.open_connection(to, PORT)
        except OSError:
            return
        try:
            writer.write(b"%d\n" % number)
            await self.exchange(reader, writer, back, there)
        except OSError:
            pass
        finally:
            writer.close()

    @staticmethod
    async def exchange(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reads: Stream, writes: Stream
    ) -> None:
        async def write() -> None:
            for at in range(0, len(writes.sent), 5000):
                writer.write(writes.sent[at : at + 5000])
                await writer.drain()
            writer.write_eof()

        writing = asyncio.ensure_future(write())
        try:
            while data := await reader.read(1 << 16):
                reads.got += data
            await writing
        finally:
            writing.cancel()

    async def happen(self, what: str, one: Any, other: Any) -> None:
        network = self.network
        if what == "crash" and one.is_up():
            one.crash()
            await network.after("200ms")
            one.restart()
        elif what == "pause" and one.is_up():
            one.pause()
        elif what == "resume":
            one.resume()
        elif what == "heal":
            network.heal()
        elif one is not other:
            if what == "partition":
                network.partition(one.name, other.name)
            elif what == "one_way":
                network.partition_one_way(one.name, other.name)
            elif what == "mtu":
                network.link(one.name, other.name, mtu=600)

    def closed_by_both(self) -> dict[frozenset[bytes], list[int]]:
        """The last states of the ends of each connection that both ends' users have closed."""
        last: dict[frozenset[bytes], dict[str, int]] = {}
        closed: dict[frozenset[bytes], set[str]] = {}
        for event in self.network.events:
            if isinstance(event, TransitionEvent) and len(event.key) >= 12:
                name = frozenset((event.key, reverse_key(event.key)))
                last.setdefault(name, {})[event.host] = event.after
                if event.reason == "CLOSE":
                    closed.setdefault(name, set()).add(event.host)
        return {name: list(last[name].values()) for name, hosts in closed.items() if len(hosts) == 2}


@given(st.integers(0, 1 << 30), st.booleans(), st.integers(2, 4), st.lists(links, max_size=4), incidents, talks)
def test_whatever_goes_wrong_streams_are_prefixes_and_all_ends(
    seed: int,
    shuffle: bool,
    count: int,
    paths: list[dict[str, Any]],
    planned: list[tuple[float, str, int, int]],
    wanted: list[tuple[int, int, int, int]],
) -> None:
    scene = Scene(seed, shuffle, count)
    network, hosts = scene.network, scene.hosts
    pick = random.Random(seed)
    for path in paths:
        network.link(*(host.name for host in pick.sample(hosts, 2)), **path)

    async def main() -> None:
        for host in hosts:
            host.start(scene.serve)
        await network.after("10ms")
        for number, (one, other, there, back) in enumerate(wanted):
            scene.streams += [Stream(noise(there, 2 * number)), Stream(noise(back, 2 * number + 1))]
            hosts[one % count].start(scene.talk(hosts[other % count].name, number))
        for at, what, one, other in sorted(planned):
            await network.after(max(0.0, at - network.now))
            await scene.happen(what, hosts[one % count], hosts[other % count])
        await network.after("20s")
        network.heal()
        for host in hosts:
            host.resume()
        await network.after("3h")
        for host in hosts:
            assert host.survivors == []
            left = {name: number for name, number in host.host.stack.census().items() if number}
            assert left == {"listeners": 2}, f"{host.name} has {left}"

    network.run(main())
    for stream in scene.streams:
        assert stream.sent.startswith(bytes(stream.got))
    crashed = any(what == "crash" for _, what, _, _ in planned)
    for states in scene.closed_by_both().values():
        assert crashed or states == [CLOSED] * len(states)
