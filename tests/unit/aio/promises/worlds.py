"""The ways to carry a program's bytes: the kernel's sockets, and synfin in four guises. `play` runs it in one of them.

kernel  loopback, on a plain selector loop, in real time
hosts   two Hosts whose packets arrive in the loop's next turn, as from a device; the program calls Host's methods
loop    a loop of loop_factory; the program calls asyncio's functions, the far end is another Host, 1 ms away
own     the same, but both ends are addresses of one Host
sim     two hosts of a simulated network, asyncio's functions at both
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import socket
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

from synfin.aio.host import Host
from synfin.aio.loop import HostLoop
from synfin.sim import Network
from synfin.tcp.config import Config
from tests.unit.aio.hosts import Wire
from tests.unit.aio.promises.log import Log, Seen
from tests.unit.aio.promises.net import HOSTS, LOOP, OWN, SIM, End, Net, Plain, Program
from tests.unit.aio.virtual import VirtualLoop

PATIENCE_SECONDS = 10.0  # for the kernel, whose time is real
VIRTUAL_PATIENCE_SECONDS = 300.0
REST_SECONDS = 5.0  # of virtual time
PORT = 8000
NEAR = ("10.0.0.1", "fd00::1")
FAR = ("10.0.0.2", "fd00::2")
LOOPBACKS = Config(mtu=65535)  # as the kernel's loopback; many bytes take few packets


async def _watched(net: Net, program: Program, patience: float = VIRTUAL_PATIENCE_SECONDS) -> Seen:
    """Run the program; what asyncio reports and logs meanwhile is seen at the end "loop"."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: _report(net.log, context))
    handler = _Logged(net.log)
    logger = logging.getLogger("asyncio")
    logger.addHandler(handler)
    try:
        async with asyncio.timeout(patience):
            await program(net)
        await net.rest()
        return net.log.seen()
    except TimeoutError:
        raise TimeoutError(f"the program waits for ever; it saw {net.log.seen()}") from None
    finally:
        net.log = Log()
        await net.aclose()
        logger.removeHandler(handler)


def _report(log: Log, context: dict[str, Any]) -> None:
    log.note(
        "loop", "reported", context.get("exception"), sorted(set(context) & {"exception", "transport", "protocol"})
    )


class _Logged(logging.Handler):
    """asyncio's log, where it warns of what it raises not."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.note("loop", "logged", record.getMessage())


def _name_the_ends(net: Net) -> None:
    """Let the running loop's resolver know both ends by their names, IPv4 first."""
    loop = asyncio.get_running_loop()
    asks = loop.getaddrinfo
    known = {end.name: (end.address, end.address6) for end in (net.near, net.far)}

    async def getaddrinfo(host: Any, port: Any, **options: Any) -> list[Any]:
        if host not in known:
            return await asks(host, port, **options)
        wanted = [address for address in known[host] if _is_of(address, options)]
        return [entry for address in wanted for entry in await asks(address, port, **options)]

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]


def _is_of(address: str, options: dict[str, Any]) -> bool:
    """Whether an address is of the family that is asked for."""
    family = options.get("family", 0)
    return not family or (":" in address) == (family == socket.AF_INET6)


# ---- the kernel ----


def _free_port() -> int:
    """Below the ports that a kernel gives out, so that only another run of this can take it."""
    pick = random.Random(os.getpid() * 1_000_003 + _free_port.__dict__.setdefault("asked", 0))
    _free_port.__dict__["asked"] += 1
    while True:
        port = pick.randrange(10_000, 32_000)
        with socket.socket(socket.AF_INET6) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            try:
                probe.bind(("::", port))
            except OSError:
                continue
        return port


async def _kernel_rests() -> None:
    """Loopback delivers within the sender's call, so all that was sent before a round of bytes is there after it."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        for _ in range(10):
            await loop.sock_sendall(near, b"x")
            await loop.sock_recv(far, 1)
            for _ in range(5):  # turns of the loop: what has arrived is told, and answered
                await asyncio.sleep(0)


def _in_kernel(program: Program) -> Seen:
    async def main() -> Seen:
        near = End("near", ("127.0.0.1", "::1"), Plain())
        far = End("far", ("127.0.0.2", "::1"), Plain())
        net = Net(near, far, _free_port(), _kernel_rests)
        _name_the_ends(net)
        return await _watched(net, program, PATIENCE_SECONDS)

    with warnings.catch_warnings(), asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        warnings.simplefilter("ignore", ResourceWarning)  # asyncio forgets a socket whose protocol's factory failed
        try:
            return runner.run(main())
        finally:
            gc.collect()


# ---- synfin ----


async def _rest() -> None:
    await asyncio.sleep(REST_SECONDS)


def _host(*addresses: str, send: Callable[[bytes], None], name: str = "synfin") -> Host:
    networks = [f"{address}/{64 if ':' in address else 24}" for address in addresses]
    entropy = random.Random(str(networks)).randbytes
    return Host(networks, send=send, config=LOOPBACKS, name=name, entropy=entropy)


def _joined() -> tuple[Host, Host]:
    wire = Wire()
    near = _host(*NEAR, send=wire.from_client, name="client")
    far = _host(*FAR, send=wire.from_server, name="server")
    wire.join(near, far)
    return near, far


class VirtualHostLoop(HostLoop, VirtualLoop):
    """A loop of loop_factory in virtual time."""


class NextTurn:
    """Carries packets to a host: those of one turn of the loop arrive together in the next, before any task runs."""

    def __init__(self) -> None:
        self.target: Host
        self._packets: list[bytes] = []

    def send(self, packet: bytes) -> None:
        """Take a packet from the other host."""
        if not self._packets:
            self.target.loop.call_soon(self._arrive)
        self._packets.append(packet)

    def _arrive(self) -> None:
        packets, self._packets = self._packets, []
        self.target.deliver(packets)


def _on_hosts(program: Program) -> Seen:
    to_near, to_far = NextTurn(), NextTurn()
    near = _host(*NEAR, send=to_far.send)
    far = _host(*FAR, send=to_near.send)
    to_near.target, to_far.target = near, far

    async def main() -> Seen:
        async with near, far:
            net = Net(End("near", NEAR, near), End("far", FAR, far), PORT, _rest)
            _name_the_ends(net)
            return await _watched(net, program)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def _on_loop(program: Program) -> Seen:
    near, far = _joined()

    async def main() -> Seen:
        async with far:
            net = Net(End("near", NEAR, Plain()), End("far", FAR, far), PORT, _rest)
            _name_the_ends(net)
            return await _watched(net, program)

    with asyncio.Runner(loop_factory=lambda: VirtualHostLoop(near, near.networks, {})) as runner:
        return runner.run(main())


def _on_own_addresses(program: Program) -> Seen:
    host = _host(*NEAR, *FAR, send=lambda _: None)

    async def main() -> Seen:
        net = Net(End("near", NEAR, Plain()), End("far", FAR, Plain()), PORT, _rest)
        _name_the_ends(net)
        return await _watched(net, program)

    with asyncio.Runner(loop_factory=lambda: VirtualHostLoop(host, host.networks, {})) as runner:
        return runner.run(main())


def _in_simulation(program: Program) -> Seen:
    network = Network()
    near, far = network.host("near", config=LOOPBACKS), network.host("far", config=LOOPBACKS)
    network.link("near", "far", mtu=LOOPBACKS.mtu)

    async def at_far(call: Callable[[], Awaitable[Any]]) -> Any:
        async def program_of_far() -> Any:
            return await call()

        return await far.start(program_of_far())

    async def main() -> Seen:
        ends = (
            End("near", (near.addresses[0], near.addresses[1]), Plain()),
            End("far", (far.addresses[0], far.addresses[1]), Plain(), at_far),
        )
        net = Net(*ends, PORT, _rest)
        return await _watched(net, program)

    async def direct() -> Seen:
        return await near.start(main())

    return network.run(direct())


_WORLDS: dict[str, Callable[[Program], Seen]] = {
    HOSTS: _on_hosts,
    LOOP: _on_loop,
    OWN: _on_own_addresses,
    SIM: _in_simulation,
}


def play(program: Program, world: str) -> Seen:
    """What the program saw in one of synfin's worlds."""
    return _WORLDS[world](program)


def play_in_kernel(program: Program) -> Seen:
    """What it saw on the kernel's sockets."""
    return _in_kernel(program)
