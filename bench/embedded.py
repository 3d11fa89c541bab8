"""Two Hosts on one loop of one process, as an embedder joins them: what one writes, the other one's protocol counts.

`packets`: what a Host gives to send=, the other receives at the loop's next turn, one packet a turn. `batches`: a task
for each direction carries what outgoing() gives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from bench.plan import EMBEDDED
from bench.setting import Setting, finish
from bench.users import Sink, Source

PORT = 80
ADDRESSES = ("10.0.0.1", "10.0.0.2")


def embedded(mtu: int, batches: bool, trusted: bool, setting: Setting) -> None:
    """Megabytes that reach the receiving protocol, for a second of the processor's."""
    import synfin

    config = synfin.Config(mtu=mtu)
    hosts: list[synfin.Host] = []

    def sender_to(place: int) -> Callable[[bytes], object] | None:
        if batches:
            return None
        return lambda packet: hosts[place].loop.call_soon(hosts[place].receive, packet)

    async def carry(source: synfin.Host, target: synfin.Host) -> None:
        with suppress(OSError):
            while True:
                for packet in await source.outgoing():
                    target.receive(packet)

    async def run() -> None:
        for place, address in enumerate(ADDRESSES):
            other = sender_to(1 - place)
            hosts.append(synfin.Host([address], send=other, config=config, verify_checksums=not trusted))
        left, right = hosts
        async with left, right:
            carriers = [asyncio.create_task(carry(one, two)) for one, two in ((left, right), (right, left)) if batches]
            await right.create_server(Sink, ADDRESSES[1], PORT)
            await left.create_connection(Source, ADDRESSES[1], PORT)
            await asyncio.sleep(setting.warm)
            before, begun = Sink.received, time.process_time()
            await asyncio.sleep(setting.seconds)
            after, ended = Sink.received, time.process_time()
            if after == before or any(carrier.done() for carrier in carriers):
                raise RuntimeError("nothing came")
            finish((after - before) / (ended - begun) / 1e6)

    asyncio.run(run())


MEASURES: dict[str, Callable[[Setting], None]] = {
    f"embedded_{name}": partial(embedded, mtu, batches, trusted) for name, (mtu, batches, trusted) in EMBEDDED.items()
}
