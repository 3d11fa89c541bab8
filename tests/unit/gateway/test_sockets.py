"""Outer connections of the kernel: transports on one epoll, over the loopback, on an event loop of asyncio's own."""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from synfin.gateway import sockets
from synfin.gateway.socket_transport import SocketTransport
from synfin.gateway.sockets import Sockets
from tests.unit.aio.virtual import VirtualLoop

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="epoll is Linux's")


class Scene:
    """A server's socket, and what connects to it. peers: the server's ends."""

    def __init__(self, outer: Sockets, listening: socket.socket) -> None:
        self.outer = outer
        self.listening = listening
        self.peers: list[socket.socket] = []


class Told(asyncio.Protocol):
    """Writes down what it is told; keep: what eof_received() answers."""

    def __init__(self, keep: bool = True) -> None:
        self.heard: list[object] = []
        self.text = b""
        self.keep = keep
        self.transport: Any = None
        self.changed = asyncio.Event()

    def _tell(self, what: object) -> None:
        self.heard.append(what)
        self.changed.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._tell("made")

    def data_received(self, data: bytes) -> None:
        self.text += data
        self.changed.set()

    def eof_received(self) -> bool:
        self._tell("eof")
        return self.keep

    def pause_writing(self) -> None:
        self._tell("pause")

    def resume_writing(self) -> None:
        self._tell("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell(errno.errorcode[exc.errno or 0] if isinstance(exc, OSError) else exc)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not is_so():
                self.changed.clear()
                await self.changed.wait()


def place_of(listening: socket.socket) -> tuple[str, int]:
    address, port = listening.getsockname()
    return address, port


@pytest.fixture(autouse=True, params=["at once", "later"])
def known(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """When it is known how an attempt ended: over the loopback before connect() returns, elsewhere after it."""
    if request.param == "later":

        def begun(one: socket.socket, place: tuple[str, int]) -> int:
            assert one.connect_ex(place) == errno.EINPROGRESS
            return errno.EALREADY

        monkeypatch.setattr(sockets, "_connect", begun)
    return str(request.param)


async def opened(scene: Scene, protocol: Told) -> tuple[SocketTransport, socket.socket]:
    """A connection, and its peer's end of it, which blocks."""
    stands: asyncio.Future[OSError | None] = asyncio.get_running_loop().create_future()
    transport = scene.outer.connect(protocol, *place_of(scene.listening), stands.set_result)
    if transport.is_connecting():
        assert await asyncio.wait_for(stands, 60) is None
    assert not transport.is_connecting()
    assert protocol.heard == ["made"]
    peer, _ = scene.listening.accept()
    peer.settimeout(60)
    scene.peers.append(peer)
    return transport, peer


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


Body = Callable[[Scene], Coroutine[Any, Any, None]]


def on_loopback(body: Body) -> list[dict[str, Any]]:
    """Run it; what the loop's handler was told."""
    reported: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context))
        outer = Sockets(loop, lambda work: work(), lambda: 65536)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            scene = Scene(outer, listening)
            try:
                await body(scene)
            finally:
                outer.close()
                for peer in scene.peers:
                    peer.close()
                await asyncio.sleep(0)
        assert not len(outer)

    asyncio.run(main())
    return reported


def test_text_crosses_both_ways_and_each_direction_closes_on_its_own() -> None:
    async def body(scene: Scene) -> None:
        told = Told()
        transport, peer = await opened(scene, told)
        assert transport.get_extra_info("peername") == scene.listening.getsockname()
        assert transport.get_extra_info("sockname") == peer.getpeername()
        transport.write(b"question")
        transport.write_eof()
        assert (peer.recv(100), peer.recv(100)) == (b"question", b"")
        peer.sendall(b"answer")
        peer.close()
        await told.until(lambda: "eof" in told.heard)
        assert told.text == b"answer"
        transport.close()
        await told.until(lambda: None in told.heard)
        assert told.heard == ["made", "eof", None]

    assert on_loopback(body) == []


def test_an_end_that_nobody_keeps_open_closes_it() -> None:
    async def body(scene: Scene) -> None:
        told = Told(keep=False)
        _, peer = await opened(scene, told)
        peer.close()
        await told.until(lambda: None in told.heard)
        assert told.heard == ["made", "eof", None]

    on_loopback(body)


def test_why_it_could_not_connect_is_told_and_nothing_else() -> None:
    async def body(scene: Scene) -> None:
        outer, listening = scene.outer, scene.listening
        place = place_of(listening)
        listening.close()
        told = Told()
        failed: asyncio.Future[OSError | None] = asyncio.get_running_loop().create_future()
        try:
            outer.connect(told, *place, failed.set_result)
        except OSError as refused:
            problem: OSError | None = refused
        else:
            problem = await asyncio.wait_for(failed, 60)
        assert isinstance(problem, ConnectionRefusedError)
        assert (told.heard, len(outer)) == ([], 0)

    on_loopback(body)


@pytest.mark.parametrize("known", ["later"], indirect=True)
def test_an_attempt_that_is_given_up_is_gone_at_once_and_nobody_hears_of_it(known: str) -> None:
    async def body(scene: Scene) -> None:
        outer, listening = scene.outer, scene.listening
        told = Told()
        transport = outer.connect(told, *place_of(listening), lambda _: told.heard.append("connected"))
        assert transport.is_connecting()
        transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (told.heard, len(outer), transport.get_extra_info("socket").fileno()) == ([], 0, -1)

    on_loopback(body)


def test_what_the_kernel_does_not_take_waits_and_holds_its_writer_up() -> None:
    async def body(scene: Scene) -> None:
        told = Told()
        transport, peer = await opened(scene, told)
        transport.set_write_buffer_limits(high=100_000)
        assert transport.get_write_buffer_limits() == (25_000, 100_000)
        sent = 0
        while "pause" not in told.heard:
            transport.write(bytes(100_000))
            sent += 100_000
        assert 100_000 < transport.get_write_buffer_size() <= 200_000
        transport.write(bytearray(b"last"))
        transport.write_eof()
        got = await asyncio.get_running_loop().run_in_executor(None, read_all, peer)
        assert len(got) == sent + 4
        assert got.endswith(b"last")
        assert (transport.get_write_buffer_size(), told.heard) == (0, ["made", "pause", "resume"])

    on_loopback(body)


def read_all(peer: socket.socket) -> bytes:
    pieces = []
    while piece := peer.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def test_closed_it_delivers_what_was_written_first() -> None:
    async def body(scene: Scene) -> None:
        told = Told()
        transport, peer = await opened(scene, told)
        transport.write(bytes(20_000_000))
        transport.close()
        got = await asyncio.get_running_loop().run_in_executor(None, read_all, peer)
        assert len(got) == 20_000_000
        await told.until(lambda: None in told.heard)

    on_loopback(body)


def test_who_does_not_read_leaves_it_to_the_kernel() -> None:
    async def body(scene: Scene) -> None:
        told = Told()
        transport, peer = await opened(scene, told)
        transport.pause_reading()
        assert not transport.is_reading()
        peer.sendall(b"later")
        for _ in range(5):
            await asyncio.sleep(0)
        assert told.text == b""
        transport.resume_reading()
        await told.until(lambda: told.text == b"later")
        peer.sendall(b" and more")
        await told.until(lambda: told.text == b"later and more")
        assert told.heard == ["made"]

    on_loopback(body)


def test_a_reset_is_told_behind_what_came_before_it_though_nobody_read() -> None:
    async def body(scene: Scene) -> None:
        told = Told()
        transport, peer = await opened(scene, told)
        transport.pause_reading()
        peer.sendall(b"before")
        reset(peer)
        for _ in range(5):
            await asyncio.sleep(0)
        assert told.heard == ["made"]
        transport.resume_reading()
        await told.until(lambda: "ECONNRESET" in told.heard)
        assert told.text == b"before"

    on_loopback(body)


def test_a_reset_is_told_at_once_where_something_waits_to_be_sent_though_nobody_reads() -> None:
    async def body(scene: Scene) -> None:
        told = Told()
        transport, peer = await opened(scene, told)
        transport.pause_reading()
        while not transport.get_write_buffer_size():
            transport.write(bytes(1_000_000))
        reset(peer)
        await told.until(lambda: told.heard[-1] in ("ECONNRESET", "EPIPE"))

    on_loopback(body)


def test_a_reset_after_its_end_is_told_at_once() -> None:
    """Not when somebody writes to it: asyncio's own transports look no more at what has sent its FIN."""

    async def body(scene: Scene) -> None:
        told = Told()
        _, peer = await opened(scene, told)
        peer.shutdown(socket.SHUT_WR)
        await told.until(lambda: "eof" in told.heard)
        reset(peer)
        await told.until(lambda: len(told.heard) == 3)
        assert told.heard[2] in ("ECONNRESET", "EPIPE")

    on_loopback(body)


def test_its_end_is_told_once_though_nobody_reads_when_both_directions_are_closed() -> None:
    async def body(scene: Scene) -> None:
        told = Told()
        transport, peer = await opened(scene, told)
        peer.shutdown(socket.SHUT_WR)
        await told.until(lambda: "eof" in told.heard)
        transport.pause_reading()
        transport.write_eof()
        assert peer.recv(1) == b""
        for _ in range(5):
            await asyncio.sleep(0)
        transport.resume_reading()
        for _ in range(5):
            await asyncio.sleep(0)
        assert told.heard == ["made", "eof"]

    on_loopback(body)


def test_written_to_after_a_reset_it_says_so_once() -> None:
    async def body(scene: Scene) -> None:
        told = Told()
        transport, peer = await opened(scene, told)
        reset(peer)
        for _ in range(3):
            transport.write(b"x")
        assert "ECONNRESET" not in told.heard, "told in a user's call"
        await told.until(lambda: len(told.heard) == 2)
        assert told.heard[1] in ("ECONNRESET", "EPIPE")

    on_loopback(body)


def test_a_protocol_that_fails_ends_its_own_connection_and_no_other() -> None:
    class Failing(Told):
        def data_received(self, data: bytes) -> None:
            raise LookupError("of the test")

    async def body(scene: Scene) -> None:
        failing, other = Failing(), Told()
        _, one = await opened(scene, failing)
        _, two = await opened(scene, other)
        one.sendall(b"x")
        two.sendall(b"y")
        await failing.until(lambda: None in failing.heard)
        await other.until(lambda: other.text == b"y")
        assert one.recv(1) == b""

    [context] = on_loopback(body)
    assert isinstance(context["exception"], LookupError)


def test_it_is_for_loops_whose_connections_are_the_kernels() -> None:
    async def own(*_: Any, **__: Any) -> Any: ...

    loop = VirtualLoop()
    try:
        assert sockets.can_be_had(loop)
        loop.create_connection = own  # type: ignore[method-assign]
        assert not sockets.can_be_had(loop)
    finally:
        loop.close()
