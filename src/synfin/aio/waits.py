"""What waits for a driver or an engine: coroutines.

They stand apart since those two are compiled: a coroutine of mypyc's is ended by throw() with three arguments, of which
Python warns from 3.12 on.
"""

from __future__ import annotations

import asyncio

from synfin.aio.driver import Driver
from synfin.aio.engine import Engine
from synfin.tcp import errors
from synfin.tcp.states import CLOSED


async def ready(driver: Driver) -> None:
    """Until the link can be used. Raises what takes it away before that."""
    waiter = driver.until_ready()
    if waiter is not None:
        await waiter


async def outgoing(driver: Driver) -> list[bytes]:
    """The packets of the next burst, one an element; waits until there are some. OSError once closed."""
    driver.begin_to_pull()
    while driver.loop is not None:
        packets = driver.pull()  # closing leaves a last batch: what tells the peers
        if packets:
            return packets
        if driver.closed:
            break
        try:
            await driver.until_output()
        finally:
            driver.end_wait()
    raise errors.oserror(errors.NOT_CONNECTED, "the host is closed")


async def deliver_rest(engine: Engine, grace: float) -> None:
    """Until no connection whose user is gone has anything left to send or to be acknowledged, and the link has sent it
    all, what tells others of the end too; `grace` seconds."""
    done: asyncio.Future[None] = engine.loop.create_future()
    left = engine.stack.connections()

    def check() -> None:
        """After every packet, so those that have delivered all are not looked at again, but once at the end."""
        while left and (left[-1].state == CLOSED or left[-1].sender.idle()):
            left.pop()
        if not left and not done.done():
            left.extend(connection for connection in engine.stack.connections() if not connection.sender.idle())
            if not left and not engine.driver.is_full():
                done.set_result(None)

    engine.driver.after_each_run(check)
    engine.driver.schedule_flush()
    try:
        await asyncio.wait([done], timeout=grace)
    finally:
        engine.driver.after_each_run(None)
