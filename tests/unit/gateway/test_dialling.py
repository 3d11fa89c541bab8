"""Ways out of a gateway: what each error means inside, proxies, and whatever gives a reader and a writer."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from synfin.aio.host import Host
from synfin.gateway import Gateway, streams
from synfin.gateway.dialling import meaning, unreachable_code
from synfin.stack.addresses import packed
from synfin.stack.admission import DROP, REFUSE, unreachable
from tests.unit.aio.hosts import Wire, reset
from tests.unit.aio.virtual import run, settle
from tests.unit.gateway.outside import FAR, FAR6, World, echo, world


@pytest.mark.parametrize(
    ("error", "verdict", "outcome"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), REFUSE, "refused"),
        (ConnectionResetError(errno.ECONNRESET, ""), REFUSE, "refused"),
        (OSError(errno.ETIMEDOUT, ""), DROP, "timeout"),
        (TimeoutError(), DROP, "timeout"),
        (OSError(errno.ENETUNREACH, ""), unreachable(errno.ENETUNREACH), "unreachable"),
        (OSError(errno.EHOSTUNREACH, ""), unreachable(errno.EHOSTUNREACH), "unreachable"),
        (PermissionError(errno.EPERM, ""), unreachable(errno.EACCES), "unreachable"),
        (OSError(errno.EMFILE, ""), DROP, "dropped"),
        (OSError("no errno"), DROP, "dropped"),
    ],
)
def test_what_the_outside_says_is_what_the_inside_hears(error: BaseException, verdict: int, outcome: str) -> None:
    assert meaning(error) == (verdict, outcome)


def test_of_datagrams_icmp_tells_what_it_has_words_for() -> None:
    assert unreachable_code(OSError(errno.ECONNREFUSED, "")) == errno.ECONNREFUSED
    assert unreachable_code(OSError(errno.EHOSTUNREACH, "")) == errno.EHOSTUNREACH
    assert unreachable_code(OSError(errno.ENETDOWN, "")) == errno.ENETUNREACH
    assert unreachable_code(OSError(errno.EMSGSIZE, "")) == 0


# ---- streams ----


def by_streams(scene: list[World]) -> Any:
    async def open_connection(address: str, port: int) -> Any:
        return await scene[0].near.open_connection(address, port)

    return streams.over(open_connection)


def test_a_reader_and_a_writer_are_a_way_out() -> None:
    scenes: list[World] = []
    text = bytes(range(256)) * 2000

    async def main() -> None:
        async with world(dial=by_streams(scenes)) as (scene, _):
            scenes.append(scene)
            await scene.far.start_server(echo, port=80)
            reader, writer = await scene.inside.open_connection(FAR, 80)
            writer.write(text)
            writer.write_eof()
            assert await reader.read() == text
            writer.close()
            with pytest.raises(ConnectionRefusedError):
                await scene.inside.open_connection(FAR, 81)
            await settle()
            assert [flow.outcome for flow in scene.ended] == ["refused", "closed"] or [
                flow.outcome for flow in scene.ended
            ] == ["closed", "refused"]
            assert scene.near.stack.census()["connections"] == 0

    run(main())


def test_resets_cross_a_reader_and_a_writer() -> None:
    scenes: list[World] = []

    async def main() -> None:
        async with world(dial=by_streams(scenes)) as (scene, _):
            scenes.append(scene)

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.read(1)
                reset(writer.transport)

            await scene.far.start_server(serve, port=80)
            reader, writer = await scene.inside.open_connection(FAR, 80)
            writer.write(b"?")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            await settle()
            assert scene.ended[0].outcome == "reset"

    run(main())


def test_back_pressure_crosses_a_reader_and_a_writer() -> None:
    scenes: list[World] = []

    async def main() -> None:
        async with world(dial=by_streams(scenes)) as (scene, gateway):
            scenes.append(scene)
            stuck: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                stuck.set_result((reader, writer))

            await scene.far.start_server(serve, port=80, limit=4096)
            _, writer = await scene.inside.open_connection(FAR, 80)
            written = 0
            for _ in range(400):
                writer.write(bytes(100_000))
                written += 100_000
                try:
                    await asyncio.wait_for(writer.drain(), 5)
                except TimeoutError:
                    break
            assert written < 30_000_000
            assert 0 < gateway._connections._held.bytes < 400_000
            reader, far_writer = await stuck
            while written:
                written -= len(await reader.read(1 << 20))
            for one in (writer, far_writer):
                one.close()

    run(main())


# ---- proxies ----


class Socks5:
    """Says `reply` to whoever asks it to connect; 0: it connects to itself, so to speak, and sends back what comes."""

    def __init__(self, reply: int) -> None:
        self.reply = reply
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(b"\5\0")
        self.asked.append(await reader.readexactly(10))
        writer.write(bytes((5, self.reply, 0, 1)) + bytes(6))
        if self.reply == 0:
            writer.write(await reader.read())
        writer.close()


@pytest.mark.parametrize(
    ("reply", "code"),
    [(2, errno.EACCES), (3, errno.ENETUNREACH), (4, errno.EHOSTUNREACH), (5, errno.ECONNREFUSED), (1, errno.ETIMEDOUT)],
)
def test_what_a_socks_proxy_says_is_the_errno_that_the_kernel_would_have(reply: int, code: int) -> None:
    pytest.importorskip("python_socks")
    from synfin.gateway import proxy

    async def main() -> None:
        server = await asyncio.start_server(Socks5(reply).serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OSError) as raised:
            await proxy.through(f"socks5://127.0.0.1:{port}")(asyncio.Protocol, FAR, 80)
        assert raised.value.errno == code
        server.close()
        with pytest.raises(OSError) as raised:
            await proxy.through(f"socks5://127.0.0.1:{port}")(asyncio.Protocol, FAR, 80)
        assert raised.value.errno == errno.ENETUNREACH  # the way out itself is gone

    asyncio.run(main())


def test_a_connection_through_a_socks_proxy_is_one_to_its_destination() -> None:
    pytest.importorskip("python_socks")
    from synfin.gateway import proxy

    async def main() -> None:
        socks = Socks5(0)
        server = await asyncio.start_server(socks.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader = asyncio.StreamReader()
        transport, _ = await proxy.through(f"socks5://127.0.0.1:{port}")(
            lambda: asyncio.StreamReaderProtocol(reader), FAR, 80
        )
        transport.write(b"hello")
        transport.write_eof()
        assert await reader.read() == b"hello"
        assert socks.asked == [b"\5\1\0\1" + bytes((93, 184, 216, 34)) + b"\0\x50"]
        transport.close()
        server.close()

    asyncio.run(main())


class HttpProxy:
    """Answers a CONNECT with `status`; 200: it is the destination itself, so to speak, and sends back what comes."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 %d word\r\n\r\n" % self.status)
        if self.status == 200:
            writer.write(await reader.read())
        writer.close()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, errno.EACCES), (407, errno.EACCES), (502, errno.EHOSTUNREACH), (503, errno.EHOSTUNREACH),
        (504, errno.ETIMEDOUT), (500, errno.ETIMEDOUT),
    ],
)  # fmt: skip
def test_what_an_http_proxy_says_is_the_errno_that_the_kernel_would_have(status: int, code: int) -> None:
    pytest.importorskip("python_socks")
    from synfin.gateway import proxy

    async def main() -> None:
        server = await asyncio.start_server(HttpProxy(status).serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OSError) as raised:
            await proxy.through(f"http://127.0.0.1:{port}")(asyncio.Protocol, FAR, 80)
        assert raised.value.errno == code
        server.close()

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["socks5", "http"])
@pytest.mark.parametrize("address", [FAR, FAR6])
def test_a_program_behind_a_gateway_goes_through_a_proxy(kind: str, address: str) -> None:
    """Each connection is one of the proxy's, half-close and all."""
    pytest.importorskip("python_socks")
    from synfin.gateway import proxy

    class Socks6(Socks5):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(3)
            writer.write(b"\5\0")
            head = await reader.readexactly(4)
            self.asked.append(head + await reader.readexactly(18 if head[3] == 4 else 6))
            writer.write(bytes((5, self.reply, 0, 1)) + bytes(6))
            if self.reply == 0:
                writer.write(await reader.read())
            writer.close()

    async def main() -> None:
        asked = HttpProxy(200) if kind == "http" else Socks6(0)
        server = await asyncio.start_server(asked.serve, "127.0.0.1", 0)
        dial = proxy.through(f"{kind}://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        wire = Wire()
        inside = Host(["10.0.0.2", "fd00::2"], send=wire.from_client, name="client")
        gate = Host(["10.0.0.1"], send=wire.from_server, name="server", any_destination=True)
        wire.join(inside, gate)
        async with inside, gate, Gateway(gate, dial=dial):
            reader, writer = await inside.open_connection(address, 80)
            writer.write(b"hello" * 10_000)
            writer.write_eof()
            assert await reader.read() == b"hello" * 10_000
            writer.close()
        if kind == "http":
            where = f"[{address}]" if ":" in address else address
            assert asked.asked == [f"CONNECT {where}:80 HTTP/1.1".encode()]
        else:
            packed_place = bytes((5, 1, 0, 4 if ":" in address else 1)) + packed(address) + b"\0\x50"
            assert asked.asked == [packed_place]
        server.close()

    asyncio.run(main())


def test_what_is_no_proxys_url_is_refused() -> None:
    pytest.importorskip("python_socks")
    from synfin.gateway import proxy

    with pytest.raises(ValueError):
        proxy.through("gopher://127.0.0.1")
