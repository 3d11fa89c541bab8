"""Inside, clock and chance are the simulation's; outside, they are what they were."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import threading
import time
import uuid

import pytest

from synfin.sim import Network


def seen_by_a_program(seed: int) -> list[object]:
    """Everything a program can ask for by chance, twice, a minute apart."""

    async def look() -> list[object]:
        seen: list[object] = []
        for _ in range(2):
            seen += [time.time(), time.time_ns(), time.monotonic(), time.perf_counter(), time.perf_counter_ns()]
            seen += [random.random(), random.Random().random(), random.SystemRandom().random(), os.urandom(8)]
            seen += [secrets.token_hex(), uuid.uuid1(), uuid.uuid4(), asyncio.get_running_loop().time()]
            await asyncio.sleep(60)
        return seen

    network = Network(seed)
    result: list[object] = network.run(look())
    return result


def test_time_and_chance_come_from_the_seed() -> None:
    first = seen_by_a_program(1)
    assert first == seen_by_a_program(1)
    other = seen_by_a_program(2)
    for index, value in enumerate(first):
        is_a_clock = index % 13 < 5 or index % 13 == 12
        assert (value == other[index]) == is_a_clock


def test_clocks_go_with_virtual_time() -> None:
    first = seen_by_a_program(1)
    for clock, unit in ((0, 1), (1, 10**9), (2, 1), (3, 1), (4, 10**9), (12, 1)):
        assert first[clock + 13] - first[clock] == pytest.approx(60 * unit)  # type: ignore[operator]


def test_a_sleep_of_time_takes_no_time() -> None:
    begun = time.perf_counter()

    async def sleep() -> float:
        before = time.time()
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
        time.sleep(3600)  # noqa: ASYNC251
        return time.time() - before

    assert Network().run(sleep()) == 7200
    assert time.perf_counter() - begun < 60


def test_executor_jobs_run_inline() -> None:
    async def job() -> tuple[int, str]:
        loop = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 // 0)
        return await asyncio.to_thread(threading.get_ident), str(await loop.run_in_executor(None, str, 5))

    assert Network().run(job()) == (threading.get_ident(), "5")


def test_afterwards_everything_is_as_it_was() -> None:
    names = [(time, "time"), (time, "sleep"), (os, "urandom"), (random, "_urandom"), (uuid, "_node")]
    before = [getattr(module, name) for module, name in names]
    methods = dict(vars(random.Random))
    random.seed(5)
    state = random.getstate()

    async def fail() -> None:
        random.random()
        raise ValueError

    with pytest.raises(ValueError):
        Network().run(fail())
    assert [getattr(module, name) for module, name in names] == before
    assert dict(vars(random.Random)) == methods
    assert random.getstate() == state


def test_tasks_and_futures_have_sequential_hashes() -> None:
    async def order() -> list[int]:
        async def wait(number: int) -> int:
            await asyncio.sleep(1)
            return number

        tasks = {asyncio.create_task(wait(number)) for number in range(50)}
        futures = {asyncio.get_running_loop().create_future() for _ in range(20)}
        assert len(futures) == 20
        done, _ = await asyncio.wait(tasks)
        return [task.result() for task in done]

    assert Network(1).run(order()) == Network(2).run(order())
