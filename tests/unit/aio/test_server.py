"""Server: the same calls and the same end as asyncio's own."""

from __future__ import annotations

import asyncio

import pytest

from synfin.aio.server import Server
from synfin.tcp.config import Config
from tests.unit.aio.hosts import PORT, SERVER, Recorder, assert_nothing_left, hosts
from tests.unit.aio.virtual import reported, run, settle


def test_every_abstract_call_of_asyncios_server_is_there() -> None:
    wanted = {name for name in dir(asyncio.base_events.Server) if not name.startswith("_")}
    missing = {
        name for name in wanted if getattr(Server, name, None) in (None, getattr(asyncio.AbstractServer, name, 0))
    }
    assert not missing


def test_close_takes_no_more_connections_and_leaves_those_being_served() -> None:
    async def main() -> None:
        async with hosts() as pair:
            sender, receiver = Recorder(), Recorder()
            transport, _, server = await pair.connect(sender, receiver)
            assert server.is_serving() and server.get_loop() is asyncio.get_running_loop()
            server.close()
            server.close()
            assert not server.is_serving() and server.sockets == ()
            assert "closed" in repr(server)
            with pytest.raises(ConnectionRefusedError):
                await pair.client.create_connection(Recorder, SERVER, PORT)
            transport.write(b"still here")
            await settle()
            assert receiver.data == b"still here"

    run(main())


def test_wait_closed_waits_for_close_and_for_the_last_transport() -> None:
    async def main() -> None:
        async with hosts() as pair:
            transport, _, server = await pair.connect(Recorder(), Recorder())
            waiting = [asyncio.create_task(server.wait_closed()) for _ in range(2)]
            await settle()
            server.close()
            await settle()
            assert not any(task.done() for task in waiting)
            transport.close()
            await asyncio.gather(*waiting)
            await server.wait_closed()

    run(main())


def test_a_port_is_free_again_after_close() -> None:
    async def main() -> None:
        async with hosts() as pair:
            server = await pair.server.create_server(Recorder, port=PORT)
            with pytest.raises(OSError, match="port 80") as caught:
                await pair.server.create_server(Recorder, port=PORT)
            assert caught.value.errno == 98 or "in use" in str(caught.value)
            server.close()
            async with await pair.server.create_server(Recorder, port=PORT):
                pass
            assert_nothing_left(pair.server)

    run(main())


def test_serve_forever_ends_by_cancellation_and_closes() -> None:
    async def main() -> None:
        async with hosts() as pair:
            server = await pair.server.create_server(Recorder, port=PORT)
            task = asyncio.create_task(server.serve_forever())
            await settle()
            with pytest.raises(RuntimeError, match="already being awaited"):
                await server.serve_forever()
            await pair.client.create_connection(Recorder, SERVER, PORT)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not server.is_serving()
            for call in (server.serve_forever, server.start_serving):
                with pytest.raises(RuntimeError, match="closed"):
                    await call()

    run(main())


def test_close_ends_serve_forever() -> None:
    async def main() -> None:
        async with hosts() as pair:
            server = await pair.server.create_server(Recorder, port=PORT)
            await server.start_serving()
            task = asyncio.create_task(server.serve_forever())
            await settle()
            server.close()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main())


@pytest.mark.parametrize("abort", [False, True])
def test_clients_are_closed_or_aborted_by_one_call(abort: bool) -> None:
    async def main() -> None:
        async with hosts() as pair:
            clients = [Recorder() for _ in range(5)]
            server = await pair.server.create_server(Recorder, port=PORT)
            for client in clients:
                await pair.client.create_connection(lambda client=client: client, SERVER, PORT)  # type: ignore[misc]
            await settle()
            server.close()
            (server.abort_clients if abort else server.close_clients)()
            await server.wait_closed()
            await settle()
            for client in clients:
                assert client.calls == ["made", "eof", "lost"] and client.lost is None
            assert_nothing_left(pair.server, "time_wait")

    run(main())


def test_a_factory_that_raises_ends_the_connection_and_is_reported() -> None:
    async def main() -> None:
        async with hosts() as pair:

            def factory() -> Recorder:
                raise LookupError("no protocol today")

            await pair.server.create_server(factory, port=PORT)
            client = Recorder()
            await pair.client.create_connection(lambda: client, SERVER, PORT)
            await settle()
            assert client.calls == ["made", "eof", "lost"] and client.lost is None
            (report,) = reported()
            assert isinstance(report["exception"], LookupError)
            assert_nothing_left(pair.client)
            assert_nothing_left(pair.server, "listeners", "time_wait")

    run(main())


def test_several_addresses_and_the_wildcards() -> None:
    async def main() -> None:
        async with hosts() as pair:
            for anywhere in (None, "", "0.0.0.0"):
                async with await pair.server.create_server(Recorder, anywhere, PORT) as server:
                    assert [face.getsockname() for face in server.sockets] == [("0.0.0.0", PORT)]
                    transport, _ = await pair.client.create_connection(Recorder, SERVER, PORT)
                    transport.abort()
            async with await pair.server.create_server(Recorder, [SERVER], PORT):
                pass
            with pytest.raises(OSError, match="no IPv6 address"):
                await pair.server.create_server(Recorder, "::", PORT)
            with pytest.raises(OSError, match=r"10\.9\.9\.9"):
                await pair.server.create_server(Recorder, [SERVER, "10.9.9.9"], PORT)
            assert pair.server.stack.census()["listeners"] == 0

    run(main())


def test_what_is_accepted_beyond_the_backlog_is_no_servers_burden() -> None:
    async def main() -> None:
        async with hosts(Config(syn_retries=1)) as pair:
            server = await pair.server.create_server(Recorder, port=PORT, backlog=1)
            connected = await asyncio.gather(
                *(pair.client.create_connection(Recorder, SERVER, PORT) for _ in range(50)), return_exceptions=True
            )
            assert any(isinstance(one, tuple) for one in connected)
            server.close()
            server.abort_clients()
            await settle(200)
            assert_nothing_left(pair.server)

    run(main())
