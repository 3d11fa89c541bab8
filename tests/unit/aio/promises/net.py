"""What a program is given: two ends, asyncio's calls at each, protocols that write down what they are told.

A program is a coroutine function of a Net, registered by `@program`. It runs at the near end; what it calls by
`net.far` happens at the other one. It waits by `log.until()`, and by `rest()` where it proves that nothing more comes;
it never looks at a clock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from tests.unit.aio.promises.log import Log

T = TypeVar("T")
Program = Callable[["Net"], Awaitable[None]]

HOSTS, LOOP, OWN, SIM = "hosts", "loop", "own", "sim"
WORLDS = (HOSTS, LOOP, OWN, SIM)
PLAIN = (LOOP, OWN, SIM)  # where near calls asyncio's own functions, and sockets exist
PROGRAMS: dict[str, Case] = {}


@dataclass(frozen=True)
class Case:
    """A program, and the worlds in which it means something."""

    name: str
    program: Program
    worlds: tuple[str, ...] = WORLDS
    since: tuple[int, int] = (3, 11)
    """The Python whose asyncio has what the program uses."""


def program(*, worlds: tuple[str, ...] = WORLDS, since: tuple[int, int] = (3, 11)) -> Callable[[Program], Program]:
    """Register a program under its name."""

    def register(function: Program) -> Program:
        name = function.__name__
        assert name not in PROGRAMS, f"two programs are called {name}"
        PROGRAMS[name] = Case(name, function, worlds, since)
        return function

    return register


class Plain:
    """asyncio's own functions on the running loop."""

    def create_connection(self, *arguments: Any, **options: Any) -> Awaitable[Any]:
        return asyncio.get_running_loop().create_connection(*arguments, **options)

    def create_server(self, *arguments: Any, **options: Any) -> Awaitable[Any]:
        return asyncio.get_running_loop().create_server(*arguments, **options)

    def create_datagram_endpoint(self, *arguments: Any, **options: Any) -> Awaitable[Any]:
        return asyncio.get_running_loop().create_datagram_endpoint(*arguments, **options)

    def open_connection(self, *arguments: Any, **options: Any) -> Awaitable[Any]:
        return asyncio.open_connection(*arguments, **options)

    def start_server(self, *arguments: Any, **options: Any) -> Awaitable[Any]:
        return asyncio.start_server(*arguments, **options)


class End:
    """One end: its addresses, and asyncio's calls as a program on it makes them.

    `name` resolves to `address` and `address6`, in this order. What it makes is ended with the net.
    """

    def __init__(
        self,
        name: str,
        addresses: tuple[str, str],
        calls: Any,
        perform: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] = lambda call: call(),
    ) -> None:
        self.name = name
        self.address, self.address6 = addresses
        self.made: list[Any] = []
        self._writers: list[asyncio.StreamWriter] = []  # kept, since one that is forgotten closes
        self._calls = calls
        self._perform = perform

    async def create_connection(self, *arguments: Any, **options: Any) -> tuple[asyncio.Transport, Any]:
        made = await self._perform(lambda: self._calls.create_connection(*arguments, **options))
        self.made.append(made[0])
        return cast(tuple[asyncio.Transport, Any], made)

    async def create_server(self, *arguments: Any, **options: Any) -> Any:
        made = await self._perform(lambda: self._calls.create_server(*arguments, **options))
        self.made.append(made)
        return made

    async def create_datagram_endpoint(self, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        made = await self._perform(lambda: self._calls.create_datagram_endpoint(*arguments, **options))
        self.made.append(made[0])
        return cast(tuple[Any, Any], made)

    async def open_connection(
        self, *arguments: Any, **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        made = await self._perform(lambda: self._calls.open_connection(*arguments, **options))
        self._keep(made[1])
        return cast(tuple[asyncio.StreamReader, asyncio.StreamWriter], made)

    async def start_server(self, handler: Any, *arguments: Any, **options: Any) -> Any:
        def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
            self._keep(writer)
            return handler(reader, writer)

        given = watched if callable(handler) else handler
        made = await self._perform(lambda: self._calls.start_server(given, *arguments, **options))
        self.made.append(made)
        return made

    def _keep(self, writer: asyncio.StreamWriter) -> None:
        self.made.append(writer.transport)
        self._writers.append(writer)


@dataclass
class Net:
    """The world of one run."""

    near: End
    far: End
    port: int
    """Free at both ends, and so are the hundred after it."""
    rest: Callable[[], Awaitable[None]]
    """Until everything under way has arrived and was told."""
    log: Log = field(default_factory=Log)

    def told(self, name: str, **options: Any) -> Told:
        """A protocol that writes under `name`."""
        return Told(self, name, **options)

    def address(self, name: Any) -> str:
        """A socket's name as text, with the number of its fields: near:port/2, far:port+1/2, any6:free/4.

        The kernel has one loopback address of IPv6, so the two ends' are told alike.
        """
        ends = {"0.0.0.0": "any", "::": "any6", self.near.address: "near", self.far.address: "far"}
        ends |= {self.near.address6: "end6", self.far.address6: "end6"}
        for end in (self.near, self.far):
            ends[f"::ffff:{end.address}"] = f"mapped {end.name}"
        number = name[1] - self.port
        port = "free" if not 0 <= number < 100 else f"port+{number}" if number else "port"
        return f"{ends.get(name[0], name[0])}:{port}/{len(name)}"

    @contextmanager
    def outcome(self, end: str, what: str) -> Iterator[None]:
        """Write down that a block returned, or what it raised."""
        try:
            yield
        except Exception as error:
            self.log.note(end, what, error)
        else:
            self.log.note(end, what, "returned")

    async def pair(self, near: Told | None = None, far: Told | None = None, **options: Any) -> tuple[Told, Told]:
        """A connection between two protocols, both of them made."""
        near = self.told("near") if near is None else near
        accepted = self.told("far") if far is None else far
        await self.far.create_server(lambda: accepted, self.far.address, self.port)
        await self.near.create_connection(lambda: near, self.far.address, self.port, **options)
        await self.log.until("far", "made")
        return near, accepted

    async def aclose(self) -> None:
        """End what the program made."""
        for end in (self.near, self.far):
            for made in end.made:
                made.close()
                if hasattr(made, "abort"):
                    # One that has ended by close() with its buffer full has no loop any more, and asyncio forgets that.
                    with contextlib.suppress(AttributeError):
                        made.abort()
        await self.rest()


class Told(asyncio.Protocol):
    """Writes down each call under its name. `keep_open`: what eof_received answers.

    `on_made`, `on_data`, `on_eof`, `on_lost`, `on_resume` are called after the line was written. Each call also wakes a
    task that waits for it (`wake`), whose line says when it ran.
    """

    def __init__(self, net: Net, name: str, *, keep_open: object = None, wake: tuple[str, ...] = (), **on: Any) -> None:
        self.net = net
        self.name = name
        self.keep_open = keep_open
        self.on = on
        self.count = 0
        self.transport: asyncio.Transport
        self.sleepers = {what: asyncio.get_running_loop().create_future() for what in wake}
        self.tasks = [asyncio.create_task(self._sleep(what)) for what in wake]

    async def _sleep(self, what: str) -> None:
        await self.sleepers[what]
        self.net.log.note(self.name, f"task woken by {what}")

    def _call(self, what: str) -> None:
        waiting = self.sleepers.get(what)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        hook = self.on.get(f"on_{what}")
        if hook is not None:
            hook(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        (self.net.near if self.name.startswith("near") else self.net.far).made.append(transport)
        self.net.log.note(self.name, "made")
        self._call("made")

    def data_received(self, data: bytes) -> None:
        self.count += len(data)
        self.net.log.data(self.name, data)
        self._call("data")

    def eof_received(self) -> Any:
        self.net.log.note(self.name, "eof")
        self._call("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.net.log.note(self.name, "pause")
        self._call("pause")

    def resume_writing(self) -> None:
        self.net.log.note(self.name, "resume")
        self._call("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.net.log.note(self.name, "lost", exc)
        self._call("lost")


class ToldInto(asyncio.BufferedProtocol):
    """The same with a buffer of its own, of `size` bytes."""

    def __init__(self, net: Net, name: str, size: int = 1 << 16, **on: Any) -> None:
        self.told = Told(net, name, **on)
        self.buffer = bytearray(size)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.connection_made(transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.told.data_received(bytes(self.buffer[:nbytes]))

    def eof_received(self) -> Any:
        return self.told.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.told.connection_lost(exc)


class Datagrams(asyncio.DatagramProtocol):
    """Writes down what a UDP endpoint is told; tells_from: and by whom."""

    def __init__(self, net: Net, name: str, tells_from: bool = True) -> None:
        self.net = net
        self.name = name
        self.tells_from = tells_from
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.net.log.note(self.name, "made")

    def datagram_received(self, data: bytes, addr: Any) -> None:
        sender = ["from", self.net.address(addr)] if self.tells_from else []
        self.net.log.note(self.name, "datagram", data, *sender)

    def error_received(self, exc: Exception) -> None:
        self.net.log.note(self.name, "error", exc)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.net.log.note(self.name, "lost", exc)
