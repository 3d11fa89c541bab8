"""Frames from whoever is on the same network: nothing raises, no table grows beyond its limit, nobody else's address is
taken, and whoever is talked to stays reachable."""

from __future__ import annotations

import random
from ipaddress import ip_interface

from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.links import ethernet
from synfin.links.neighbours import OUTBOX_LIMIT, TABLE_LIMIT, Neighbours
from tests.unit.links.test_ethernet import summed

ME = bytes.fromhex("02000000000a")
OWN = [ip_interface("10.9.0.2/16"), ip_interface("fd00:9::2/64")]
SEEDS = st.integers(0, 2**32)


def address(draw: random.Random, version: int) -> bytes:
    own = OWN[version == 6].ip.packed
    return draw.choice(
        (own, bytes(len(own)), b"\xff" * len(own), own[:-2] + draw.randbytes(2), draw.randbytes(len(own)))
    )


def random_frame(draw: random.Random) -> bytes:
    """A message with fields by chance, sometimes bent."""
    version = draw.choice((4, 6))
    mac = draw.choice((ME, b"\xff" * 6, b"\x02" + draw.randbytes(5)))
    one, other = address(draw, version), address(draw, version)
    frame = draw.choice(
        (
            lambda: ethernet.question(mac, one, other),
            lambda: ethernet.question(mac, one, other, ME),
            lambda: ethernet.answer(mac, one, ME, other),
            lambda: ethernet.announcement(mac, one),
            lambda: draw.randbytes(draw.randrange(200)),
        )
    )()
    if draw.random() < 0.3 and len(frame) > 20:
        at = draw.randrange(14, len(frame))
        frame = frame[:at] + draw.randbytes(1) + frame[at + 1 :]
        if len(frame) > 78 and draw.random() < 0.7:
            frame = frame[:14] + summed(frame[14:])
    return frame[: draw.randrange(len(frame) + 1)] if draw.random() < 0.1 else frame


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(0, 2000))
def test_hostile_frames_raise_nothing_and_fill_nothing(seed: int, count: int) -> None:
    draw = random.Random(seed)
    table = Neighbours(ME, OWN, [], False)
    now = 0
    for _ in range(count):
        frame = random_frame(draw)
        now += draw.choice((0, 0, 1000, 1_000_000))
        for parse in (ethernet.parse_arp_untrusted, ethernet.parse_ndp_untrusted):
            message = parse(frame[14:])
            if message is not None:
                table.on_message(message, now)
        if draw.random() < 0.1:
            hop = table.next_hop(address(draw, 4))
            if hop and hop not in table.own:  # what goes to oneself never comes to a link
                table.way(hop, bytes(40))
        if table.deadline <= now:
            table.on_timer(now)
        assert len(table.table) <= TABLE_LIMIT
        assert len(table._outbox) <= OUTBOX_LIMIT
        assert len(table._deadlines) <= 4 * TABLE_LIMIT
        if draw.random() < 0.5:
            table.take()
    assert set(table.own) == {one.ip.packed for one in OWN}
    assert not table.is_tentative()
    assert all(one not in table.table for one in table.own)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_no_message_or_one_of_sound_fields(data: bytes) -> None:
    for parse in (ethernet.parse_arp_untrusted, ethernet.parse_ndp_untrusted):
        message = parse(data)
        if message is not None:
            assert len(message.mac) in (0, 6)
            assert len(message.sender) == len(message.target)
