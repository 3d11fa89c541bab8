"""A program that keeps the loop busy while no time passes is told so, with its place."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from synfin.sim import Livelock, Network
from synfin.sim.loop import VirtualLoop


def test_a_busy_wait_is_a_livelock_that_names_its_task_and_line() -> None:
    async def poll() -> None:
        done: list[int] = []
        asyncio.get_running_loop().call_later(0.005, done.append, 1)
        while not done:  # noqa: ASYNC110
            await asyncio.sleep(0)

    network = Network(turn_limit=1000)

    async def main() -> None:
        await network.after("2s")
        await network.host("h").start(poll())

    with pytest.raises(Livelock) as caught:
        network.run(main())
    text = str(caught.value)
    assert "1000 turns of the loop in one moment: at 2 s" in text
    assert f"h/{poll.__qualname__}: " in text
    assert f"{__file__}:{poll.__code__.co_firstlineno + 4} in " in text


def test_callbacks_that_call_each_other_are_a_livelock() -> None:
    def again() -> None:
        asyncio.get_running_loop().call_soon(again)

    async def main() -> None:
        again()
        await asyncio.sleep(1)

    with pytest.raises(Livelock, match=rf"again\(\) at .*{__name__.rpartition('.')[2]}"):
        Network(turn_limit=1000).run(main())


@pytest.mark.parametrize("delay", [0, -1, 1e-9])
def test_timers_that_are_due_at_once_for_ever_are_a_livelock(delay: float) -> None:
    def again() -> None:
        asyncio.get_running_loop().call_later(delay, again)

    async def main() -> None:
        again()
        await asyncio.sleep(1)

    with pytest.raises(Livelock, match="again"):
        Network(turn_limit=1000).run(main())


def test_a_task_that_polls_through_its_cancellation_ends_the_simulation_too() -> None:
    async def poll() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)

    with pytest.raises(Livelock, match="poll"):
        Network(turn_limit=1000).run(poll())


def test_much_work_in_one_moment_is_none() -> None:
    async def work() -> int:
        for _ in range(900):
            await asyncio.sleep(0)
        await asyncio.sleep(0.002)
        for _ in range(900):
            await asyncio.sleep(0)
        return 1800

    assert Network(turn_limit=1000).run(work()) == 1800


def test_more_turns_can_be_allowed() -> None:
    async def work() -> None:
        for _ in range(5000):
            await asyncio.sleep(0)

    with pytest.raises(Livelock):
        Network(turn_limit=4000).run(work())
    Network(turn_limit=10_000).run(work())
    with pytest.raises(ValueError, match="turn_limit is at least 1, not 0"):
        Network(turn_limit=0)
    with pytest.raises(TypeError, match="turn_limit is an int, not str"):
        Network(turn_limit="9")  # type: ignore[arg-type]


def test_timers_of_one_moment_run_in_the_order_in_which_they_were_set() -> None:
    loop = VirtualLoop()
    ran: list[int] = []
    for number in range(100):
        loop.call_later(1, ran.append, number)
    loop.run_until_complete(asyncio.sleep(2))
    loop.close()
    assert ran == list(range(100))


def test_timers_that_were_cancelled_are_swept_out() -> None:
    loop = VirtualLoop()
    kept = [loop.call_later(5, int) for _ in range(10)]
    for _ in range(10_000):
        loop.call_later(5, int).cancel()
    assert len(loop.turns.timers.waiting()) < 300
    assert set(kept) <= set(loop.turns.timers.waiting())
    loop.close()
