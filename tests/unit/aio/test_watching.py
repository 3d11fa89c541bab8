"""Watching through the control socket: what is told, to how many, and that it stays small whatever the caller does."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from synfin.aio import control, watching
from synfin.aio.host import Host
from synfin.aio.told import heard, told
from synfin.aio.watching import EVENTS, MOST_EVENTS, REST, Watch, Watches
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.tcp.trace import Event, NoteEvent, PacketEvent, SampleEvent, TransitionEvent
from synfin.view.events import read
from synfin.wire.segment import Burst

needs_unix = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
KEY = bytes([10, 0, 0, 1, 10, 0, 0, 2, 0xC0, 0, 0, 80])


@pytest.fixture
def at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns follow each other without a pause; the sockets are in a folder of this test."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(watching, "TURN_SECONDS", 0)


class Pair:
    """A client and a host that is watched, with a wire between them."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.client = Host("10.0.0.1", send=lambda packet: loop.call_soon(self.host.receive, packet))
        self.host = Host("10.0.0.2", send=lambda packet: loop.call_soon(self.client.receive, packet), control="web")


@asynccontextmanager
async def watched() -> AsyncIterator[tuple[Pair, asyncio.StreamReader, asyncio.StreamWriter]]:
    pair = Pair()
    served: list[asyncio.StreamWriter] = []  # what nobody holds is closed when it is collected
    async with pair.client, pair.host:
        await pair.host.start_server(lambda reader, writer: served.append(writer), port=80)
        reader, writer = await asyncio.open_unix_connection(str(control.control_path("web")), limit=1 << 20)
        writer.write(b"watch\n")
        try:
            yield pair, reader, writer
        finally:
            for one in (writer, *served):
                one.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def until(reader: asyncio.StreamReader, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first that is told for which it holds."""
    while True:
        said: dict[str, Any] = json.loads(await reader.readline())
        if holds(said):
            return said


async def until_idle(stack: Stack) -> None:
    """Until nobody follows anything."""
    for _ in range(1000):
        if stack._env.tracer is None:
            return
        await asyncio.sleep(0)
    raise AssertionError("somebody is followed still")


def packets(said: dict[str, Any]) -> list[PacketEvent]:
    events = [heard(event, "", KEY) for event in said["followed"]["events"]]
    return [event for event in events if isinstance(event, PacketEvent)]


@needs_unix
def test_the_table_is_told_again_and_again(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "TABLE_SECONDS", 0)

    async def main() -> None:
        async with watched() as (pair, reader, _):
            assert (await until(reader, lambda said: said["last"]))["rows"] == []
            kept = await pair.client.open_connection("10.0.0.2", 80)
            said = await until(reader, lambda said: bool(said["rows"]))
            (row,) = said["rows"]
            assert row["local"] == "10.0.0.2:80"
            assert said["table"]["counters"]["PassiveOpens"] == 1
            kept[1].close()

    asyncio.run(main())


@needs_unix
def test_the_next_connection_is_told_from_its_syn_on_and_its_text_is_not(at_once: None) -> None:
    async def main() -> None:
        async with watched() as (pair, reader, writer):
            writer.write(b"follow next.7\n")
            waiting = await until(reader, lambda said: "followed" in said)
            assert (waiting["followed"]["which"], waiting["followed"]["key"]) == ("next.7", "")
            kept = await pair.client.open_connection("10.0.0.2", 80)
            said = await until(reader, lambda said: "followed" in said and bool(said["followed"]["events"]))
            syn = packets(said)[0]
            assert read(syn).flags == 2
            assert not syn.outgoing
            kept[1].write(b"secret" * 10)
            said = await until(
                reader, lambda said: "followed" in said and any(read(one).length for one in packets(said))
            )
            assert b"secret".hex() not in json.dumps(said)
            assert [read(one).length for one in packets(said) if read(one).length] == [60]
            assert said["followed"]["row"]["state"] == "ESTABLISHED"
            kept[1].close()

    asyncio.run(main())


@needs_unix
def test_who_leaves_is_forgotten_and_nobody_is_followed_any_more(at_once: None) -> None:
    async def main() -> None:
        async with watched() as (pair, reader, writer):
            writer.write(b"follow next\n")
            await until(reader, lambda said: "followed" in said)
            assert pair.host.stack._env.tracer is not None
            writer.close()
            await until_idle(pair.host.stack)

    asyncio.run(main())


@needs_unix
@pytest.mark.parametrize("said", [b"follow x\n", b"follow 00\n", b"close everything\n", b"f" * 500, b"\xff\n"])
def test_who_says_something_else_is_told_no_more(at_once: None, said: bytes) -> None:
    async def main() -> None:
        async with watched() as (_, reader, writer):
            writer.write(said)
            with contextlib.suppress(ConnectionError):
                while await reader.readline():
                    pass

    asyncio.run(main())


# ---- bounds ----


def a_watch(seconds: Callable[[], float] = lambda: 0.0, connections: int = 0) -> Watch:
    stack = Stack(["10.0.0.2"], Config(), entropy=lambda n: bytes(range(n)))
    for port in range(connections):
        stack.connect("10.0.0.1", port + 1, 0)
    return Watch(Watches(stack, lambda: 0), dict, seconds)


def note(number: int) -> NoteEvent:
    return NoteEvent(number, "host", KEY, "something", "")


def test_of_a_turn_so_many_events_are_kept_and_the_others_counted() -> None:
    watch = a_watch()
    assert watch.ask(b"follow " + KEY.hex().encode() + b"\n")
    for number in range(MOST_EVENTS + 1000):
        watch.hear(note(number))
    said = json.loads(watch.followed())["followed"]
    assert (len(said["events"]), said["missed"], said["gap"]) == (MOST_EVENTS, 1000, True)
    again = json.loads(watch.followed())["followed"]
    assert (again["events"], again["missed"], again["gap"]) == ([], 0, False)


def test_what_has_heard_enough_is_quiet_until_the_next_turn() -> None:
    stack = Stack(["10.0.0.2"], Config(), entropy=lambda n: bytes(range(n)))
    watches = Watches(stack, lambda: 0)
    one, other = (Watch(watches, dict) for _ in range(2))
    for watch in (one, other):
        assert watch.ask(b"follow " + KEY.hex().encode() + b"\n")
    assert stack._env.tracer is not None
    follower = stack._env.tracer.followers[KEY]
    for number in range(EVENTS):
        assert not follower.quiet
        follower.hook(note(number))
    assert follower.quiet
    one.followed()
    assert not follower.quiet
    one.close()
    assert follower is stack._env.tracer.followers[KEY]
    other.close()
    assert stack._env.tracer is None


def test_to_a_caller_that_does_not_read_nothing_more_is_made() -> None:
    made: list[str] = []

    async def main() -> None:
        watch = a_watch(connections=1000)

        async def send(text: str) -> None:
            made.append(text)
            await asyncio.Future()

        telling = asyncio.ensure_future(watch.tell(send))
        for _ in range(100):
            await asyncio.sleep(0)
        telling.cancel()

    asyncio.run(main())
    assert len(made) == 1


def test_a_part_of_the_table_is_followed_by_a_rest_of_many_times_what_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "TURN_SECONDS", 0)
    told_at: list[float] = []

    async def main() -> None:
        now = 0.0

        def seconds() -> float:
            nonlocal now
            now += 0.01  # each look at the clock: so long takes a part
            return now

        async def send(text: str) -> None:
            told_at.append(now)
            if len(told_at) == 5:
                raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await a_watch(seconds, connections=1000).tell(send)

    asyncio.run(main())
    assert all(later - earlier >= 0.01 * REST for earlier, later in itertools.pairwise(told_at))


# ---- events as data ----


@pytest.mark.parametrize(
    "event",
    [
        TransitionEvent(7, "host", KEY, 1, 2, "SYN", "9293 3.10.7.2", 0),
        note(9),
        SampleEvent(5, "host", KEY, 14480, 1 << 30, 1448, 1.5e6, 2000, 1900, 1),
    ],
)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    back = heard(json.loads(json.dumps(told(event))), "host", KEY)
    names = [name for name in dir(event) if not name.startswith("_")]  # compiled, an event has no __dict__
    assert type(back) is type(event)
    assert len(names) > 4
    assert [getattr(back, name) for name in names] == [getattr(event, name) for name in names]


@pytest.mark.parametrize("said", [["dance", 1], ["note", 1], ["packet", 1, True, "xy", 0, 0], [], ["sample", 1, "x"]])
def test_what_is_no_event_is_refused(said: list[Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        heard(said, "host", KEY)


@pytest.mark.parametrize("head", [b"", b"E", b"\x45" + bytes(19), b"\x60" + bytes(39), bytes(60)])
def test_what_is_no_packet_is_told_without_more_than_a_header_of_it(head: bytes) -> None:
    said = told(PacketEvent(1, "host", False, KEY, Burst(head + b"text" * 30, [], 0)))
    assert len(bytes.fromhex(said[3])) <= 60
