"""What the peer gets, and what each side is told, when a connection ends this way or that."""

from __future__ import annotations

import array
import asyncio
import socket
from typing import Any

from tests.unit.aio.promises.net import Net, Told, program

BIG = 16 << 20


async def _with_unread_input(net: Net) -> tuple[Told, Told]:
    """A connection whose far end has input that its program has not read."""
    near, far = await net.pair()
    far.transport.pause_reading()
    near.transport.write(b"unread input")
    await net.rest()
    return near, far


@program()
async def what_was_written_before_a_close_is_delivered(net: Net) -> None:
    _, far = await net.pair()
    far.transport.write(b"bye")
    far.transport.close()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


@program()
async def what_was_written_before_a_close_is_delivered_though_input_is_unread(net: Net) -> None:
    _, far = await _with_unread_input(net)
    far.transport.write(b"413 too large")
    far.transport.close()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


@program()
async def a_close_with_unread_input_resets(net: Net) -> None:
    _, far = await _with_unread_input(net)
    far.transport.close()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


@program()
async def a_close_sends_all_of_a_large_buffer(net: Net) -> None:
    _, far = await net.pair()
    far.transport.write(bytes(BIG))
    far.transport.close()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


def _tail(told: Told) -> None:
    told.transport.write(b"tail")


@program()
async def a_write_in_resume_writing_after_close_is_sent(net: Net) -> None:
    def fill(told: Told) -> None:
        told.transport.write(bytes(BIG))
        told.transport.close()

    await net.far.create_server(lambda: net.told("far", on_made=fill, on_resume=_tail), net.far.address, net.port)
    await net.near.create_connection(lambda: net.told("near"), net.far.address, net.port)
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


@program()
async def a_write_after_close_while_the_buffer_drains_is_sent(net: Net) -> None:
    near, far = await net.pair()
    near.transport.pause_reading()
    far.transport.write(bytes(BIG))
    far.transport.close()
    far.transport.write(b"tail")
    await net.rest()
    near.transport.resume_reading()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


@program()
async def writes_after_a_close_with_nothing_left_are_dropped_and_warned_of(net: Net) -> None:
    _, far = await net.pair()
    far.transport.close()
    for _ in range(7):
        far.transport.write(b"late")
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")
    for _ in range(2):
        far.transport.write(b"later")


@program()
async def writes_after_a_reset_are_dropped_and_warned_of(net: Net) -> None:
    near, far = await net.pair()
    _linger_zero(near.transport)
    near.transport.close()
    await net.log.until("far", "lost")
    for _ in range(7):
        far.transport.write(b"late")


@program()
async def abort_delivers_what_the_socket_holds(net: Net) -> None:
    _, far = await net.pair()
    far.transport.write(b"bye")
    far.transport.abort()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


@program()
async def abort_with_nothing_written_ends_in_order(net: Net) -> None:
    _, far = await net.pair()
    far.transport.abort()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


@program()
async def abort_with_unread_input_resets(net: Net) -> None:
    _, far = await _with_unread_input(net)
    far.transport.write(b"bye")
    far.transport.abort()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


@program()
async def abort_drops_what_the_transport_holds(net: Net) -> None:
    near, far = await net.pair()
    near.transport.pause_reading()
    far.transport.write(bytes(BIG))
    net.log.note("far", "held", far.transport.get_write_buffer_size() > 0)
    far.transport.abort()
    net.log.note("far", "held", far.transport.get_write_buffer_size())
    await net.log.until("far", "lost")
    taken = net.told("near reader", on_lost=lambda told: net.log.note("near", "all came", told.count == BIG))
    taken.data_received = lambda data: setattr(taken, "count", taken.count + len(data))  # type: ignore[method-assign]
    near.transport.set_protocol(taken)
    near.transport.resume_reading()
    await net.log.until("near", "all came")


@program()
async def abort_after_close_ends_at_once(net: Net) -> None:
    near, far = await net.pair()
    near.transport.pause_reading()
    far.transport.write(bytes(BIG))
    far.transport.close()
    await net.rest()
    net.log.note("far", "aborting")
    far.transport.abort()
    await net.log.until("far", "lost")


def _linger_zero(transport: asyncio.BaseTransport) -> None:
    face = transport.get_extra_info("socket")
    face.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@program()
async def so_linger_of_zero_makes_close_a_reset(net: Net) -> None:
    near, _ = await net.pair()
    _linger_zero(near.transport)
    near.transport.close()
    await net.log.until("far", "lost")
    await net.log.until("near", "lost")


@program()
async def so_linger_of_zero_makes_abort_a_reset(net: Net) -> None:
    near, _ = await net.pair()
    _linger_zero(near.transport)
    near.transport.abort()
    await net.log.until("far", "lost")
    await net.log.until("near", "lost")


@program()
async def a_true_eof_received_keeps_the_connection_half_open(net: Net) -> None:
    near, far = await net.pair(far=net.told("far", keep_open=True))
    near.transport.write_eof()
    await net.log.until("far", "eof")
    await net.rest()
    net.log.note("far", "closing", far.transport.is_closing())
    far.transport.write(b"answer")
    far.transport.close()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


@program()
async def a_false_eof_received_closes(net: Net) -> None:
    near, far = await net.pair(far=net.told("far", keep_open=False))
    near.transport.write_eof()
    await net.log.until("far", "lost")
    net.log.note("far", "closing", far.transport.is_closing())
    await net.log.until("near", "lost")


@program()
async def both_ends_half_close_and_nobody_closes(net: Net) -> None:
    near, far = await net.pair(near=net.told("near", keep_open=True), far=net.told("far", keep_open=True))
    near.transport.write_eof()
    far.transport.write_eof()
    await net.rest()
    for told in (near, far):
        net.log.note(told.name, "closing", told.transport.is_closing())


@program()
async def writing_after_write_eof(net: Net) -> None:
    near, _ = await net.pair(far=net.told("far", keep_open=True))
    net.log.note("near", "can", near.transport.can_write_eof())
    near.transport.write(b"all")
    near.transport.write_eof()
    near.transport.write_eof()
    for data in (b"more", b""):
        with net.outcome("near", "write"):
            near.transport.write(data)
    with net.outcome("near", "writelines"):
        near.transport.writelines([b"more"])
    await net.log.until("far", "eof")


@program()
async def write_eof_after_close(net: Net) -> None:
    near, _ = await net.pair()
    near.transport.close()
    with net.outcome("near", "write_eof"):
        near.transport.write_eof()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")


@program()
async def closing_many_times_tells_once(net: Net) -> None:
    near, _ = await net.pair()
    for call in ("close", "close", "abort", "close", "abort"):
        with net.outcome("near", call):
            getattr(near.transport, call)()
    await net.log.until("near", "lost")
    for call in ("close", "abort", "write_eof", "pause_reading", "resume_reading"):
        with net.outcome("near", call):
            getattr(near.transport, call)()
    net.log.note("near", "state", near.transport.is_closing(), near.transport.is_reading())
    await net.log.until("far", "lost")


@program()
async def what_can_be_written(net: Net) -> None:
    near, _ = await net.pair()
    words: list[Any] = [b"bytes ", bytearray(b"bytearray "), memoryview(b"memoryview "), b"", array.array("H", [1])]
    words += [memoryview(array.array("H", [0x2020])), "text", 7, None]
    for word in words:
        with net.outcome("near", f"write {type(word).__name__}"):
            near.transport.write(word)
    for lines in ([b"a", bytearray(b"b")], [memoryview(b"c")], ["text"]):
        with net.outcome("near", "writelines"):
            near.transport.writelines(lines)  # type: ignore[arg-type]
    near.transport.close()
    await net.log.until("far", "lost")


@program()
async def a_bytearray_may_be_changed_after_write(net: Net) -> None:
    near, _ = await net.pair()
    data = bytearray(b"before")
    near.transport.write(data)
    data[:] = b"after!"
    near.transport.close()
    await net.log.until("far", "lost")


@program()
async def a_reset_reaches_a_stream(net: Net) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        net.log.note("far", "first", await reader.readline())
        with net.outcome("far", "read"):
            await reader.read()
        with net.outcome("far", "read again"):
            await reader.read()
        net.log.note("far", "reader", reader.exception(), reader.at_eof(), writer.is_closing())
        writer.write(b"late")
        with net.outcome("far", "drain"):
            await writer.drain()
        writer.close()
        with net.outcome("far", "wait_closed"):
            await writer.wait_closed()
        net.log.note("far", "end")

    await net.far.start_server(serve, net.far.address, net.port)
    _, writer = await net.near.open_connection(net.far.address, net.port)
    writer.write(b"first\n")
    await net.log.until("far", "first")
    _linger_zero(writer.transport)
    writer.close()
    with net.outcome("near", "wait_closed"):
        await writer.wait_closed()
    await net.log.until("far", "end")


@program()
async def a_reset_reaches_a_writer_that_waits(net: Net) -> None:
    reader, writer = await _filled(net)
    far = net.far.made[-1]
    _linger_zero(far)
    far.close()
    with net.outcome("near", "drain"):
        await writer.drain()
    with net.outcome("near", "read"):
        await reader.read()
    with net.outcome("near", "wait_closed"):
        await writer.wait_closed()


async def _filled(net: Net) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams to a peer that does not read, and that is full."""

    def hold(told: Told) -> None:
        told.transport.pause_reading()

    await net.far.create_server(lambda: net.told("far", on_made=hold), net.far.address, net.port)
    reader, writer = await net.near.open_connection(net.far.address, net.port)
    await net.log.until("far", "made")
    writer.write(bytes(BIG))
    await net.rest()
    return reader, writer


@program()
async def a_close_reaches_a_writer_that_waits(net: Net) -> None:
    reader, writer = await _filled(net)
    writer.close()
    waiting = asyncio.ensure_future(writer.drain())
    await net.rest()
    net.log.note("near", "drain done", waiting.done())
    writer.transport.abort()
    with net.outcome("near", "drain"):
        await waiting
    with net.outcome("near", "wait_closed"):
        await writer.wait_closed()
    with net.outcome("near", "read"):
        await reader.read()


@program()
async def writing_to_a_peer_that_has_closed(net: Net) -> None:
    near, far = await net.pair(near=net.told("near", keep_open=True))
    far.transport.close()
    await net.log.until("near", "eof")
    await net.log.until("far", "lost")
    near.transport.write(b"to nobody")
    await net.rest()
    net.log.note("near", "writing again")
    near.transport.write(b"to nobody")
    await net.log.until("near", "lost")


@program()
async def a_stream_after_its_end(net: Net) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"half a li")
        writer.close()

    await net.far.start_server(serve, net.far.address, net.port)
    reader, writer = await net.near.open_connection(net.far.address, net.port)
    with net.outcome("near", "readuntil"):
        await reader.readuntil(b"\n")
    net.log.note("near", "state", reader.at_eof(), writer.is_closing(), await reader.read())
    with net.outcome("near", "readexactly"):
        await reader.readexactly(1)
    with net.outcome("near", "drain"):
        await writer.drain()
    writer.close()
    with net.outcome("near", "wait_closed"):
        await writer.wait_closed()
    net.log.note("near", "state", reader.at_eof(), writer.is_closing())
    with net.outcome("near", "drain"):
        await writer.drain()
