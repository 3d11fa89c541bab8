"""SND.*: retransmission, recovery, congestion windows, Nagle, silly windows, the persist timer."""

from __future__ import annotations

import itertools

import pytest

from synfin.tcp import errors
from synfin.tcp.config import COOKIES_ALWAYS
from synfin.tcp.states import CLOSED, ESTABLISHED
from synfin.tcp.turn import FAILED, GONE, WRITABLE
from synfin.wire.tcp_header import ACK, FIN, RST, SYN
from tests.trace.scene import DATA, HOST_ISN, MS, RTO, RTT, SECOND, Host, Peer, Scene, Stage, plain

# ---- the retransmission timer ----


def test_unacknowledged_data_goes_again_after_an_rto_that_doubles_each_time(stage: Stage) -> None:
    # RFC 6298 5.4 to 5.6
    scene, host, _ = stage.opened()
    host.writes(100)
    host.emits(DATA, 100, seq=1)
    for doubling in range(6):
        scene.tick((RTO << doubling) - 1)
        host.is_silent()
        scene.tick(1)
        host.emits(DATA, 100, seq=1, ack=1)
    host.counted(TCPTimeouts=6, RetransSegs=6)


def test_the_rto_is_srtt_and_four_times_its_variation_by_rfc_6298(stage: Stage) -> None:
    # RFC 6298 2.2, 2.3
    scene, host, peer = stage.opened(plain(rto_min_us=1000))
    assert host.status().rto_us == 10 * MS + 4 * 5 * MS
    host.writes(100)
    host.emits(DATA, 100)
    scene.tick(18 * MS)
    peer.sends(ACK)
    host.is_silent()
    # RTTVAR = 3/4 * 5 + 1/4 * |10 - 18| = 5.75 ms; SRTT = 7/8 * 10 + 1/8 * 18 = 11 ms
    assert host.status().srtt_us == 11 * MS
    assert host.status().rto_us == 11 * MS + 4 * 5750
    host.writes(100)
    host.emits(DATA, 100)
    scene.tick(34 * MS - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(DATA, 100, seq=101)


def test_the_first_rto_without_a_sample_is_one_second(stage: Stage) -> None:
    # RFC 6298 2.1
    scene = stage(plain(syn_cookies=COOKIES_ALWAYS))
    assert scene.config.rto_initial_us == SECOND
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000)
    answer = scene.next_packet()
    assert answer is not None
    peer.heard = peer.relative(answer.seq, HOST_ISN) + 1
    peer.sends(ACK)  # of a cookie, which nobody remembers having sent: no sample
    host.accepts()
    host.writes(10)
    first = scene.next_packet()
    assert first is not None
    scene.tick(SECOND - 1)
    host.is_silent()
    scene.tick(1)
    again = scene.next_packet()
    assert again is not None and again.seq == first.seq


def test_karn_an_ack_of_data_sent_twice_gives_no_sample_and_the_backed_off_rto_stays(stage: Stage) -> None:
    # RFC 6298 3 and 5.7
    scene, host, peer = stage.opened()
    before = host.status().srtt_us
    host.writes(100)
    host.emits(DATA, 100)
    scene.tick(RTO)
    host.emits(DATA, 100, seq=1)
    scene.tick(5 * MS)
    peer.sends(ACK)
    assert host.status().srtt_us == before
    assert host.status().rto_us == 2 * RTO
    host.writes(100)
    host.emits(DATA, 100)
    scene.tick(2 * RTO - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(DATA, 100, seq=101)


def test_a_sample_of_new_data_ends_the_back_off(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    host.writes(100)
    host.emits(DATA, 100)
    scene.tick(RTO)
    host.emits(DATA, 100, seq=1)
    peer.sends(ACK)
    host.writes(100)
    host.emits(DATA, 100)
    scene.tick(RTT)
    peer.sends(ACK)
    assert host.status().rto_us == RTO


def test_an_ack_of_new_data_starts_the_timer_again_and_an_ack_of_all_stops_it(stage: Stage) -> None:
    # RFC 6298 5.2, 5.3
    scene, host, peer = stage.opened()
    host.writes(2000)
    host.emits(ACK, 1000)
    host.emits(DATA, 1000)
    scene.tick(RTT)
    peer.sends(ACK, ack=1001)
    scene.tick(RTO - 1)
    host.is_silent()
    peer.sends(ACK, ack=2001)
    host.is_silent()
    assert scene.stack.next_deadline() is None or host.status().deadline == 0
    scene.tick(3600 * SECOND)
    host.is_silent()


def test_after_r2_the_connection_fails_with_a_rst(stage: Stage) -> None:
    # RFC 9293 3.8.3: R2
    scene, host, _ = stage.opened(plain(retries=3))
    host.writes(100)
    host.emits(DATA, 100)
    for doubling in range(3):
        scene.tick(RTO << doubling)
        host.emits(DATA, 100, seq=1)
    scene.tick((RTO << 3) - 1)
    host.is_in(ESTABLISHED)
    scene.tick(1)
    host.emits(RST | ACK, seq=101, ack=1)
    host.is_in(CLOSED)
    assert host.connection.error == errors.TIMED_OUT
    host.hears(all_of=FAILED | GONE)
    host.counted(TCPAbortOnTimeout=1)
    host.has_forgotten_all()


def test_by_default_r2_comes_after_15_retransmissions(stage: Stage) -> None:
    scene, host, _ = stage.opened()
    host.writes(1)
    host.emits(DATA, 1)
    sent = 0
    for _ in range(40):
        scene.tick(60 * SECOND)
        while host.status().state == "ESTABLISHED" and scene.next_packet() is not None:
            sent += 1
        if host.status().state == "CLOSED":
            break
    host.emits(RST | ACK, seq=2)
    assert sent == 15


def test_an_ack_of_new_data_forgets_the_retries(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(retries=2))
    host.writes(100)
    host.emits(DATA, 100)
    for _ in range(5):
        at = peer.heard
        scene.tick(host.status().rto_us)
        host.emits(DATA, 100, seq=at - 100)
        peer.sends(ACK)
        host.writes(100)
        host.emits(DATA, 100)
    host.is_in(ESTABLISHED)


def test_a_timeout_sends_one_segment_and_slow_start_mends_the_rest(stage: Stage) -> None:
    # RFC 5681 3.1: the loss window is one segment; RFC 6298 5.4: the earliest one
    scene, host, peer = stage.opened()
    host.writes(4000)
    for _ in range(3):
        host.emits(ACK, 1000)
    host.emits(DATA, 1000)
    scene.tick(RTO)
    host.emits(ACK, 1000, seq=1)
    assert host.status().cwnd == 1000
    assert host.status().ssthresh == 2000
    scene.tick(RTT)
    peer.sends(ACK, ack=1001)
    host.emits(ACK, 1000, seq=1001)
    host.emits(ACK, 1000, seq=2001)
    scene.tick(RTT)
    peer.sends(ACK, ack=4001)
    host.is_silent()


def test_a_repeated_timeout_does_not_halve_ssthresh_again(stage: Stage) -> None:
    # RFC 5681 3.1: held constant for data that was retransmitted by the timer already
    scene, host, _ = stage.opened()
    host.writes(10000)
    for _ in range(9):
        host.emits(ACK, 1000)
    host.emits(DATA, 1000)
    scene.tick(RTO)
    host.emits(ACK, 1000, seq=1)
    assert host.status().ssthresh == 5000
    scene.tick(2 * RTO)
    host.emits(ACK, 1000, seq=1)
    assert host.status().ssthresh == 5000


# ---- slow start, congestion avoidance ----


def test_the_initial_window_is_ten_segments(stage: Stage) -> None:
    # RFC 6928
    _, host, _ = stage.opened()
    host.writes(20000)
    for _ in range(10):
        host.emits(ACK, 1000)
    host.is_silent()


def test_slow_start_adds_what_is_acknowledged(stage: Stage) -> None:
    # RFC 5681 3.1, bytes by RFC 3465
    scene, host, peer = stage.opened()
    host.writes(60000)
    for _ in range(10):
        host.emits(ACK, 1000)
    scene.tick(RTT)
    peer.sends(ACK, ack=2001)
    assert host.status().cwnd == 12000
    for _ in range(4):
        host.emits(ACK, 1000)
    peer.sends(ACK, ack=10001)
    for _ in range(16):
        host.emits(ACK, 1000)
    host.is_silent()
    assert host.status().cwnd == 20000


def test_a_window_that_the_user_does_not_fill_does_not_grow(stage: Stage) -> None:
    # RFC 7661 and RFC 5681 errata: an unused window proves nothing
    scene, host, peer = stage.opened()
    for _ in range(20):
        host.writes(1000)
        host.emits(DATA, 1000)
        scene.tick(RTT)
        peer.sends(ACK)
    host.is_silent()
    assert host.status().cwnd == 10000


def test_congestion_avoidance_adds_one_segment_a_window(stage: Stage) -> None:
    # RFC 5681 3.1
    scene, host, peer = stage.opened()
    host.writes(100000)
    for _ in range(10):
        host.emits(ACK, 1000)
    scene.tick(RTO)  # all lost: ssthresh 5000
    host.emits(ACK, 1000, seq=1)
    scene.tick(RTT)
    peer.sends(ACK, ack=10001)  # the hole was all that was missing
    while host.status().cwnd < 5000:
        while scene.next_packet() is not None:
            pass
        scene.tick(RTT)
        peer.sends(ACK)
    windows = []
    for _ in range(5):
        while scene.next_packet() is not None:
            pass
        windows.append(host.status().cwnd)
        scene.tick(RTT)
        peer.sends(ACK)
    while scene.next_packet() is not None:
        pass
    steps = {later - earlier for earlier, later in itertools.pairwise(windows)}
    assert steps <= {0, 1000} and windows[-1] - windows[0] >= 3000


def test_after_an_idle_time_of_one_rto_the_window_is_the_initial_one_again(stage: Stage) -> None:
    # RFC 5681 4.1
    scene, host, peer = stage.opened()
    host.writes(10000)
    for _ in range(9):
        host.emits(ACK, 1000)
    host.emits(DATA, 1000)
    scene.tick(RTT)
    host.writes(18000)
    peer.sends(ACK, ack=10001)
    for _ in range(17):
        host.emits(ACK, 1000)
    host.emits(DATA, 1000)
    scene.tick(RTT)
    peer.sends(ACK)
    host.is_silent()
    assert host.status().cwnd > 10000
    scene.tick(SECOND)
    host.writes(20000)
    for _ in range(10):
        host.emits(ACK, 1000)
    host.is_silent()


# ---- loss found by duplicate ACKs ----


def full_flight(stage: Stage, extra: int = 20000) -> tuple[Scene, Host, Peer]:
    """Ten segments are out, `extra` bytes wait, one RTT has passed."""
    scene, host, peer = stage.opened()
    host.writes(10000 + extra)
    for _ in range(10 if extra else 9):
        host.emits(ACK, 1000)
    if not extra:
        host.emits(DATA, 1000)
    scene.tick(RTT)
    return scene, host, peer


def test_the_first_two_duplicate_acks_each_let_one_new_segment_out(stage: Stage) -> None:
    # RFC 3042: limited transmit
    _, host, peer = full_flight(stage)
    peer.sends(ACK, ack=1)
    host.emits(ACK, 1000, seq=10001)
    host.is_silent()
    peer.sends(ACK, ack=1)
    host.emits(ACK, 1000, seq=11001)


def test_the_third_duplicate_ack_retransmits_the_first_segment_at_once(stage: Stage) -> None:
    # RFC 5681 3.2
    scene, host, peer = full_flight(stage, extra=0)
    for _ in range(2):
        peer.sends(ACK, ack=1)
        host.is_silent()
    peer.sends(ACK, ack=1)
    host.emits(ACK, 1000, seq=1)
    host.is_silent()
    host.counted(TCPFastRetrans=1, TCPTimeouts=0)
    assert host.status().ssthresh == 5000
    peer.sends(ACK, ack=10001)
    host.is_silent()
    assert host.status().cwnd == 5000
    assert "three duplicate ACKs: fast retransmit" in scene.notes


@pytest.mark.parametrize("kind", ["data", "window", "nothing out"])
def test_what_only_looks_like_a_duplicate_ack_is_none(stage: Stage, kind: str) -> None:
    # RFC 5681 2: no data, the same window, data outstanding
    if kind == "nothing out":
        _, host, peer = stage.opened()
    else:
        _, host, peer = full_flight(stage, extra=0)
    for n in range(5):
        if kind == "data":
            peer.sends(DATA, 10, ack=1)
            host.emits(ACK)
        elif kind == "window":
            peer.sends(ACK, ack=1, win=65000 - n)
        else:
            peer.sends(ACK, ack=1)
    host.is_silent()
    host.counted(TCPFastRetrans=0)
    if kind != "nothing out":
        peer.sends(ACK)


def test_a_partial_ack_retransmits_the_next_hole_and_recovery_ends_at_its_point(stage: Stage) -> None:
    # RFC 6582 3.2: segments 1 and 4 of ten are lost
    _, host, peer = full_flight(stage, extra=0)
    for _ in range(3):
        peer.sends(ACK, ack=1)
    host.emits(ACK, 1000, seq=1)
    for _ in range(5):
        peer.sends(ACK, ack=1)
    host.is_silent()
    peer.sends(ACK, ack=3001)
    host.emits(ACK, 1000, seq=3001)
    host.is_silent()
    host.counted(TCPFastRetrans=1, RetransSegs=2)
    peer.sends(ACK, ack=10001)
    host.is_silent()
    assert host.status().cwnd == 5000


def test_in_recovery_about_one_segment_goes_for_two_that_arrived(stage: Stage) -> None:
    # RFC 6937: proportional rate reduction, down to ssthresh by the end: half of cwnd, limited transmit not counted
    scene, host, peer = full_flight(stage, extra=50000)
    sent = 0
    for _ in range(2):
        peer.sends(ACK, ack=1)
        host.emits(ACK, 1000)
    peer.sends(ACK, ack=1)
    host.emits(ACK, 1000, seq=1)
    for _ in range(8):  # twelve were out, one lost: eight duplicates more
        peer.sends(ACK, ack=1)
        while scene.next_packet() is not None:
            sent += 1
    assert 3 <= sent <= 5
    scene.tick(RTT)
    peer.sends(ACK, ack=12001)
    while scene.next_packet() is not None:
        pass
    assert host.status().in_flight <= host.status().cwnd == 5000


def test_no_second_fast_retransmit_below_the_recovery_point(stage: Stage) -> None:
    # RFC 6582 3.2 step 1 and 4.1: after a timeout duplicate ACKs answer what is sent again
    scene, host, peer = full_flight(stage, extra=0)
    scene.tick(RTO)
    host.emits(ACK, 1000, seq=1)
    for _ in range(5):
        peer.sends(ACK, ack=1)
    assert not [note for note in scene.notes if "fast retransmit" in note]
    while scene.next_packet() is not None:
        pass
    host.counted(TCPFastRetrans=0)


def test_an_ack_of_never_sent_data_is_challenged_and_changes_nothing(stage: Stage) -> None:
    # RFC 5961 5.2
    _, host, peer = full_flight(stage, extra=0)
    peer.sends(ACK, ack=10002)
    host.emits(ACK, seq=10001, ack=1)
    assert host.status().snd_una == 1
    host.counted(TCPChallengeACK=1)


def test_an_old_ack_within_the_largest_window_is_ignored_and_an_ancient_one_challenged(stage: Stage) -> None:
    # RFC 5961 5.2: SND.UNA - MAX.SND.WND <= SEG.ACK
    scene, host, peer = stage.opened(win=5000)
    for _ in range(20):
        host.writes(1000)
        host.emits(DATA, 1000)
        scene.tick(RTT)
        peer.sends(ACK)
    assert host.status().snd_una == 20001
    peer.sends(ACK, ack=15001)
    host.is_silent()
    peer.sends(ACK, ack=15000)
    host.emits(ACK)
    host.counted(TCPChallengeACK=1)


def test_a_writer_that_asked_is_told_when_acknowledged_bytes_made_room(stage: Stage) -> None:
    _, host, peer = stage.opened()
    host.connection.want_writable = True
    host.writes(1000)
    host.emits(DATA, 1000)
    host.hears(none_of=WRITABLE)
    peer.sends(ACK)
    host.hears(all_of=WRITABLE)


# ---- Nagle ----


def test_nagle_lets_one_short_segment_out_and_holds_the_next_until_it_is_acknowledged(stage: Stage) -> None:
    # RFC 9293 3.7.4, with Minshall's rule
    scene, host, peer = stage.opened()
    host.writes(100)
    host.emits(DATA, 100)
    host.writes(100)
    host.writes(100)
    host.is_silent()
    scene.tick(RTT)
    peer.sends(ACK)
    host.emits(DATA, 200)


def test_nagle_never_holds_a_full_segment(stage: Stage) -> None:
    _, host, _ = stage.opened()
    host.writes(100)
    host.emits(DATA, 100)
    host.writes(1000)
    host.emits(DATA, 1000)
    host.writes(1500)
    host.emits(ACK, 1000)
    host.is_silent()


def test_full_segments_in_flight_do_not_hold_back_one_short_tail(stage: Stage) -> None:
    # Minshall: only a short one does
    _, host, _ = stage.opened()
    host.writes(2500)
    host.emits(ACK, 1000)
    host.emits(ACK, 1000)
    host.emits(DATA, 500)


def test_nagle_does_not_hold_back_the_last_bytes_before_a_fin(stage: Stage) -> None:
    _, host, _ = stage.opened()
    host.writes(100)
    host.emits(DATA, 100)
    host.writes(100)
    host.is_silent()
    host.shuts()
    host.emits(DATA | FIN, 100)


def test_with_nodelay_every_write_goes_at_once(stage: Stage) -> None:
    _, host, _ = stage.opened(plain(nodelay=True))
    for _ in range(5):
        host.writes(100)
        host.emits(DATA, 100)


def test_small_writes_made_together_are_one_segment(stage: Stage) -> None:
    _, host, _ = stage.opened()
    for _ in range(50):
        host.writes(10)
    host.emits(DATA, 500)


def test_push_is_on_the_last_segment_of_what_was_written(stage: Stage) -> None:
    # RFC 9293 3.9.1.2
    _, host, peer = stage.opened()
    host.writes(3000)
    host.emits(ACK, 1000)
    host.emits(ACK, 1000)
    host.emits(DATA, 1000)
    peer.sends(ACK)


# ---- the peer's window ----


def test_no_more_goes_than_the_window_holds(stage: Stage) -> None:
    _, host, peer = stage.opened(win=3000)
    host.writes(10000)
    for _ in range(3):
        host.emits(ACK, 1000)
    host.is_silent()
    peer.sends(ACK, win=2000)
    host.emits(ACK, 1000)
    host.emits(ACK, 1000)


def test_an_old_segment_does_not_set_the_window_back(stage: Stage) -> None:
    # RFC 9293 3.10.7.4: SND.WL1, SND.WL2
    _, host, peer = stage.opened()
    peer.sends(DATA, 100, win=5000)
    host.emits(ACK, ack=101)
    peer.sends(ACK, seq=101, ack=1, win=4000)
    assert host.status().snd_wnd == 4000
    peer.sends(DATA, 200, seq=1, ack=1, win=100)
    host.emits(ACK, ack=201)
    assert host.status().snd_wnd == 4000


def test_the_sender_avoids_silly_segments(stage: Stage) -> None:
    # RFC 9293 3.8.6.2.1: less than a segment and less than half the largest window waits
    scene, host, peer = stage.opened(win=4000)
    host.writes(10000)
    for _ in range(4):
        host.emits(ACK, 1000)
    scene.tick(RTT)
    peer.sends(ACK, win=900)
    host.is_silent()
    peer.sends(ACK, win=1000)
    host.emits(ACK, 1000)


def test_half_of_the_largest_window_is_not_silly(stage: Stage) -> None:
    scene, host, peer = stage.opened(win=800)
    host.writes(2000)
    host.emits(ACK, 800)
    scene.tick(RTT)
    peer.sends(ACK, win=399)
    host.is_silent()
    peer.sends(ACK, win=400)
    host.emits(ACK, 400)


def test_the_override_timeout_ends_a_silly_wait(stage: Stage) -> None:
    # RFC 9293 3.8.6.2.1 (3)
    scene, host, peer = stage.opened(win=4000)
    host.writes(10000)
    for _ in range(4):
        host.emits(ACK, 1000)
    scene.tick(RTT)
    peer.sends(ACK, win=900)
    scene.tick(RTO - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(ACK, 900)


# ---- a closed window ----


def closed_window(stage: Stage, config: object = None) -> tuple[Scene, Host, Peer]:
    """The peer has taken 1000 bytes and closed its window; 2000 more wait."""
    scene, host, peer = stage.opened(config, win=1000)  # type: ignore[arg-type]
    host.writes(3000)
    host.emits(ACK, 1000)
    scene.tick(RTT)
    peer.sends(ACK, win=0)
    host.is_silent()
    return scene, host, peer


def test_a_closed_window_is_probed_with_one_byte_after_an_rto_then_ever_more_rarely(stage: Stage) -> None:
    # RFC 9293 3.8.6.1, SHLD-29, SHLD-30
    scene, host, peer = closed_window(stage)
    for doubling in range(9):
        scene.tick((RTO << doubling) - 1)
        host.is_silent()
        scene.tick(1)
        host.emits(ACK, 1, seq=1001)
        peer.sends(ACK, ack=1001, win=0)
    host.counted(TCPWinProbe=9)


def test_a_window_may_stay_closed_for_ever_while_the_peer_answers(stage: Stage) -> None:
    # RFC 9293 3.8.6.1, MUST-37
    scene, host, peer = closed_window(stage, plain(retries=3))
    for _ in range(100):
        waited = scene.tick_until_output()
        host.emits(ACK, 1, seq=1001)
        peer.sends(ACK, ack=1001, win=0)
    assert waited == 120 * SECOND
    host.is_in(ESTABLISHED)


def test_probes_that_nobody_answers_end_the_connection(stage: Stage) -> None:
    scene, host, _ = closed_window(stage, plain(retries=3))
    for doubling in range(3):
        scene.tick(RTO << doubling)
        host.emits(ACK, 1, seq=1001)
    scene.tick((RTO << 3) - 1)
    host.is_in(ESTABLISHED)
    scene.tick(1)
    host.emits(RST | ACK)
    assert host.connection.error == errors.TIMED_OUT
    host.has_forgotten_all()


def test_an_opened_window_sends_at_once_and_stops_the_probes(stage: Stage) -> None:
    scene, host, peer = closed_window(stage)
    scene.tick(RTO)
    host.emits(ACK, 1, seq=1001)
    peer.sends(ACK, ack=1001, win=5000)
    host.emits(ACK, 1000, seq=1001)
    host.emits(DATA, 1000, seq=2001)
    peer.sends(ACK)
    scene.tick(600 * SECOND)
    host.is_silent()


def test_a_probe_that_was_taken_counts_as_sent(stage: Stage) -> None:
    scene, host, peer = closed_window(stage)
    scene.tick(RTO)
    host.emits(ACK, 1, seq=1001)
    peer.sends(ACK, ack=1002, win=5000)
    host.emits(ACK, 1000, seq=1002)
    host.emits(DATA, 999, seq=2002)
    peer.sends(ACK)


def test_a_fin_waits_for_the_window_and_may_itself_be_the_probe(stage: Stage) -> None:
    scene, host, peer = stage.opened(win=1000)
    host.writes(1000)
    host.shuts()
    host.emits(DATA, 1000)
    scene.tick(RTT)
    peer.sends(ACK, win=0)
    scene.tick(RTO)
    host.emits(ACK | FIN, seq=1001)
    peer.sends(ACK, ack=1002, win=0)
    host.is_silent()
    assert host.status().state == "FIN-WAIT-2"


def test_a_peer_that_took_its_window_back_is_not_given_up_while_it_answers(stage: Stage) -> None:
    # RFC 9293 3.8.6, MUST-35 and MUST-36: retransmissions become probes
    scene, host, peer = stage.opened(plain(retries=3))
    host.writes(2000)
    host.emits(ACK, 1000)
    host.emits(DATA, 1000)
    peer.sends(ACK, ack=1, win=0)
    for _ in range(20):
        scene.tick(host.status().rto_us)
        host.emits(ACK, 1000, seq=1)
        peer.sends(ACK, ack=1, win=0)
    host.is_in(ESTABLISHED)
    peer.sends(ACK, ack=2001)


# ---- user timeout ----


def test_data_unacknowledged_for_the_user_timeout_fails_the_connection(stage: Stage) -> None:
    # RFC 9293 3.9.1.2
    scene, host, _ = stage.opened(plain(user_timeout_us=5 * SECOND))
    scene.tick(60 * SECOND)  # idle time does not count
    host.writes(10)
    host.emits(DATA, 10)
    started = scene.now
    while scene.now < started + 5 * SECOND - MS:
        scene.tick(MS)
        while scene.next_packet() is not None:
            pass
    host.is_in(ESTABLISHED)
    scene.tick(MS)
    host.emits(RST | ACK, seq=11)
    assert host.connection.error == errors.TIMED_OUT
    host.has_forgotten_all()


def test_with_a_user_timeout_a_closed_window_that_is_answered_neither_fails_nor_spins(stage: Stage) -> None:
    # RFC 9293 MUST-37; the stage sees that no deadline is in the past
    scene, host, peer = closed_window(stage, plain(user_timeout_us=5 * SECOND))
    for _ in range(20):
        scene.tick_until_output()
        host.emits(ACK, 1, seq=1001)
        peer.sends(ACK, ack=1001, win=0)
    host.is_in(ESTABLISHED)


def test_with_a_user_timeout_unanswered_probes_fail_after_it(stage: Stage) -> None:
    scene, host, peer = closed_window(stage, plain(user_timeout_us=5 * SECOND))
    for _ in range(20):
        scene.tick_until_output()
        host.emits(ACK, 1, seq=1001)
        peer.sends(ACK, ack=1001, win=0)
    scene.tick_until_output()
    host.emits(ACK, 1, seq=1001)
    assert scene.tick_until_output() == 5 * SECOND
    host.emits(RST | ACK)
    assert host.connection.error == errors.TIMED_OUT


def test_a_write_after_long_idleness_into_a_closed_window_does_not_spin(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(user_timeout_us=5 * SECOND))
    peer.sends(ACK, win=0)
    scene.tick(600 * SECOND)
    host.writes(10)
    host.is_silent()
    scene.tick(RTO)
    host.emits(ACK, 1, seq=1)
    peer.sends(ACK, ack=1)
    host.emits(DATA, 10, seq=1)
    peer.sends(ACK)


# ---- pacing ----


def test_the_first_window_goes_at_once_and_the_next_is_spread_over_the_round_trip(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(pacing=True))
    host.writes(60000)
    for _ in range(10):
        host.emits(ACK, 1000)
    scene.tick(RTT)
    peer.sends(ACK, ack=10001)  # cwnd 20000, twice that a round trip: 4000 bytes a millisecond
    together = []
    for _ in range(RTT // MS):
        count = 0
        while scene.next_packet() is not None:
            count += 1
        together.append(count)
        scene.tick(MS)
    assert sum(together) == 20 and max(together) <= 4
    assert sum(together[:5]) >= 18, "at twice cwnd a round trip"


def test_a_path_shorter_than_a_millisecond_is_not_paced(stage: Stage) -> None:
    scene = stage(plain(pacing=True))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK, ack=1)
    scene.tick(MS - 1)
    peer.sends(ACK)
    host.accepts()
    host.writes(60000)
    for _ in range(10):
        host.emits(ACK, 1000)
    scene.tick(MS - 1)
    peer.sends(ACK, ack=10001)
    for _ in range(18):  # one ACK adds eight segments at most (RFC 9406 4.3)
        host.emits(ACK, 1000)
    host.is_silent()
