"""The SYN queue: entries by deadline, and what an attacker can make of it."""

from __future__ import annotations

import random

import pytest

from synfin.stack.stack import Stack
from synfin.tcp.config import COOKIES_OFF, Config
from synfin.tcp.listener import Listener
from synfin.tcp.record_table import SWEEP_ABOVE
from synfin.tcp.syn_options import Negotiated
from synfin.tcp.syn_queue import HalfOpen, SynQueue, unpack
from synfin.wire.key import make_key
from synfin.wire.segment import Segment, build
from synfin.wire.tcp_header import ACK, RST, SYN

HOST = b"\x0a\0\0\x01"
PLAIN = Negotiated(1460, False, 0, 0, False, False, 0)


def key(n: int) -> bytes:
    """One of many keys."""
    return make_key((0xC6120000 + n).to_bytes(4, "big"), HOST, 40000, 80)


def entry(deadline: int, retry: int = 0) -> HalfOpen:
    """One that is due then."""
    return HalfOpen(deadline, 0, 1, 2, 3, PLAIN, retry)


@pytest.mark.parametrize("scale", [0, 7, 14])
@pytest.mark.parametrize("bits", range(8))
def test_an_entry_is_read_as_it_was_kept(bits: int, scale: int) -> None:
    scaling = bits & 1 != 0
    agreed = Negotiated(
        65535, scaling, scale if scaling else 0, 9 if scaling else 0, bits & 2 != 0, bits & 4 != 0, bits
    )
    kept = HalfOpen(2**62, 2**62 - 255 * 3600 * 10**6, 2**32 - 1, 2**32 - 2, 2**32 - 3, agreed, 255)
    read = unpack(kept.pack())
    for name in ("deadline", "sent_at", "irs", "iss", "ts_recent", "retry"):
        assert getattr(read, name) == getattr(kept, name)
    for name in ("peer_mss", "scaling", "snd_wscale", "rcv_wscale", "timestamps", "sack", "ecn"):
        assert getattr(read.agreed, name) == getattr(agreed, name)


def test_entries_are_due_in_order_within_their_retry_number_and_the_earliest_of_all_is_the_deadline() -> None:
    syns = SynQueue(2)
    assert syns.deadline() == 0 and syns.due(0, 10**9) == b""
    syns.file(key(1), entry(100))
    syns.file(key(2), entry(200))
    syns.file(key(3), entry(50, 1))
    assert syns.deadline() == 50
    assert (syns.due(0, 99), syns.due(0, 100), syns.due(1, 50), syns.due(2, 10**9)) == (b"", key(1), key(3), b"")
    syns.file(key(1), entry(400, 1))
    assert syns.due(0, 200) == key(2) and len(syns) == 3
    syns.drop(key(3))
    syns.drop(key(2))
    assert syns.deadline() == 400 and key(1) in syns and key(2) not in syns
    assert syns.keys() == [key(1)]


def segment(number: int, flags: int, seq: int, ack: int = 0) -> bytes:
    seg = Segment()
    seg.key = key(number)
    seg.flags, seg.seq, seg.ack, seg.window = flags, seq, ack, 65535
    return build(seg)


def listening(config: Config | None = None) -> tuple[Stack, Listener]:
    stack = Stack(["10.0.0.1"], config, entropy=random.Random(1).randbytes)
    return stack, stack.listen(80)


def test_a_timer_set_for_an_entry_that_is_gone_finds_nobody_and_is_set_for_the_next() -> None:
    stack, _ = listening()
    for number, at in ((1, 0), (2, 400_000)):
        stack.receive(segment(number, SYN, 5), at)
        assert len(stack.poll(at, 1 << 20)) == 1
    stack.receive(segment(1, RST, 6), 500_000)
    for at, answers in ((1_000_000, 0), (1_399_999, 0), (1_400_000, 1)):
        stack.on_timer(at)
        assert len(stack.poll(at, 1 << 20)) == answers
    stack.receive(segment(2, RST, 6), 1_500_000)
    stack.poll(1_500_000, 1 << 20)
    assert stack.next_deadline() is None


def test_a_client_that_opens_and_resets_for_ever_leaves_few_places_behind() -> None:
    syns = SynQueue(5)
    for n in range(50):
        syns.file(key(n), entry(n + 1))
    most = 0
    for n in range(5000):
        syns.file(key(99), entry(1000 + n))
        syns.drop(key(99))
        most = max(most, syns._entries.places())
    assert len(syns) == 50 and syns.due(0, 1) == key(0)
    assert most <= 2 * 51 + SWEEP_ABOVE


def test_what_is_due_at_once_is_not_made_into_more_segments_than_the_link_takes() -> None:
    stack, _ = listening(Config(syn_queue_limit=500, outbox_limit=30, syn_cookies=COOKIES_OFF))
    for n in range(500):
        stack.receive(segment(n, SYN, 7), 0)
        stack.poll(0, 1 << 20)
    stack.on_timer(1_000_000)
    assert len(stack.poll(1_000_000, 1 << 20)) == 30
    assert (stack.counters.OutDiscards, stack.counters.OutSegs) == (470, 530)
    assert stack.census()["half_open"] == 500 and stack.next_deadline() == 3_000_000


def test_connections_that_are_reset_while_they_wait_leave_the_others_in_order() -> None:
    stack, listener = listening()
    for n in range(100):
        stack.receive(segment(n, SYN, 7), 0)
        theirs = int.from_bytes(stack.poll(0, 1 << 20)[0].head[24:28], "big")
        stack.receive(segment(n, ACK, 8, theirs + 1), 0)
    for n in range(0, 100, 2):
        stack.receive(segment(n, RST, 8), 1)
    stack.poll(1, 1 << 20)
    assert listener.pending() == stack.census()["accept_queue"] == 50
    accepted = [listener.accept() for _ in range(51)]
    assert [None if one is None else one.key for one in accepted] == [*map(key, range(1, 100, 2)), None]
