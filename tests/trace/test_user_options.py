"""What a user sets on one connection or listener: buffers, what may wait to be sent, the IP header's byte."""

from __future__ import annotations

import pytest

from synfin.tcp.asked import NOTHING, Asked
from synfin.tcp.config import LEAST_RECEIVE_BUFFER, LEAST_SEND_BUFFER, Config
from synfin.tcp.turn import WRITABLE
from synfin.wire.tcp_header import ACK, FIN, RST, SYN
from tests.trace.scene import DATA, MSS, RTO, RTT, SECOND, Scene, Stage, plain

EXPEDITED = 0xB8  # DSCP 46


def drained(scene: Scene) -> int:
    """Bytes of text that come out now."""
    size = 0
    while (seg := scene.next_packet()) is not None:
        size += len(seg.payload)
    return size


# ---- the receive buffer ----


def test_a_smaller_receive_buffer_takes_no_window_back_and_then_offers_less(stage: Stage) -> None:
    # RFC 9293 3.8.6, SHLD-14; the scene sees that the right edge never moves left
    scene, host, peer = stage.opened(plain(receive_buffer=60_000))
    host.connection.set_receive_buffer(5_000)
    for at in range(1, 59_001, 1000):
        peer.sends(DATA, 1000, seq=at)
        host.reads(1000)
        scene.poll()
        while scene.next_packet() is not None:
            pass
    assert host.status().rcv_wnd <= 5_000
    peer.sends(DATA, 500, seq=59_001)
    host.reads(500)
    drained(scene)
    assert host.status().rcv_wnd <= 5_000


def test_with_a_window_scale_a_smaller_buffer_takes_no_window_back_either(stage: Stage) -> None:
    scene = stage(plain(window_scale=True, receive_buffer=60_000, receive_buffer_max=6_000_000))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=MSS, wscale=0)
    host.emits(SYN | ACK, ack=1, wscale=7)
    peer.sends(ACK)
    host.accepts()
    host.connection.set_receive_buffer(3_000)
    at = 1
    while at < 100_000:
        size = 1 + at % 777
        peer.sends(DATA, size, seq=at)
        host.reads(size)
        drained(scene)
        at += size
    assert host.status().rcv_wnd <= 3_000 + 127


def test_a_larger_receive_buffer_is_offered_and_no_longer_tuned(stage: Stage) -> None:
    config = plain(receive_buffer=4_000, receive_buffer_max=60_000)
    scene, host, peer = stage.opened(config)
    host.connection.set_receive_buffer(20_000)
    peer.sends(DATA, 1000, seq=1)
    host.reads(1000)
    drained(scene)
    assert host.status().rcv_wnd == 20_000
    for at in range(1001, 200_001, 1000):  # as fast a reader as there is
        peer.sends(DATA, 1000, seq=at)
        host.reads(1000)
        drained(scene)
        scene.now += 20_000
    assert host.connection.receiver.buffer() == 20_000


def test_a_receive_buffer_set_before_the_syn_is_in_its_window_and_decides_the_scale(stage: Stage) -> None:
    # RFC 7323 2.2
    for size, window, scale in ((5_000, 5_000, 0), (65_536, 65_535, 1), (1_000_000, 65_535, 4)):
        scene = stage(plain(window_scale=True, receive_buffer_max=6_000_000))
        scene.host.connects()
        scene.host.connection.set_receive_buffer(size)
        scene.host.emits(SYN, seq=0, win=window, wscale=scale)
        scene.peer.sends(SYN | ACK, mss=MSS, wscale=0)
        scene.host.emits(ACK, seq=1, ack=1, win=-(-size >> scale))
        scene.host.connection.set_receive_buffer(6_000_000)  # too late for the scale
        assert scene.host.status().rcv_wscale == scale


def test_what_a_listener_is_told_of_receive_buffers_is_in_its_syn_ack_and_in_what_it_accepts(stage: Stage) -> None:
    scene = stage(plain(window_scale=True, receive_buffer_max=6_000_000))
    host, peer = scene.host, scene.peer
    early = scene.another_peer()
    listener = host.listens()
    early.sends(SYN, mss=MSS, wscale=0)
    host.emits(SYN | ACK, ack=1, wscale=7, win=65535, to=early)
    listener.set_receive_buffer(5_000)
    peer.sends(SYN, mss=MSS, wscale=0)
    host.emits(SYN | ACK, ack=1, wscale=0, win=5_000)
    peer.sends(ACK)
    host.accepts()
    assert host.status().rcv_wscale == 0 and host.status().rcv_wnd == 5_000
    assert host.connection.receiver.buffer() == 5_000
    early.sends(ACK)
    host.accepts()
    assert host.status().rcv_wscale == 7  # as its SYN,ACK had told


# ---- the send buffer ----


def test_a_send_buffer_bounds_what_is_out_and_what_is_taken_off_the_writers_hands(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(initial_window=40))
    connection = host.connection
    connection.set_send_buffer(5_000)
    host.writes(30_000)
    assert connection.write_excess() == 25_000
    assert drained(scene) == 5_000
    peer.sends(ACK, ack=2001)
    assert connection.write_excess() == 23_000
    assert drained(scene) == 2_000
    connection.want_writable = True
    host.hears(all_of=0)
    connection.set_send_buffer(20_000)
    host.hears(all_of=WRITABLE)
    assert connection.write_excess() == 8_000
    assert drained(scene) == 15_000
    peer.sends(ACK, ack=22_001)
    assert drained(scene) == 8_000
    peer.sends(ACK, ack=30_001)


def test_two_segments_may_be_out_however_small_the_send_buffer_is(stage: Stage) -> None:
    # or each would wait for the peer's delayed ACK
    scene, host, peer = stage.opened(mss=1400)
    host.connection.set_send_buffer(LEAST_SEND_BUFFER)
    host.writes(28_000)
    for ack in range(2801, 28_002, 2800):
        assert drained(scene) == 2800
        scene.now += RTT
        peer.sends(ACK, ack=ack)
    host.is_silent()


# ---- what waits to be sent ----


def test_what_waits_to_be_sent_holds_the_writer_back_until_it_is_sent(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(initial_window=10))
    connection = host.connection
    connection.set_notsent_lowat(2_000)
    host.writes(15_000)
    connection.want_writable = True
    assert connection.write_excess() == 13_000  # nothing is sent before the poll
    assert drained(scene) == 10_000
    host.hears(all_of=WRITABLE)
    assert connection.write_excess() == 3_000  # though the send buffer has room for all
    peer.sends(ACK, ack=3001, win=7_000)  # no room in the window
    assert drained(scene) == 0 and connection.write_excess() == 3_000
    host.hears(all_of=WRITABLE)
    peer.sends(ACK, ack=3001, win=9_000)  # SND.UNA does not move, but text goes out
    assert drained(scene) == 2_000
    host.hears(all_of=WRITABLE)
    assert connection.write_excess() == 1_000
    connection.set_notsent_lowat(0)
    assert connection.write_excess() == 0
    host.aborts()
    host.emits(RST | ACK)


# ---- the cork ----


def test_a_cork_holds_what_fills_no_segment_and_lets_it_go_when_it_is_taken_out(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    host.connection.set_nodelay(True)  # a cork is stronger
    host.connection.set_cork(True)
    host.writes(300)
    host.is_silent()
    host.writes(900)
    host.emits(ACK, MSS, seq=1)
    peer.sends(ACK, ack=1001)
    host.is_silent()
    host.connection.set_cork(False)
    host.emits(DATA, 200, seq=1001)
    peer.sends(ACK, ack=1201)
    assert scene.stack.counters.TCPWinProbe == 0


def test_what_a_cork_holds_goes_after_a_timeout(stage: Stage) -> None:
    # as in Linux; or a program that forgets to take it out would wait for ever
    scene, host, peer = stage.opened()
    host.connection.set_cork(True)
    host.writes(300)
    host.is_silent()
    scene.tick(RTO - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(DATA, 300, seq=1)
    peer.sends(ACK, ack=301)
    host.is_silent()
    scene.tick(SECOND)


def test_the_end_takes_the_cork_out(stage: Stage) -> None:
    _, host, peer = stage.opened()
    host.connection.set_cork(True)
    host.writes(300)
    host.is_silent()
    host.shuts()
    host.emits(DATA | FIN, 300, seq=1)
    peer.sends(ACK, ack=302)


# ---- the IP header's byte ----


def test_each_packet_of_a_connection_has_its_tos_from_the_syn_to_time_wait(stage: Stage) -> None:
    scene = stage(plain(ecn="on"))
    host, peer = scene.host, scene.peer
    host.connects()
    host.connection.set_tos(EXPEDITED | 3)  # ECN's bits are not the user's
    seen = [host.emits(SYN | 0xC0, seq=0)]
    peer.sends(SYN | ACK | 0x40, mss=MSS)
    seen.append(host.emits(ACK, seq=1, ack=1))
    host.writes(100)
    marked = host.emits(DATA, 100, ecn=2)
    assert marked.traffic_class == EXPEDITED | 2
    scene.tick(SECOND)
    again = scene.next_packet()
    assert again is not None and again.traffic_class == EXPEDITED
    while scene.next_packet() is not None:
        pass
    peer.sends(ACK, ack=101)
    host.closes()
    seen.append(host.emits(FIN | ACK, seq=101))
    peer.sends(FIN | ACK, ack=102)
    seen.append(host.emits(ACK, seq=102, ack=2))
    peer.sends(DATA, 100, seq=-200, ack=1)
    seen.append(host.emits(ACK, seq=102, ack=2))  # TIME-WAIT's
    assert [seg.traffic_class for seg in seen] == [EXPEDITED] * 5


def test_a_reset_has_the_tos_of_its_connection(stage: Stage) -> None:
    _, host, _ = stage.opened()
    host.connection.set_tos(EXPEDITED)
    host.aborts()
    assert host.emits(RST | ACK).traffic_class == EXPEDITED


def test_what_a_listener_answers_and_accepts_has_its_tos(stage: Stage) -> None:
    scene = stage(plain(syn_queue_limit=1))
    host, peer = scene.host, scene.peer
    listener = host.listens()
    listener.set_tos(EXPEDITED, ipv6=False)
    listener.set_tos(0x20, ipv6=True)
    peer.sends(SYN, mss=MSS)
    seen = [host.emits(SYN | ACK, ack=1)]
    peer.sends(SYN, mss=MSS, seq=100_000)
    seen.append(host.emits(ACK, seq=1, ack=1))  # a challenge
    other = scene.another_peer()
    other.sends(SYN, mss=MSS)
    cookie = scene.next_packet()
    assert cookie is not None and cookie.flags == SYN | ACK
    seen.append(cookie)
    peer.sends(ACK, seq=1)
    peer.sends(DATA, 100, seq=1)
    seen.append(host.emits(ACK, seq=1, ack=101))
    host.accepts()
    assert [seg.traffic_class for seg in seen] == [EXPEDITED] * 4


# ---- values ----


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        ("set_send_buffer", LEAST_SEND_BUFFER - 1),
        ("set_send_buffer", Config().send_buffer_max + 1),
        ("set_receive_buffer", LEAST_RECEIVE_BUFFER - 1),
        ("set_receive_buffer", Config().receive_buffer_max + 1),
        ("set_notsent_lowat", -1),
        ("set_notsent_lowat", 1 << 32),
        ("set_tos", -1),
        ("set_tos", 256),
    ],
)
def test_a_wrong_value_is_an_error_at_the_call_and_changes_nothing(stage: Stage, call: str, wrong: int) -> None:
    _, host, _ = stage.opened(Config())
    before = host.connection.receiver.buffer()
    with pytest.raises(ValueError, match="must be within"):
        getattr(host.connection, call)(wrong)
    with pytest.raises(TypeError):
        getattr(host.connection, call)("9000")
    assert host.connection.sender.asked is NOTHING
    assert host.connection.receiver.buffer() == before


def test_who_asks_nothing_has_no_object_for_it_and_nobody_changes_what_they_share(stage: Stage) -> None:
    _, host, _ = stage.opened()
    connection = host.connection
    assert connection.sender.asked is NOTHING
    connection.set_tos(EXPEDITED)
    connection.set_send_buffer(5_000)
    connection.set_notsent_lowat(1_000)
    connection.set_send_mss_max(500)
    connection.set_cork(True)
    kept = connection.sender.asked
    assert kept is not NOTHING and kept is connection.sender.ask()
    for name in ("send_buffer", "notsent_lowat", "max_pacing_rate", "mss_max", "cork", "tos"):
        assert getattr(NOTHING, name) == getattr(Asked(), name)
