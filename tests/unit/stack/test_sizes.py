"""What a stack keeps for peers that do nothing: few bytes each, and no work at any tick. The law is tracemalloc's."""

import gc
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import synfin
from bench import clients
from synfin.stack.stack import Stack
from synfin.tcp.config import Config

NOW = 1_000_000
LATER = NOW + 10_000_000  # beyond every retransmission timer, before the end of TIME-WAIT
ENTRIES = 512
FIRST = 64  # made before memory is counted: what they cause once is nobody's


def established(stack: Any, number: int) -> None:
    clients.open_one(stack, number, NOW)


def time_wait(stack: Any, number: int) -> None:
    theirs, connection = clients.open_one(stack, number, NOW)
    connection.close(NOW)
    stack.poll(NOW, 1 << 20)
    stack.receive(clients.fin(number, theirs, NOW), NOW)
    stack.poll(NOW, 1 << 20)


def bytes_of_one(make: Callable[[Any, int], None]) -> tuple[float, Stack]:
    stack = Stack([clients.SERVER], Config(), entropy=random.Random(1).randbytes)
    stack.listen(clients.PORT)

    def make_all(numbers: range) -> None:
        for number in numbers:
            make(stack, number)
        stack.on_timer(LATER)
        gc.collect()

    make_all(range(FIRST))
    tracemalloc.start()
    try:
        make_all(range(FIRST, ENTRIES))
        return tracemalloc.get_traced_memory()[0] / (ENTRIES - FIRST), stack
    finally:
        tracemalloc.stop()


def test_an_idle_connection_takes_less_than_two_kilobytes_compiled_and_costs_no_tick() -> None:
    size, stack = bytes_of_one(established)
    assert size < (1600 if synfin.compiled() else 2900)
    assert stack.next_deadline() is None
    census = stack.census()
    assert (census["connections"], census["timers"], census["active"], census["ready"]) == (ENTRIES, 0, 0, 0)


def test_a_million_records_of_time_wait_would_fit_into_200_megabytes_and_only_the_oldest_is_waited_for() -> None:
    size, stack = bytes_of_one(time_wait)
    assert size < 200
    census = stack.census()
    assert (census["connections"], census["time_wait"], census["timers"]) == (0, ENTRIES, 0)
    assert stack.next_deadline() == NOW + 2 * Config().msl_us
