"""Two machines on one loop, for libraries that know nothing of synfin: asyncio's ordinary calls reach a synfin Host.

The loop is synfin's own (`loop_factory`); a context variable says on which machine a task runs. Tasks begin on the
client; what `world.on_server()` starts, and all that this starts in turn, is on the server. Nothing is patched.

The time is virtual: it stands still while anything runs, here or in a thread, and jumps to the next timer when nothing
does. Twenty milliseconds of delay cost none, and the same seed loses the same packets.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import synfin
from synfin.aio.loop import HostLoop

T = TypeVar("T")

CLIENT: Final = {4: "10.9.0.1", 6: "fd00:9::1"}
SERVER: Final = {4: "10.9.0.2", 6: "fd00:9::2"}
NAME: Final = "server.test"
NAME6: Final = "server6.test"
PREFIX: Final = {4: 24, 6: 64}
QUIET_SECONDS: Final = 300  # within which all that was closed must have ended


@dataclass(frozen=True)
class Path:
    """Between the machines. loss: the part of the packets that vanish; delay in seconds, one way.

    itself: there is one machine, which talks to its own address.
    """

    loss: float = 0.0
    delay: float = 0.0
    itself: bool = False


PATHS: Final = {"itself": Path(itself=True), "wire": Path(), "lossy": Path(loss=0.02, delay=0.02)}


class Cable:
    """Carries packets to a host, or not."""

    def __init__(self, path: Path, seed: int) -> None:
        self.carried = 0
        self.lost = 0
        self._path = path
        self._random = random.Random(seed)

    def carry(self, packet: bytes, to: synfin.Host) -> None:
        self.carried += 1
        if self._random.random() < self._path.loss:
            self.lost += 1
        else:
            to.loop.call_later(self._path.delay, _deliver, packet, to)


def _deliver(packet: bytes, to: synfin.Host) -> None:
    if to.is_open():
        to.receive(packet)


class VirtualTimeLoop(HostLoop):
    """A HostLoop whose clock moves only when nothing else can happen, and whose host depends on who asks."""

    def __init__(self, machine: ContextVar[synfin.Host], *arguments: Any) -> None:
        self._machine = machine
        self._now = 1000.0
        self._threads_at_work = 0
        super().__init__(*arguments)
        self._selector: Any
        self._poll: Callable[[float | None], list[Any]] = self._selector.select
        self._selector.select = self._select

    @property
    def host(self) -> synfin.Host:
        return self._machine.get(self._first)

    @host.setter
    def host(self, host: synfin.Host) -> None:
        self._first = host

    def time(self) -> float:
        return self._now

    def _select(self, timeout: float | None) -> list[Any]:
        events = self._poll(0)
        if events or timeout == 0:
            return events
        if self._threads_at_work:
            return self._poll(None)
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing is left that could happen")
        self._now += timeout
        return []

    def run_in_executor(self, *arguments: Any) -> Any:  # type: ignore[override]
        future: asyncio.Future[Any] = super().run_in_executor(*arguments)
        self._threads_at_work += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: object) -> None:
        self._threads_at_work -= 1

    async def shutdown_default_executor(self, *arguments: Any) -> None:
        self._threads_at_work += 1
        try:
            await super().shutdown_default_executor(*arguments)
        finally:
            self._threads_at_work -= 1


class World:
    """`run(main)` runs a coroutine on the client, and demands that nothing is left of it on either machine."""

    def __init__(self, path: Path, seed: int = 1) -> None:
        self.path = path
        self.cable = Cable(path, seed)
        self.problems: list[dict[str, Any]] = []
        self.client = self._make("client", CLIENT, seed, lambda packet: self.cable.carry(packet, self.server))
        self.server = self.client
        self.server_addresses = CLIENT
        if not path.itself:
            self.server_addresses = SERVER
            self.server = self._make("server", SERVER, seed + 1, lambda packet: self.cable.carry(packet, self.client))
        self.machine: ContextVar[synfin.Host] = ContextVar("machine")

    @staticmethod
    def _make(name: str, addresses: dict[int, str], seed: int, send: Callable[[bytes], None]) -> synfin.Host:
        interfaces = [f"{address}/{PREFIX[version]}" for version, address in addresses.items()]
        return synfin.Host(interfaces, send=send, name=name, entropy=random.Random(seed).randbytes)

    def address(self, version: int = 4) -> str:
        """Of the server."""
        return self.server_addresses[version]

    def client_address(self, version: int = 4) -> str:
        """Of the client, as the server sees it."""
        return CLIENT[version]

    def url(self, path: str = "/", scheme: str = "http", version: int = 4, port: int = 8000) -> str:
        """Of something on the server, by its address."""
        address = self.address(version)
        return f"{scheme}://{address if version == 4 else f'[{address}]'}:{port}{path}"

    async def on_server(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the server."""
        context = copy_context()
        context.run(self.machine.set, self.server)
        return await self._loop.create_task(work, context=context)

    @staticmethod
    async def pause(seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` on the client."""
        with asyncio.Runner(loop_factory=self._make_loop) as runner:
            outcome = runner.run(self._watched(main))
        assert self.problems == []
        if self.path.loss:
            assert self.cable.lost, f"of {self.cable.carried} packets none was lost: this test sends too few"
        return outcome

    def _make_loop(self) -> asyncio.AbstractEventLoop:
        names = {NAME: self.address(4), NAME6: self.address(6)}
        self._loop = VirtualTimeLoop(self.machine, self.client, list(self.client.networks), names)
        if self.server is not self.client:
            self.server.open(self._loop)
        return self._loop

    async def _watched(self, main: Coroutine[Any, Any, T]) -> T:
        self._loop.set_exception_handler(lambda _, context: self.problems.append(context))
        try:
            outcome = await main
            for _ in range(QUIET_SECONDS):
                if not any(self._left_over()):
                    break
                await asyncio.sleep(1)
            assert not any(self._left_over()), self._left_over()
            return outcome
        finally:
            await self.server.aclose()

    def _left_over(self) -> list[dict[str, int]]:
        """All that the machines still hold, but for TIME-WAIT and its timers."""
        censuses = [host.stack.census() for host in {self.client, self.server}]
        return [
            {name: count for name, count in census.items() if count and name not in ("time_wait", "timers")}
            for census in censuses
        ]
