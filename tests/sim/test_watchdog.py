"""What computes, or waits in C, for ever ends as `Hung`: the one verdict of a wall clock, apart from failures."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import time
import weakref
from _thread import allocate_lock
from collections.abc import Callable

import pytest

from synfin.sim import Hung, Network


def compute() -> None:
    while True:
        pass


def wait_in_c() -> None:
    lock = allocate_lock()
    lock.acquire()
    lock.acquire()


async def in_the_loop(work: Callable[[], None]) -> None:
    await asyncio.sleep(1)
    work()


async def in_a_thread(work: Callable[[], None]) -> None:
    await asyncio.to_thread(work)


@pytest.mark.parametrize("where", [in_the_loop, in_a_thread])
@pytest.mark.parametrize("work", [compute, wait_in_c])
def test_what_never_ends_is_hung_with_its_place(where: Callable, work: Callable[[], None]) -> None:
    network = Network(patience=0.5)

    async def main() -> None:
        await network.host("h").start(where(work))

    with pytest.raises(Hung, match=r"one callback has run for 0\.5 s of real time") as caught:
        network.run(main())
    text = str(caught.value)
    first = work.__code__.co_firstlineno
    assert any(f'test_watchdog.py", line {first + line} in {work.__name__}' in text for line in (1, 2, 3))
    if where is in_the_loop:
        assert f" in {work.__name__}.\n" in text


def test_a_loop_in_another_thread_is_watched_too() -> None:
    told: list[str] = []

    def run() -> None:
        try:
            Network(patience=0.5).run(in_the_loop(compute))
        except Hung as hung:
            told.append(str(hung))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "in compute." in told[0]


def test_who_takes_the_interruption_for_his_own_is_hung_nevertheless() -> None:
    async def main() -> str:
        for _ in range(2):
            with contextlib.suppress(KeyboardInterrupt):
                compute()
        return "went on"

    with pytest.raises(Hung, match="compute"):
        Network(patience=0.5).run(main())


def test_what_is_only_slow_is_left_alone() -> None:
    real_sleep = time.sleep

    async def main() -> str:
        for _ in range(8):
            real_sleep(0.2)
            await asyncio.sleep(0)
        return "done"

    assert Network(patience=1).run(main()) == "done"


def test_nobody_is_watched_who_has_all_patience() -> None:
    real_sleep = time.sleep

    async def main() -> None:
        real_sleep(0.7)

    Network(patience=None).run(main())
    with pytest.raises(ValueError, match="patience"):
        Network(patience="-1s")


def test_who_sits_in_a_debugger_is_left_alone() -> None:
    module = type(sys)("pdb")
    module.__dict__["sleep"] = time.sleep
    exec("def interaction():\n    sleep(1.2)", module.__dict__)

    async def main() -> str:
        module.__dict__["interaction"]()
        return "debugged"

    assert Network(patience=0.5).run(main()) == "debugged"


def test_who_has_ended_is_held_by_nobody() -> None:
    real_sleep = time.sleep

    async def main() -> None:
        real_sleep(0.5)  # it is looked at

    network = Network()
    loop = weakref.ref(network.loop)
    network.run(main())
    real_sleep(0.5)  # and no more
    del network
    gc.collect()
    assert loop() is None
