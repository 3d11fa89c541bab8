"""The packed record of TIME-WAIT, and what a segment for it leads to."""

from __future__ import annotations

import sys

import pytest

from synfin.tcp.time_wait import ACK_AGAIN, CHALLENGE, IGNORE, RESTART, REUSE, TimeWait, deadline_of, judge, unpack
from synfin.wire.segment import Segment
from synfin.wire.tcp_header import ACK, FIN, PSH, RST, SYN

TOP = 0xFFFFFFFF


def record(timestamps: bool = False) -> TimeWait:
    """RCV.NXT wraps just after it."""
    return TimeWait(1 << 50, 5, TOP, 7000, 99, 65535, timestamps, 0xB8)


def segment(flags: int, seq: int, length: int = 0, ts: int = -1, ack: int = 5) -> Segment:
    """A segment of the old connection, or of a new one."""
    seg = Segment()
    seg.flags, seg.seq, seg.payload, seg.ack = flags, seq & TOP, bytes(length), ack
    if ts >= 0:
        seg.has_ts, seg.ts_val = True, ts
    return seg


def test_a_record_survives_packing_and_is_small() -> None:
    kept = record(timestamps=True)
    packed = kept.pack()
    again = unpack(packed)
    for name in ("deadline", "snd_nxt", "rcv_nxt", "ts_recent", "ts_offset", "window", "timestamps", "tos"):
        assert getattr(again, name) == getattr(kept, name)
    assert deadline_of(packed) == 1 << 50
    assert sys.getsizeof(packed) < 100


@pytest.mark.parametrize(
    ("flags", "seq", "length", "verdict"),
    [
        (RST, TOP, 0, IGNORE),  # RFC 1337
        (RST | ACK, TOP, 0, IGNORE),
        (ACK, TOP, 0, IGNORE),
        (FIN | ACK, TOP - 1, 0, RESTART),
        (FIN | ACK, TOP - 101, 100, RESTART),
        (FIN | ACK, TOP - 102, 100, ACK_AGAIN),
        (ACK | PSH, TOP, 10, ACK_AGAIN),
        (ACK | PSH, 500, 10, ACK_AGAIN),
        (PSH, TOP, 10, IGNORE),  # RFC 9293 3.10.7.4, fifth: no ACK
        (SYN, 0, 0, REUSE),  # after RCV.NXT, across the wrap
        (SYN, 1000, 0, REUSE),
        (SYN, TOP, 0, CHALLENGE),
        (SYN, TOP - 1000, 0, CHALLENGE),
        (SYN | ACK, 1000, 0, CHALLENGE),
        (SYN | FIN, 1000, 0, CHALLENGE),  # nobody begins so, and a listener would not take it
        (SYN | RST, 1000, 0, IGNORE),
    ],
)
def test_what_a_segment_leads_to(flags: int, seq: int, length: int, verdict: int) -> None:
    assert judge(record(), segment(flags, seq, length)) == verdict


def test_a_fin_begins_2msl_anew_only_with_the_ack_of_who_has_heard_ours() -> None:
    # Whoever guesses RCV.NXT alone must not hold the addresses and ports for ever.
    for ack in (4, 6, 1 << 31):
        assert judge(record(), segment(FIN | ACK, TOP - 1, ack=ack)) == ACK_AGAIN


@pytest.mark.parametrize(
    ("ts", "seq", "verdict"),
    [
        (7001, TOP - 99, REUSE),  # RFC 6191: a newer timestamp is enough
        (7000, 5, REUSE),  # an equal one needs a higher number
        (7000, TOP, CHALLENGE),
        (6999, 5, CHALLENGE),
        (-1, 5, REUSE),  # without: the number decides
    ],
)
def test_with_timestamps_the_newer_syn_wins(ts: int, seq: int, verdict: int) -> None:
    assert judge(record(timestamps=True), segment(SYN, seq, ts=ts)) == verdict


@pytest.mark.parametrize(
    ("seq", "ack", "ts", "verdict"),
    [
        (TOP, 5, 7000, IGNORE),  # the last one again
        (TOP, 4, 7000, IGNORE),  # an older one, overtaken
        (TOP, 6, 7000, CHALLENGE),  # of what was never sent
        (TOP - 1, 5, 7000, CHALLENGE),  # a keep-alive probe
        (0, 5, 7000, CHALLENGE),
        (TOP, 5, 6999, CHALLENGE),  # PAWS
        (TOP, 5, -1, IGNORE),
    ],
)
def test_an_ack_without_text_is_answered_unless_it_is_the_last_one(seq: int, ack: int, ts: int, verdict: int) -> None:
    # RFC 9293 3.10.7.4, first and fifth
    assert judge(record(timestamps=True), segment(ACK, seq, ts=ts, ack=ack)) == verdict
    assert judge(record(timestamps=True), segment(0, seq, ts=ts, ack=ack)) == IGNORE


def test_an_old_timestamp_is_only_acknowledged() -> None:
    # RFC 7323 5.3
    assert judge(record(timestamps=True), segment(FIN | ACK, TOP - 1, ts=6999)) == ACK_AGAIN
    assert judge(record(timestamps=True), segment(FIN | ACK, TOP - 1, ts=7000)) == RESTART
