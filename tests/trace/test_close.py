"""THE FOUR-WAY CLOSE in every order, what is lost on the way, and that every closing state ends."""

from __future__ import annotations

import pytest

from synfin.tcp import errors
from synfin.tcp.states import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    SYN_RCVD,
    TIME_WAIT,
)
from synfin.tcp.turn import EOF, FAILED, GONE
from synfin.wire.tcp_header import ACK, FIN, RST, SYN
from tests.trace.scene import DATA, RTO, SECOND, Host, Peer, Scene, Stage, plain

TWO_MSL = 60 * SECOND

# ---- the orders ----


def test_who_closes_first_goes_by_fin_wait_1_and_2_to_time_wait_and_ends_after_2msl(stage: Stage) -> None:
    # RFC 9293 3.6, figure 12
    scene, host, peer = stage.opened()
    host.closes()
    host.is_in(FIN_WAIT_1)
    host.emits(FIN | ACK, seq=1, ack=1)
    peer.sends(ACK, seq=1, ack=2)
    host.is_in(FIN_WAIT_2)
    host.is_silent()
    peer.sends(FIN | ACK, seq=1, ack=2)
    host.emits(ACK, seq=2, ack=2)
    host.is_in(TIME_WAIT)
    host.has(time_wait=1, connections=0)
    scene.tick(TWO_MSL - 1)
    host.has(time_wait=1)
    scene.tick(1)
    host.counted(TW=1)
    host.has_forgotten_all()
    assert scene.transitions[-4:] == [
        (ESTABLISHED, FIN_WAIT_1),
        (FIN_WAIT_1, FIN_WAIT_2),
        (FIN_WAIT_2, TIME_WAIT),
        (TIME_WAIT, CLOSED),
    ]


def test_who_closes_second_goes_by_close_wait_and_last_ack_to_closed(stage: Stage) -> None:
    # RFC 9293 3.6, figure 12, the other side
    _, host, peer = stage.opened()
    peer.sends(FIN | ACK, seq=1, ack=1)
    host.is_in(CLOSE_WAIT)
    host.emits(ACK, seq=1, ack=2)
    host.hears(all_of=EOF)
    host.closes()
    host.is_in(LAST_ACK)
    host.emits(FIN | ACK, seq=1, ack=2)
    peer.sends(ACK, seq=2, ack=2)
    host.is_in(CLOSED)
    host.hears(all_of=GONE, none_of=FAILED)
    host.has_forgotten_all()


def test_fin_with_the_ack_of_ours_makes_a_close_of_three_segments(stage: Stage) -> None:
    _, host, peer = stage.opened()
    host.closes()
    host.emits(FIN | ACK)
    peer.sends(FIN | ACK, seq=1, ack=2)
    host.emits(ACK, seq=2, ack=2)
    host.is_in(TIME_WAIT)


def test_a_fin_answered_at_once_by_close_carries_the_ack(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(FIN | ACK)
    host.closes()
    host.emits(FIN | ACK, seq=1, ack=2)
    peer.sends(ACK)
    host.has_forgotten_all()


def test_simultaneous_close_goes_by_closing_to_time_wait(stage: Stage) -> None:
    # RFC 9293 3.6, figure 13
    scene, host, peer = stage.opened()
    host.closes()
    host.emits(FIN | ACK, seq=1, ack=1)
    peer.sends(FIN | ACK, seq=1, ack=1)
    host.is_in(CLOSING)
    host.emits(ACK, seq=2, ack=2)
    peer.sends(ACK, seq=2, ack=2)
    host.is_silent()
    host.is_in(TIME_WAIT)
    scene.tick(TWO_MSL)
    host.has_forgotten_all()


def test_the_fin_rides_with_the_last_data(stage: Stage) -> None:
    _, host, peer = stage.opened()
    host.writes(1500)
    host.closes()
    host.emits(ACK, 1000, seq=1)
    host.emits(DATA | FIN, 500, seq=1001)
    peer.sends(ACK)
    host.is_in(FIN_WAIT_2)


def test_a_fin_with_data_is_taken_with_it(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(DATA | FIN, 100)
    host.is_in(CLOSE_WAIT)
    host.emits(ACK, ack=102)
    host.hears(all_of=EOF)
    host.reads(100)


# ---- half-close ----


def test_after_our_half_close_the_peers_data_still_comes(stage: Stage) -> None:
    # RFC 9293 3.6, case 1
    scene, host, peer = stage.opened()
    host.shuts()
    host.emits(FIN | ACK)
    peer.sends(ACK)
    host.is_in(FIN_WAIT_2)
    for _ in range(50):
        peer.sends(DATA, 2000, gso=1000)
        host.emits(ACK)
        host.reads(2000)
    scene.tick(3600 * SECOND)  # a reader is there: FIN-WAIT-2 has no limit
    peer.sends(FIN | ACK)
    host.emits(ACK, ack=100002)
    host.is_in(TIME_WAIT)


def test_in_fin_wait_1_data_out_of_order_is_kept_and_acknowledged(stage: Stage) -> None:
    _, host, peer = stage.opened()
    host.shuts()
    host.emits(FIN | ACK)
    peer.sends(DATA | FIN, 100, seq=101, ack=1)
    host.emits(ACK, ack=1)
    peer.sends(DATA, 100, seq=1, ack=2)
    host.emits(ACK, ack=202)
    host.is_in(TIME_WAIT)
    host.reads(200)


def test_in_close_wait_our_data_still_goes_and_is_retransmitted(stage: Stage) -> None:
    # RFC 9293 3.6, case 2
    scene, host, peer = stage.opened()
    peer.sends(FIN | ACK)
    host.emits(ACK, ack=2)
    host.writes(1500)
    host.emits(ACK, 1000, ack=2)
    host.emits(DATA, 500, ack=2)
    scene.tick(RTO)
    host.emits(ACK, 1000, seq=1)
    peer.sends(ACK, ack=1501)
    host.shuts()
    host.emits(FIN | ACK, seq=1501)
    host.is_in(LAST_ACK)
    peer.sends(ACK)
    host.has_forgotten_all()


def test_close_wait_has_no_deadline_for_it_waits_for_its_user(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    peer.sends(FIN | ACK)
    host.emits(ACK)
    assert scene.stack.next_deadline() is None
    scene.tick(86400 * SECOND)
    host.is_in(CLOSE_WAIT)


def test_write_after_shutdown_is_a_broken_pipe(stage: Stage) -> None:
    _, host, _ = stage.opened()
    host.shuts()
    with pytest.raises(BrokenPipeError):
        host.connection.write(b"more")
    host.emits(FIN | ACK)


def test_data_written_before_the_close_goes_out_before_the_fin_however_slowly(stage: Stage) -> None:
    _, host, peer = stage.opened(win=1000)
    host.writes(3500)
    host.closes()
    for _ in range(3):
        host.emits(ACK, 1000)
        peer.sends(ACK)
    host.emits(DATA | FIN, 500)
    peer.sends(ACK)
    host.is_in(FIN_WAIT_2)


# ---- lost segments ----


def test_a_lost_fin_goes_again_and_the_close_goes_on(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    host.closes()
    host.emits(FIN | ACK, seq=1)
    scene.tick(RTO - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(FIN | ACK, seq=1)
    peer.sends(ACK, ack=2)
    host.is_in(FIN_WAIT_2)


def test_a_lost_fin_goes_again_with_the_data_it_rode_with(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    host.writes(300)
    host.closes()
    host.emits(DATA | FIN, 300, seq=1)
    scene.tick(RTO)
    host.emits(DATA | FIN, 300, seq=1)
    peer.sends(ACK)
    host.is_in(FIN_WAIT_2)


def test_when_our_last_ack_is_lost_the_peers_fin_is_acknowledged_again_and_2msl_restarts(stage: Stage) -> None:
    # RFC 9293 3.10.7.4, eighth, TIME-WAIT
    scene, host, peer = stage.opened()
    host.closes()
    host.emits(FIN | ACK)
    peer.sends(FIN | ACK, seq=1, ack=2)
    host.emits(ACK, seq=2, ack=2)
    scene.tick(40 * SECOND)
    peer.sends(FIN | ACK, seq=1, ack=2)
    host.emits(ACK, seq=2, ack=2)
    scene.tick(TWO_MSL - 1)
    host.has(time_wait=1)
    scene.tick(1)
    host.has_forgotten_all()


def test_a_fin_that_comes_again_in_close_wait_and_last_ack_is_acknowledged_again(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(FIN | ACK, seq=1)
    host.emits(ACK, ack=2)
    peer.sends(FIN | ACK, seq=1)
    host.emits(ACK, ack=2)
    host.closes()
    host.emits(FIN | ACK, ack=2)
    peer.sends(FIN | ACK, seq=1, ack=1)
    host.emits(ACK, seq=2, ack=2)
    host.is_in(LAST_ACK)
    peer.sends(ACK)


def test_a_lost_fin_in_last_ack_goes_again(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    peer.sends(FIN | ACK)
    host.closes()
    host.emits(FIN | ACK, seq=1)
    scene.tick(RTO)
    host.emits(FIN | ACK, seq=1)
    peer.sends(ACK)
    host.has_forgotten_all()


# ---- TIME-WAIT ----


def in_time_wait(stage: Stage, config: object = None) -> tuple[Scene, Host, Peer]:
    """A connection in TIME-WAIT; both sides' next number is 2."""
    scene, host, peer = stage.opened(config)  # type: ignore[arg-type]
    host.closes()
    host.emits(FIN | ACK)
    peer.sends(FIN | ACK, seq=1, ack=2)
    host.emits(ACK, seq=2, ack=2)
    return scene, host, peer


def test_a_rst_does_not_end_time_wait(stage: Stage) -> None:
    # RFC 1337, fix F1
    _, host, peer = in_time_wait(stage)
    for number in (1, 2, 3):
        peer.sends(RST, seq=number)
    host.is_silent()
    host.has(time_wait=1)


def test_an_old_segment_in_time_wait_is_acknowledged_and_the_timer_goes_on(stage: Stage) -> None:
    scene, host, peer = in_time_wait(stage)
    scene.tick(30 * SECOND)
    peer.sends(DATA, 100, seq=-200, ack=1)
    host.emits(ACK, seq=2, ack=2)
    scene.tick(30 * SECOND)
    host.has_forgotten_all()


def test_the_ack_of_nothing_new_in_time_wait_is_not_answered(stage: Stage) -> None:
    # two sides in TIME-WAIT must not acknowledge each other for ever
    _, host, peer = in_time_wait(stage)
    peer.sends(ACK, seq=2, ack=2)
    host.is_silent()


@pytest.mark.parametrize(
    ("flags", "seq", "ack"),
    [(ACK, 1, 2), (ACK, 70_000, 2), (ACK, 3, 2), (ACK, 2, 3), (SYN, 1, 0), (SYN | ACK, 1, 2), (SYN | FIN, 70_000, 0)],
)
def test_what_brings_no_text_to_time_wait_is_answered_twice_a_second(
    stage: Stage, flags: int, seq: int, ack: int
) -> None:
    # RFC 9293 3.10.7.4, first; not more often, or two records that disagree would acknowledge for ever
    scene, host, peer = in_time_wait(stage)
    for count in (1, 2, 3):
        for _ in range(10):
            peer.sends(flags, seq=seq, ack=ack)
        host.emits(ACK, seq=2, ack=2)
        host.is_silent()
        host.counted(TCPChallengeACK=count, TCPACKSkippedTimeWait=9 * count)
        scene.tick(SECOND // 2)
    host.has(time_wait=1)
    scene.tick(60 * SECOND - 3 * SECOND // 2)
    host.has_forgotten_all()  # none of them made it longer


def test_text_to_time_wait_is_answered_each_time(stage: Stage) -> None:
    _, host, peer = in_time_wait(stage)
    for _ in range(10):
        peer.sends(DATA, 100, seq=-200, ack=1)
        host.emits(ACK, seq=2, ack=2)


def test_a_new_syn_with_a_higher_number_ends_time_wait_and_begins_above_the_old_numbers(stage: Stage) -> None:
    # RFC 9293 3.6.1, MAY-2
    _scene, host, peer = in_time_wait(stage)
    peer.sends(SYN, seq=100000, mss=1000)
    # the injected ISN is not above our old SND.NXT, 2: so it is that and one
    host.emits(SYN | ACK, seq=3, ack=100001)
    host.counted(TWRecycled=0)
    host.has(time_wait=1, half_open=1)
    peer.sends(ACK, seq=100001, ack=4)
    host.accepts()
    host.is_in(ESTABLISHED)
    host.counted(TWRecycled=1)
    host.has(time_wait=0, half_open=0)


def test_a_syn_that_its_sender_resets_was_an_old_duplicate_and_time_wait_goes_on(stage: Stage) -> None:
    # RFC 9293 3.6.1, MAY-2 (b)
    scene, host, peer = in_time_wait(stage)
    peer.sends(SYN, seq=100000, mss=1000)
    host.emits(SYN | ACK, seq=3, ack=100001)
    peer.sends(RST, seq=100001)
    host.is_silent()
    host.has(time_wait=1, half_open=0)
    assert scene.transitions[-2:] == [(TIME_WAIT, SYN_RCVD), (SYN_RCVD, TIME_WAIT)]
    peer.acked = peer.right_edge = -1  # what the numbers of the duplicate led to is void
    peer.sends(FIN | ACK, seq=1, ack=2)
    host.emits(ACK, seq=2, ack=2)
    scene.tick(TWO_MSL)
    host.has_forgotten_all()


def test_a_blind_syn_in_time_wait_makes_it_no_longer_and_answers_nothing_in_its_stead(stage: Stage) -> None:
    # A random number looks like a new incarnation's half of the time: all that it gets is a half-open entry.
    scene, host, peer = in_time_wait(stage)
    scene.tick(30 * SECOND)
    peer.sends(SYN, seq=100_000, mss=1000)
    host.emits(SYN | ACK, seq=3, ack=100_001)
    peer.acked = peer.right_edge = -1
    # The peer, in LAST-ACK, challenges our SYN,ACK; then its FIN comes again and is acknowledged, not reset.
    peer.sends(ACK, seq=2, ack=2)
    host.is_silent()
    peer.sends(DATA, 100, seq=-200, ack=1)
    host.emits(ACK, seq=2, ack=2)
    for _ in range(10):
        peer.sends(ACK, seq=70_000, ack=2)
        peer.sends(SYN | ACK, seq=70_000, ack=2)
    host.emits(ACK, seq=2, ack=2)
    host.is_silent()
    host.has(half_open=1, time_wait=1)
    for _ in range(30):
        peer.sends(SYN, seq=100_000, mss=1000)
        peer.acked = peer.right_edge = -1
        while scene.next_packet() is not None:
            pass
        scene.now += SECOND
        scene.stack.on_timer(scene.now)
    while scene.next_packet() is not None:
        pass
    host.has(time_wait=0)


def test_a_fin_that_comes_again_is_acknowledged_though_a_syn_looked_like_a_new_incarnation(stage: Stage) -> None:
    scene, host, peer = in_time_wait(stage)
    peer.sends(SYN, seq=100_000, mss=1000)
    host.emits(SYN | ACK, seq=3, ack=100_001)
    peer.acked = peer.right_edge = -1
    scene.now += SECOND // 2
    peer.sends(FIN | ACK, seq=1, ack=2)
    host.emits(ACK, seq=2, ack=2)
    peer.sends(RST, seq=2)
    host.has(time_wait=1, half_open=1)
    peer.sends(RST, seq=100_001)
    host.has(time_wait=1, half_open=0)
    scene.tick(TWO_MSL)
    host.has_forgotten_all()


def test_other_syns_to_a_half_open_entry_are_challenged_twice_a_second(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK)
    for count in (1, 2):
        for _ in range(10):
            peer.sends(SYN, seq=100_000, mss=1000)
        host.emits(ACK, seq=1, ack=1)
        host.is_silent()
        host.counted(TCPChallengeACK=count, TCPACKSkippedSynRecv=9 * count)
        if count == 1:
            scene.tick(SECOND // 2)


@pytest.mark.parametrize("seq", [2, 1, 0, -5000])
def test_an_old_duplicate_syn_in_time_wait_is_challenged(stage: Stage, seq: int) -> None:
    _, host, peer = in_time_wait(stage)
    peer.sends(SYN, seq=seq, mss=1000)
    host.emits(ACK, seq=2, ack=2)
    host.has(time_wait=1, half_open=0)


def test_a_new_syn_without_a_listener_does_not_end_time_wait(stage: Stage) -> None:
    scene, host, peer = in_time_wait(stage)
    scene.stack.close_listener(host.listener, scene.now)
    peer.sends(SYN, seq=100000, mss=1000)
    host.emits(ACK, seq=2, ack=2)
    host.has(time_wait=1)


@pytest.mark.parametrize(("newer", "seq", "reused"), [(1, 50, True), (0, 50, True), (0, 1, False), (-1, 50, False)])
def test_with_timestamps_a_newer_one_or_an_equal_one_with_a_higher_number_ends_time_wait(
    stage: Stage, newer: int, seq: int, reused: bool
) -> None:
    # RFC 6191 2
    scene = stage(plain(timestamps=True))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, ts=(7000, 0))
    host.emits(SYN | ACK)
    peer.sends(ACK, ts=(7000, 0))
    host.accepts().close(scene.now)
    host.emits(FIN | ACK)
    peer.sends(FIN | ACK, seq=1, ack=2, ts=(7000, 0))
    host.emits(ACK, ack=2)
    peer.sends(SYN, seq=seq, mss=1000, ts=(7000 + newer, 0))
    if reused:
        host.emits(SYN | ACK, seq=3, ack=seq + 1)
    else:
        host.emits(ACK, seq=2, ack=2)
    host.has(half_open=1 if reused else 0)


def test_unread_data_outlives_the_protocol_part(stage: Stage) -> None:
    # DESIGN: the user's handle keeps the data, only the protocol part shrinks
    scene, host, peer = stage.opened()
    host.shuts()
    host.emits(FIN | ACK)
    peer.sends(DATA | FIN, 100, ack=2)
    host.emits(ACK, ack=102)
    host.is_in(TIME_WAIT)
    scene.tick(TWO_MSL)
    host.has(connections=0, time_wait=0)
    host.reads(100)


def test_at_its_limit_the_oldest_time_wait_record_makes_room(stage: Stage) -> None:
    scene = stage(plain(time_wait_limit=2))
    host = scene.host
    host.listens()
    for peer in (scene.peer, scene.another_peer(), scene.another_peer()):
        peer.sends(SYN, mss=1000)
        host.emits(SYN | ACK, to=peer)
        peer.sends(ACK)
        host.accepts()
        host.closes()
        host.emits(FIN | ACK, to=peer)
        peer.sends(FIN | ACK)
        host.emits(ACK, to=peer)
    host.has(time_wait=2)
    host.counted(TCPTimeWaitOverflow=1)
    scene.peer.sends(FIN | ACK, seq=1)
    host.emits(RST, seq=2)


# ---- abort, and data that nobody will read ----


def test_abort_resets_and_forgets_at_once(stage: Stage) -> None:
    # RFC 9293 3.10.5
    _, host, peer = stage.opened()
    host.writes(100)
    host.emits(DATA, 100)
    host.aborts()
    host.emits(RST | ACK, seq=101, ack=1)
    host.is_in(CLOSED)
    host.has_forgotten_all()
    peer.sends(ACK)
    host.emits(RST, seq=101)


def test_abort_in_closing_and_last_ack_sends_nothing(stage: Stage) -> None:
    # RFC 9293 3.10.5
    _, host, peer = stage.opened()
    peer.sends(FIN | ACK)
    host.closes()
    host.emits(FIN | ACK)
    host.aborts()
    host.has_forgotten_all()


def test_close_with_unread_data_resets(stage: Stage) -> None:
    # RFC 2525 2.17, as Linux
    _, host, peer = stage.opened()
    peer.sends(DATA, 100)
    host.emits(ACK, ack=101)
    host.closes()
    host.emits(RST | ACK, seq=1, ack=101)
    host.has_forgotten_all()


def test_what_was_written_before_a_close_with_unread_data_goes_before_the_rst(stage: Stage) -> None:
    # a kernel had sent it at the write: the answer of a server that refuses an upload arrives
    _, host, peer = stage.opened()
    peer.sends(DATA, 100)
    host.emits(ACK, ack=101)
    host.writes(2000)
    host.closes()
    host.emits(ACK, 1000, seq=1, ack=101)
    host.emits(DATA, 1000, seq=1001, ack=101)
    host.emits(RST | ACK, seq=2001, ack=101)
    host.has_forgotten_all()


def test_a_close_with_unread_data_sends_no_more_than_the_peers_window_and_drops_the_rest(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(DATA, 100, win=1000)
    host.emits(ACK, ack=101)
    host.writes(5000)
    host.closes()
    host.emits(ACK, 1000, seq=1, ack=101)
    host.emits(RST | ACK, seq=1001, ack=101)
    host.has_forgotten_all()


@pytest.mark.parametrize("acked", [False, True])
def test_data_after_close_is_answered_by_rst(stage: Stage, acked: bool) -> None:
    # RFC 9293 3.6.1: in FIN-WAIT-1 and FIN-WAIT-2
    _, host, peer = stage.opened()
    host.closes()
    host.emits(FIN | ACK)
    if acked:
        peer.sends(ACK)
        host.is_in(FIN_WAIT_2)
    peer.sends(DATA, 100, seq=1, ack=2 if acked else 1)
    host.emits(RST | ACK, seq=2, ack=1)
    host.counted(TCPAbortOnData=1)
    host.has_forgotten_all()


def test_a_duplicate_of_data_read_before_the_close_is_no_reason_to_reset(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(DATA, 100, seq=1)
    host.emits(ACK, ack=101)
    host.reads(100)
    host.closes()
    host.emits(FIN | ACK)
    peer.sends(DATA, 100, seq=1, ack=1)
    host.emits(ACK, ack=101)
    host.is_in(FIN_WAIT_1)


def test_close_twice_and_shutdown_after_close_change_nothing(stage: Stage) -> None:
    _, host, peer = stage.opened()
    host.closes()
    host.closes()
    host.shuts()
    host.emits(FIN | ACK)
    peer.sends(FIN | ACK)
    host.emits(ACK)
    host.closes()
    host.aborts()
    host.is_silent()
    host.is_in(TIME_WAIT)


# ---- silent peers: every state ends ----


@pytest.mark.parametrize("orphan", [True, False])
def test_fin_wait_1_with_a_silent_peer_ends(stage: Stage, orphan: bool) -> None:
    scene, host, _ = stage.opened(plain(retries=5, orphan_retries=3))
    if orphan:
        host.closes()
    else:
        host.shuts()
    host.emits(FIN | ACK, seq=1)
    for _ in range(3 if orphan else 5):
        scene.tick_until_output()
        host.emits(FIN | ACK, seq=1)
    scene.tick_until_output()
    host.emits(RST | ACK)
    host.is_in(CLOSED)
    assert host.connection.error == errors.TIMED_OUT
    host.has_forgotten_all()


def test_closing_with_a_silent_peer_ends(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(orphan_retries=3))
    host.closes()
    host.emits(FIN | ACK, seq=1)
    peer.sends(FIN | ACK, seq=1, ack=1)
    host.emits(ACK)
    host.is_in(CLOSING)
    for _ in range(3):
        scene.tick_until_output()
        host.emits(FIN | ACK, seq=1, ack=2)
    scene.tick(120 * SECOND)
    host.has_forgotten_all()


def test_last_ack_with_a_silent_peer_ends(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(orphan_retries=3))
    peer.sends(FIN | ACK)
    host.closes()
    host.emits(FIN | ACK, seq=1)
    for _ in range(3):
        scene.tick_until_output()
        host.emits(FIN | ACK, seq=1, ack=2)
    scene.tick(120 * SECOND)
    host.has_forgotten_all()


@pytest.mark.parametrize("close_late", [False, True])
def test_fin_wait_2_without_a_reader_ends_after_the_fin_timeout(stage: Stage, close_late: bool) -> None:
    scene, host, peer = stage.opened()
    if close_late:
        host.shuts()
        host.emits(FIN | ACK)
        peer.sends(ACK)
        scene.tick(600 * SECOND)
        host.is_in(FIN_WAIT_2)
        host.closes()
    else:
        host.closes()
        host.emits(FIN | ACK)
        peer.sends(ACK)
    host.is_in(FIN_WAIT_2)
    scene.tick(60 * SECOND - 1)
    host.is_in(FIN_WAIT_2)
    scene.tick(1)
    host.is_in(CLOSED)
    host.has_forgotten_all()


def test_the_longest_silence_ends_every_closing_state_by_default(stage: Stage) -> None:
    scene, host, _ = stage.opened()
    host.closes()
    host.emits(FIN | ACK)
    while host.status().state == "FIN-WAIT-1":
        scene.tick_until_output(600 * SECOND)
        scene.next_packet()
    host.has_forgotten_all()
