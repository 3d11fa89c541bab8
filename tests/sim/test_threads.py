"""Threads take turns with the loop and wait in virtual time: nothing blocks for real, and every run is the same."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from synfin.sim import Deadlock, Network, SimulationEscape
from tests.sim.programs import two

SIMPLE_QUEUE: Callable[[], Any] = lambda: queue.SimpleQueue()  # noqa: E731, PLW0108 (as it is called in the simulation)
who: ContextVar[str] = ContextVar("who", default="nobody")


def took(network: Network, program: Any) -> float:
    """Virtual seconds that a program takes."""
    network.run(program)
    return round(network.now, 6)


async def both(*calls: Callable[[], Any]) -> list[Any]:
    return await asyncio.gather(*map(asyncio.to_thread, calls))


def test_two_threads_sleep_at_the_same_time() -> None:
    assert took(Network(), both(lambda: time.sleep(3), lambda: time.sleep(3))) == 3


def test_tasks_go_on_while_a_thread_sleeps() -> None:
    ticks: list[float] = []

    async def main() -> None:
        async def tick() -> None:
            for _ in range(3):
                await asyncio.sleep(1)
                ticks.append(time.monotonic())

        await asyncio.gather(tick(), asyncio.to_thread(time.sleep, 10))

    assert took(Network(), main()) == 10
    assert [now - ticks[0] for now in ticks] == [0, 1, 2]


def test_a_job_gives_its_result_or_its_error() -> None:
    async def main() -> tuple[bool, str]:
        loop = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 // 0)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await loop.run_in_executor(None, next, iter(()))
        own = threading.get_ident()
        return await asyncio.to_thread(threading.get_ident) == own, str(await loop.run_in_executor(None, str, 5))

    assert Network().run(main()) == (False, "5")


def test_a_thread_may_wait_for_a_coroutine_of_the_loop() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()

        async def slow() -> int:
            await asyncio.sleep(2)
            return 5

        return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(slow(), loop).result())

    network = Network()
    assert network.run(main()) == 5
    assert network.now == 2


@pytest.mark.parametrize("make", [queue.Queue, queue.LifoQueue, SIMPLE_QUEUE])
def test_a_thread_may_wait_for_a_queue(make: Callable[[], Any]) -> None:
    async def main() -> int:
        waiting = make()
        asyncio.get_running_loop().call_later(0.1, waiting.put, 7)
        found: int = await asyncio.to_thread(waiting.get)
        return found

    network = Network()
    assert network.run(main()) == 7
    assert network.now == pytest.approx(0.1)


def test_a_wait_that_is_limited_ends_in_virtual_time() -> None:
    async def main() -> list[Any]:
        event, lock = threading.Event(), threading.Lock()
        lock.acquire()

        def get() -> str:
            with pytest.raises(queue.Empty):
                queue.Queue().get(timeout=7)
            return "empty"

        return await both(lambda: event.wait(5), lambda: lock.acquire(timeout=6), get)

    network = Network()
    assert network.run(main()) == [False, False, "empty"]
    assert network.now == 7


def test_a_lock_that_is_held_over_a_sleep_makes_the_others_wait() -> None:
    order: list[tuple[str, float]] = []

    async def main() -> None:
        lock = threading.RLock()

        def work(name: str) -> None:
            with lock, lock:
                time.sleep(1)
                order.append((name, time.monotonic() % 1000))

        await both(*(lambda name=name: work(name) for name in "abc"))

    assert took(Network(), main()) == 3
    assert order == [("a", 1), ("b", 2), ("c", 3)]


def test_an_executor_has_as_many_threads_as_it_was_made_for() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            await asyncio.gather(*(loop.run_in_executor(pool, time.sleep, 1) for _ in range(6)))

    assert took(Network(), main()) == 3


def test_a_pool_of_threads_works_without_the_loop_too() -> None:
    async def main() -> list[int]:
        def square(number: int) -> int:
            time.sleep(1)
            return number * number

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return list(pool.map(square, range(8)))

    network = Network()
    assert network.run(main()) == [number * number for number in range(8)]
    assert network.now == 2


def test_threads_of_threading_are_the_simulations() -> None:
    said: list[str] = []

    async def main() -> None:
        def talk(name: str, pause: float) -> None:
            for number in range(3):
                time.sleep(pause)
                said.append(f"{name}{number}")

        threads = [threading.Thread(target=talk, args=("a", 1)), threading.Thread(target=talk, args=("b", 0.4))]
        for thread in threads:
            thread.start()
        assert all(thread.is_alive() for thread in threads)
        threads[1].join(timeout=0.1)
        assert threads[1].is_alive()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert not any(thread.is_alive() for thread in threads)

    assert took(Network(), main()) == 3
    assert said == ["b0", "b1", "a0", "b2", "a1", "a2"]


def test_an_error_of_a_thread_goes_to_its_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(repr(args.exc_value)))

    async def main() -> None:
        def fail() -> None:
            raise ValueError("a bug")

        threading.Thread(target=fail).start()
        await asyncio.sleep(0.001)
        assert seen == ["ValueError('a bug')"]

    Network().run(main())


def test_a_thread_sees_no_context_but_is_on_its_host() -> None:
    network = Network()
    server, _ = two(network)
    seen: list[str] = []

    def look() -> None:
        time.sleep(5)
        seen.append(who.get())

    async def program() -> None:
        who.set("server")
        threading.Thread(target=look).start()
        await asyncio.get_running_loop().run_in_executor(None, look)
        await asyncio.to_thread(look)

    async def main() -> None:
        server.start(program())
        await network.after("1s")
        server.pause()
        await network.after("10s")
        assert seen == []
        server.resume()
        await network.after("1s")
        assert seen == ["nobody", "nobody"]
        await network.after("9s")
        assert seen == ["nobody", "nobody", "server"]

    network.run(main())


def test_a_thread_of_a_crashed_host_never_goes_on() -> None:
    network = Network()
    server, _ = two(network)
    did: list[str] = []

    def work() -> None:
        time.sleep(5)
        did.append("worked")

    async def main() -> None:
        server.start(asyncio.to_thread(work))
        await network.after("1s")
        server.crash()
        await network.after("1h")

    network.run(main())
    assert did == []
    assert server.survivors == []


def test_threads_that_wait_for_ever_end_with_the_simulation() -> None:
    before = threading.active_count()

    async def main() -> None:
        threading.Thread(target=threading.Event().wait).start()
        _ = asyncio.get_running_loop().run_in_executor(None, queue.Queue().get)
        await asyncio.sleep(1)

    Network().run(main())
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)  # the last steps of a real thread
    assert threading.active_count() <= before


def test_a_deadlock_names_the_thread_and_where_it_waits() -> None:
    async def main() -> None:
        waiting: queue.Queue[int] = queue.Queue()
        await asyncio.to_thread(waiting.get)

    with pytest.raises(Deadlock, match=r"main, at .*\n.*thread 1: .*queue\.py:\d+ in Queue\.get"):
        Network().run(main())


def test_a_loop_that_waits_for_nobody_is_a_deadlock() -> None:
    async def main() -> None:
        threading.Event().wait()

    with pytest.raises(Deadlock, match="the loop's thread waits"):
        Network().run(main())


def test_the_loop_that_waits_for_a_thread_lets_it_go_on() -> None:
    async def main() -> float:
        thread = threading.Thread(target=time.sleep, args=(3,))
        thread.start()
        thread.join()
        return time.monotonic()

    network = Network()
    network.run(main())
    assert network.now == 3


def test_a_thread_that_began_before_is_not_of_the_simulation() -> None:
    asked: queue.Queue[Any] = queue.Queue()
    answers: queue.Queue[Any] = queue.Queue()

    def outside() -> None:
        loop = asked.get()
        try:
            loop.call_soon_threadsafe(print)
        except SimulationEscape as escape:
            answers.put(str(escape))
        time.sleep(0)
        answers.put(asked.get(timeout=60))

    thread = threading.Thread(target=outside)
    thread.start()

    async def main() -> float:
        asked.put(asyncio.get_running_loop())
        asked.put("real")
        await asyncio.sleep(1)
        return time.monotonic()

    network = Network()
    network.run(main())
    assert network.now == 1
    thread.join()
    assert "a thread that the simulation has not begun" in answers.get()
    assert answers.get() == "real"


def test_the_same_seed_lets_threads_do_the_same() -> None:
    def run() -> list[str]:
        said: list[str] = []

        async def main() -> None:
            lock = threading.Lock()

            def work(name: str) -> None:
                for _ in range(5):
                    with lock:
                        time.sleep(0.1)
                    said.append(name)

            await both(*(lambda name=name: work(name) for name in "abcd"))

        Network(3).run(main())
        return said

    assert run() == run() == run()


def test_a_lock_that_outlives_the_simulation_is_one_like_all_others() -> None:
    async def make() -> tuple[Any, Any]:
        return threading.Lock(), threading.Condition()

    lock, condition = Network().run(make())
    lock.acquire()
    threading.Timer(0.05, lock.release).start()
    assert lock.acquire(timeout=60)
    with condition:
        assert not condition.wait(0.01)
