"""What one step costs in a table that holds many, in its worst case: the processor's nanoseconds for it.

Every one of these tables is filled by strangers, so a step has to cost the same however many there are. A function here
fills one, and then gives, for ever, what is to be timed, and how many steps that is; what it does between is not timed.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator
from functools import partial

from bench.plan import TABLES
from bench.setting import Setting, finish

NOW = 1_000_000
BATCH = 64

Steps = Iterator[tuple[Callable[[], object], int]]


def time_wait(count: int) -> Steps:
    """The oldest record runs out, a new one is filed, and the next deadline is asked for."""
    from synfin.stack.time_wait_table import TimeWaitTable
    from synfin.tcp.counters import Counters
    from synfin.tcp.time_wait import TimeWait

    table = TimeWaitTable(Counters(), count)

    def steps(first: int, last: int) -> None:
        for now in range(first, last):
            table.expire(now)
            table.add(now.to_bytes(12, "big"), TimeWait(now + count, 1, 2, 3, 4, 65535, True))
            table.deadline()

    steps(1, count + 1)
    first = count + 1
    while True:
        yield partial(steps, first, first + BATCH), BATCH
        first += BATCH


def syn_queue(count: int) -> Steps:
    """All entries are due at once; a step is one of them, with its SYN,ACK as long as the outbox has room."""
    from bench import clients
    from synfin.stack.stack import Stack
    from synfin.tcp.config import Config

    config = Config(syn_queue_limit=count, half_open_limit=count)
    now = NOW
    while True:
        stack = Stack([clients.SERVER], config, entropy=random.Random(1).randbytes)
        stack.listen(clients.PORT)
        for number in range(count):
            stack.receive(clients.syn(number, now), now)
            stack.poll(now, 1 << 20)
        for _ in range(config.synack_retries + 1):
            now = stack.next_deadline() or now
            yield partial(stack.on_timer, now), count
            stack.poll(now, 1 << 20)


def accept_queue(count: int) -> Steps:
    """A connection is reset that waits behind all others to be accepted."""
    from bench import clients
    from synfin.stack.stack import Stack
    from synfin.tcp.config import Config

    stack = Stack([clients.SERVER], Config(), entropy=random.Random(1).randbytes)
    listener = stack.listen(clients.PORT, backlog=count)
    last = range(max(count - BATCH, 0), count)
    resets = [clients.reset(number) for number in reversed(last)]

    def steps() -> None:
        for packet in resets:
            stack.receive(packet, NOW)
            stack.poll(NOW, 1 << 20)

    for number in range(count):
        clients.shake_hands(stack, number, NOW)
    while True:
        yield steps, len(resets)
        if listener.pending() != count - len(resets):
            raise RuntimeError("not every connection was reset")
        while (connection := stack.ready()) is not None:
            connection.take_events()
        for number in last:
            clients.shake_hands(stack, number, NOW)


def reassembly(count: int) -> Steps:
    """A byte comes before all those that came before it."""
    from synfin.tcp.reassembly import Reassembly

    held = Reassembly()

    def steps(before: int, after: int) -> None:
        for at in range(before - 1, after - 1, -1):
            held.insert(at, b".", 1 << 20, 1 << 40)

    first = 1 << 40
    steps(first, first - count)
    first -= count
    while True:
        yield partial(steps, first, first - BATCH), BATCH
        first -= BATCH


def connect(count: int) -> Steps:
    """One port to the destination is free; it is taken, and given back."""
    from synfin.stack.stack import Stack
    from synfin.tcp.config import Config

    stack = Stack(["10.0.0.1"], Config(port_first=65536 - count, port_last=65535), entropy=random.Random(1).randbytes)
    for _ in range(count - 1):
        stack.connect("10.0.0.2", 80, NOW)
        stack.poll(NOW, 1 << 20)

    def step() -> None:
        stack.connect("10.0.0.2", 80, NOW).abort(NOW)
        stack.poll(NOW, 1 << 20)

    step()
    while True:
        yield step, 1


MAKERS: dict[str, Callable[[int], Steps]] = {
    "time_wait": time_wait,
    "syn_queue": syn_queue,
    "accept_queue": accept_queue,
    "reassembly": reassembly,
    "connect": connect,
}


def table_cost(name: str, count: int, setting: Setting) -> None:
    """Nanoseconds for a step in a table of `count`; at least one measurement, however long."""
    gc.disable()  # nothing of what is made here is garbage
    steps = MAKERS[name](count)
    first = next(steps)
    gc.freeze()
    gc.enable()
    first[0]()
    spent = done = 0
    begun = time.monotonic()
    while not done or time.monotonic() - begun < setting.seconds:
        act, number = next(steps)
        before = time.process_time_ns()
        act()
        spent += time.process_time_ns() - before
        done += number
    finish(spent / done)


MEASURES: dict[str, Callable[[Setting], None]] = {
    f"table_cost_{name}_{count}": partial(table_cost, name, count)
    for name, counts in TABLES.items()
    for count in counts
}
