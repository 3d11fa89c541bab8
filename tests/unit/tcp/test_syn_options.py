"""offer(), agree(), and the segment size that follows."""

from __future__ import annotations

import pytest

from synfin.tcp.config import Config
from synfin.tcp.syn_options import agree, headers_bytes, offer, scale_for, send_mss
from synfin.wire.segment import Segment

IPV4 = bytes(12)
IPV6 = bytes(36)
SMALL = Config(receive_buffer=4096, receive_buffer_max=4096)


def syn(key: bytes = IPV4, mss: int = -1, wscale: int = -1, ts: bool = False, sack: bool = False) -> Segment:
    """A SYN with these options."""
    seg = Segment()
    seg.key, seg.mss, seg.wscale, seg.has_ts, seg.sack_permitted = key, mss, wscale, ts, sack
    return seg


@pytest.mark.parametrize(
    ("size", "scale"), [(2048, 0), (65535, 0), (65536, 1), (131070, 1), (131071, 2), (6 << 20, 7), (1 << 30, 14)]
)
def test_the_scale_is_the_smallest_that_can_tell_the_buffer(size: int, scale: int) -> None:
    assert scale_for(size) == scale


def test_an_offer_leaves_out_what_is_switched_off() -> None:
    made = offer(IPV6, 1500, Config(window_scale=False, timestamps=False, sack=False), 0)
    assert (made.mss, made.wscale, made.timestamps, made.sack) == (1440, -1, False, False)


@pytest.mark.parametrize(("mine", "theirs"), [(True, True), (True, False), (False, True), (False, False)])
def test_scaling_timestamps_and_sack_need_both_sides(mine: bool, theirs: bool) -> None:
    # RFC 7323 2.2, 3.2; RFC 2018 2
    made = offer(IPV4, 1500, Config(receive_buffer_max=1 << 20, window_scale=mine, timestamps=mine, sack=mine), 0)
    agreed = agree(made, syn(wscale=3 if theirs else -1, ts=theirs, sack=theirs))
    both = mine and theirs
    assert (agreed.scaling, agreed.timestamps, agreed.sack) == (both, both, both)
    assert (agreed.snd_wscale, agreed.rcv_wscale) == ((3, 5) if both else (0, 0))


def test_a_scale_of_0_is_agreed_all_the_same() -> None:
    agreed = agree(offer(IPV4, 1500, SMALL, 0), syn(wscale=0))
    assert agreed.scaling and (agreed.snd_wscale, agreed.rcv_wscale) == (0, 0)


def test_a_shift_above_14_is_14() -> None:
    # RFC 7323 2.3
    assert agree(offer(IPV4, 1500, SMALL, 0), syn(wscale=255)).snd_wscale == 14


@pytest.mark.parametrize(("key", "told", "mss"), [(IPV4, -1, 536), (IPV6, -1, 1220), (IPV4, 1, 48), (IPV4, 9000, 9000)])
def test_the_peers_mss_has_a_default_and_a_floor(key: bytes, told: int, mss: int) -> None:
    # RFC 9293 3.7.1
    assert agree(offer(key, 1500, SMALL, 0), syn(key, mss=told)).peer_mss == mss


def test_a_segment_fits_the_peer_the_path_and_the_options() -> None:
    # RFC 6691
    assert send_mss(1460, IPV4, 1500, False) == 1460
    assert send_mss(1460, IPV4, 1500, True) == 1448
    assert send_mss(9000, IPV6, 1280, True) == 1208
    assert headers_bytes(IPV4) == 40 and headers_bytes(IPV6) == 60
