"""When SYNs are answered in batches, and how that is told."""

from __future__ import annotations

import random
import sys
from importlib import import_module
from typing import Any

import pytest

from synfin.stack.flood import LASTS_US, LEAST, ROW
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.tcp.trace import Event, NoteEvent, PacketEvent
from synfin.wire.key import make_key
from synfin.wire.segment import Segment, build, finish
from synfin.wire.tcp_header import ACK, SYN
from tests.conftest import need_library

need_library("numpy")
np: Any = import_module("numpy")

OWN = bytes((10, 0, 0, 1))
QUEUE = 8
NOW = 5_000_000


def syn(number: int) -> bytes:
    seg = Segment()
    seg.key = make_key(bytes((11, 0)) + number.to_bytes(2, "big"), OWN, 1024, 80)
    seg.flags = SYN
    seg.seq = number
    seg.mss = 1460
    seg.wscale = 7
    seg.sack_permitted = True
    seg.has_ts = True
    return build(seg)


def stack_with(syns: int) -> Stack:
    """A stack that has had so many SYNs, of which QUEUE find room."""
    stack = Stack([OWN], Config(syn_queue_limit=QUEUE), entropy=random.Random(1).randbytes)
    stack.listen(80)
    for number in range(syns):
        stack.receive(syn(number), NOW)
    stack.poll(NOW, 1 << 20)
    return stack


def answer(stack: Stack, packets: list[bytes], now: int = NOW) -> tuple[list[bool], list[Any]]:
    rows = np.zeros((len(packets), ROW), np.uint8)
    for row, packet in zip(rows, packets, strict=True):
        row[: len(packet)] = np.frombuffer(packet, np.uint8)
    lengths = np.array([len(packet) for packet in packets])
    done, answers = stack.flood().answer(rows, lengths, np.zeros(len(packets), bool), now)
    return done.tolist(), answers


def test_a_flood_begins_with_the_first_syn_that_finds_the_queue_full_and_ends_by_itself() -> None:
    assert not stack_with(QUEUE).flood().goes_on(NOW)
    stack = stack_with(QUEUE + 1)
    assert stack.flood().has_begun()
    assert stack.flood().goes_on(NOW)
    assert stack.flood().goes_on(NOW + LASTS_US)
    assert not stack.flood().goes_on(NOW + LASTS_US + 1)
    assert not stack.flood().has_begun()


def test_each_batch_prolongs_it() -> None:
    stack = stack_with(QUEUE + 1)
    assert stack.flood().goes_on(NOW + LASTS_US)
    answer(stack, [syn(100 + number) for number in range(LEAST)], NOW + LASTS_US)
    assert stack.flood().goes_on(NOW + 2 * LASTS_US)


def test_without_numpy_there_is_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    flood = stack_with(QUEUE + 1).flood()
    assert flood.goes_on(NOW)
    assert flood.numpy is None


def test_a_batch_is_told_by_one_note_and_counted() -> None:
    stack = stack_with(QUEUE + 1)
    assert stack.flood().goes_on(NOW)
    events: list[Event] = []
    stack.set_trace(events.append)
    done, answers = answer(stack, [syn(100 + number) for number in range(50)])
    assert (sum(done), sum(map(len, answers))) == (50, 49)
    notes = [event.what for event in events if isinstance(event, NoteEvent)]
    assert notes == ["SYN cookie: the SYN queue is full", "SYN cookies: 49 SYNs more of a flood, answered together"]
    assert sum(isinstance(event, PacketEvent) for event in events) == 1
    assert (stack.flood().batches, stack.flood().answered) == (1, 49)
    assert stack.counters.SyncookiesSent == stack.counters.TCPReqQFullDoCookies == 51
    assert stack.counters.InSegs == stack.counters.InReceives == QUEUE + 51


def test_few_syns_and_broken_ones_are_no_batch() -> None:
    stack = stack_with(QUEUE + 1)
    assert stack.flood().goes_on(NOW)
    broken = [syn(number)[:-1] + b"\xff" for number in range(50)]
    few = [syn(number) for number in range(LEAST - 1)]
    assert answer(stack, few + broken) == ([False] * (LEAST + 49), [])


def test_whoever_waits_in_the_queue_is_no_stranger() -> None:
    stack = stack_with(QUEUE + 1)
    assert stack.flood().goes_on(NOW)
    done, _ = answer(stack, [syn(number) for number in range(60)])
    assert done == [False] * QUEUE + [True] * (60 - QUEUE)


def test_a_cookie_of_a_batch_makes_a_connection() -> None:
    stack = stack_with(QUEUE + 1)
    assert stack.flood().goes_on(NOW)
    _, (packets,) = answer(stack, [syn(100 + number) for number in range(50)])
    reply = packets[20].tobytes()
    seg = Segment()
    seg.key = reply[16:20] + reply[12:16] + reply[22:24] + reply[20:22]
    seg.flags = ACK
    seg.seq = int.from_bytes(reply[28:32], "big")
    seg.ack = int.from_bytes(reply[24:28], "big") + 1 & 0xFFFFFFFF
    seg.window = 500
    seg.has_ts = True
    seg.ts_val = 1
    seg.ts_ecr = int.from_bytes(reply[48:52], "big")
    stack.receive(build(seg), NOW + 10_000)
    assert stack.counters.SyncookiesRecv == 1
    listener = stack.accepting()
    assert listener is not None and listener.accept() is not None
    assert [finish(burst) for burst in stack.poll(NOW, 1 << 20)][1:] == []
