"""When a writer is held back and let go on, and what it can ask."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.aio.promises.net import Net, Told, program

BIG = 16 << 20


def _hold(told: Told) -> None:
    told.transport.pause_reading()


@program()
async def a_writer_is_held_back_once_and_let_go_on_once(net: Net) -> None:
    near, far = await net.pair(far=net.told("far", on_made=_hold))
    net.log.note("near", "writing")
    near.transport.write(bytes(BIG))
    net.log.note("near", "written", near.transport.get_write_buffer_size() > 0)
    near.transport.write(b"more")
    await net.rest()
    net.log.note("near", "rested")
    far.transport.resume_reading()
    await net.log.until("near", "resume")
    net.log.note("near", "low enough", near.transport.get_write_buffer_size() <= (16 << 10))
    near.transport.close()
    await net.log.until("far", "lost")
    await net.log.until("near", "lost")


@program()
async def resume_writing_and_connection_lost_come_together_after_a_close(net: Net) -> None:
    near, far = await net.pair(near=net.told("near", wake=("resume", "lost")), far=net.told("far", on_made=_hold))
    near.transport.set_write_buffer_limits(0)
    near.transport.write(bytes(BIG))
    near.transport.close()
    await net.rest()
    far.transport.resume_reading()
    await net.log.until("near", "task woken by lost")
    await net.log.until("far", "lost")


@program()
async def limits(net: Net) -> None:
    near, _ = await net.pair()
    transport: Any = near.transport
    net.log.note("near", "default", transport.get_write_buffer_limits(), transport.get_write_buffer_size())
    for options in ({"high": 0}, {"high": 100}, {"low": 10}, {"high": 10, "low": 5}, {"high": 1, "low": 1}, {}):
        with net.outcome("near", f"set {options}"):
            transport.set_write_buffer_limits(**options)
        net.log.note("near", "now", transport.get_write_buffer_limits())
    for wrong in ({"high": -1}, {"low": -1, "high": 1}, {"high": 5, "low": 6}, {"high": "x"}):
        with net.outcome("near", f"set {wrong}"):
            transport.set_write_buffer_limits(**wrong)
        net.log.note("near", "now", transport.get_write_buffer_limits())


@program()
async def a_small_write_is_not_held(net: Net) -> None:
    near, _ = await net.pair()
    near.transport.set_write_buffer_limits(0)
    near.transport.write(b"small")
    net.log.note("near", "holds", near.transport.get_write_buffer_size())
    near.transport.close()
    await net.log.until("far", "lost")


@program()
async def limits_lowered_below_what_is_held_hold_the_writer_back(net: Net) -> None:
    near, _ = await net.pair(far=net.told("far", on_made=_hold))
    near.transport.set_write_buffer_limits(2 * BIG)
    near.transport.write(bytes(BIG))
    net.log.note("near", "lowering")
    near.transport.set_write_buffer_limits(1000)
    net.log.note("near", "lowered")
    near.transport.write(b"one more")
    net.log.note("near", "written")


@program()
async def several_wait_for_drain(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far", on_made=_hold), net.far.address, net.port)
    _, writer = await net.near.open_connection(net.far.address, net.port)
    await net.log.until("far", "made")
    await writer.drain()
    net.log.note("near", "nothing to wait for")
    writer.write(bytes(BIG))

    async def wait(number: int) -> None:
        await writer.drain()
        net.log.note("near", "drained", number)

    waiting = [asyncio.create_task(wait(number)) for number in range(3)]
    await net.rest()
    net.log.note("near", "going on")
    net.far.made[-1].resume_reading()
    await asyncio.gather(*waiting)
    writer.close()
    await net.log.until("far", "lost")


@program()
async def pause_writing_fails(net: Net) -> None:
    def fail(_: Told) -> None:
        raise LookupError("a callback's own fault")

    near, far = await net.pair(near=net.told("near", on_pause=fail, on_resume=fail), far=net.told("far", on_made=_hold))
    near.transport.write(bytes(BIG))
    net.log.note("near", "written")
    await net.rest()
    far.transport.resume_reading()
    await net.log.until("near", "resume")
    near.transport.close()
    await net.log.until("far", "lost")


@program()
async def pausing_and_resuming_twice_is_once(net: Net) -> None:
    near, far = await net.pair()
    for call in ("resume_reading", "pause_reading", "pause_reading"):
        with net.outcome("far", call):
            getattr(far.transport, call)()
        net.log.note("far", "reading", far.transport.is_reading())
    near.transport.write(b"waits")
    await net.rest()
    for call in ("resume_reading", "resume_reading"):
        with net.outcome("far", call):
            getattr(far.transport, call)()
        net.log.note("far", "reading", far.transport.is_reading())
    await net.log.until("far", "data")


@program()
async def a_paused_buffered_half_is_closed(net: Net) -> None:
    near, far = await net.pair(far=net.told("far", on_made=_hold))
    near.transport.write(b"never read")
    near.transport.close()
    await net.rest()
    far.transport.close()
    await net.log.until("far", "lost")
    await net.log.until("near", "lost")
