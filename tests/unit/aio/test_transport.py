"""The Transport contract: what asyncio's protocols and asyncio itself may expect of what a Host gives them."""

from __future__ import annotations

import asyncio
import inspect
import random
import re
import tempfile
from asyncio import base_events, sslproto, streams, transports
from typing import Any

import pytest

from synfin.aio.transport import Transport
from synfin.tcp.config import Config
from tests.unit.aio.hosts import PORT, SERVER, BufferedRecorder, Recorder, Wire, assert_nothing_left, hosts, reset
from tests.unit.aio.virtual import reported, run, settle

# A connection that holds little back, so that a test needs few bytes to fill it.
SMALL = Config(receive_buffer=4096, receive_buffer_max=4096, send_buffer=4096, send_buffer_max=4096)


def names_used_on(module: Any, *variables: str) -> set[str]:
    """The attributes that the source of an asyncio module takes from variables that hold a transport."""
    source = inspect.getsource(module)
    spelled = "|".join(re.escape(variable) for variable in variables)
    return set(re.findall(rf"(?<![\w.])(?:{spelled})\.(\w+)", source)) | set(
        re.findall(rf"getattr\((?:{spelled}), ['\"](\w+)", source)
    )


@pytest.mark.parametrize(
    ("module", "variables"),
    [
        (sslproto, ("self._transport",)),
        (base_events, ("transport", "transp", "self._transport")),
        (streams, ("self._transport", "transport")),
    ],
    ids=["sslproto", "base_events", "streams"],
)
def test_all_that_this_python_asks_of_a_transport_is_there(module: Any, variables: tuple[str, ...]) -> None:
    async def main() -> None:
        async with hosts() as pair:
            transport, _, _ = await pair.connect(Recorder(), Recorder())
            asked = names_used_on(module, *variables)
            assert {"close", "get_extra_info"} <= asked, "the source of asyncio is written in another way now"
            # asyncio gives these to subprocess and datagram transports only, and sets _server on its own.
            asked -= {"_wait", "_set_extra", "get_pid", "kill", "terminate", "_server"}
            missing = {name for name in asked if not hasattr(transport, name)}
            assert not missing

    run(main())


def test_it_is_a_transport_on_asyncios_flow_control() -> None:
    assert issubclass(Transport, asyncio.Transport)
    assert issubclass(Transport, transports._FlowControlMixin)
    abstract = {name for name in dir(asyncio.Transport) if not name.startswith("_")}
    for name in abstract:
        if name in ("get_write_buffer_limits", "set_write_buffer_limits"):
            continue  # the mixin's
        assert name in vars(Transport), f"{name} is inherited from a class that raises NotImplementedError"


def test_bytes_are_kept_by_reference_and_others_copied_once() -> None:
    async def main() -> None:
        async with hosts() as pair:
            transport, _, _ = await pair.connect(Recorder(), Recorder())
            data = bytes(10_000)
            transport.write(data)
            pieces = transport._connection.sender.buffer._pieces
            assert pieces[-1] is data
            mutable = bytearray(b"x" * 10_000)
            transport.write(mutable)
            assert type(pieces[-1]) is bytes
            before = pieces[-1]
            mutable[:] = b"y" * 10_000
            assert before == b"x" * 10_000
            transport.write(memoryview(mutable)[::2])
            assert pieces[-1] == b"y" * 5000

    run(main())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_write_and_writelines_deliver_every_kind_of_bytes(kind: Any) -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver = Recorder()
            transport, _, _ = await pair.connect(Recorder(), receiver)
            transport.write(kind(b"one "))
            transport.writelines([kind(b"two "), kind(b""), kind(b"three")])
            transport.write(kind(b""))
            await settle()
            assert receiver.data == b"one two three"

    run(main())


def test_write_of_no_bytes_is_a_type_error_at_the_call() -> None:
    async def main() -> None:
        async with hosts() as pair:
            transport, _, _ = await pair.connect(Recorder(), Recorder())
            for wrong in ("text", 5, None, [1]):
                with pytest.raises(TypeError, match="bytes-like"):
                    transport.write(wrong)  # type: ignore[arg-type]

    run(main())


def test_paused_reading_passes_nothing_on_until_it_is_resumed() -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver = Recorder()
            transport, accepted, _ = await pair.connect(Recorder(), receiver)
            accepted.pause_reading()
            assert not accepted.is_reading()
            transport.write(b"held back")
            transport.write_eof()
            await settle()
            assert receiver.calls == ["made"]
            accepted.resume_reading()
            assert accepted.is_reading()
            assert receiver.calls == ["made"], "no callback inside a user's call"
            await settle()
            assert receiver.calls[:3] == ["made", "data", "eof"]
            assert receiver.data == b"held back"

    run(main())


def test_pausing_and_resuming_twice_does_no_harm() -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver = Recorder()
            transport, accepted, _ = await pair.connect(Recorder(), receiver)
            accepted.resume_reading()
            accepted.pause_reading()
            accepted.pause_reading()
            accepted.resume_reading()
            accepted.resume_reading()
            transport.write(b"x")
            await settle()
            assert receiver.data == b"x"

    run(main())


def test_pause_inside_data_received_stops_the_next_piece() -> None:
    class OneByOne(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    async def main() -> None:
        async with hosts() as pair:
            receiver = OneByOne()
            transport, accepted, _ = await pair.connect(Recorder(), receiver)
            transport.write(bytes(50_000))
            await settle()
            assert receiver.calls.count("data") == 1
            for _ in range(100):
                accepted.resume_reading()
                await settle(1)
            assert len(receiver.data) == 50_000

    run(main())


def test_write_buffer_limits_pause_and_resume_the_writer() -> None:
    async def main() -> None:
        async with hosts(SMALL) as pair:
            sender = Recorder()
            transport, accepted, _ = await pair.connect(sender, Recorder())
            transport.set_write_buffer_limits(high=10_000, low=2000)
            assert transport.get_write_buffer_limits() == (2000, 10_000)
            accepted.pause_reading()
            await settle()
            while "pause" not in sender.calls:
                transport.write(bytes(1000))
                await settle(1)
            assert 10_000 < transport.get_write_buffer_size() <= 11_000
            accepted.resume_reading()
            await settle(600)
            assert sender.calls == ["made", "pause", "resume"]
            assert transport.get_write_buffer_size() == 0

    run(main())


def test_a_limit_lowered_below_what_is_queued_pauses_and_still_resumes() -> None:
    async def main() -> None:
        async with hosts(SMALL) as pair:
            sender = Recorder()
            transport, accepted, _ = await pair.connect(sender, Recorder())
            accepted.pause_reading()
            transport.write(bytes(40_000))
            await settle()
            assert sender.calls == ["made"]
            transport.set_write_buffer_limits(high=0)
            assert sender.calls == ["made", "pause"]
            accepted.resume_reading()
            await settle(600)
            assert sender.calls == ["made", "pause", "resume"]

    run(main())


def test_write_eof_closes_one_direction_only() -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver, sender = Recorder(keep_open=True), Recorder()
            transport, accepted, _ = await pair.connect(sender, receiver)
            assert transport.can_write_eof()
            transport.write(b"question")
            transport.write_eof()
            transport.write_eof()
            for write in (transport.write, lambda data: transport.writelines([data])):
                with pytest.raises(RuntimeError, match="after write_eof"):
                    write(b"more")
            await settle()
            assert receiver.calls == ["made", "data", "eof"]
            accepted.write(b"answer")
            await settle()
            assert sender.data == b"answer"
            accepted.close()
            await settle()
            assert receiver.calls[-1] == sender.calls[-1] == "lost"
            assert receiver.lost is sender.lost is None

    run(main())


def test_close_delivers_what_was_written_then_tells_connection_lost_once() -> None:
    async def main() -> None:
        async with hosts(SMALL) as pair:
            sender, receiver = Recorder(), Recorder()
            transport, _, _ = await pair.connect(sender, receiver)
            data = random.Random(5).randbytes(100_000)
            transport.write(data)
            transport.close()
            assert transport.is_closing()
            transport.close()
            transport.write(b"and more, while it drains")
            assert sender.calls.count("lost") == 0, "no callback inside a user's call"
            await sender.over
            transport.write(b"too late")
            await settle(60)
            assert receiver.data == data + b"and more, while it drains"
            assert sender.calls[-1] == "lost"
            assert sender.lost is None and receiver.lost is None

    run(main())


def test_abort_drops_what_exceeds_a_sockets_buffer_and_ends_in_order() -> None:
    async def main() -> None:
        async with hosts() as pair:
            sender, receiver = Recorder(), Recorder()
            transport, _, _ = await pair.connect(sender, receiver)
            data = random.Random(6).randbytes(1_000_000)
            transport.write(data)
            taken = len(data) - transport.get_write_buffer_size()
            assert 0 < taken < len(data)
            transport.abort()
            transport.abort()
            transport.close()
            assert transport.is_closing() and "lost" not in sender.calls
            await settle()
            assert sender.calls == ["made", "pause", "lost"] and sender.lost is None
            assert receiver.data == data[:taken]
            assert receiver.calls[-2:] == ["eof", "lost"] and receiver.lost is None
            assert_nothing_left(pair.client, "time_wait")

    run(main())


def test_abort_with_input_unread_is_told_by_a_reset() -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver = Recorder()
            transport, accepted, _ = await pair.connect(Recorder(), receiver)
            transport.pause_reading()
            accepted.write(b"never read")
            await settle()
            transport.abort()
            await settle()
            assert isinstance(receiver.lost, ConnectionResetError)

    run(main())


def test_abort_after_so_linger_of_zero_is_a_reset_behind_what_the_window_lets_out() -> None:
    async def main() -> None:
        async with hosts() as pair:
            sender, receiver = Recorder(), Recorder()
            transport, _, _ = await pair.connect(sender, receiver)
            data = random.Random(6).randbytes(1_000_000)
            transport.write(data)
            cwnd = transport.get_extra_info("tcp_info").cwnd
            reset(transport)
            await settle()
            assert sender.lost is None and receiver.data == data[: len(receiver.data)]
            assert 0 < len(receiver.data) <= cwnd < len(data) - transport.get_write_buffer_size()
            assert isinstance(receiver.lost, ConnectionResetError)
            assert_nothing_left(pair.client)

    run(main())


def test_force_close_tells_the_protocol_the_error_it_was_given() -> None:
    async def main() -> None:
        async with hosts() as pair:
            sender, receiver = Recorder(), Recorder()
            transport, _, _ = await pair.connect(sender, receiver)
            why = OSError("the reason")
            transport._force_close(why)
            transport._force_close(OSError("another"))
            await settle()
            assert sender.lost is why and sender.calls == ["made", "lost"]
            assert receiver.lost is None and receiver.calls == ["made", "eof", "lost"]

    run(main())


def test_set_protocol_in_mid_stream_gives_the_rest_to_the_new_one() -> None:
    async def main() -> None:
        async with hosts() as pair:
            second = Recorder()

            class First(Recorder):
                def data_received(self, data: bytes) -> None:
                    super().data_received(data)
                    self.transport.set_protocol(second)

            first = First()
            transport, accepted, _ = await pair.connect(Recorder(), first)
            data = random.Random(1).randbytes(30_000)
            transport.write(data)
            await settle()
            assert accepted.get_protocol() is second
            assert first.calls == ["made", "data"]
            assert bytes(first.data + second.data) == data
            assert 0 < len(first.data) < len(data)
            transport.close()
            await settle()
            assert second.calls[-2:] == ["eof", "lost"]

    run(main())


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_buffered_protocol_is_given_everything_in_its_own_buffers(size: int) -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver = BufferedRecorder(size)
            transport, _, _ = await pair.connect(Recorder(), receiver)
            data = random.Random(1).randbytes(20_000)
            transport.write(data)
            transport.close()
            await settle()
            assert receiver.data == data
            assert receiver.eof and receiver.lost
            assert all(hint == -1 or hint > 0 for hint in receiver.hints)

    run(main())


def test_buffered_protocol_that_pauses_is_given_no_more() -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver = BufferedRecorder(100)
            transport, accepted, _ = await pair.connect(Recorder(), receiver)
            receiver.on_update = accepted.pause_reading
            data = random.Random(1).randbytes(1000)
            transport.write(data)
            await settle()
            assert receiver.data == data[:100]
            accepted.resume_reading()
            await settle()
            assert receiver.data == data[:200]

    run(main())


def test_buffered_protocol_may_hand_over_to_a_plain_one_between_two_buffers() -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver, plain = BufferedRecorder(100), Recorder()
            receiver.on_update = lambda: receiver.transport.set_protocol(plain)
            transport, _, _ = await pair.connect(Recorder(), receiver)
            data = random.Random(1).randbytes(1000)
            transport.write(data)
            await settle()
            assert bytes(receiver.data + plain.data) == data
            assert len(receiver.data) == 100

    run(main())


def test_plain_protocol_may_hand_over_to_a_buffered_one() -> None:
    async def main() -> None:
        async with hosts() as pair:
            buffered = BufferedRecorder(64)

            class First(Recorder):
                def data_received(self, data: bytes) -> None:
                    super().data_received(data)
                    self.transport.set_protocol(buffered)

            first = First()
            transport, _, _ = await pair.connect(Recorder(), first)
            data = random.Random(1).randbytes(30_000)
            transport.write(data)
            await settle()
            assert bytes(first.data + buffered.data) == data

    run(main())


def test_an_empty_buffer_lent_ends_the_connection_and_is_reported() -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver = BufferedRecorder(0)
            transport, _, _ = await pair.connect(Recorder(), receiver)
            transport.write(b"x")
            await settle()
            assert receiver.lost
            (report,) = reported()
            assert "empty buffer" in str(report["exception"])

    run(main())


@pytest.mark.parametrize("callback", ["data_received", "eof_received", "connection_lost"])
def test_a_callback_that_raises_ends_this_connection_only_and_is_reported(callback: str) -> None:
    async def main() -> None:
        async with hosts() as pair:

            class Broken(Recorder):
                pass

            def fail(*_: object) -> None:
                raise ZeroDivisionError(callback)

            setattr(Broken, callback, fail)
            made: list[Recorder] = []

            def factory() -> Recorder:
                made.append(Recorder() if made else Broken())
                return made[-1]

            await pair.server.create_server(factory, port=PORT)
            first, _ = await pair.client.create_connection(Recorder, SERVER, PORT)
            second, _ = await pair.client.create_connection(Recorder, SERVER, PORT)
            await settle()
            for transport in (first, second):
                transport.write(b"hello")
            await settle()
            first.write_eof()
            await settle()
            assert made[1].data == b"hello" and not made[1].over.done()
            if callback != "connection_lost":
                assert isinstance(made[0].lost, ZeroDivisionError)
            (report,) = reported()
            assert isinstance(report["exception"], ZeroDivisionError)

    run(main())


def test_connection_made_that_raises_is_reported_and_the_connection_goes_on() -> None:
    async def main() -> None:
        async with hosts() as pair:

            class Broken(Recorder):
                def connection_made(self, transport: asyncio.BaseTransport) -> None:
                    raise ZeroDivisionError

            receiver = Broken()
            transport, _, _ = await pair.connect(Recorder(), receiver)
            transport.write(b"hello")
            await settle()
            assert receiver.data == b"hello" and not receiver.over.done()
            (report,) = reported()
            assert isinstance(report["exception"], ZeroDivisionError)

    run(main())


def test_sendfile_falls_back_to_reading_and_writing() -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver = Recorder()
            sender = Recorder()
            transport, _, _ = await pair.connect(sender, receiver)
            data = random.Random(9).randbytes(300_000)
            with tempfile.TemporaryFile() as file:
                file.write(data)
                file.flush()
                sent = await asyncio.get_running_loop().sendfile(transport, file, offset=1000, count=250_000)
            assert sent == 250_000
            await settle()
            assert receiver.data == data[1000:251_000]
            assert transport.get_protocol() is sender and transport.is_reading()
            with pytest.raises((RuntimeError, NotImplementedError)), tempfile.TemporaryFile() as file:
                await asyncio.get_running_loop().sendfile(transport, file, fallback=False)

    run(main())


def test_sendfile_to_a_slow_reader_waits_for_it() -> None:
    async def main() -> None:
        async with hosts(SMALL) as pair:
            receiver = Recorder()
            transport, accepted, _ = await pair.connect(Recorder(), receiver)
            accepted.pause_reading()
            with tempfile.TemporaryFile() as file:
                file.write(bytes(1_000_000))
                file.seek(0)
                task = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, file))
                await settle(100)
                assert not task.done()
                accepted.resume_reading()
                assert await task == 1_000_000
            await settle()
            assert len(receiver.data) == 1_000_000

    run(main())


def test_write_after_the_peers_reset_raises_nothing_and_the_protocol_hears_of_it() -> None:
    async def main() -> None:
        async with hosts(wire=Wire(delay=0)) as pair:
            sender = Recorder()
            transport, accepted, _ = await pair.connect(sender, Recorder())
            reset(accepted)
            pair.wire.delay = 0.001
            # From the RST's arrival until the protocol is told, the connection is dead and its user doesn't know.
            for _ in range(20):
                transport.write(b"x")
                await asyncio.sleep(0)
            pair.server._engine.driver._flush()
            await asyncio.sleep(0)
            transport.write(b"x")
            await settle()
            transport.write(b"y")
            assert isinstance(sender.lost, ConnectionResetError)

    run(main())


def test_write_between_the_resets_arrival_and_connection_lost_raises_nothing() -> None:
    async def main() -> None:
        async with hosts() as pair:
            sender = Recorder()
            transport, _, _ = await pair.connect(sender, Recorder())
            transport._connection.on_link_lost(104, pair.client.clock())
            assert sender.calls == ["made"]
            transport.write(b"x")
            transport.writelines([b"y"])
            transport.write_eof()
            await settle()
            assert isinstance(sender.lost, ConnectionResetError)

    run(main())


def test_data_before_a_reset_is_delivered_before_the_error() -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver = Recorder()
            transport, accepted, _ = await pair.connect(Recorder(), receiver)
            accepted.pause_reading()
            transport.write(b"last words")
            await settle()
            reset(transport)
            await settle()
            assert receiver.calls == ["made"]
            accepted.resume_reading()
            await settle()
            assert receiver.calls == ["made", "data", "lost"]
            assert receiver.data == b"last words"
            assert isinstance(receiver.lost, ConnectionResetError)

    run(main())


def test_a_writer_held_back_hears_of_a_reset_although_its_reading_is_paused() -> None:
    async def main() -> None:
        async with hosts(SMALL) as pair:
            proxy = Recorder()
            transport, accepted, _ = await pair.connect(Recorder(), proxy)
            accepted.pause_reading()
            transport.pause_reading()
            transport.write(b"unread")
            accepted.write(bytes(200_000))
            await settle()
            assert "pause" in proxy.calls
            reset(transport)
            await settle()
            assert isinstance(proxy.lost, ConnectionResetError)

    run(main())


def test_extra_info_names_both_ends_and_the_state() -> None:
    async def main() -> None:
        async with hosts() as pair:
            transport, accepted, _ = await pair.connect(Recorder(), Recorder())
            assert transport.get_extra_info("peername") == (SERVER, PORT)
            assert accepted.get_extra_info("sockname") == (SERVER, PORT)
            assert transport.get_extra_info("sockname") == accepted.get_extra_info("peername")
            assert transport.get_extra_info("tcp_info").state == "ESTABLISHED"
            assert transport.get_extra_info("socket") is transport.get_extra_info("socket")
            assert transport.get_extra_info("sslcontext") is None
            assert transport.get_extra_info("nothing", 5) == 5
            assert "open" in repr(transport)
            transport.close()
            await settle()
            assert transport.get_extra_info("peername") == (SERVER, PORT)
            assert "closed" in repr(transport)

    run(main())


def test_streams_over_it_are_asyncios_own() -> None:
    async def main() -> None:
        async with hosts() as pair:

            async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                assert writer.get_extra_info("peername")[0] == "10.0.0.1"
                writer.write((await reader.readline()).upper())
                writer.write(await reader.readexactly(3))
                await writer.drain()
                writer.write_eof()
                assert await reader.read() == b"rest"
                writer.close()
                await writer.wait_closed()

            async with await pair.server.start_server(echo, port=PORT):
                reader, writer = await pair.client.open_connection(SERVER, PORT)
                writer.writelines([b"line\n", b"abc"])
                await writer.drain()
                assert await reader.read() == b"LINE\nabc"
                writer.write(b"rest")
                writer.close()
                await writer.wait_closed()

    run(main())
