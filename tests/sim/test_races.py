"""The seed can decide in which order ready tasks run: what depends on it by mistake fails for some seeds."""

from __future__ import annotations

import asyncio

from synfin.sim import Network

SEEDS = range(200)


async def withdraw_twice() -> int:
    """Two tasks that read, wait, and write: safe only as long as nobody comes in between."""
    balance = 100
    ready = asyncio.Event()

    async def first() -> None:
        nonlocal balance
        await ready.wait()
        balance -= 10

    async def second() -> None:
        nonlocal balance
        await ready.wait()
        seen = balance
        if seen == 90:  # it relies on the first's having run
            balance = seen - 10

    tasks = [asyncio.create_task(first()), asyncio.create_task(second())]
    await asyncio.sleep(0.1)
    ready.set()
    await asyncio.gather(*tasks)
    return balance


def test_without_shuffling_asyncio_keeps_its_order() -> None:
    assert {Network(seed).run(withdraw_twice()) for seed in SEEDS} == {80}


def test_shuffling_finds_a_race() -> None:
    results = [Network(seed, shuffle=True).run(withdraw_twice()) for seed in SEEDS]
    assert set(results) == {80, 90}


def test_the_same_seed_shuffles_the_same_way() -> None:
    async def order() -> list[int]:
        seen: list[int] = []

        async def note(number: int) -> None:
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(number)

        await asyncio.gather(*map(note, range(10)))
        return seen

    def run(seed: int) -> list[int]:
        result: list[int] = Network(seed, shuffle=True).run(order())
        return result

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert sorted(run(1)) == sorted(3 * list(range(10)))


def test_callbacks_that_are_no_tasks_keep_their_order() -> None:
    async def order() -> list[int]:
        seen: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(20):
            loop.call_soon(seen.append, number)
        await asyncio.sleep(1)
        return seen

    for seed in range(10):
        assert Network(seed, shuffle=True).run(order()) == list(range(20))
