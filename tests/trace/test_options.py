"""What the SYNs agree on, and what follows from it: MSS, window scale, timestamps, PAWS."""

from __future__ import annotations

import pytest

from synfin.tcp.states import ESTABLISHED
from synfin.wire.tcp_header import ACK, FIN, RST, SYN
from tests.trace.scene import DATA, MS, RTO, RTT, SECOND, START, Host, Peer, Scene, Stage, plain

TICK = START // 1000  # the peer's timestamp clock when a scene begins


def opened_with_timestamps(stage: Stage, **settings: object) -> tuple[Scene, Host, Peer]:
    """opened(), with timestamps agreed."""
    scene = stage(plain(timestamps=True, **settings))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, ts=True)
    host.emits(SYN | ACK, ack=1)
    scene.tick(RTT)
    peer.sends(ACK)
    host.accepts()
    host.is_silent()
    return scene, host, peer


# ---- MSS ----


@pytest.mark.parametrize(("mtu", "mss"), [(576, 536), (1500, 1460), (9000, 8960), (65535, 65495)])
def test_the_mss_offered_is_the_mtu_without_the_fixed_headers(stage: Stage, mtu: int, mss: int) -> None:
    # RFC 6691 2: option bytes are not taken off
    scene = stage(plain(mtu=mtu, timestamps=True))
    scene.host.connects()
    scene.host.emits(SYN, mss=mss)


@pytest.mark.parametrize(("told", "segment"), [(600, 600), (5000, 1460), (-1, 536), (0, 48), (20, 48)])
def test_a_segment_is_the_smaller_of_what_the_peer_and_the_path_take(stage: Stage, told: int, segment: int) -> None:
    # RFC 9293 3.7.1: 536 when the peer says nothing; a floor against tiny segments
    _, host, peer = stage.opened(mss=told)
    host.writes(2 * segment)
    host.emits(ACK, segment, seq=1)
    host.emits(DATA, segment, seq=1 + segment)
    peer.sends(ACK)


def test_the_ipv6_default_mss_is_1220(stage: Stage) -> None:
    scene = stage(address=bytes.fromhex("fd000000000000000000000000000001"))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN)
    host.emits(SYN | ACK)
    peer.sends(ACK)
    host.accepts()
    host.writes(1221)
    host.emits(ACK, 1220)
    host.emits(DATA, 1)
    host.is_silent()


def test_option_bytes_come_off_the_segment_and_nagle_compares_with_what_is_left(stage: Stage) -> None:
    # RFC 6691; the mistake of comparing with the MSS before options holds back the last full segment
    scene, host, peer = opened_with_timestamps(stage)
    host.writes(988)
    host.emits(DATA, 988)
    host.writes(988)
    host.emits(DATA, 988)  # a full segment: Nagle has nothing to say
    host.writes(987)
    host.emits(DATA, 987)  # the one short segment that Minshall lets out
    host.writes(987)
    host.is_silent()
    scene.tick(RTT)
    peer.sends(ACK)
    host.emits(DATA, 987)


# ---- window scale ----


def test_scaling_is_offered_for_the_largest_buffer_and_used_when_both_offer_it(stage: Stage) -> None:
    # RFC 7323 2.2
    scene = stage(plain(window_scale=True, receive_buffer=128 * 1024, receive_buffer_max=6 * 1024 * 1024))
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN, wscale=7, win=65535)
    peer.sends(SYN | ACK, mss=1000, wscale=2, win=1000)
    host.emits(ACK, win=1024)
    assert host.status().snd_wnd == 1000  # the window of a SYN is never scaled
    peer.sends(ACK, win=1000)
    assert host.status().snd_wnd == 4000


def test_a_peer_that_does_not_scale_gets_and_gives_plain_windows(stage: Stage) -> None:
    scene = stage(plain(window_scale=True, receive_buffer=128 * 1024, receive_buffer_max=6 * 1024 * 1024))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000)
    answer = host.emits(SYN | ACK)
    assert answer.wscale == -1
    peer.sends(ACK, win=1000)
    host.accepts()
    assert host.status().snd_wnd == 1000
    peer.sends(DATA, 10)
    host.emits(ACK, win=65535)


def test_the_window_of_the_third_segment_is_scaled(stage: Stage) -> None:
    scene = stage(plain(window_scale=True))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, wscale=3, win=100)
    host.emits(SYN | ACK, wscale=0)
    peer.sends(ACK, win=100)
    host.accepts()
    assert host.status().snd_wnd == 800


def test_the_window_of_a_half_open_entrys_challenge_ack_is_scaled(stage: Stage) -> None:
    # RFC 7323 2.2 and 2.3: of every segment but a SYN; the stage holds that the right edge never moves left
    for scale, field in ((7, 512), (-1, 65535)):
        scene = stage(plain(window_scale=True, receive_buffer=128 * 1024, receive_buffer_max=6 * 1024 * 1024))
        host, peer = scene.host, scene.peer
        host.listens()
        peer.sends(SYN, mss=1000, wscale=scale)
        host.emits(SYN | ACK, win=65535)
        peer.sends(ACK, 10, seq=200_000)
        host.emits(ACK, seq=1, ack=1, win=field)
        peer.sends(SYN, seq=500, mss=1000, wscale=scale)
        host.emits(ACK, seq=1, ack=1, win=field)


def test_the_window_of_a_challenge_ack_in_a_simultaneous_open_is_scaled_and_of_a_syn_ack_again_not(
    stage: Stage,
) -> None:
    # RFC 7323 2.2 and 2.3
    for scale, field in ((7, 1024), (-1, 65535)):
        scene = stage(plain(window_scale=True, receive_buffer=128 * 1024, receive_buffer_max=6 * 1024 * 1024))
        host, peer = scene.host, scene.peer
        host.connects()
        host.emits(SYN, wscale=7, win=65535)
        peer.sends(SYN, mss=1000, wscale=scale)
        host.emits(SYN | ACK, seq=0, ack=1, win=65535)
        scene.tick(10 * MS)
        peer.sends(ACK, 10, seq=200_000, ack=1)
        host.emits(ACK, seq=1, ack=1, win=field)
        scene.tick(SECOND)
        host.emits(SYN | ACK, seq=0, ack=1, win=65535)
        peer.sends(ACK, seq=1, ack=1)
        host.is_in(ESTABLISHED)


def test_the_window_of_an_ack_in_time_wait_is_scaled(stage: Stage) -> None:
    scene = stage(plain(window_scale=True, receive_buffer=128 * 1024, receive_buffer_max=6 * 1024 * 1024))
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN, wscale=7)
    peer.sends(SYN | ACK, mss=1000, wscale=7)
    host.emits(ACK, win=1024)
    host.closes()
    host.emits(FIN | ACK, win=1024)
    peer.sends(FIN | ACK)
    host.emits(ACK, win=1024)
    peer.sends(FIN | ACK, seq=1)
    host.emits(ACK, ack=2, win=1024)


def test_a_scale_above_14_is_read_as_14(stage: Stage) -> None:
    # RFC 7323 2.3
    scene = stage(plain(window_scale=True))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, wscale=15)
    host.emits(SYN | ACK)
    peer.sends(ACK, win=1)
    host.accepts()
    assert host.status().snd_wnd == 1 << 14


def test_a_reader_of_small_pieces_sends_no_duplicate_acks_where_windows_are_not_scaled(stage: Stage) -> None:
    # The window field is full already: a peer would count such ACKs as signs of loss (RFC 5681 2).
    scene = stage(plain(window_scale=True, receive_buffer=256 * 1024))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK)
    peer.sends(DATA, 3000, gso=1000)
    host.emits(ACK, ack=3001, win=65535)
    host.accepts()
    for _ in range(30):
        host.reads(100, limit=100)
        host.is_silent()


# ---- timestamps ----


def test_timestamps_are_echoed_once_both_offered_them(stage: Stage) -> None:
    # RFC 7323 3.2
    scene = stage(plain(timestamps=True))
    host, peer = scene.host, scene.peer
    host.connects()
    first = host.emits(SYN)
    assert first.has_ts and first.ts_ecr == 0
    peer.sends(SYN | ACK, mss=1000, ts=(5000, first.ts_val))
    host.emits(ACK, ts=(first.ts_val, 5000))
    scene.tick(25 * MS)
    host.writes(10)
    host.emits(DATA, 10, ts=(first.ts_val + 25 & 0xFFFFFFFF, 5000))


def test_a_peer_without_timestamps_gets_none(stage: Stage) -> None:
    scene, host, _ = stage.opened(plain(timestamps=True))
    host.writes(10)
    assert not host.emits(DATA, 10).has_ts
    scene.tick(RTO)
    assert not host.emits(DATA, 10, seq=1).has_ts


# Some televisions leave the agreed timestamps off their keep-alives, some proxies off everything after the handshake.


def test_text_and_fin_without_the_agreed_timestamp_are_taken_and_ts_recent_stays(stage: Stage) -> None:
    # As Linux; RFC 7323 3.2 recommends to drop it
    _, host, peer = opened_with_timestamps(stage)
    peer.sends(DATA, 10, seq=1, ts=(TICK + 100, 0))
    assert host.emits(ACK, ack=11).ts_ecr == TICK + 100
    peer.sends(DATA, 10, seq=11, ts=False)
    assert host.emits(ACK, ack=21).ts_ecr == TICK + 100
    peer.sends(FIN | ACK, seq=21, ts=False)
    assert host.emits(ACK, ack=22).ts_ecr == TICK + 100
    host.reads(20)
    host.counted(PAWSEstab=0)


@pytest.mark.parametrize("garbage", [b"", b"?"])
def test_a_keep_alive_probe_without_the_agreed_timestamp_is_answered(stage: Stage, garbage: bytes) -> None:
    scene, host, peer = opened_with_timestamps(stage)
    scene.tick(30 * SECOND)
    peer.sends(ACK, garbage, seq=0, ts=False)
    host.emits(ACK, ack=1)


def test_an_ack_without_the_agreed_timestamp_counts_and_gives_an_rtt_only_of_what_was_sent_once(stage: Stage) -> None:
    # RFC 6298 3: without an echo Karn's rule binds
    scene, host, peer = opened_with_timestamps(stage)
    before = host.status().srtt_us
    host.writes(100)
    host.emits(DATA, 100)
    scene.tick(RTO)
    host.emits(DATA, 100, seq=1)
    scene.tick(30 * MS)
    peer.sends(ACK, ts=False)
    host.is_silent()
    assert (host.status().unacknowledged, host.status().srtt_us) == (0, before)
    host.writes(100)
    host.emits(DATA, 100)
    scene.tick(50 * MS)
    peer.sends(ACK, ts=False)
    host.is_silent()
    assert host.status().srtt_us == before + (50 * MS - before) // 8


def test_a_segment_without_a_timestamp_is_taken_whatever_the_last_one_said(stage: Stage) -> None:
    _, host, peer = opened_with_timestamps(stage)
    peer.sends(DATA, 10, seq=1, ts=(TICK + 0x7FFFFFFF, 0))
    host.emits(ACK, ack=11)
    peer.sends(DATA, 10, seq=11, ts=False)
    host.emits(ACK, ack=21)
    peer.sends(DATA, 10, seq=21, ts=(TICK, 0))  # PAWS goes on
    host.emits(ACK, ack=21)
    host.counted(PAWSEstab=1)
    host.reads(20)


def test_a_third_segment_without_the_agreed_timestamp_completes_the_handshake(stage: Stage) -> None:
    scene = stage(plain(timestamps=True))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, ts=(5000, 0))
    host.emits(SYN | ACK, ack=1)
    peer.sends(DATA, 10, ts=False)
    assert host.emits(ACK, ack=11).ts_ecr == 5000
    host.accepts()
    host.reads(10)
    assert host.status().timestamps


def test_timestamps_required_drops_and_counts_what_comes_without_them_unless_it_is_a_rst(stage: Stage) -> None:
    # RFC 7323 3.2
    scene = stage(plain(timestamps=True, timestamps_required=True))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, ts=True)
    host.emits(SYN | ACK, ack=1)
    peer.sends(ACK, ts=False)
    host.is_silent()
    host.has_nothing_to_accept()
    host.counted(TSMissing=1, PAWSEstab=0)
    peer.sends(ACK)
    host.accepts()
    peer.sends(DATA, 10, seq=1, ts=False)
    host.is_silent()
    host.reads(0)
    host.counted(TSMissing=2)
    peer.sends(RST, seq=1, ts=False)
    host.is_silent()
    host.has_forgotten_all()


def test_timestamps_required_asks_none_of_a_peer_that_did_not_agree_on_them(stage: Stage) -> None:
    _, host, peer = stage.opened(plain(timestamps=True, timestamps_required=True))
    peer.sends(DATA, 10)
    host.emits(ACK, ack=11)
    host.reads(10)
    host.counted(TSMissing=0)


def test_an_old_timestamp_is_refused_with_an_ack(stage: Stage) -> None:
    # RFC 7323 5.3 R1: PAWS
    scene, host, peer = opened_with_timestamps(stage)
    peer.sends(DATA, 10, seq=1, ts=(TICK + 100, 0))
    host.emits(ACK, ack=11)
    peer.sends(DATA, 10, seq=11, ts=(TICK + 99, 0))
    host.emits(ACK, ack=11)
    host.counted(PAWSEstab=1)
    assert "dropped: PAWS" in scene.notes
    peer.sends(DATA, 10, seq=11, ts=(TICK + 100, 0))
    host.emits(ACK, ack=21)
    host.reads(20)


def test_rst_skips_paws(stage: Stage) -> None:
    # RFC 7323 5.2
    _, host, peer = opened_with_timestamps(stage)
    peer.sends(DATA, 10, seq=1, ts=(TICK + 100, 0))
    host.emits(ACK, ack=11)
    peer.sends(RST, seq=11, ts=(1, 0))
    host.is_silent()
    host.has_forgotten_all()


def test_ts_recent_is_taken_only_from_a_segment_at_the_left_edge(stage: Stage) -> None:
    # RFC 7323 4.3 (2): the echo after a hole is that of the last segment that advanced the window
    scene, host, peer = opened_with_timestamps(stage)
    recent = TICK + 10
    peer.sends(DATA, 1000, seq=1001, ts=(recent + 5, 0))
    answer = host.emits(ACK, ack=1)
    assert answer.ts_ecr == recent
    peer.sends(DATA, 1000, seq=1, ts=(recent + 7, 0))
    answer = host.emits(ACK, ack=2001)
    assert answer.ts_ecr == recent + 7
    assert scene.notes == []


def test_a_delayed_ack_echoes_the_first_of_the_segments_it_covers(stage: Stage) -> None:
    # RFC 7323 4.3: so that the peer's RTT includes the delay
    scene, host, peer = opened_with_timestamps(stage)
    peer.sends(ACK, 1000, seq=1, ts=(TICK + 20, 0))
    host.is_silent()
    scene.tick(5 * MS)
    peer.sends(ACK, 1000, seq=1001, ts=(TICK + 25, 0))
    assert host.emits(ACK, ack=2001).ts_ecr == TICK + 20


def test_after_24_idle_days_an_old_looking_timestamp_is_taken_and_echoed(stage: Stage) -> None:
    # RFC 7323 5.5: TS.Recent is outdated, the sign of the difference means nothing any more
    scene, host, peer = opened_with_timestamps(stage)
    scene.tick(25 * 86400 * SECOND)
    peer.sends(DATA, 10, seq=1, ts=(TICK - 5, 0))
    assert host.emits(ACK, ack=11).ts_ecr == TICK - 5
    peer.sends(DATA, 10, seq=11, ts=(TICK - 6, 0))
    host.emits(ACK, ack=11)
    host.counted(PAWSEstab=1)


def test_the_echo_gives_an_rtt_even_for_data_sent_twice(stage: Stage) -> None:
    # RFC 6298 3: Karn's rule does not bind where timestamps tell which copy was answered
    scene, host, peer = opened_with_timestamps(stage)
    host.writes(100)
    host.emits(DATA, 100)
    scene.tick(RTO)
    again = host.emits(DATA, 100, seq=1)
    scene.tick(30 * MS)
    peer.sends(ACK, ts=(peer.ts_now(), again.ts_val))
    host.is_silent()
    # a second sample of 30 ms after one of 10 ms: 10 + (30 - 10) / 8
    assert host.status().srtt_us == 12_500
    assert host.status().rto_us == RTO


def test_a_third_segment_older_than_the_syn_is_refused_by_paws(stage: Stage) -> None:
    scene = stage(plain(timestamps=True))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, ts=(5000, 0))
    host.emits(SYN | ACK)
    peer.sends(ACK, ts=(4999, 0))
    host.is_silent()
    host.has(half_open=1)
    peer.sends(ACK, ts=(5000, 0))
    host.is_silent()
    host.accepts()
    host.is_in(ESTABLISHED)
