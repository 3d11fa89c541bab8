"""What is lost at the end, what was not lost at all, and a path that comes back: RFC 8985 7, 5682, 3522, 2883, 6069."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from synfin.tcp.congestion.base import FAST, LOSS, NONE
from synfin.tcp.congestion.newreno import NewReno
from synfin.tcp.tail_probe import GRACE_US
from synfin.wire.tcp_header import ACK, FIN, SYN
from tests.trace.scene import DATA, MS, RTO, RTT, SECOND, Host, Peer, Scene, Stage, plain

OVERDUE = RTT + GRACE_US  # after flight(): what is left of the two round trips that a probe waits for, and the grace


def flight(
    stage: Stage, segments: int = 10, *, sack_ok: bool = True, extra: int = 0, **settings: object
) -> tuple[Scene, Host, Peer]:
    """So many segments are out, `extra` bytes wait, one RTT has passed."""
    config = plain(congestion_control=NewReno, initial_window=segments, **settings)
    scene, host, peer = stage.opened(config, sack_ok=sack_ok)
    host.writes(segments * 1000 + extra)
    for number in range(segments):
        host.emits(ACK if extra or number < segments - 1 else DATA, 1000)
    scene.tick(RTT)
    return scene, host, peer


def phase(host: Host) -> int:
    return int(host.connection.sender.losses.recovery.phase)


# ---- the tail ----


def test_after_two_round_trips_of_silence_the_last_segment_is_sent_again_as_a_probe(stage: Stage) -> None:
    # RFC 8985 7.3
    scene, host, peer = flight(stage, 3)
    scene.tick(OVERDUE - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(DATA, 1000, seq=2001)
    host.counted(TCPLossProbes=1, TCPTimeouts=0)
    scene.tick(RTT)
    peer.sends(ACK, ack=1, sack=[(2001, 3001)])  # the two before it are missing
    host.emits(ACK, 1000, seq=1)
    peer.sends(ACK, ack=1001, sack=[(2001, 3001)])
    host.emits(ACK, 1000, seq=1001)
    peer.sends(ACK, ack=3001)
    host.counted(TCPTimeouts=0, TCPFastRetrans=1, RetransSegs=3)


def test_a_probe_is_new_data_where_there_is_some(stage: Stage) -> None:
    scene, host, peer = flight(stage, 3, extra=1500)
    scene.tick(OVERDUE)
    host.emits(ACK, 1000, seq=3001)
    scene.tick(RTT)
    peer.sends(ACK, ack=4001)
    host.emits(DATA, 500, seq=4001)
    host.counted(RetransSegs=0)
    peer.sends(ACK, ack=4501)


def test_one_segment_waits_for_the_peers_delayed_ack_before_it_is_probed(stage: Stage) -> None:
    scene, host, peer = flight(stage, 1)
    scene.tick(RTO - RTT - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(DATA, 1000, seq=1)
    host.counted(TCPLossProbes=1, TCPTimeouts=0)
    peer.sends(ACK, ack=1001)


def test_a_loss_that_the_probe_alone_has_mended_is_answered_by_cwnd(stage: Stage) -> None:
    # RFC 8985 7.4.2
    scene, host, peer = flight(stage, 10)
    scene.tick(OVERDUE)
    host.emits(DATA, 1000, seq=9001)
    scene.tick(RTT)
    peer.sends(ACK, ack=10001)
    host.writes(1000)
    host.emits(DATA, 1000, seq=10001)
    scene.tick(RTT)
    peer.sends(ACK, ack=11001)
    host.counted(TCPLossProbeRecovery=1)
    assert host.status().ssthresh == 5000


def test_a_probe_of_which_the_peer_says_that_it_came_twice_costs_nothing(stage: Stage) -> None:
    scene, host, peer = flight(stage, 10)
    scene.tick(OVERDUE)
    host.emits(DATA, 1000, seq=9001)
    peer.sends(ACK, ack=10001)  # the ACK was late
    scene.tick(RTT)
    peer.sends(ACK, ack=10001, sack=[(9001, 10001)])
    host.writes(1000)
    host.emits(DATA, 1000, seq=10001)
    scene.tick(RTT)
    peer.sends(ACK, ack=11001)
    host.counted(TCPLossProbeRecovery=0, TCPDSACKRecv=1)


# ---- taken back ----


def test_a_timeout_that_only_a_delay_caused_is_taken_back_by_what_was_not_sent_again(stage: Stage) -> None:
    # RFC 5682 3.1: the path stood still longer than the timer, and lost nothing
    scene, host, peer = flight(stage, 10, extra=20000)
    scene.tick(OVERDUE)
    host.emits(ACK, 1000, seq=10001)  # the probe
    scene.tick(RTO)
    host.emits(ACK, 1000, seq=1)
    assert phase(host) == LOSS and host.status().cwnd == 1000
    peer.sends(ACK, ack=1001, sack=[(1001, 2001)])
    assert phase(host) == NONE
    host.counted(TCPTimeouts=1, TCPFullUndo=1)
    assert host.status().cwnd >= 10000 and host.status().lost == 0 and host.status().rto_us == RTO
    while scene.next_packet() is not None:
        pass


def test_what_is_missing_though_the_timeout_was_for_nothing_goes_at_once(stage: Stage) -> None:
    # the ACK of the first two, and of the fourth, was lost, and the third segment
    scene, host, peer = flight(stage, 4)
    scene.tick(OVERDUE)
    host.emits(DATA, 1000, seq=3001)  # the probe, lost as well
    scene.tick(RTO)
    host.emits(ACK, 1000, seq=1)
    scene.tick(RTT)
    peer.sends(ACK, ack=2001, sack=[(1, 1001), (3001, 4001)])
    host.emits(ACK, 1000, seq=2001)
    host.counted(TCPTimeouts=1, TCPFullUndo=1)
    assert phase(host) == FAST and host.status().ssthresh == 2000
    peer.sends(ACK, ack=4001)


def test_without_sack_it_takes_two_acks_to_see_it(stage: Stage) -> None:
    # RFC 5682 2.1: the first may answer the retransmission; new data goes out, and the second tells
    scene, host, peer = flight(stage, 10, sack_ok=False, extra=20000)
    scene.tick(RTO)
    host.emits(ACK, 1000, seq=1)
    peer.sends(ACK, ack=1001)
    host.emits(ACK, 1000, seq=10001)
    host.emits(ACK, 1000, seq=11001)
    assert phase(host) == LOSS
    peer.sends(ACK, ack=2001)
    assert phase(host) == NONE
    host.counted(TCPFullUndo=1)
    while scene.next_packet() is not None:
        pass


def test_after_a_real_timeout_a_duplicate_ack_ends_the_question(stage: Stage) -> None:
    scene, host, peer = flight(stage, 10, sack_ok=False, extra=20000)
    scene.tick(RTO)
    host.emits(ACK, 1000, seq=1)
    peer.sends(ACK, ack=1001)
    host.emits(ACK, 1000, seq=10001)
    host.emits(ACK, 1000, seq=11001)
    peer.sends(ACK, ack=1001)
    while scene.next_packet() is not None:
        pass
    peer.sends(ACK, ack=2001)
    assert phase(host) == LOSS
    host.counted(TCPFullUndo=0)
    while scene.next_packet() is not None:
        pass


def test_an_echo_of_the_first_transmission_takes_a_fast_retransmit_back(stage: Stage) -> None:
    # RFC 3522: three segments had overtaken the first
    scene = stage(plain(timestamps=True, congestion_control=NewReno))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1012, ts=(scene.now // MS, 0), sack_ok=True)
    host.emits(SYN | ACK, ack=1)
    scene.tick(RTT)
    peer.sends(ACK)
    host.accepts()
    host.writes(10000)
    for _ in range(9):
        host.emits(ACK, 1000)
    first = host.emits(DATA, 1000).ts_val
    scene.tick(RTT)
    peer.sends(ACK, ack=1, sack=[(1001, 4001)], ts=(peer.ts_now(), first))
    host.emits(ACK, 1000, seq=1)
    assert host.status().ssthresh == 5000
    scene.tick(MS)
    peer.sends(ACK, ack=4001, ts=(peer.ts_now(), first))
    assert phase(host) == NONE and host.status().cwnd >= 10000
    host.counted(TCPFullUndo=1)
    peer.sends(ACK, ack=10001)


def test_the_first_answer_after_a_timeout_for_nothing_does_not_make_the_others_lost(stage: Stage) -> None:
    # RFC 8985 6.2 step 2: what it acknowledges had gone again since, but what arrived was the first transmission
    scene = stage(plain(timestamps=True, congestion_control=NewReno))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1012, ts=(scene.now // MS, 0), sack_ok=True)
    host.emits(SYN | ACK, ack=1)
    scene.tick(RTT)
    peer.sends(ACK)
    host.accepts()
    host.writes(10000)
    for _ in range(9):
        host.emits(ACK, 1000)
    first = host.emits(DATA, 1000).ts_val
    scene.tick_until_output()
    host.emits(DATA, 1000, seq=9001)  # the probe
    scene.tick_until_output()
    host.emits(ACK, 1000, seq=1)
    assert phase(host) == LOSS
    scene.tick(10 * RTT)  # more than a round trip, as far as one is known
    for number in range(1, 11):
        peer.sends(ACK, ack=number * 1000 + 1, ts=(peer.ts_now(), first))
        assert phase(host) == NONE and host.status().lost == 0
        host.is_silent()
    host.counted(TCPTimeouts=1, TCPFullUndo=1, TCPFastRetrans=0, RetransSegs=2)


def test_dsacks_for_all_that_was_sent_again_take_it_back_though_recovery_is_over(stage: Stage) -> None:
    scene, host, peer = flight(stage, 10)
    peer.sends(ACK, ack=1, sack=[(1001, 4001)])
    host.emits(ACK, 1000, seq=1)
    peer.sends(ACK, ack=10001)
    assert phase(host) == NONE and host.status().ssthresh == 5000
    host.writes(1000)
    host.emits(DATA, 1000, seq=10001)
    scene.tick(RTT)
    peer.sends(ACK, ack=10001, sack=[(1, 1001)])
    host.counted(TCPFullUndo=1)
    assert host.status().ssthresh > 10000 and host.status().cwnd >= 10000
    peer.sends(ACK, ack=11001)


# ---- the path comes back ----


def test_a_sign_of_life_after_timeouts_sends_at_once_what_stands_first(stage: Stage) -> None:
    scene, host, peer = flight(stage, 10, path_mtu_probing="off")
    scene.tick(7 * SECOND)
    while scene.next_packet() is not None:
        pass
    waits = host.status().deadline - scene.now
    assert waits > SECOND
    peer.sends(DATA, 100, ack=1)
    host.emits(ACK, 1000, seq=1, ack=101)
    peer.sends(DATA, 100, ack=1)
    host.emits(ACK, ack=201)  # once for each timeout without back-off
    scene.tick(RTT)
    peer.sends(ACK, ack=10001)


def test_a_link_that_comes_up_again_sends_at_once_what_stands_first_and_no_timer_moves(stage: Stage) -> None:
    scene, host, peer = flight(stage, 10, path_mtu_probing="off")
    scene.tick(7 * SECOND)
    while scene.next_packet() is not None:
        pass
    before = host.status()
    assert before.deadline - scene.now > SECOND
    scene.stack.link_is_up(scene.now)
    host.emits(ACK, 1000, seq=1)
    host.is_silent()
    after = host.status()
    assert (after.retries, after.rto_us, after.deadline) == (before.retries, before.rto_us, before.deadline)
    scene.tick(RTT)
    peer.sends(ACK, ack=1001)
    host.emits(ACK, 1000, seq=1001)
    host.emits(ACK, 1000, seq=2001)
    peer.sends(ACK, ack=10001)


def test_what_has_waited_for_no_timeout_yet_is_not_sent_again_when_the_link_comes_up(stage: Stage) -> None:
    scene, host, peer = flight(stage, 3)
    scene.stack.link_is_up(scene.now)
    host.is_silent()
    peer.sends(ACK, ack=3001)
    scene.stack.link_is_up(scene.now)
    host.is_silent()


def test_a_syn_a_syn_ack_and_a_probe_of_the_window_go_again_when_the_link_comes_up(stage: Stage) -> None:
    scene = stage()
    host = scene.host
    listening, probing = scene.another_peer(), scene.another_peer()
    host.listens()
    probing.sends(SYN, mss=1000)
    host.emits(SYN | ACK, to=probing)
    probing.sends(ACK, win=0)
    probed = host.accepts()
    probed.write(b"x")
    host.is_silent()
    listening.sends(SYN, mss=1000)
    host.emits(SYN | ACK, to=listening)
    host.connects()
    host.emits(SYN, seq=0)
    scene.tick(20 * SECOND)
    while scene.next_packet() is not None:
        pass
    scene.stack.link_is_up(scene.now)
    host.emits(SYN, seq=0)
    host.emits(SYN | ACK, seq=0, to=listening)
    host.emits(ACK, b"x", seq=1, to=probing)
    host.is_silent()
    scene.stack.abort_all(scene.now)
    while scene.next_packet() is not None:
        pass


def test_a_router_that_could_not_carry_it_takes_one_back_off_back(stage: Stage) -> None:
    # RFC 6069
    scene, host, peer = flight(stage, 10)
    scene.tick(7 * SECOND)
    while scene.next_packet() is not None:
        pass
    before = host.status()
    peer.sends_icmp(3, 1, seq=1, size=1000)
    assert host.status().rto_us == before.rto_us // 2
    assert host.status().deadline < before.deadline
    host.is_silent()
    peer.sends(ACK, ack=10001)


def gives_up_after(scene: Scene, host: Host, answer: Callable[[], None]) -> int:
    """Microseconds until it does, where `answer` follows each retransmission."""
    begun = scene.now
    while host.connection.error == 0:
        scene.tick_until_output()
        if scene.next_packet() is not None:
            answer()
    return scene.now - begun


@pytest.mark.parametrize("closed", [False, True])
def test_a_router_that_answers_each_retransmission_ends_no_connection_before_silence_would(
    stage: Stage, closed: bool
) -> None:
    # RFC 9293 3.8.3: R2 is to be at least 100 s
    taken = []
    for answered in (False, True):
        scene, host, peer = flight(stage, 1, path_mtu_probing="off")
        if closed:
            host.closes()
            host.emits(FIN | ACK, seq=1001)
        answer = partial(peer.sends_icmp, 3, 1, seq=1, size=1000) if answered else lambda: None
        taken.append(gives_up_after(scene, host, answer))
    silence, with_answers = taken
    assert silence <= with_answers <= silence + SECOND
    assert silence > 100 * SECOND or closed


def test_what_a_router_said_before_the_user_closed_makes_no_orphan_patient(stage: Stage) -> None:
    taken = []
    for answered in (False, True):
        scene, host, peer = flight(stage, 1, path_mtu_probing="off")
        while host.connection.sender.retries == 0:
            scene.tick_until_output()
            scene.next_packet()
        if answered:
            peer.sends_icmp(3, 1, seq=1, size=1000)
        host.closes()
        scene.next_packet()
        taken.append(gives_up_after(scene, host, lambda: None))
    silence, after_an_answer = taken
    assert after_an_answer <= silence + SECOND


def test_a_lost_syn_does_not_slow_a_connection_whose_round_trip_its_timestamps_tell(stage: Stage) -> None:
    # RFC 6298 5.7 wants 3 s where no round trip is known; a FIN lost five times took 94 s
    scene = stage(plain(timestamps=True))
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN, seq=0)
    scene.tick(SECOND)
    again = host.emits(SYN, seq=0)
    scene.tick(RTT)
    peer.sends(SYN | ACK, mss=1000, ts=(peer.ts_now(), again.ts_val))
    host.emits(ACK, seq=1, ack=1)
    assert host.status().srtt_us == RTT and host.status().rto_us == RTO
    host.closes()
    begun = scene.now
    host.emits(FIN | ACK, seq=1)
    for _ in range(5):
        scene.tick_until_output()
        host.emits(FIN | ACK, seq=1)
    assert scene.now - begun <= 7 * SECOND
    peer.sends(ACK, ack=2)
    peer.sends(FIN | ACK)
    host.emits(ACK, ack=2)
    scene.tick(120 * SECOND)


@pytest.mark.parametrize("others", [3, 4, 7])
def test_a_partial_ack_sends_the_next_hole_at_once_however_few_segments_arrived(stage: Stage, others: int) -> None:
    # RFC 6582 3.2 step 3: duplicates had told of more than what it acknowledges
    _, host, peer = flight(stage, 2 + others, sack_ok=False)
    for _ in range(others):
        peer.sends(ACK, ack=1)
    host.emits(ACK, 1000, seq=1)
    peer.sends(ACK, ack=1001)
    host.emits(ACK, 1000, seq=1001)
    peer.sends(ACK)
    host.is_silent()
