"""Inside, clock and chance are the simulation's; outside, they are what they were."""

from __future__ import annotations

import asyncio
import calendar
import multiprocessing
import os
import random
import secrets
import socket
import ssl
import subprocess
import threading
import time
import uuid
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib.util import find_spec
from typing import Any

import pytest

from synfin.sim import Network, SimulationEscape
from tests.conftest import need


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


def test_afterwards_everything_is_as_it_was() -> None:
    names: list[tuple[Any, str]] = [
        (time, "time"),
        (time, "sleep"),
        (os, "urandom"),
        (random, "_urandom"),
        (uuid, "_node"),
    ]
    names += [
        (threading, "Lock"),
        (threading.Thread, "start"),
        (subprocess.Popen, "__init__"),
        (socket.socket, "connect"),
    ]
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


taken_before = datetime.now, datetime.utcnow, date.today, time.time, time.localtime, time.gmtime


def test_wall_clocks_are_virtual_for_who_had_taken_them_before() -> None:
    need(find_spec("time_machine"), "time-machine is not installed (pip install -e '.[sim]')")
    now, utcnow, today, time_, localtime, gmtime = taken_before

    async def look() -> None:
        await asyncio.sleep(3600.5)
        assert time_() == time.time() == 1_700_003_600.5
        assert now().timestamp() == now(UTC).timestamp() == 1_700_003_600.5
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            assert utcnow() == datetime(2023, 11, 14, 23, 13, 20, 500_000)
        assert today() == datetime.fromtimestamp(1_700_003_600).date()
        assert calendar.timegm(gmtime()) == time.mktime(localtime()) == 1_700_003_600

    Network().run(look())
    assert now().year >= 2025


def test_every_clock_of_the_time_module_is_virtual() -> None:
    async def look() -> list[object]:
        seen: list[object] = [time.localtime(), time.gmtime(), time.ctime(), time.asctime(), time.strftime("%T %D")]
        seen += [time.clock_gettime(getattr(time, name)) for name in dir(time) if name.startswith("CLOCK_")]
        seen += [time.clock_gettime_ns(time.CLOCK_REALTIME), time.process_time_ns(), time.thread_time(), time.time_ns()]
        clocks = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
        seen += [getattr(time, f"{name}{unit}")() for name in clocks for unit in ("", "_ns")]
        assert time.strftime("%F %T", time.gmtime(0)) == "1970-01-01 00:00:00"
        assert time.ctime(0) == time.asctime(time.localtime(0))
        return seen

    first = Network().run(look())
    assert first == Network(2).run(look())
    assert first[4] == time.strftime("%T %D", time.localtime(1_700_000_000))


def test_all_functions_that_a_clock_or_chance_is_read_by_are_known() -> None:
    """One that a new Python brings is either supplied, or tells no time."""
    harmless = {"get_clock_info", "mktime", "pthread_getcpuclockid", "strptime", "struct_time", "tzset", "sleep"}
    harmless |= {"clock_settime", "clock_settime_ns", "clock_getres"}
    functions = {name for name in dir(time) if callable(getattr(time, name)) and name[0] != "_"}
    before = {name: getattr(time, name) for name in functions - harmless}

    async def unchanged() -> list[str]:
        return [name for name, value in before.items() if getattr(time, name) is value]

    assert Network().run(unchanged()) == []


def test_bytes_of_the_system_and_of_openssl_come_from_the_seed() -> None:
    async def look() -> list[bytes]:
        return [os.getrandom(8), os.urandom(8), ssl.RAND_bytes(8)]

    assert Network(1).run(look()) == Network(1).run(look()) != Network(2).run(look())


@pytest.mark.parametrize(
    "reach",
    [
        lambda: subprocess.run(["true"], check=False),
        lambda: subprocess.Popen(["true"]),
        lambda: os.system("true"),
        lambda: os.fork(),  # noqa: PLW0108
        lambda: os.posix_spawn("/bin/true", ["true"], {}),
        lambda: os.popen("true"),
        lambda: os.kill(os.getppid(), 0),
        lambda: socket.socketpair(),  # noqa: PLW0108
        lambda: multiprocessing.get_context("spawn").Process(target=print).start(),
        lambda: multiprocessing.get_context("fork").Process(target=print).start(),
    ],
)
def test_what_reaches_another_process_is_an_escape(reach: Callable[[], object]) -> None:
    async def program() -> None:
        with pytest.raises(SimulationEscape, match="in a simulation"):
            reach()

    async def main() -> None:
        await network.host("h").start(program())
        with pytest.raises(SimulationEscape):
            await network.host("h").start(asyncio.to_thread(reach))

    network = Network()
    network.run(main())
    assert subprocess.run(["true"], check=False).returncode == 0
