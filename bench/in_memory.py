"""Two stacks, or one stack and made-up peers, in this process and in virtual time."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from functools import partial

from bench.setting import Setting, finish
from bench.users import CHUNK

BATCH = 64  # packets at a time
SYNS = 4096  # of different clients


def memory_link_segments(setting: Setting) -> None:
    """Segments for a second of the processor's, through two stacks in one process, in virtual time, without offload."""
    from synfin.links.memory import MemoryLink
    from synfin.stack.stack import Stack
    from synfin.tcp.connection import Connection
    from synfin.tcp.turn import CONNECTED, WRITABLE

    left = Stack(["10.0.0.1"], entropy=random.Random(1).randbytes)
    right = Stack(["10.0.0.2"], entropy=random.Random(2).randbytes)
    link = MemoryLink(left, right, seed=1)
    right.listen(80)

    def fill(connection: Connection) -> None:
        while connection.write_excess() == 0:
            connection.write(CHUNK)
        connection.want_writable = True

    def on_left(stack: Stack, now: int) -> None:
        while (connection := stack.ready()) is not None:
            if connection.take_events() & (CONNECTED | WRITABLE):
                fill(connection)

    def on_right(stack: Stack, now: int) -> None:
        while (listener := stack.accepting()) is not None:
            while listener.accept() is not None:
                pass
        while (connection := stack.ready()) is not None:
            connection.take_events()
            connection.read(now)

    link.users = {left: on_left, right: on_right}
    left.connect("10.0.0.2", 80, 0)

    def run_for(seconds: float) -> float:
        begun, delivered = time.process_time(), link.delivered
        while (elapsed := time.process_time() - begun) < seconds:
            for _ in range(20):
                link.step()
        return (link.delivered - delivered) / elapsed

    run_for(setting.warm)
    finish(run_for(setting.seconds))


def syn_answered_cookies(setting: Setting) -> None:
    """SYNs a second that are answered by a cookie, checksums of both packets included."""
    from bench import clients
    from synfin.stack.stack import Stack
    from synfin.tcp.config import COOKIES_ALWAYS, Config
    from synfin.wire.segment import finish as complete

    stack = Stack([clients.SERVER], Config(syn_cookies=COOKIES_ALWAYS), entropy=random.Random(1).randbytes)
    stack.listen(clients.PORT)
    flood = [clients.syn(number, 1) for number in range(SYNS)]

    def run_for(seconds: float) -> float:
        begun, answered = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - begun) < seconds:
            for start in range(0, SYNS, BATCH):
                for packet in flood[start : start + BATCH]:
                    stack.receive(packet, 1)
                answered += len([complete(burst) for burst in stack.poll(1, 1 << 20)])
        return answered / elapsed

    run_for(setting.warm)
    value = run_for(setting.seconds)
    if stack.counters.SyncookiesSent != stack.counters.InSegs or stack.census()["half_open"]:
        raise RuntimeError("not every SYN was answered by a cookie")
    finish(value)


def segment_cost(count: int, setting: Setting) -> None:
    """CPU nanoseconds for a segment that is received, read and acknowledged; it is any of `count` connections'."""
    from bench import clients
    from synfin.stack.stack import Stack
    from synfin.tcp.config import Config

    draw = random.Random(1)
    stack = Stack([clients.SERVER], Config(), entropy=draw.randbytes)
    stack.listen(clients.PORT)
    gc.disable()  # nothing of what is made here is garbage
    now = 1_000_000
    theirs = [clients.open_one(stack, number, now)[0] for number in range(count)]
    gc.freeze()
    gc.enable()
    sent = [0] * count

    def batch() -> list[bytes]:
        packets = []
        for _ in range(BATCH):
            number = draw.randrange(count)
            packets.append(clients.text(number, theirs[number], sent[number], now))
            sent[number] += 100
        return packets

    def serve(packets: list[bytes]) -> int:
        """Each as if it came alone. How many ACKs went out."""
        acknowledged = 0
        for packet in packets:
            stack.receive(packet, now)
            while (connection := stack.ready()) is not None:
                connection.take_events()
                connection.read(now)
            acknowledged += len(stack.poll(now, 1 << 20))
        due = stack.next_deadline()
        if due is not None and due <= now:
            stack.on_timer(now)
        return acknowledged

    spent = {"warm": 0, "measured": 0}
    segments = 0
    for phase, length in (("warm", setting.warm), ("measured", setting.seconds)):
        while spent[phase] < length * 1e9:
            packets = batch()
            now += 100
            begun = time.process_time_ns()
            acknowledged = serve(packets)
            spent[phase] += time.process_time_ns() - begun
            if acknowledged != BATCH:
                raise RuntimeError(f"{BATCH} segments were acknowledged by {acknowledged}")
            segments += BATCH * (phase == "measured")
    finish(spent["measured"] / segments)


MEASURES: dict[str, Callable[[Setting], None]] = {
    "memory_link_segments": memory_link_segments,
    "syn_answered_cookies": syn_answered_cookies,
    "segment_cost_10": partial(segment_cost, 10),
    "segment_cost_1000": partial(segment_cost, 1000),
    "segment_cost_100000": partial(segment_cost, 100_000),
}
