"""SYN cookies on the wire: the three segments, what is remembered of them (nothing), and what is refused."""

from __future__ import annotations

import random

import pytest

from synfin.tcp.config import COOKIES_ALWAYS, COOKIES_OFF, COOKIES_WHEN_FULL, Config
from synfin.tcp.states import ESTABLISHED
from synfin.tcp.syn_cookies import MSS_IPV4, STEP_US, option_sack, option_wscale
from synfin.wire.segment import Segment
from synfin.wire.tcp_header import ACK, FIN, RST, SYN
from tests.trace.scene import DATA, HOST_ISN, MS, RTT, SECOND, Host, Peer, Scene, Stage, plain, text

ALWAYS = plain(syn_cookies=COOKIES_ALWAYS)
FULL_OPTIONS: dict[str, object] = {"timestamps": True, "window_scale": True, "receive_buffer_max": 1 << 20}


def cookie(scene: Scene, peer: Peer, mss: int = 1460, **options: int) -> Segment:
    """The SYN,ACK that answers this peer's SYN, claimed; `peer.heard` is right for the third segment."""
    peer.sends(SYN, mss=mss, **options)  # type: ignore[arg-type]
    answer = scene.next_packet()
    assert answer is not None and answer.flags == SYN | ACK
    peer.heard = peer.relative(answer.seq, HOST_ISN) + 1
    return answer


def begins(stage: Stage, config: Config = ALWAYS, mss: int = 1460, **options: int) -> tuple[Scene, Host, Peer]:
    """A scene in which the second segment was a cookie."""
    scene = stage(config)
    scene.host.listens()
    cookie(scene, scene.peer, mss, **options)
    return scene, scene.host, scene.peer


def test_the_second_segment_leaves_nothing_behind_and_the_connection_begins_with_the_third(stage: Stage) -> None:
    _, host, peer = begins(stage)
    host.has_forgotten_all()
    host.counted(SyncookiesSent=1, SyncookiesRecv=0)
    peer.sends(ACK)
    host.accepts()
    host.is_in(ESTABLISHED)
    host.counted(SyncookiesRecv=1, PassiveOpens=1)
    assert host.status().mss == 1460


def test_the_third_segment_may_carry_data_and_fin(stage: Stage) -> None:
    scene, host, peer = begins(stage)
    peer.sends(DATA | FIN, 100)
    answer = scene.next_packet()
    assert answer is not None and (answer.flags, peer.relative(answer.ack, peer.wire(0))) == (ACK, 102)
    host.accepts()
    host.reads(100)


def test_when_the_third_segment_is_lost_the_first_data_brings_the_cookie_again(stage: Stage) -> None:
    scene, host, peer = begins(stage)
    scene.tick(RTT)
    peer.sends(DATA, 50)
    assert scene.next_packet() is not None
    host.accepts()
    host.reads(50)


@pytest.mark.parametrize("options", [{}, {"ts": True, "wscale": 7}])
def test_text_that_overtakes_the_third_segment_is_dropped_and_what_comes_again_completes_the_handshake(
    stage: Stage, options: dict[str, int]
) -> None:
    # The client's number is part of the cookie, and only the first of its numbers tells it for sure. Linux resets here.
    scene, host, peer = begins(stage, plain(syn_cookies=COOKIES_ALWAYS, **FULL_OPTIONS), **options)
    peer.sends(DATA, 1000, seq=1001)
    peer.sends(DATA | FIN, 1000, seq=2001)
    host.is_silent()
    host.has_nothing_to_accept()
    host.has_forgotten_all()
    host.counted(SyncookiesOvertaken=2, SyncookiesFailed=0, SyncookiesRecv=0, OutRsts=0)
    scene.tick(SECOND)
    peer.sends(DATA, 1000, seq=1)
    host.emits(ACK, ack=1001)
    host.accepts()
    peer.sends(DATA | FIN, 2000, seq=1001)
    host.emits(ACK, ack=3002)
    host.reads(3000)
    host.counted(SyncookiesRecv=1)


def test_an_ack_that_answers_a_repeated_syn_ack_is_dropped(stage: Stage) -> None:
    scene, host, peer = begins(stage)
    first = peer.heard
    peer.sends(SYN, seq=0, mss=1460)  # also sent twice, or doubled by the network
    again = scene.next_packet()
    assert again is not None and again.flags == SYN | ACK
    peer.sends(ACK, seq=501, ack=first)  # the client has sent 500 bytes by now: they are late
    host.is_silent()
    peer.sends(DATA, 500, seq=1, ack=first)
    host.emits(ACK, seq=first, ack=501)
    host.accepts()
    host.reads(500)
    host.counted(SyncookiesOvertaken=1, SyncookiesRecv=1)


def test_a_client_that_has_filled_the_window_and_probes_it_is_dropped_until_it_begins_again(stage: Stage) -> None:
    _, host, peer = begins(stage)
    peer.sends(ACK, seq=1 + 65535)
    peer.sends(DATA, 1, seq=1 + 65535)
    peer.sends(FIN | ACK, seq=2 + 65535)
    host.is_silent()
    host.counted(SyncookiesOvertaken=3)
    peer.sends(DATA, 10, seq=1)
    host.emits(ACK, ack=11)
    host.accepts()
    host.reads(10)


def test_what_a_forgotten_connection_of_a_cookie_sends_is_reset_though_the_cookie_is_still_good(stage: Stage) -> None:
    # An echo: both have sent as much, so that the distance of the numbers is that of the cookie's.
    scene, host, peer = begins(stage)
    peer.sends(DATA, 100)
    assert scene.next_packet() is not None
    host.accepts()
    host.reads(100)
    host.connection.write(bytes(100))
    assert scene.next_packet() is not None
    peer.sends(ACK)
    host.aborts()
    assert scene.next_packet() is not None  # is lost
    peer.sends(DATA, 100)
    host.emits(RST)
    host.has_nothing_to_accept()


def test_a_keep_alive_probe_brings_the_cookie_when_the_third_segment_of_a_silent_client_is_lost(stage: Stage) -> None:
    scene, host, peer = begins(stage)
    scene.tick(30 * SECOND)
    peer.sends(ACK, seq=0)
    host.emits(ACK, ack=1)
    host.accepts()
    host.is_in(ESTABLISHED)
    host.writes(10)
    host.emits(DATA, text(1, 10), ack=1)
    peer.sends(DATA, 20, seq=1)
    assert scene.next_packet() is not None
    host.reads(20)


def test_a_keep_alive_probe_may_carry_a_byte_that_counts_for_nothing(stage: Stage) -> None:
    _, host, peer = begins(stage)
    peer.sends(DATA, b"?", seq=0)
    host.emits(ACK, ack=1)
    host.accepts()
    host.reads(0)


def test_when_a_repeated_syn_finds_room_the_cookie_that_went_before_is_still_good(stage: Stage) -> None:
    scene = stage(plain(syn_queue_limit=1, syn_cookies=COOKIES_WHEN_FULL))
    host, peer = scene.host, scene.peer
    host.listens()
    flooder = scene.another_peer()
    flooder.sends(SYN, mss=1460)
    host.emits(SYN | ACK, seq=0, to=flooder)
    cookie(scene, peer)
    first = peer.heard
    flooder.sends(RST, seq=1)
    scene.tick(SECOND)
    peer.sends(SYN, seq=0, mss=1460)  # the cookie is still on its way
    host.emits(SYN | ACK, seq=0)
    host.has(half_open=1)
    peer.sends(DATA, 100, seq=101, ack=first)
    host.is_silent()
    host.counted(SyncookiesOvertaken=1)
    peer.sends(DATA, 100, seq=1, ack=first)
    host.emits(ACK, seq=first, ack=101)
    host.accepts()
    host.reads(100)
    host.has(half_open=0)
    host.counted(SyncookiesRecv=1, PassiveOpens=1)


def test_while_cookies_are_out_a_forgotten_connection_is_reset_but_by_one_segment_in_256(
    stage: Stage,
) -> None:
    scene, _, peer = begins(stage)
    rng = random.Random(1)
    count = 2560
    for _ in range(count):
        peer.sends(DATA, 10, seq=rng.getrandbits(32), ack=rng.getrandbits(32))
        answer = scene.next_packet()
        assert answer is None or answer.flags == RST
    counters = scene.stack.counters
    assert counters.SyncookiesFailed + counters.SyncookiesOvertaken == count
    assert counters.SyncookiesOvertaken <= 30  # 10 expected


@pytest.mark.parametrize("mss", [*MSS_IPV4, 1459, 700])
def test_the_segment_size_is_the_largest_of_the_table_that_the_client_takes(stage: Stage, mss: int) -> None:
    _, host, peer = begins(stage, plain(syn_cookies=COOKIES_ALWAYS, mtu=9000), mss)
    peer.sends(ACK)
    host.accepts()
    assert host.status().mss == max(size for size in MSS_IPV4 if size <= mss)


def test_without_timestamps_no_other_option_survives_and_none_is_promised(stage: Stage) -> None:
    scene = stage(plain(syn_cookies=COOKIES_ALWAYS, **FULL_OPTIONS))
    scene.host.listens()
    answer = cookie(scene, scene.peer, wscale=7)
    assert (answer.wscale, answer.has_ts, answer.sack_permitted) == (-1, False, False)


@pytest.mark.parametrize("wscale", [-1, 0, 7, 14])
def test_with_timestamps_the_window_scale_comes_back_in_the_echo(stage: Stage, wscale: int) -> None:
    scene = stage(plain(syn_cookies=COOKIES_ALWAYS, **FULL_OPTIONS))
    host, peer = scene.host, scene.peer
    host.listens()
    answer = cookie(scene, peer, wscale=wscale, ts=True)
    assert (option_wscale(answer.ts_val & 63), option_sack(answer.ts_val & 63)) == (wscale, False)
    assert answer.wscale == (5 if wscale >= 0 else -1)  # fixed per listener: 65535 << 5 covers its largest buffer
    scene.tick(RTT)
    peer.sends(ACK, win=1000)
    host.accepts()
    assert host.status().snd_wnd == 1000 << max(wscale, 0)
    assert host.status().mss == 1448  # 12 bytes of timestamps come off


def test_a_client_that_alters_the_option_bits_is_refused(stage: Stage) -> None:
    scene = stage(plain(syn_cookies=COOKIES_ALWAYS, **FULL_OPTIONS))
    scene.host.listens()
    answer = cookie(scene, scene.peer, wscale=7, ts=True)
    for altered in (answer.ts_val ^ 1, answer.ts_val ^ 16, answer.ts_val ^ 32):
        scene.peer.sends(ACK, ts=(scene.peer.ts_now(), altered))
        scene.host.emits(RST)
    scene.peer.sends(ACK)
    scene.host.accepts()


def test_after_a_cookie_a_third_segment_without_the_agreed_timestamp_is_reset_for_the_options_are_in_it(
    stage: Stage,
) -> None:
    scene = stage(plain(syn_cookies=COOKIES_ALWAYS, **FULL_OPTIONS))
    host, peer = scene.host, scene.peer
    host.listens()
    cookie(scene, peer, wscale=7, ts=True)
    peer.sends(ACK, ts=False)
    host.emits(RST)
    host.counted(SyncookiesFailed=1)
    peer.sends(ACK)
    host.accepts()


def test_no_later_timestamp_is_below_the_stamped_one(stage: Stage) -> None:
    scene = stage(plain(syn_cookies=COOKIES_ALWAYS, **FULL_OPTIONS))
    host, peer = scene.host, scene.peer
    host.listens()
    stamped = cookie(scene, peer, wscale=7, ts=True).ts_val
    peer.sends(DATA, 100)
    answer = scene.next_packet()
    assert answer is not None and (answer.ts_val - stamped) & 0xFFFFFFFF < 64
    host.accepts()
    host.reads(100)


def test_the_echo_of_a_stamped_timestamp_gives_no_rtt_sample(stage: Stage) -> None:
    scene = stage(plain(syn_cookies=COOKIES_ALWAYS, **FULL_OPTIONS))
    host, peer = scene.host, scene.peer
    host.listens()
    cookie(scene, peer, wscale=7, ts=True)
    scene.tick(RTT)
    peer.sends(DATA, 1000)
    assert scene.next_packet() is not None
    host.accepts()
    host.reads(1000)
    assert host.status().srtt_us == 0
    assert host.connection.receiver.rtt == 0
    host.writes(100)
    assert scene.next_packet() is not None
    scene.tick(RTT)
    peer.sends(ACK)
    assert RTT - MS <= host.status().srtt_us <= RTT + MS


def test_a_forged_ack_is_reset_and_counted(stage: Stage) -> None:
    scene = stage(ALWAYS)
    scene.host.listens()
    scene.peer.sends(ACK, seq=1, ack=4711)
    scene.host.emits(RST, seq=4711)
    scene.host.counted(SyncookiesFailed=1)


def test_anothers_cookie_is_refused(stage: Stage) -> None:
    scene, host, peer = begins(stage)
    thief = scene.another_peer()
    thief.sends(ACK, seq=1, ack=peer.heard)
    host.emits(RST, to=thief)
    host.counted(SyncookiesFailed=1)


def test_a_cookie_is_good_for_64_seconds_at_least_and_128_at_most(stage: Stage) -> None:
    scene, host, peer = begins(stage)
    late = scene.another_peer()
    cookie(scene, late)
    scene.tick(64 * SECOND)
    peer.sends(ACK)
    host.accepts()
    scene.tick(64 * SECOND)
    late.sends(ACK)
    host.emits(RST, to=late)


def test_cookies_are_made_only_when_the_queue_is_full_and_looked_for_128_s_after(stage: Stage) -> None:
    scene = stage(plain(syn_queue_limit=1, syn_cookies=COOKIES_WHEN_FULL))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1460)
    host.emits(SYN | ACK, seq=0)
    host.counted(SyncookiesSent=0)
    peer.sends(ACK, seq=1, ack=77)
    host.emits(RST, seq=77)
    second = scene.another_peer()
    second.sends(ACK, seq=1, ack=77)
    host.emits(RST, seq=77, to=second)
    host.counted(SyncookiesFailed=0)  # none was out: not looked for
    third = scene.another_peer()
    cookie(scene, third)
    host.counted(SyncookiesSent=1, TCPReqQFullDoCookies=1)
    peer.sends(RST, seq=1)
    scene.tick(2 * STEP_US)
    second.sends(ACK, seq=1, ack=77)
    host.emits(RST, seq=77, to=second)
    host.counted(SyncookiesFailed=1)
    scene.tick(1)
    second.sends(ACK, seq=1, ack=77)
    host.emits(RST, seq=77, to=second)
    host.counted(SyncookiesFailed=1)


def test_with_cookies_off_none_is_made_and_none_is_believed(stage: Stage) -> None:
    scene = stage(plain(syn_queue_limit=1, syn_cookies=COOKIES_OFF))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1460)
    host.emits(SYN | ACK, seq=0)
    second = scene.another_peer()
    second.sends(SYN, mss=1460)
    host.is_silent()
    host.counted(SyncookiesSent=0, ListenDrops=1, TCPReqQFullDrop=1)


def test_a_replay_into_the_open_connection_is_an_ordinary_old_segment(stage: Stage) -> None:
    scene, host, peer = begins(stage)
    first = peer.heard
    peer.sends(DATA, 10)
    assert scene.next_packet() is not None
    host.accepts()
    host.reads(10)
    peer.sends(ACK, seq=1, ack=first)
    host.emits(ACK, ack=11)  # where we are
    host.has_nothing_to_accept()
    host.counted(SyncookiesRecv=1, PassiveOpens=1)
    host.has(connections=1)


def test_a_replay_into_time_wait_is_refused(stage: Stage) -> None:
    scene, host, peer = begins(stage)
    first = peer.heard
    peer.sends(ACK)
    host.accepts()
    host.closes()
    assert scene.next_packet() is not None
    peer.sends(FIN | ACK, ack=first + 1)
    assert scene.next_packet() is not None
    host.has(time_wait=1, connections=0)
    for replayed in (0, 10):
        peer.sends(ACK, replayed, seq=1, ack=first)
        answer = scene.next_packet()
        assert answer is not None and answer.flags == ACK  # tells where we are
    host.has(time_wait=1, connections=0)
    host.counted(SyncookiesRecv=1, PassiveOpens=1)
    scene.tick(60 * SECOND)


def test_with_the_accept_queue_full_the_cookie_is_good_again_later(stage: Stage) -> None:
    scene = stage(ALWAYS)
    host, peer = scene.host, scene.peer
    late = scene.another_peer()
    host.listens(backlog=1)
    cookie(scene, peer)
    cookie(scene, late)
    peer.sends(ACK)
    late.sends(ACK)
    host.is_silent()
    host.counted(ListenOverflows=1, ListenDrops=1)
    host.accepts()
    late.sends(DATA, 10)
    assert scene.next_packet() is not None
    host.accepts()
    host.reads(10)


def test_a_new_incarnation_gets_no_cookie_for_its_number_must_be_above_the_old(stage: Stage) -> None:
    # RFC 9293 3.6.1, MAY-2
    scene, host, peer = begins(stage)
    peer.sends(ACK)
    host.accepts()
    host.closes()
    assert scene.next_packet() is not None
    peer.sends(FIN | ACK, ack=peer.heard)
    assert scene.next_packet() is not None
    host.counted(SyncookiesSent=1)
    end = peer.heard
    peer.sends(SYN, seq=1000, mss=1460)
    host.emits(SYN | ACK, ack=1001, seq=max(end + 1, 0))
    host.counted(SyncookiesSent=1)
    host.has(half_open=1)


def test_ipv6_has_a_table_of_its_own(stage: Stage) -> None:
    scene = stage(ALWAYS, address=bytes.fromhex("fd000000000000000000000000000001"))
    scene.host.listens()
    cookie(scene, scene.peer, 1430)
    scene.peer.sends(ACK)
    scene.host.accepts()
    assert scene.host.status().mss == 1420
