"""What waits for the readers of UDP ports: bounded over all of them, given back with each that is read or closed."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from synfin.stack.addresses import packed
from synfin.stack.admission import ACCEPT
from synfin.stack.datagrams import KEPT, QUEUE_LIMIT
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.wire import udp
from synfin.wire.key import make_key

HERE, THERE = "10.0.0.1", "10.0.0.2"
LIMIT = 200_000
TEXT = bytes(1000)


def host(**settings: Any) -> Stack:
    return Stack([HERE], Config(udp_mem=LIMIT, **settings), entropy=bytes)


def datagram(port: int, text: bytes = TEXT, source_port: int = 4000) -> bytes:
    return udp.build(make_key(packed(THERE), packed(HERE), source_port, port), text)


def waiting(stack: Stack) -> int:
    return stack.census()["datagram_bytes"]


def test_datagrams_that_nobody_reads_are_bounded_over_all_ports_and_counted() -> None:
    stack = host()
    ports = [stack.open_datagrams(port=number) for number in range(1, 21)]
    for port in ports:
        for _ in range(50):
            stack.receive(datagram(port.port), 0)
    kept = LIMIT // (len(TEXT) + KEPT)
    assert sum(len(port.received) for port in ports) == kept
    assert waiting(stack) == kept * (len(TEXT) + KEPT)
    assert stack.counters.RcvbufErrors == 20 * 50 - kept
    assert stack.counters.InDatagrams == kept


def test_what_is_read_makes_room_for_others() -> None:
    stack = host()
    slow, quick = stack.open_datagrams(port=1), stack.open_datagrams(port=2)
    while not stack.counters.RcvbufErrors:
        stack.receive(datagram(1), 0)
    stack.receive(datagram(2), 0)
    assert not quick.received
    assert slow.take()[0] == TEXT
    stack.receive(datagram(2), 0)
    assert quick.take() == (TEXT, packed(THERE), 4000)


def test_a_port_that_is_closed_keeps_nothing() -> None:
    stack = host()
    for number in range(1, 9):
        port = stack.open_datagrams(port=number)
        for size in range(20):
            stack.receive(datagram(number, bytes(size)), 0)
        stack.close_datagrams(port)
        stack.close_datagrams(port)
        assert waiting(stack) == 0


def test_flows_are_bounded_with_the_ports_and_keep_nothing_when_nobody_takes_them() -> None:
    stack = Stack([THERE], Config(udp_mem=LIMIT), entropy=bytes, any_destination=True)
    stack.datagrams.ask = lambda key: ACCEPT
    for source in range(1, 400):
        stack.receive(udp.build(make_key(packed("10.9.9.9"), packed(HERE), source, 53), TEXT), 0)
    assert waiting(stack) <= LIMIT < waiting(stack) + len(TEXT) + KEPT
    assert stack.counters.RcvbufErrors > 0
    stack.abort_all(0)
    assert waiting(stack) == 0


def test_a_queue_that_is_full_takes_no_room() -> None:
    stack = host()
    stack.open_datagrams(port=1)
    for _ in range(QUEUE_LIMIT + 100):
        stack.receive(datagram(1, b""), 0)
    assert waiting(stack) == QUEUE_LIMIT * KEPT


def test_an_empty_datagram_costs_no_more_than_it_is_charged() -> None:
    stack = host()
    stack.open_datagrams(port=1)
    packets = [datagram(1, b"", source) for source in range(1000, 1000 + QUEUE_LIMIT)]
    tracemalloc.start()
    try:
        for packet in packets:
            stack.receive(packet, 0)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held <= QUEUE_LIMIT * KEPT


@pytest.mark.parametrize("limit", [0, -1, 1 << 31])
def test_a_limit_that_makes_no_sense_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="udp_mem"):
        Config(udp_mem=limit)
