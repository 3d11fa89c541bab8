"""A batch of SYNs gets, bit for bit, the answers that they would get one by one, and leaves the same counters."""

from __future__ import annotations

import random
from collections import Counter
from importlib import import_module
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.stack.flood import LEAST, ROW
from synfin.stack.stack import Stack
from synfin.tcp.config import COOKIES_ALWAYS, COOKIES_OFF, COOKIES_WHEN_FULL, Config
from synfin.wire.key import make_key
from synfin.wire.segment import Segment, build, finish
from synfin.wire.tcp_header import ACK, CWR, ECE, FIN, PSH, RST, SYN
from tests.conftest import need_library

need_library("numpy")
np: Any = import_module("numpy")

OWN = {4: bytes((10, 0, 0, 1)), 6: bytes.fromhex("fd000000000000000000000000000001")}
QUEUE = 40
NOW = 77_000_000_000


def random_segment(draw: random.Random) -> bytes:
    """A SYN of one of many kinds, now and then something else, sometimes bent."""
    version = draw.choice((4, 6))
    seg = Segment()
    first = draw.choice((0, 127, 224, 255)) if draw.random() < 0.03 else 11
    source = OWN[version] if draw.random() < 0.02 else bytes((first,)) + draw.randbytes(len(OWN[version]) - 1)
    target = draw.randbytes(len(source)) if draw.random() < 0.02 else OWN[version]
    seg.key = make_key(source, target, draw.randrange(1, 65536), 80 if draw.random() < 0.95 else 81)
    seg.flags = (
        SYN if draw.random() < 0.8 else draw.choice((SYN | ECE | CWR, SYN | PSH, SYN | FIN, ACK, RST, SYN | ACK))
    )
    seg.seq = draw.choice((0, 0xFFFFFFFF, draw.randrange(1 << 32)))
    seg.window = draw.randrange(65536)
    seg.ttl = draw.randrange(1, 256)
    seg.traffic_class = draw.choice((0, 0, 0, 4, 0xB8, 1, 2, 3))
    layout = draw.randrange(6)
    if layout >= 1:
        seg.mss = draw.choice((0, 40, 536, 1000, 1220, 1460, 9000, 65535))
    if layout in (2, 4, 5):
        seg.wscale = draw.choice((0, 7, 14, 15, 255))
    if layout >= 3:
        seg.sack_permitted = True
    if layout >= 4:
        seg.has_ts = True
        seg.ts_val = draw.randrange(1 << 32)
    if layout == 5 and draw.random() < 0.2:
        seg.fast_open = b""
    if draw.random() < 0.02:
        seg.payload = b"text"
    packet = build(seg)
    if draw.random() < 0.05:
        at = draw.randrange(len(packet))
        packet = packet[:at] + draw.randbytes(1) + packet[at + 1 :]
    return packet + bytes(6) if draw.random() < 0.05 else packet  # Ethernet's padding


def full_stack(seed: int, syn_cookies: int, packets: list[bytes]) -> Stack:
    """Its SYN queue is full, or what goes for it with these settings."""
    config = Config(syn_queue_limit=QUEUE, syn_cookies=syn_cookies, outbox_limit=100_000)
    stack = Stack(list(OWN.values()), config, entropy=random.Random(seed).randbytes)
    stack.listen(80)
    for packet in packets:
        stack.receive(packet, NOW)
    stack.poll(NOW, 1 << 30)
    return stack


def rows_of(packets: list[bytes]) -> Any:
    rows = np.full((len(packets), ROW), 0xAA, np.uint8)  # what an earlier frame has left there
    for row, packet in zip(rows, packets, strict=True):
        row[: len(packet)] = np.frombuffer(packet[:ROW], np.uint8)
    return rows


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from((COOKIES_WHEN_FULL, COOKIES_WHEN_FULL, COOKIES_ALWAYS, COOKIES_OFF)))
def test_a_batch_is_answered_as_its_packets_would_be_one_by_one(seed: int, syn_cookies: int) -> None:
    draw = random.Random(seed)
    first = [random_segment(draw) for _ in range(3 * QUEUE)]
    packets = [random_segment(draw) for _ in range(20 * LEAST)]
    packets += [draw.choice(first) for _ in range(20)]  # SYNs that come again
    draw.shuffle(packets)
    alone, together = (full_stack(seed, syn_cookies, first) for _ in range(2))
    for packet in packets:
        alone.receive(packet, NOW + 1000)
    expected = Counter(finish(burst) for burst in alone.poll(NOW + 1000, 1 << 30))

    together.flood().goes_on(NOW + 1000)
    together.flood().numpy = np
    lengths = np.array([len(packet) for packet in packets])
    done, answers = together.flood().answer(rows_of(packets), lengths, np.zeros(len(packets), bool), NOW + 1000)
    for place in np.flatnonzero(~done):
        together.receive(packets[place], NOW + 1000)
    got = Counter(finish(burst) for burst in together.poll(NOW + 1000, 1 << 30))
    got.update(row.tobytes() for part in answers for row in part)
    assert got == expected
    assert together.counters.as_dict() == alone.counters.as_dict()
    assert together.census() == alone.census()
    assert not answers or syn_cookies != COOKIES_OFF  # none either, rarely, where each kind of SYN is too few
