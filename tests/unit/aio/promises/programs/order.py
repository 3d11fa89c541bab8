"""The order in which a protocol is told, and when the tasks that it wakes run."""

from __future__ import annotations

import asyncio
import gc
import socket
from typing import Any

from tests.unit.aio.promises.net import Net, Told, ToldInto, program


@program()
async def tasks_run_between_the_last_message_and_the_end(net: Net) -> None:
    near, _ = await net.pair(far=net.told("far", wake=("data", "eof", "lost")))
    near.transport.write(b"last")
    near.transport.close()
    await net.log.until("far", "task woken by lost")
    await net.log.until("near", "lost")


@program()
async def tasks_run_between_the_last_message_and_the_end_of_a_buffered_protocol(net: Net) -> None:
    far = ToldInto(net, "far", wake=("data", "eof", "lost"))
    await net.far.create_server(lambda: far, net.far.address, net.port)
    near = net.told("near")
    await net.near.create_connection(lambda: near, net.far.address, net.port)
    near.transport.write(b"last")
    near.transport.close()
    await net.log.until("far", "task woken by lost")


@program()
async def a_stream_reader_sees_the_last_line_before_the_end(net: Net) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        net.log.note("far", "line", await reader.readline(), "at_eof", reader.at_eof(), writer.is_closing())
        net.log.note("far", "rest", await reader.read(), "at_eof", reader.at_eof(), writer.is_closing())
        writer.close()
        await writer.wait_closed()
        net.log.note("far", "closed")

    await net.far.start_server(serve, net.far.address, net.port)
    _, writer = await net.near.open_connection(net.far.address, net.port)
    writer.write(b"last\n")
    writer.close()
    await writer.wait_closed()
    await net.log.until("far", "closed")


@program()
async def tasks_run_between_the_last_message_and_a_reset(net: Net) -> None:
    near, _ = await net.pair(far=net.told("far", wake=("data", "lost")))
    near.transport.write(b"last")
    await net.log.until("far", "data")
    await net.log.until("far", "task woken by data")
    _linger_zero(near.transport)
    near.transport.close()
    await net.log.until("far", "task woken by lost")


def _linger_zero(transport: asyncio.BaseTransport) -> None:
    face = transport.get_extra_info("socket")
    face.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@program()
async def a_task_made_in_connection_made_runs_before_the_data(net: Net) -> None:
    near, _ = await net.pair(far=net.told("far", wake=("made",)))
    near.transport.write(b"at once")
    await net.log.until("far", "data")


@program()
async def create_connection_returns_before_a_greeting(net: Net) -> None:
    await net.far.create_server(
        lambda: net.told("far", on_made=lambda told: told.transport.write(b"220 hello\r\n")), net.far.address, net.port
    )
    await net.near.create_connection(lambda: net.told("near"), net.far.address, net.port)
    net.log.note("near", "returned")
    await net.log.until("near", "data")


def _busy(told: Told) -> None:
    told.transport.write(b"busy\r\n")
    told.transport.close()


@program()
async def create_connection_returns_before_a_farewell(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far", on_made=_busy), net.far.address, net.port)
    await net.near.create_connection(lambda: net.told("near"), net.far.address, net.port)
    net.log.note("near", "returned")
    await net.log.until("near", "lost")


@program()
async def create_connection_returns_before_a_reset(net: Net) -> None:
    def reset(told: Told) -> None:
        _linger_zero(told.transport)
        told.transport.close()

    await net.far.create_server(lambda: net.told("far", on_made=reset), net.far.address, net.port)
    await net.near.create_connection(lambda: net.told("near"), net.far.address, net.port)
    net.log.note("near", "returned")
    await net.log.until("near", "lost")


@program()
async def a_greeting_goes_to_the_protocol_set_right_after_the_return(net: Net) -> None:
    await net.far.create_server(
        lambda: net.told("far", on_made=lambda told: told.transport.write(b"220 hello\r\n")), net.far.address, net.port
    )
    transport, _ = await net.near.create_connection(lambda: net.told("near"), net.far.address, net.port)
    transport.set_protocol(net.told("near second"))
    await net.rest()


@program()
async def a_greeting_goes_to_the_buffered_protocol_set_right_after_the_return(net: Net) -> None:
    await net.far.create_server(
        lambda: net.told("far", on_made=lambda told: told.transport.write(b"220 hello\r\n")), net.far.address, net.port
    )
    transport, _ = await net.near.create_connection(lambda: net.told("near"), net.far.address, net.port)
    transport.set_protocol(ToldInto(net, "near second"))
    await net.rest()


@program()
async def a_greeting_waits_for_resume_reading_after_a_pause_right_after_the_return(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far", on_made=_busy), net.far.address, net.port)
    transport, _ = await net.near.create_connection(lambda: net.told("near"), net.far.address, net.port)
    transport.pause_reading()
    await net.rest()
    net.log.note("near", "resuming", transport.is_reading())
    transport.resume_reading()
    net.log.note("near", "resumed", transport.is_reading())
    await net.log.until("near", "lost")


@program()
async def reading_paused_in_connection_made_stays_paused(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far", on_made=_busy), net.far.address, net.port)
    transport, _ = await net.near.create_connection(
        lambda: net.told("near", on_made=lambda told: told.transport.pause_reading()), net.far.address, net.port
    )
    net.log.note("near", "returned", transport.is_reading())
    await net.rest()
    net.log.note("near", "resuming")
    transport.resume_reading()
    await net.log.until("near", "lost")


@program()
async def reading_paused_at_the_data_holds_the_end_back(net: Net) -> None:
    near, far = await net.pair(far=net.told("far", on_data=lambda told: told.transport.pause_reading()))
    near.transport.write(b"last")
    near.transport.close()
    await net.rest()
    net.log.note("far", "resuming")
    far.transport.resume_reading()
    await net.log.until("far", "lost")


@program()
async def a_protocol_set_in_data_received_gets_what_comes_next(net: Net) -> None:
    def switch(told: Told) -> None:
        told.transport.set_protocol(net.told("far second"))

    near, _ = await net.pair(far=net.told("far", on_data=switch))
    near.transport.write(b"first")
    await net.log.until("far", "data")
    near.transport.write(b"second")
    near.transport.close()
    await net.log.until("far second", "lost")


async def _callbacks_around(net: Net, end: str) -> None:
    near, _ = await net.pair()
    loop = asyncio.get_running_loop()
    loop.call_soon(net.log.note, "near", "call_soon before")
    getattr(near.transport, end)()
    net.log.note("near", "call returned", near.transport.is_closing())
    loop.call_soon(net.log.note, "near", "call_soon after")
    await net.log.until("near", "lost")
    await net.log.until("near", "call_soon after")


@program()
async def close_tells_by_call_soon(net: Net) -> None:
    await _callbacks_around(net, "close")


@program()
async def abort_tells_by_call_soon(net: Net) -> None:
    await _callbacks_around(net, "abort")


@program()
async def close_in_data_received_tells_after_the_tasks_it_woke(net: Net) -> None:
    near, _ = await net.pair(far=net.told("far", wake=("data", "lost"), on_data=lambda told: told.transport.close()))
    near.transport.write(b"x")
    await net.log.until("far", "task woken by lost")
    await net.log.until("near", "lost")


@program()
async def data_received_is_called_once_for_a_message(net: Net) -> None:
    near, _ = await net.pair(far=net.told("far", on_data=lambda told: net.log.note("far", "call", told.count)))
    for number in range(3):
        near.transport.write(b"message %d" % number)
        await net.log.until("far", f"call {9 * (number + 1)}")


@program()
async def writes_of_one_turn_arrive_together(net: Net) -> None:
    near, _ = await net.pair(far=net.told("far", on_data=lambda told: net.log.note("far", "call")))
    near.transport.write(b"head")
    near.transport.write(b"body")
    near.transport.close()
    await net.log.until("far", "lost")


@program()
async def an_answer_written_in_data_received_comes_before_the_end(net: Net) -> None:
    near, _ = await net.pair(far=net.told("far", on_data=_busy), near=net.told("near", wake=("data", "eof", "lost")))
    near.transport.write(b"question")
    await net.log.until("near", "task woken by lost")


def _fails(*_: Any) -> None:
    raise LookupError("a callback's own fault")


async def _a_callback_fails(net: Net, what: str) -> None:
    near, _ = await net.pair(far=net.told("far", **{f"on_{what}": _fails}))
    near.transport.write(b"x")
    await net.rest()
    near.transport.close()
    await net.log.until("near", "lost")
    await net.log.until("loop", "reported")


@program()
async def data_received_fails(net: Net) -> None:
    await _a_callback_fails(net, "data")


@program()
async def eof_received_fails(net: Net) -> None:
    await _a_callback_fails(net, "eof")


@program()
async def connection_lost_fails(net: Net) -> None:
    await _a_callback_fails(net, "lost")


@program()
async def connection_made_fails_at_the_server(net: Net) -> None:
    await _a_callback_fails(net, "made")


@program()
async def connection_made_fails_at_the_client(net: Net) -> None:
    near = net.told("near", on_made=_fails)
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)
    with net.outcome("near", "create_connection"):
        await net.near.create_connection(lambda: near, net.far.address, net.port)
    near.transport.close()
    await net.log.until("near", "lost")


@program()
async def a_factory_fails_at_the_client(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)
    with net.outcome("near", "create_connection"):
        await net.near.create_connection(_fails, net.far.address, net.port)
    gc.collect()  # asyncio's socket ends when it is forgotten


@program()
async def a_factory_fails_at_the_server(net: Net) -> None:
    await net.far.create_server(_fails, net.far.address, net.port)
    with net.outcome("near", "create_connection"):
        await net.near.create_connection(lambda: net.told("near"), net.far.address, net.port)
    await net.log.until("near", "lost")


class Lends(ToldInto):
    """Notes what it is asked for, too."""

    def get_buffer(self, sizehint: int) -> bytearray:
        self.told.net.log.note("far", "get_buffer", sizehint)
        return super().get_buffer(sizehint)


async def _lend(net: Net, lender: asyncio.BaseProtocol) -> None:
    await net.far.create_server(lambda: lender, net.far.address, net.port)
    near = net.told("near")
    await net.near.create_connection(lambda: near, net.far.address, net.port)
    near.transport.write(b"0123456789")
    near.transport.write_eof()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


@program()
async def a_buffer_is_asked_for_with_asyncios_hint(net: Net) -> None:
    await _lend(net, Lends(net, "far"))


@program()
async def a_small_buffer_is_asked_for_again(net: Net) -> None:
    class Small(ToldInto):
        def buffer_updated(self, nbytes: int) -> None:
            net.log.note("far", "filled", nbytes)

    await _lend(net, Small(net, "far", size=4))


@program()
async def an_empty_buffer_ends_the_connection(net: Net) -> None:
    await _lend(net, ToldInto(net, "far", size=0))


@program()
async def get_buffer_fails(net: Net) -> None:
    class Failing(ToldInto):
        def get_buffer(self, sizehint: int) -> bytearray:
            raise LookupError("a callback's own fault")

    await _lend(net, Failing(net, "far"))


@program()
async def buffer_updated_fails(net: Net) -> None:
    class Failing(ToldInto):
        def buffer_updated(self, nbytes: int) -> None:
            raise LookupError("a callback's own fault")

    await _lend(net, Failing(net, "far"))
