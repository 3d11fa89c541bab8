"""Ways out of a gateway: what each error means inside, proxies, and whatever gives a reader and a writer."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from synfin.gateway import streams
from synfin.gateway.dialling import meaning, unreachable_code
from synfin.stack.admission import DROP, REFUSE, unreachable
from tests.unit.aio.hosts import reset
from tests.unit.aio.virtual import run, settle
from tests.unit.gateway.outside import FAR, World, echo, world


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


def test_what_is_no_proxys_url_is_refused() -> None:
    pytest.importorskip("python_socks")
    from synfin.gateway import proxy

    with pytest.raises(ValueError):
        proxy.through("gopher://127.0.0.1")
