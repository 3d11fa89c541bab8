"""Protocol callbacks run in the context captured when the connection or server was made, never inside a user's call."""

from __future__ import annotations

import asyncio
import random
from contextvars import ContextVar
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from synfin.tcp.config import Config
from tests.unit.aio.hosts import PORT, SERVER, Recorder, hosts
from tests.unit.aio.virtual import run, settle

VALUE: ContextVar[str] = ContextVar("VALUE", default="nobody's")
SMALL = Config(receive_buffer=4096, receive_buffer_max=4096, send_buffer=4096, send_buffer_max=4096)


class ContextRecorder(Recorder):
    """Writes down in which context each call came."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str]] = []

    def _note(self, call: str) -> None:
        self.seen.append((call, VALUE.get()))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._note("made")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._note("data")

    def eof_received(self) -> bool:
        self._note("eof")
        return super().eof_received()

    def resume_writing(self) -> None:
        self._note("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._note("lost")


def test_callbacks_run_in_the_context_of_create_connection_and_create_server() -> None:
    async def main() -> None:
        async with hosts(SMALL) as pair:
            client, server = ContextRecorder(), ContextRecorder()
            VALUE.set("the server's maker")
            await pair.server.create_server(lambda: server, port=PORT)
            VALUE.set("the client's maker")
            transport, _ = await pair.client.create_connection(lambda: client, SERVER, PORT)
            VALUE.set("somebody who calls")
            transport.write(bytes(200_000))
            await settle(600)
            server.transport.write(b"answer")
            await settle()
            transport.write_eof()
            await settle()
            assert {call for call, _ in client.seen} == {"made", "data", "eof", "resume", "lost"}
            assert {value for _, value in client.seen} == {"the client's maker"}
            assert {call for call, _ in server.seen} == {"made", "data", "eof", "lost"}
            assert {value for _, value in server.seen} == {"the server's maker"}

    run(main())


def test_what_one_connection_of_a_server_sets_is_not_seen_by_another() -> None:
    async def main() -> None:
        async with hosts() as pair:
            seen: list[str] = []

            class Setter(Recorder):
                def connection_made(self, transport: asyncio.BaseTransport) -> None:
                    super().connection_made(transport)
                    seen.append(VALUE.get())
                    VALUE.set(f"of connection {len(seen)}")

                def data_received(self, data: bytes) -> None:
                    seen.append(VALUE.get())

            await pair.server.create_server(Setter, port=PORT)
            first, _ = await pair.client.create_connection(Recorder, SERVER, PORT)
            second, _ = await pair.client.create_connection(Recorder, SERVER, PORT)
            await settle()
            first.write(b"x")
            await settle()
            second.write(b"x")
            await settle()
            assert seen == ["nobody's", "nobody's", "of connection 1", "of connection 2"]

    run(main())


def test_tasks_of_start_server_see_the_context_of_its_maker() -> None:
    async def main() -> None:
        async with hosts() as pair:
            seen: list[str] = []

            async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                seen.append(VALUE.get())
                VALUE.set("a handler's own")
                writer.close()

            VALUE.set("the maker's")
            await pair.server.start_server(handler, port=PORT)
            VALUE.set("later")
            for _ in range(2):
                _, writer = await pair.client.open_connection(SERVER, PORT)
                await settle()
                writer.close()
            assert seen == ["the maker's", "the maker's"]

    run(main())


def test_a_callback_may_use_every_transport_it_holds_without_entering_a_context_twice() -> None:
    async def main() -> None:
        async with hosts(SMALL) as pair:
            members: list[Any] = []

            class Member(Recorder):
                def connection_made(self, transport: asyncio.BaseTransport) -> None:
                    super().connection_made(transport)
                    members.append(transport)

                def data_received(self, data: bytes) -> None:
                    for other in members:
                        other.write(data * 100)
                        other.pause_reading()
                        other.resume_reading()

            await pair.server.create_server(Member, port=PORT)
            clients = [Recorder() for _ in range(3)]
            transports = [
                (await pair.client.create_connection(lambda client=client: client, SERVER, PORT))[0]  # type: ignore[misc]
                for client in clients
            ]
            await settle()
            for transport in transports:
                transport.write(b"0123456789")
            await settle(60)
            assert [len(client.data) for client in clients] == [3000] * 3

    run(main())


class Strict(Recorder):
    """Fails when it is called inside a user's call. pause_writing alone may: drain() must see it, as in asyncio."""

    inside = False

    def __getattribute__(self, name: str) -> Any:
        if name in ("connection_made", "data_received", "eof_received", "resume_writing", "connection_lost"):
            assert not Strict.inside, f"{name} was called inside a user's call"
        return super().__getattribute__(name)


CALLS = ("write", "eof", "close", "abort", "pause", "resume", "limits", "lines", "turn", "wait")


@hypothesis.settings(max_examples=60)
@hypothesis.given(st.lists(st.tuples(st.booleans(), st.sampled_from(CALLS)), max_size=30), st.integers(0, 99))
def test_no_callback_runs_inside_a_users_call(steps: list[tuple[bool, str]], seed: int) -> None:
    async def main() -> None:
        draw = random.Random(seed)
        async with hosts(SMALL) as pair:
            left, right = Strict(keep_open=draw.random() < 0.5), Strict(keep_open=draw.random() < 0.5)
            transports = (await pair.connect(left, right))[:2]
            for which, call in steps:
                transport = transports[which]
                if call in ("turn", "wait"):
                    await settle(0 if call == "turn" else draw.random())
                    continue
                Strict.inside = True
                try:
                    if call == "write" and not transport._eof_sent:
                        transport.write(bytes(draw.randrange(20_000)))
                    elif call == "lines" and not transport._eof_sent:
                        transport.writelines([b"a", b"b"])
                    elif call == "eof":
                        transport.write_eof()
                    elif call == "limits":
                        transport.set_write_buffer_limits(high=draw.choice([0, 1000, 100_000]))
                    elif call == "pause":
                        transport.pause_reading()
                    elif call == "resume":
                        transport.resume_reading()
                    elif call == "close":
                        transport.close()
                    elif call == "abort":
                        transport.abort()
                finally:
                    Strict.inside = False
            for transport in transports:
                transport.close()
                transport.resume_reading()
            await settle(5)
        for protocol in (left, right):
            assert protocol.calls.count("made") == protocol.calls.count("lost") == 1
            assert protocol.calls[0] == "made" and protocol.calls[-1] == "lost"
            assert protocol.calls.count("eof") <= 1

    run(main())


@pytest.mark.parametrize("how", ["close", "aclose"])
def test_the_end_of_a_host_calls_no_protocol_inside_the_call(how: str) -> None:
    async def main() -> None:
        async with hosts() as pair:
            client = Strict()
            await pair.connect(client, Recorder())
            if how == "close":
                Strict.inside = True
                try:
                    pair.client.close()
                finally:
                    Strict.inside = False
                await settle(0)
            else:
                await pair.client.aclose()
            assert client.calls == ["made", "lost"]
            assert isinstance(client.lost, ConnectionAbortedError)

    run(main())
