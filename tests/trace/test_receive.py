"""RCV.*: what is acknowledged when, reassembly, and the window that is offered."""

from __future__ import annotations

import pytest

from synfin.tcp.states import CLOSE_WAIT, ESTABLISHED
from synfin.tcp.turn import EOF, READABLE
from synfin.wire.tcp_header import ACK, FIN, SYN, URG
from tests.trace.scene import DATA, MS, RTT, SECOND, Host, Peer, Stage, plain

# ---- when an ACK goes ----


def test_two_full_segments_are_acknowledged_at_once_by_one_ack(stage: Stage) -> None:
    # RFC 9293 3.8.6.3, RFC 5681 4.2
    _, host, peer = stage.opened()
    peer.sends(ACK, 1000)
    host.is_silent()
    peer.sends(ACK, 1000)
    host.emits(ACK, ack=2001)


def test_in_the_first_rounds_every_second_segment_is_acknowledged_also_within_a_batch(stage: Stage) -> None:
    # RFC 5681 4.2: the peer's window is small, and each ACK opens it
    _, host, peer = stage.opened()
    for _ in range(5):
        peer.sends(ACK, 1000)
    for ack in (2001, 4001):
        host.emits(ACK, ack=ack)
    host.is_silent()
    peer.sends(ACK, 1000)
    host.emits(ACK, ack=6001)


def past_the_first_rounds(stage: Stage) -> tuple[Host, Peer, int]:
    """A connection that has received 66,000 bytes; and the next number."""
    scene, host, peer = stage.opened(plain(receive_buffer=400_000, window_scale=True), win=65535)
    for _ in range(33):
        peer.sends(DATA, 2000)
        host.reads(2000)
        while scene.next_packet() is not None:
            pass
    return host, peer, 66_001


def test_of_a_batch_of_plain_segments_every_sixteenth_is_acknowledged_and_the_last(stage: Stage) -> None:
    # one ACK for a whole window is one loss away from a timeout
    host, peer, at = past_the_first_rounds(stage)
    for _ in range(20):
        peer.sends(ACK, 2000)
    host.emits(ACK, ack=at + 32_000)
    host.emits(ACK, ack=at + 40_000)
    host.is_silent()


@pytest.mark.parametrize(("size", "told"), [(988, True), (989, False)])
def test_a_text_segment_with_room_tells_what_waits_behind_a_hole(stage: Stage, size: int, told: bool) -> None:
    # RFC 2018 4; one block takes twelve bytes, and a full segment tells nothing (RFC 6691)
    _, host, peer = stage.opened(sack_ok=True)
    peer.sends(DATA, 1000, seq=1001)
    host.emits(ACK, ack=1, sack=[(1001, 2001)])
    host.writes(size)
    host.emits(DATA, size, sack=[(1001, 2001)] if told else None)
    peer.sends(ACK)


def test_one_segment_without_push_is_acknowledged_after_40_ms(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    peer.sends(ACK, 1000)
    host.is_silent()
    scene.tick(40 * MS - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(ACK, ack=1001)
    host.counted(DelayedACKs=1)


def test_the_delayed_ack_timer_runs_from_the_first_unacknowledged_segment(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    peer.sends(ACK, 1000)
    scene.tick(30 * MS)
    peer.sends(ACK, 500)
    scene.tick(10 * MS - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(ACK, ack=1501)


def test_acks_count_bytes_of_the_largest_segment_seen_lately_not_segments(stage: Stage) -> None:
    # DESIGN: bytes, never segments
    _, host, peer = stage.opened()
    peer.sends(ACK, 1000)
    peer.sends(ACK, 1000)
    host.emits(ACK, ack=2001)
    for size in (500, 400, 600):
        peer.sends(ACK, size)
        host.is_silent()
    peer.sends(ACK, 500)
    host.emits(ACK, ack=4001)


def test_a_peer_whose_segments_shrink_is_not_left_to_the_delayed_ack_timer(stage: Stage) -> None:
    # RFC 5681 4.2: the path MTU was 9000 and is 1040 now; and it may grow again
    _, host, peer = stage.opened(plain(mtu=9000), mss=8960)
    for size in (8000, 1000, 8000):
        for _ in range(4):
            peer.sends(ACK, size)
            host.is_silent()
            peer.sends(ACK, size)
            host.emits(ACK, ack=peer.seq)
            host.reads(2 * size)
    host.counted(DelayedACKs=0)


def test_a_burst_of_two_segments_is_acknowledged_at_once_and_one_segment_of_it_is_not(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(ACK, 2000, gso=1000)
    host.emits(ACK, ack=2001)
    peer.sends(ACK, 1000)
    host.is_silent()
    peer.sends(ACK, 1000)
    host.emits(ACK, ack=4001)


def test_a_pushed_request_is_acknowledged_by_the_answer_it_gets(stage: Stage) -> None:
    # DESIGN: the poll after the reader has run once; request-response never waits for a timer
    _, host, peer = stage.opened()
    peer.sends(DATA, 100)
    host.reads(100)
    host.writes(50)
    host.emits(DATA, 50, ack=101)


def test_a_pushed_request_without_an_answer_is_acknowledged_at_once(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(DATA, 100)
    host.emits(ACK, ack=101)


def test_data_going_out_carries_the_ack_that_was_waiting(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    peer.sends(ACK, 1000)
    host.is_silent()
    host.writes(10)
    host.emits(DATA, 10, ack=1001)
    peer.sends(ACK)
    scene.tick(SECOND)
    host.counted(DelayedACKs=0)


def test_the_delay_of_an_ack_can_be_set(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(ack_delay_us=1000))
    peer.sends(ACK, 1000)
    scene.tick(1000)
    host.emits(ACK, ack=1001)


# ---- ACKs of their own ----


def test_every_out_of_order_segment_gets_an_ack_of_its_own(stage: Stage) -> None:
    # RFC 5681 4.2: three of them are the sender's sign of loss
    _, host, peer = stage.opened()
    for number in (1001, 2001, 3001):
        peer.sends(ACK, 1000, seq=number)
    for _ in range(3):
        host.emits(ACK, ack=1)
    peer.sends(ACK, 1000, seq=1)
    host.emits(ACK, ack=4001)
    host.reads(4000)


def test_a_segment_that_fills_part_of_a_hole_is_acknowledged_at_once(stage: Stage) -> None:
    # RFC 5681 4.2
    _, host, peer = stage.opened()
    peer.sends(ACK, 1000, seq=2001)
    host.emits(ACK, ack=1)
    peer.sends(ACK, 1000, seq=1)
    host.emits(ACK, ack=1001)
    peer.sends(ACK, 1000, seq=1001)
    host.emits(ACK, ack=3001)


def test_a_duplicate_is_acknowledged_at_once(stage: Stage) -> None:
    # RFC 9293 3.10.7.4, first
    _, host, peer = stage.opened()
    peer.sends(DATA, 100, seq=1)
    host.emits(ACK, ack=101)
    peer.sends(DATA, 100, seq=1)
    host.emits(ACK, ack=101)
    host.reads(100)


def test_acks_of_their_own_go_in_arrival_order_before_any_data(stage: Stage) -> None:
    # DESIGN, ACKs
    _, host, peer = stage.opened()
    host.writes(10)
    peer.sends(ACK, 1000, seq=1001, ack=1)
    peer.sends(ACK, 1000, seq=3001, ack=1)
    peer.sends(ACK, 1000, seq=1, ack=1)
    peer.sends(ACK, 1000, seq=1, ack=1)
    host.emits(ACK, ack=1)
    host.emits(ACK, ack=1)
    host.emits(ACK, ack=2001)
    host.emits(ACK, ack=2001)
    host.emits(DATA, 10, ack=2001)


def test_a_pure_ack_is_not_answered(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    peer.sends(ACK)
    peer.sends(ACK)
    scene.tick(SECOND)
    host.is_silent()


# ---- reassembly ----


def test_data_in_any_order_and_overlap_is_delivered_once_and_in_order(stage: Stage) -> None:
    # RFC 9293 3.10.7.4, seventh
    _, host, peer = stage.opened()
    for number, length in ((3001, 500), (1001, 800), (900, 300), (1500, 1600), (3400, 600)):
        peer.sends(ACK, length, seq=number)
        host.emits(ACK, ack=1)
    assert host.status().out_of_order >= 3100
    peer.sends(ACK, 1000, seq=1)
    host.emits(ACK, ack=4000)
    host.reads(3999)
    assert host.status().out_of_order == 0


def test_a_segment_that_begins_left_of_rcv_nxt_gives_its_new_part(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(DATA, 100, seq=1)
    host.emits(ACK, ack=101)
    peer.sends(DATA, 200, seq=51)
    host.emits(ACK, ack=251)
    host.reads(250)


def test_text_right_of_the_window_is_cut_off(stage: Stage) -> None:
    _, host, peer = stage.opened(plain(receive_buffer=4000))
    peer.sends(DATA, 5000, seq=1)
    host.emits(ACK, ack=4001, win=0)
    host.reads(4000)
    host.emits(ACK, ack=4001, win=4000)


def test_a_fin_cut_off_with_its_text_counts_only_when_it_comes_again(stage: Stage) -> None:
    _, host, peer = stage.opened(plain(receive_buffer=4000))
    peer.sends(DATA | FIN, 5000, seq=1)
    host.emits(ACK, ack=4001, win=0)
    host.is_in(ESTABLISHED)
    host.reads(4000)
    host.emits(ACK, ack=4001, win=4000)
    peer.sends(DATA | FIN, 1000, seq=4001)
    host.emits(ACK, ack=5002)
    host.is_in(CLOSE_WAIT)
    host.reads(1000)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_fin_right_behind_a_full_window_is_taken_with_the_text_that_filled_it(stage: Stage, scaled: bool) -> None:
    scene = stage(plain(receive_buffer=2048, window_scale=scaled))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, wscale=0 if scaled else -1)
    host.emits(SYN | ACK)
    peer.sends(DATA | FIN, 2048, seq=1)
    host.emits(ACK, ack=2050, win=0)
    host.accepts()
    host.is_in(CLOSE_WAIT)
    host.reads(2048)


def test_a_fin_that_came_before_its_text_counts_when_the_text_is_there(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(DATA | FIN, 1000, seq=1001)
    host.emits(ACK, ack=1)
    host.is_in(ESTABLISHED)
    peer.sends(ACK, 1000, seq=1)
    host.emits(ACK, ack=2002)
    host.is_in(CLOSE_WAIT)
    host.hears(all_of=READABLE | EOF)
    host.reads(2000)


def test_a_bare_fin_out_of_order_counts_when_the_text_before_it_is_there(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(FIN | ACK, seq=1001)
    host.emits(ACK, ack=1)
    peer.sends(ACK, 1000, seq=1)
    host.emits(ACK, ack=1002)
    host.is_in(CLOSE_WAIT)
    host.reads(1000)


def test_text_beyond_the_peers_own_fin_is_refused(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    peer.sends(DATA | FIN, 100, seq=1)
    host.emits(ACK, ack=102)
    peer.sends(DATA, 100, seq=102)
    host.emits(ACK, ack=102)
    assert "dropped: beyond the peer's own FIN" in scene.notes
    host.reads(100)


def test_a_second_fin_left_of_data_held_does_not_end_the_stream_there(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(ACK, 1000, seq=1001)
    host.emits(ACK, ack=1)
    peer.sends(FIN | ACK, 500, seq=1)
    host.emits(ACK, ack=501)
    host.is_in(ESTABLISHED)
    peer.sends(ACK, 500, seq=501)
    host.emits(ACK, ack=2001)
    host.reads(2000)


def test_scattered_bytes_cost_no_more_memory_than_the_buffer(stage: Stage) -> None:
    # a peer could otherwise make one-byte pieces a hundred times larger than their bytes
    scene, host, peer = stage.opened(plain(receive_buffer=8192))
    for number in range(3, 2003, 2):
        peer.sends(ACK, 1, seq=number)
        assert scene.next_packet() is not None
    assert host.status().out_of_order <= 8192
    assert scene.stack.counters.as_dict()["TCPOFODrop"] > 900


def test_urgent_data_is_ordinary_data(stage: Stage) -> None:
    # RFC 9293 3.8.5: the mechanism is kept for old peers only, the bytes are in the stream
    _, host, peer = stage.opened()
    peer.sends(DATA | URG, 100, seq=1, urgent=50)
    host.emits(ACK, ack=101)
    host.reads(100)


# ---- the window ----


def test_the_window_falls_with_what_is_unread_and_never_moves_its_right_edge_left(stage: Stage) -> None:
    # RFC 9293 3.8.6, SHLD-14; the stage looks at every ACK
    _, host, peer = stage.opened(plain(receive_buffer=10000))
    peer.sends(ACK, 2000, gso=1000)
    host.emits(ACK, ack=2001, win=8000)
    peer.sends(ACK, 8000, gso=1000)
    host.emits(ACK, ack=10001, win=0)


def test_the_window_opens_by_no_crumbs(stage: Stage) -> None:
    # RFC 9293 3.8.6.2.2: receiver's silly-window avoidance
    _, host, peer = stage.opened(plain(receive_buffer=10000))
    peer.sends(ACK, 10000, gso=1000)
    host.emits(ACK, ack=10001, win=0)
    host.reads(999, limit=999)
    host.is_silent()
    peer.sends(ACK, 1, seq=10001)
    host.emits(ACK, ack=10001, win=0)
    host.reads(1, limit=1)
    peer.sends(ACK, 1, seq=10001)
    host.emits(ACK, ack=10001, win=1000)


def test_a_reader_that_made_room_for_two_segments_tells_the_peer(stage: Stage) -> None:
    # RFC 9293 3.8.6.2.2: the update
    _, host, peer = stage.opened(plain(receive_buffer=10000))
    peer.sends(ACK, 10000, gso=1000)
    host.emits(ACK, ack=10001, win=0)
    host.reads(1999, limit=1999)
    host.is_silent()
    host.reads(1, limit=1)
    host.emits(ACK, ack=10001, win=2000)
    host.reads(8000)
    host.emits(ACK, ack=10001, win=10000)


def test_a_small_buffer_is_told_of_when_half_of_it_is_free(stage: Stage) -> None:
    _, host, peer = stage.opened(plain(receive_buffer=2048))
    peer.sends(ACK, 2048, gso=1000)
    host.emits(ACK, ack=2049, win=0)
    host.reads(1023, limit=1023)
    host.is_silent()
    host.reads(1, limit=1)
    host.emits(ACK, ack=2049, win=1024)
    host.reads(1024)
    host.emits(ACK, ack=2049, win=2048)


def test_no_update_goes_while_the_window_is_more_than_half_open(stage: Stage) -> None:
    _, host, peer = stage.opened(plain(receive_buffer=10000))
    peer.sends(DATA, 3000, gso=1000)
    host.emits(ACK, ack=3001, win=7000)
    host.reads(3000)
    host.is_silent()
    peer.sends(DATA, 1000)
    host.emits(ACK, ack=4001, win=9000)
    host.reads(1000)


def test_data_into_a_closed_window_is_refused_and_its_ack_counts(stage: Stage) -> None:
    # RFC 9293 3.10.7.4, first: with a window of 0 valid ACKs are still to be processed
    _, host, peer = stage.opened(plain(receive_buffer=4000))
    host.writes(100)
    host.emits(DATA, 100)
    peer.sends(DATA, 4000, ack=1, gso=1000)
    host.emits(ACK, ack=4001, win=0)
    peer.sends(DATA, 1, seq=4001, ack=101)
    host.emits(ACK, ack=4001, win=0)
    assert host.status().unacknowledged == 0
    host.reads(4000)
    host.emits(ACK, ack=4001, win=4000)


@pytest.mark.parametrize("text", [0, 1, 500])
def test_the_ack_of_a_peer_whose_probe_counted_a_byte_is_taken_at_a_closed_window(stage: Stage, text: int) -> None:
    # RFC 9293 3.10.7.4, first: no number is acceptable, but "special allowance should be made to accept valid ACKs"
    scene, host, peer = stage.opened(plain(receive_buffer=4000))
    host.writes(100)
    host.emits(DATA, 100)
    peer.sends(DATA, 4000, ack=1, gso=1000)
    host.emits(ACK, ack=4001, win=0)
    peer.sends(ACK, text, seq=4002, ack=101, win=5000)
    if text:
        host.emits(ACK, ack=4001, win=0)
    assert (host.status().unacknowledged, host.status().snd_wnd) == (0, 5000)
    scene.tick(10 * SECOND)
    peer.sends(ACK, seq=4003, ack=101)  # but not one more
    host.emits(ACK, ack=4001, win=0)
    host.reads(4000)
    host.emits(ACK, ack=4001, win=4000)
    peer.sends(DATA, 1000, seq=4001)
    host.emits(ACK, ack=5001)
    host.reads(1000)


@pytest.mark.parametrize("timestamps", [True, False])
@pytest.mark.parametrize("path", [5 * MS, 200 * MS, 900 * MS])
@pytest.mark.parametrize("lost", [False, True])
def test_the_window_grows_to_what_the_path_holds_whatever_its_round_trip(
    stage: Stage, timestamps: bool, path: int, lost: bool
) -> None:
    # Without timestamps the round trip is measured by windows: a peer that waits for ours needs one for each. The
    # handshake tells none when its SYN,ACK was lost.
    scene = stage(plain(window_scale=True, timestamps=timestamps, receive_buffer=16384, receive_buffer_max=1 << 20))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, wscale=0, ts=timestamps)
    window = host.emits(SYN | ACK, wscale=5).window
    if lost:
        scene.tick(SECOND)
        host.emits(SYN | ACK, seq=0, wscale=5)
    scene.tick(path)
    peer.sends(ACK)
    host.accepts()
    rounds = 0
    while window < 1 << 20:
        rounds += 1
        assert rounds < 12, f"the window is {window} bytes"
        for at in range(0, window, 50_000):
            size = min(window - at, 50_000)
            peer.sends(DATA if at + size == window else ACK, size, gso=1000)
        host.reads(window)
        while (seen := scene.next_packet()) is not None:
            window = seen.window << 5
        scene.tick(path)


def test_the_window_is_ahead_of_a_sender_that_doubles_by_the_round_trips_that_a_hole_may_take(stage: Stage) -> None:
    scene = stage(plain(window_scale=True, timestamps=True, receive_buffer=16384, receive_buffer_max=1 << 20))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, wscale=0, ts=True)
    host.emits(SYN | ACK)
    scene.tick(RTT)
    peer.sends(ACK)
    host.accepts()
    window = 0
    for size in (5000, 10_000, 20_000, 40_000):
        peer.sends(DATA, size, gso=1000)
        host.reads(size)
        while (seen := scene.next_packet()) is not None:
            window = seen.window << 5
        scene.tick(RTT)
    assert 4 * 40_000 <= window <= 6 * 40_000 + 32
    for _ in range(10):  # and grows no further when that does not
        peer.sends(DATA, 40_000, gso=1000)
        host.reads(40_000)
        while (seen := scene.next_packet()) is not None:
            window = seen.window << 5
        scene.tick(RTT)
    assert window <= 6 * 40_000 + 32


def test_a_burst_into_a_window_that_was_open_long_before_tells_no_round_trip(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(receive_buffer=10_000))
    for _ in range(10):
        for _ in range(10):
            peer.sends(ACK, 1000)
        while (packet := scene.next_packet()) is not None:
            window = packet.window
        assert window == 0
        host.reads(10_000)
        host.emits(ACK, win=10_000)
        scene.tick(RTT)
    assert host.connection.receiver.rtt == RTT


def test_a_slow_path_or_reader_does_not_make_its_own_window_grow(stage: Stage) -> None:
    # 1 MB/s and a round trip of 10 ms: however long the growing window takes, it holds some round trips and no more
    for timestamps in (True, False):
        scene = stage(plain(window_scale=True, timestamps=timestamps, receive_buffer=16384, receive_buffer_max=1 << 20))
        host, peer = scene.host, scene.peer
        host.listens()
        peer.sends(SYN, mss=1000, wscale=0, ts=timestamps)
        host.emits(SYN | ACK)
        scene.tick(RTT)
        peer.sends(ACK)
        host.accepts()
        window = 0
        for _ in range(5000):
            peer.sends(ACK, 1000)
            host.reads(1000)
            while (seen := scene.next_packet()) is not None:
                window = max(window, seen.window << 5)
            scene.tick(MS)
        assert window < 65536
