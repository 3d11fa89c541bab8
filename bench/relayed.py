"""Both ways at once through a relay: how much the weaker direction gets of what the stronger gets.

Four connections on one link: load.c at both outer ends, synfin's Protocols in the middle. The kernel pair has no relay.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.networks import OUR_ADDRESS, PEER_ADDRESS, veth_pair
from bench.plan import KERNEL_PLAIN
from bench.served import tun_link
from bench.setting import Setting, finish

if TYPE_CHECKING:
    import synfin

WAYS = {"receive": (7001, "source"), "acked": (7002, "sink")}  # what load.c does, of which port, served by what
BEHIND = 100  # of the port to which the relay connects


class Half(asyncio.Protocol):
    """Gives the other half what comes, and no more than that takes."""

    transport: asyncio.Transport
    other: Half

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.pause_reading()  # until the other is there

    def join(self, other: Half) -> None:
        self.other, other.other = other, self
        for half in (self, other):
            half.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self.other.transport.write(data)

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()


@contextmanager
def _serving(setting: Setting, address: str, behind: int) -> Iterator[None]:
    pipe = subprocess.PIPE
    servers = []
    try:
        for port, kind in WAYS.values():
            server = subprocess.Popen(setting.command("serve", address, port + behind, kind), stdin=pipe, stdout=pipe)
            servers.append(server)
            assert server.stdout is not None
            server.stdout.readline()
        yield
    finally:
        for server in servers:
            server.kill()


async def _share(setting: Setting, inside: Callable[[list[str]], list[str]]) -> float:
    async def ask(word: str, port: int) -> float:
        command = inside(setting.command(word, OUR_ADDRESS, port, setting.warm_ms, setting.ms))
        child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        said, _ = await asyncio.wait_for(child.communicate(), setting.patience)
        count, seconds = map(float, said.split())
        return count / seconds

    rates = await asyncio.gather(*(ask(word, port) for word, (port, _) in WAYS.items()))
    return min(rates) / max(rates)


async def _relay(setting: Setting, host: synfin.Host) -> float:
    loop = asyncio.get_running_loop()
    joining = set()

    async def connect(first: Half, port: int) -> None:
        _, second = await host.create_connection(Half, PEER_ADDRESS, port + BEHIND)
        assert isinstance(second, Half)
        first.join(second)

    def accept(port: int) -> type[Half]:
        class First(Half):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                joining.add(loop.create_task(connect(self, port)))

        return First

    for port, _ in WAYS.values():
        await host.create_server(accept(port), OUR_ADDRESS, port)
    return await _share(setting, lambda words: words)


def of_synfin(setting: Setting) -> None:
    """A relay on a Host; all else of the connections is the kernel, across a TUN device."""
    import synfin
    from synfin.links import netns

    netns.enter_private_network()
    link = tun_link(setting)

    async def run() -> None:
        async with synfin.Host([OUR_ADDRESS], link=link) as host:
            with _serving(setting, PEER_ADDRESS, BEHIND):
                value = await _relay(setting, host)
            finish(value)

    asyncio.run(run())


def of_kernel(setting: Setting) -> None:
    """The same two connections between two networks."""
    with veth_pair(setting.subject != KERNEL_PLAIN) as inside:
        with _serving(setting, OUR_ADDRESS, 0):
            value = asyncio.run(_share(setting, inside))
        finish(value)


MEASURES: dict[str, Callable[[Setting], None]] = {"relay_share": of_synfin}
