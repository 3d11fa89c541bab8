"""What a stack keeps for a peer, in bytes: Python's memory, counted by tracemalloc, with the entry in its table.

The kernel's figure is the size of its object, without the table.
"""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from bench.setting import Setting, finish

ENTRIES = 2048  # half of a dict's slots, which is neither its best case nor its worst
FIRST = 64  # made before memory is counted: what they cause once is nobody's
NOW = 1_000_000
TIMERS_GONE_US = 10_000_000  # beyond every retransmission timer, before the end of TIME-WAIT
SLABS = Path("/proc/slabinfo")
KERNEL_OBJECTS = {
    "memory_half_open": "request_sock_TCP",
    "memory_time_wait": "tw_sock_TCP",
    "memory_established": "TCP",
}


def measure(setting: Setting) -> None:
    """Bytes for one entry of a table, when it holds ENTRIES of them."""
    from bench import clients
    from synfin.stack.stack import Stack
    from synfin.tcp.config import Config

    stack = Stack([clients.SERVER], Config(syn_queue_limit=2 * ENTRIES), entropy=random.Random(1).randbytes)
    stack.listen(clients.PORT)

    def half_open(number: int) -> None:
        stack.receive(clients.syn(number, NOW), NOW)
        stack.poll(NOW, 1 << 20)

    def established(number: int) -> None:
        clients.open_one(stack, number, NOW)

    def time_wait(number: int) -> None:
        theirs, connection = clients.open_one(stack, number, NOW)
        connection.close(NOW)
        stack.poll(NOW, 1 << 20)
        stack.receive(clients.fin(number, theirs, NOW), NOW)
        stack.poll(NOW, 1 << 20)

    makes: dict[str, tuple[str, Callable[[int], None]]] = {
        "memory_half_open": ("half_open", half_open),
        "memory_time_wait": ("time_wait", time_wait),
        "memory_established": ("connections", established),
    }
    table, make = makes[setting.measure]

    def make_all(numbers: range) -> None:
        for number in numbers:
            make(number)
        if table != "half_open":
            stack.on_timer(NOW + TIMERS_GONE_US)  # until then, the timers of what has ended hold some of it
        gc.collect()

    make_all(range(FIRST))
    tracemalloc.start()
    make_all(range(FIRST, ENTRIES))
    used = tracemalloc.get_traced_memory()[0]
    entries = stack.census()[table]
    if entries != ENTRIES:
        raise RuntimeError(f"of {ENTRIES} entries {entries} are in the table")
    finish(used / (ENTRIES - FIRST))


def of_kernel(setting: Setting) -> None:
    """The size of what Linux keeps."""
    wanted = KERNEL_OBJECTS[setting.measure]
    for line in SLABS.read_text().splitlines():
        fields = line.split()
        if fields[0] == wanted:
            finish(float(fields[3]))
    raise RuntimeError(f"{SLABS} has no {wanted}")


MEASURES: dict[str, Callable[[Setting], None]] = dict.fromkeys(KERNEL_OBJECTS, measure)
