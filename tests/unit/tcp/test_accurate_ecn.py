"""s.cep and s.ceb: what a sender makes of three bits, of the option, and of both when they are at odds."""

from __future__ import annotations

import pytest

from synfin.tcp.accurate_ecn import AccurateMarks
from synfin.tcp.ecn import ACCURATE
from synfin.wire.segment import Segment
from synfin.wire.tcp_header import ACK

MSS = 1000


class Ear:
    """The sending half of a connection, and the ACKs it hears."""

    def __init__(self) -> None:
        self.marks = AccurateMarks(ACCURATE, False)

    def hears(self, count: int, acked: int, option: tuple[int, ...] | None = None) -> int:
        """An ACK that acknowledges so much; the bytes that it tells of as marked."""
        seg = Segment()
        seg.flags = ACK | (count & 7) << 6
        if option is not None:
            seg.accecn_order, seg.accecn_first, seg.accecn_ceb, seg.accecn_last = (*option, -1, -1, -1)[:4]
        self.marks.on_segment(seg)
        told = self.marks.on_delivered(acked, MSS)
        assert self.marks.echoed == (told > 0)
        return int(told)

    def is_capable(self) -> bool:
        """New text is sent as ECT."""
        seg = Segment()
        self.marks.fill(seg)
        return seg.traffic_class != 0


@pytest.mark.parametrize(
    ("least", "segments", "safest"), [(0, 7, 0), (2, 9, 2), (2, 10, 10), (0, 8, 8), (3, 2, 3), (1, 100, 97)]
)
def test_without_an_option_the_counter_went_round_as_often_as_is_likely(least: int, segments: int, safest: int) -> None:
    # RFC 9768 A.2.1, with its examples
    ear = Ear()
    for _ in range(8):
        assert ear.hears(5, 2 * MSS) == 0
    assert ear.hears(5 + least, segments * MSS) == safest * MSS


def test_where_an_ack_always_stands_for_many_the_counter_is_believed() -> None:
    # RFC 9768 A.2.1: "only use dSafer.cep rather than d.cep if the moving average of newlyAckedPkt was well below 8"
    ear = Ear()
    assert ear.hears(5, 10 * MSS) == 0
    for _ in range(10):
        assert ear.hears(5, 7 * MSS) == 0
    assert ear.hears(5, 44 * MSS) == 0
    assert ear.hears(6, 44 * MSS) == MSS


def test_with_an_option_its_bytes_count() -> None:
    ear = Ear()
    assert ear.hears(5, 20 * MSS, (0, 20_001)) == 0
    assert ear.hears(6, 20 * MSS, (0, 39_501, 500, 1)) == 500
    assert ear.hears(6, 2 * MSS, (0, 41_501)) == 0  # what has not changed may be left out
    assert ear.hears(8, 2 * MSS, (1, 1, 2500)) == 2000
    assert ear.is_capable()


def test_bytes_are_counted_modulo_24_bits() -> None:
    ear = Ear()
    assert ear.hears(6, MSS, (0, 1, 0xFFFF00, 1)) == 0xFFFF00
    assert ear.hears(7, MSS, (0, 1, 0x000100, 1)) == 0x200


@pytest.mark.parametrize("option", [(0, 0, 0, 1), (0, 1, 0, 0), (1, 0, 0, 0)])
def test_an_option_that_begins_with_zero_was_zeroed_and_is_ignored_for_good(option: tuple[int, ...]) -> None:
    # RFC 9768 3.2.3.2.4
    ear = Ear()
    assert ear.hears(6, MSS, option) == MSS
    assert ear.hears(7, MSS, (0, 5000, 4000, 1)) == MSS


def test_marked_bytes_without_a_marked_packet_end_ect() -> None:
    # RFC 9768 3.2.3.2.5
    ear = Ear()
    assert ear.hears(5, MSS, (0, 1001, 1000)) == 1000
    assert not ear.is_capable()
