"""What docs/simulation.md says a simulation does not supply is not supplied, and nothing else is missing from its list.

Whoever supplies one of these takes it out of the list, and whoever finds another puts it in.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from time import monotonic, perf_counter, sleep

import pytest

from synfin.sim import Hung, Network
from tests.conftest import ROOT

LOCK = threading.Lock()


def in_a_simulation(look: Callable[[], object], **options: object) -> object:
    async def program() -> object:
        return look()

    return Network(1, **options).run(program())  # type: ignore[arg-type]


def monotonic_clocks_by_name() -> None:
    began = perf_counter()
    assert abs(in_a_simulation(monotonic) - monotonic()) < 100  # type: ignore[operator]
    in_a_simulation(lambda: sleep(0.05))
    assert perf_counter() - began >= 0.05


def locks_made_before() -> None:
    with LOCK, pytest.raises(Hung):
        in_a_simulation(LOCK.acquire, patience=0.3)


def the_time_zone() -> None:
    assert in_a_simulation(lambda: time.strftime("%Z")) == time.strftime("%Z")


def ciphertext() -> None:
    import ssl

    def make() -> bytes:
        left, right = ssl.MemoryBIO(), ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(left, right, server_hostname="a").do_handshake()
        return right.read()

    first, second = in_a_simulation(make), in_a_simulation(make)
    assert first != second
    assert len(first) == len(second)  # type: ignore[arg-type]


def the_order_of_sets() -> None:
    program = (
        "from synfin.sim import Network\nasync def main(): print(list({'a', 'b', 'c', 'd'}))\nNetwork().run(main())"
    )
    said = {
        subprocess.check_output([sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": str(seed)})
        for seed in range(4)
    }
    assert len(said) > 1


def the_process_and_its_files() -> None:
    assert in_a_simulation(os.getpid) == os.getpid()
    assert in_a_simulation(lambda: os.listdir(ROOT)) == os.listdir(ROOT)


def databases_in_c() -> None:
    def look() -> str:
        with sqlite3.connect(":memory:") as database:
            found: str = database.execute("select date('now')").fetchone()[0]
        database.close()
        return found

    assert str(in_a_simulation(look)) > "2024"


def threads_that_began_before() -> None:
    asked: queue.Queue[str] = queue.Queue()
    answers: list[float] = []
    thread = threading.Thread(target=lambda: answers.append(float(asked.get(timeout=60))))
    thread.start()

    async def program() -> None:
        asked.put("1")
        await asyncio.sleep(0)
        thread_is_real = threading.Thread.is_alive(thread)
        assert thread_is_real in (True, False)

    Network().run(program())
    thread.join()
    assert answers == [1.0]


def computing() -> None:
    def compute() -> float:
        before = time.monotonic()
        sum(range(10_000))
        return time.monotonic() - before

    assert in_a_simulation(compute) == 0


KEPT = [
    monotonic_clocks_by_name,
    locks_made_before,
    the_time_zone,
    ciphertext,
    the_order_of_sets,
    the_process_and_its_files,
    databases_in_c,
    threads_that_began_before,
    computing,
]


@pytest.mark.parametrize("check", KEPT)
def test_what_the_list_names_is_not_supplied(check: Callable[[], None]) -> None:
    check()


def test_the_list_has_a_line_for_each() -> None:
    text = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
    rows = text.partition("| what stays out |")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(rows) == len(KEPT), rows
