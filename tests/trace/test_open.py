"""THE THREE-WAY HANDSHAKE: active, passive and simultaneous open, and what is lost or refused on the way."""

from __future__ import annotations

import pytest

from synfin.tcp import errors
from synfin.tcp.config import COOKIES_OFF
from synfin.tcp.states import CLOSED, ESTABLISHED, FIN_WAIT_1, LISTEN, SYN_RCVD, SYN_SENT
from synfin.tcp.turn import CONNECTED, FAILED, GONE, READABLE
from synfin.wire.tcp_header import ACK, FIN, RST, SYN
from tests.trace.scene import DATA, MS, RTT, SECOND, Stage, plain, text

# ---- active ----


def test_active_open_is_syn_then_ack_of_the_syn_ack(stage: Stage) -> None:
    # RFC 9293 3.5, figure 6
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.is_in(SYN_SENT)
    host.emits(SYN, seq=0, mss=1460)
    peer.sends(SYN | ACK, seq=0, ack=1, mss=1460)
    host.is_in(ESTABLISHED)
    host.emits(ACK, seq=1, ack=1)
    host.hears(all_of=CONNECTED, none_of=FAILED | GONE)


def test_the_third_segment_carries_data_that_was_written_already(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.writes(5)
    host.emits(SYN, seq=0)  # data never rides on a SYN
    peer.sends(SYN | ACK, mss=1000)
    host.emits(DATA, 5, seq=1, ack=1)


@pytest.mark.parametrize("fin", [0, FIN])
def test_text_and_fin_on_a_syn_ack_are_not_taken_and_cost_a_retransmission(stage: Stage, fin: int) -> None:
    # docs/states.md: a departure from RFC 9293 3.10.7.3
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN, seq=0)
    peer.sends(SYN | ACK | fin, text(1, 5), mss=1000)
    host.emits(ACK, seq=1, ack=1)
    host.reads(0)
    peer.sends(DATA | fin, 5, seq=1)
    host.emits(ACK, ack=7 if fin else 6)
    host.reads(5)


def test_a_close_before_the_syn_ack_of_a_half_close_sends_the_fin_after_it(stage: Stage) -> None:
    # RFC 9293 3.10.4: the CLOSE waits for the handshake
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.writes(5)
    host.shuts()
    host.emits(SYN, seq=0)
    host.is_in(SYN_SENT)
    peer.sends(SYN | ACK, mss=1000)
    host.is_in(FIN_WAIT_1)
    host.emits(DATA | FIN, 5, seq=1, ack=1)


def test_close_in_syn_sent_deletes_the_connection_at_once(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN)
    host.closes()
    host.is_in(CLOSED)
    host.has_forgotten_all()
    peer.sends(SYN | ACK, mss=1000)
    host.emits(RST, seq=1)


def test_abort_in_syn_sent_deletes_the_connection_without_a_segment(stage: Stage) -> None:
    scene = stage()
    host = scene.host
    host.connects()
    host.emits(SYN)
    host.aborts()
    host.has_forgotten_all()


def test_a_syn_goes_again_after_1_2_4_8_16_32_s_and_the_attempt_fails_after_127_s(stage: Stage) -> None:
    # RFC 6298 2.1, 5.5
    scene = stage()
    host = scene.host
    host.connects()
    host.emits(SYN, seq=0)
    for seconds in (1, 2, 4, 8, 16, 32):
        scene.tick(seconds * SECOND - 1)
        host.is_silent()
        scene.tick(1)
        host.emits(SYN, seq=0, mss=1460)
    scene.tick(64 * SECOND - 1)
    host.is_in(SYN_SENT)
    scene.tick(1)
    host.is_in(CLOSED)
    assert host.connection.error == errors.TIMED_OUT
    host.hears(all_of=FAILED | GONE, none_of=CONNECTED)
    host.counted(AttemptFails=1, TCPTimeouts=6, RetransSegs=6)
    host.has_forgotten_all()


def test_after_a_lost_syn_the_first_rto_is_3_s_and_the_window_one_segment(stage: Stage) -> None:
    # RFC 6298 5.7; RFC 5681 3.1
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN, seq=0)
    scene.tick(SECOND)
    host.emits(SYN, seq=0)
    scene.tick(RTT)
    peer.sends(SYN | ACK, mss=1000)
    host.writes(3000)
    host.emits(ACK, 1000, seq=1, ack=1)
    scene.tick(3 * SECOND - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(ACK, 1000, seq=1)


def test_rst_with_the_right_ack_refuses_an_active_open(stage: Stage) -> None:
    # RFC 9293 3.10.7.3, second
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN)
    peer.sends(RST | ACK, seq=0, ack=1)
    host.is_in(CLOSED)
    assert host.connection.error == errors.REFUSED
    host.hears(all_of=FAILED | GONE)
    host.has_forgotten_all()
    with pytest.raises(ConnectionRefusedError):
        host.connection.write(b"x")


@pytest.mark.parametrize("ack", [0, 2, 5000, -1])
def test_rst_with_another_ack_or_none_does_not_disturb_syn_sent(stage: Stage, ack: int) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN)
    peer.sends(RST | ACK if ack >= 0 else RST, seq=0, ack=ack)
    host.is_silent()
    host.is_in(SYN_SENT)


@pytest.mark.parametrize("flags", [ACK, SYN | ACK])
@pytest.mark.parametrize("ack", [0, 2])
def test_an_ack_of_what_was_never_sent_is_reset_and_the_attempt_goes_on(stage: Stage, flags: int, ack: int) -> None:
    # RFC 9293 3.10.7.3, first; figure 9: a half-open connection is discovered
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN)
    peer.sends(flags, seq=300, ack=ack)
    host.emits(RST, seq=ack)
    host.is_in(SYN_SENT)
    peer.sends(SYN | ACK, seq=0, ack=1, mss=1000)
    host.emits(ACK, seq=1, ack=1)
    host.is_in(ESTABLISHED)


def test_an_ack_without_syn_or_a_segment_without_any_flag_is_dropped_in_syn_sent(stage: Stage) -> None:
    # RFC 9293 3.10.7.3, fifth
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN)
    peer.sends(ACK, seq=1, ack=1)
    peer.sends(0, 10, seq=1)
    peer.sends(FIN, seq=1)
    host.is_silent()
    host.is_in(SYN_SENT)


def test_data_and_fin_on_a_syn_ack_are_not_taken_and_only_the_syn_is_acknowledged(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN)
    peer.sends(SYN | ACK | FIN, 50, seq=0, ack=1, mss=1000)
    host.emits(ACK, seq=1, ack=1)
    host.is_in(ESTABLISHED)
    host.reads(0)


# ---- passive ----


def test_passive_open_is_syn_ack_then_established_by_the_third_segment(stage: Stage) -> None:
    # RFC 9293 3.5, figure 6
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, seq=0, mss=1460)
    host.emits(SYN | ACK, seq=0, ack=1, mss=1460)
    host.has(half_open=1, connections=0, accept_queue=0)
    peer.sends(ACK, seq=1, ack=1)
    host.is_silent()
    host.has(half_open=0, connections=1, accept_queue=1)
    host.accepts()
    host.is_in(ESTABLISHED)
    host.hears(all_of=CONNECTED)
    assert scene.transitions == [(LISTEN, SYN_RCVD), (SYN_RCVD, ESTABLISHED)]


def test_the_third_segment_may_carry_data_and_fin(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1460)
    host.emits(SYN | ACK)
    peer.sends(DATA | FIN, 100, seq=1, ack=1)
    host.emits(ACK, ack=102)
    host.accepts()
    host.hears(all_of=CONNECTED | READABLE)
    host.reads(100)


def test_data_on_a_syn_is_not_accepted_and_is_taken_when_it_comes_again(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, b"early", seq=0, mss=1460)
    host.emits(SYN | ACK, ack=1)
    peer.sends(DATA, 5, seq=1, ack=1)
    host.emits(ACK, ack=6)
    host.accepts()
    host.reads(5)


def test_a_syn_ack_goes_again_after_1_2_4_8_16_s_and_the_entry_is_gone_at_63_s(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1460)
    host.emits(SYN | ACK, seq=0, ack=1)
    for seconds in (1, 2, 4, 8, 16):
        scene.tick(seconds * SECOND - 1)
        host.is_silent()
        scene.tick(1)
        host.emits(SYN | ACK, seq=0, ack=1, mss=1460)
    scene.tick(32 * SECOND - 1)
    host.has(half_open=1)
    scene.tick(1)
    host.is_silent()
    host.counted(AttemptFails=1, TCPTimeouts=5, RetransSegs=5)
    host.has_forgotten_all()
    peer.sends(ACK, seq=1, ack=1)
    host.emits(RST, seq=1)


def test_an_early_duplicate_syn_is_answered_but_neither_restarts_the_timer_nor_counts_as_a_retry(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, seq=0, mss=1460)
    host.emits(SYN | ACK, seq=0, ack=1)
    for _ in range(10):
        scene.tick(49 * MS)
        peer.sends(SYN, seq=0, mss=1460)
        host.emits(SYN | ACK, seq=0, ack=1, mss=1460)
    scene.tick(510 * MS - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(SYN | ACK, seq=0, ack=1)
    host.has(half_open=1)


def test_a_syn_that_comes_again_shortly_before_the_timer_gets_one_syn_ack_and_not_two(stage: Stage) -> None:
    # RFC 6298 5.6: the answer takes the place of what the timer would send
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, seq=0, mss=1460)
    host.emits(SYN | ACK, seq=0, ack=1)
    scene.tick(SECOND - 1)
    peer.sends(SYN, seq=0, mss=1460)
    host.emits(SYN | ACK, seq=0, ack=1)
    scene.tick(SECOND - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(SYN | ACK, seq=0, ack=1)
    host.counted(RetransSegs=2, TCPTimeouts=1)


def test_what_acknowledges_a_syn_ack_that_went_again_for_a_syn_measures_no_round_trip(stage: Stage) -> None:
    # Karn's, and RFC 6298 5.7: the first timeout is 3 s
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, seq=0, mss=1460)
    host.emits(SYN | ACK, seq=0, ack=1)
    scene.tick(SECOND - 1)
    peer.sends(SYN, seq=0, mss=1460)
    host.emits(SYN | ACK, seq=0, ack=1)
    scene.tick(RTT)
    peer.sends(ACK, seq=1, ack=1)
    host.accepts()
    assert (host.status().srtt_us, host.status().rto_us) == (0, 3 * SECOND)


@pytest.mark.parametrize("took", [0, 1])
def test_a_handshake_that_is_over_within_a_tick_of_the_clock_has_a_round_trip_at_the_passive_end_too(
    stage: Stage, took: int
) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, seq=0, mss=1460)
    host.emits(SYN | ACK, seq=0, ack=1)
    scene.tick(took)
    peer.sends(ACK, seq=1, ack=1)
    host.accepts()
    assert (host.status().srtt_us, host.status().rto_us) == (1, 200 * MS)


def test_syns_that_come_again_and_again_do_not_keep_a_half_open_entry_for_ever(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, seq=0, mss=1460)
    host.emits(SYN | ACK, seq=0, ack=1)
    waited = 0
    while scene.stack.counters.AttemptFails == 0 and waited < 200 * SECOND:
        scene.tick(400 * MS)
        waited += 400 * MS
        while scene.next_packet() is not None:
            pass
        if scene.stack.census()["half_open"]:
            peer.sends(SYN, seq=0, mss=1460)
            host.emits(SYN | ACK, seq=0, ack=1)
    assert 63 * SECOND <= waited <= 97 * SECOND
    host.has_forgotten_all()


def test_another_syn_of_the_same_tuple_gets_an_ack_so_that_its_sender_resets_the_old_entry(stage: Stage) -> None:
    # RFC 9293 3.5, figure 8: recovery from an old duplicate SYN, seen from its end
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, seq=0, mss=1460)
    host.emits(SYN | ACK, seq=0, ack=1)
    peer.sends(SYN, seq=90000, mss=1460)
    host.emits(ACK, seq=1, ack=1)
    peer.sends(RST, seq=1)
    host.is_silent()
    host.has_forgotten_all()
    peer.sends(SYN, seq=90000, mss=1460)
    peer.acked = 0
    host.emits(SYN | ACK, seq=0, ack=90001)


def test_a_rst_to_a_half_open_entry_must_bear_the_exact_number(stage: Stage) -> None:
    # RFC 5961 3.2
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, seq=0, mss=1460)
    host.emits(SYN | ACK)
    peer.sends(RST, seq=2)
    peer.sends(RST, seq=0)
    host.is_silent()
    host.has(half_open=1)
    peer.sends(RST, seq=1)
    host.is_silent()
    host.has(half_open=0)


@pytest.mark.parametrize("ack", [0, 2, 70000])
def test_a_third_segment_that_confirms_another_number_is_reset(stage: Stage, ack: int) -> None:
    # RFC 9293 3.10.7.4, fifth, SYN-RECEIVED
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1460)
    host.emits(SYN | ACK)
    peer.sends(ACK, seq=1, ack=ack)
    host.emits(RST, seq=ack)
    host.has(half_open=1, connections=0)


def test_a_syn_that_comes_again_in_a_simultaneous_open_is_answered_and_counted(stage: Stage) -> None:
    # RFC 9293 3.10.7.4: the answer neither restarts the timer nor counts as one of its tries
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN, seq=0)
    peer.sends(SYN, seq=0, mss=1460)
    host.emits(SYN | ACK, seq=0, ack=1)
    deadline = host.status().deadline
    peer.sends(SYN, seq=0, mss=1460)
    host.emits(SYN | ACK, seq=0, ack=1)
    assert host.status().deadline == deadline
    assert "retransmission: SYN,ACK for a SYN that came again" in scene.notes[-1]
    host.counted(RetransSegs=1)
    host.aborts()
    while scene.next_packet() is not None:
        pass


def test_a_third_segment_outside_the_window_gets_an_ack_whatever_it_acknowledges(stage: Stage) -> None:
    # RFC 9293 3.10.7.4, first: the window before the acknowledgement; as Linux does
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1460)
    host.emits(SYN | ACK)
    for ack in (1, 2):
        peer.sends(DATA, 10, seq=65536, ack=ack)
        host.emits(ACK, seq=1, ack=1)
        peer.sends(ACK, seq=65536, ack=ack)  # a bare ACK: silence, or two hosts at odds would never end
        host.is_silent()
    host.has(half_open=1)
    host.counted(TCPChallengeACK=2, RetransSegs=0, OutRsts=0)


def test_the_third_segment_lost_is_made_good_by_the_first_data(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1460)
    host.emits(SYN | ACK)
    peer.sends(DATA, 10, seq=1, ack=1)
    host.emits(ACK, ack=11)
    host.accepts()
    host.reads(10)


def test_out_of_order_data_may_complete_the_handshake(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1460)
    host.emits(SYN | ACK)
    peer.sends(DATA, 10, seq=11, ack=1)
    host.emits(ACK, ack=1)
    peer.sends(DATA, 10, seq=1, ack=1)
    host.emits(ACK, ack=21)
    host.accepts()
    host.reads(20)


@pytest.mark.parametrize("flags", [SYN | FIN, FIN, 0])
def test_nonsense_to_a_listener_is_dropped(stage: Stage, flags: int) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(flags, seq=0)
    host.is_silent()
    host.has(half_open=0)


@pytest.mark.parametrize("flags", [ACK, ACK | FIN, SYN | ACK])
def test_an_ack_to_a_listener_is_reset(stage: Stage, flags: int) -> None:
    # RFC 9293 3.10.7.2, second
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(flags, seq=7, ack=99)
    host.emits(RST, seq=99)


def test_after_a_syn_ack_that_had_to_go_again_the_window_is_one_segment(stage: Stage) -> None:
    # RFC 5681 3.1
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK)
    scene.tick(SECOND)
    host.emits(SYN | ACK, seq=0)
    peer.sends(ACK, seq=1, ack=1)
    host.accepts()
    host.writes(2000)
    host.emits(ACK, 1000, seq=1)
    scene.tick(3 * SECOND - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(ACK, 1000, seq=1)


# ---- both at once ----


def test_simultaneous_open_needs_no_listener(stage: Stage) -> None:
    # RFC 9293 3.5, figure 7
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN, seq=0)
    peer.sends(SYN, seq=0, mss=1000)
    host.is_in(SYN_RCVD)
    host.emits(SYN | ACK, seq=0, ack=1)
    peer.sends(SYN | ACK, seq=0, ack=1, mss=1000)
    host.is_silent()
    host.is_in(ESTABLISHED)
    host.hears(all_of=CONNECTED)
    host.writes(10)
    host.emits(DATA, 10, seq=1, ack=1)


def test_a_simultaneous_open_may_be_completed_by_an_ack_with_data(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN)
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK, seq=0, ack=1)
    peer.sends(DATA, 10, seq=1, ack=1)
    host.emits(ACK, seq=1, ack=11)
    host.reads(10)
    host.is_in(ESTABLISHED)


def test_in_syn_rcvd_the_syn_ack_goes_again_and_gives_up(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN)
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK, seq=0, ack=1)
    waited = 0
    while host.status().state == "SYN-RCVD":
        scene.tick(SECOND)
        waited += 1
        if scene.next_packet() is None:
            host.is_silent()
    assert waited <= 130
    assert host.connection.error == errors.TIMED_OUT
    host.has_forgotten_all()


def test_the_exact_rst_in_syn_rcvd_refuses_the_open_and_one_in_the_window_is_challenged(stage: Stage) -> None:
    # RFC 9293 3.10.7.4, second; RFC 5961 3.2
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN)
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK, seq=0, ack=1)
    peer.sends(RST, seq=2)
    host.emits(ACK, seq=1, ack=1)
    peer.sends(RST, seq=1)
    host.is_silent()
    assert host.connection.error == errors.REFUSED
    host.has_forgotten_all()


def test_a_wrong_ack_in_syn_rcvd_is_reset(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN)
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK, seq=0, ack=1)
    peer.sends(ACK, seq=1, ack=2)
    host.emits(RST, seq=2)
    host.is_in(SYN_RCVD)


def test_two_opens_of_one_stack_may_cross_and_are_one_connection(stage: Stage) -> None:
    # RFC 9293 3.5, figure 8, with both ends inside
    scene = stage()
    stack = scene.stack
    left = stack.connect("10.0.0.1", 4001, scene.now, local_port=4000)
    right = stack.connect("10.0.0.1", 4000, scene.now, local_port=4001)
    scene.host.is_silent()
    assert left.snapshot().state == right.snapshot().state == "ESTABLISHED"
    left.write(b"to the other")
    scene.host.is_silent()
    assert b"".join(right.read(scene.now)) == b"to the other"
    left.close(scene.now)
    right.close(scene.now)
    scene.host.is_silent()
    assert left.snapshot().state == right.snapshot().state == "TIME-WAIT"
    scene.tick(60 * SECOND)
    scene.host.has_forgotten_all()


def test_a_connection_to_an_own_address_stays_inside_the_stack(stage: Stage) -> None:
    scene = stage()
    host = scene.host
    listener = scene.stack.listen(80)
    client = scene.stack.connect("10.0.0.1", 80, scene.now)
    host.is_silent()
    server = listener.accept()
    assert server is not None
    server.write(b"hello")
    host.is_silent()
    assert b"".join(client.read(scene.now)) == b"hello"


def test_a_connection_to_an_own_address_without_a_listener_is_refused(stage: Stage) -> None:
    scene = stage()
    client = scene.stack.connect("10.0.0.1", 81, scene.now)
    scene.host.is_silent()
    assert client.error == errors.REFUSED


def test_ipv6_opens_as_ipv4_does(stage: Stage) -> None:
    scene = stage(address=bytes.fromhex("fd000000000000000000000000000001"))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1440)
    host.emits(SYN | ACK, seq=0, ack=1, mss=1440)
    peer.sends(DATA, 100, seq=1, ack=1)
    host.emits(ACK, seq=1, ack=101)
    host.accepts()
    host.reads(100)


# ---- the queues of a listener ----


def test_with_the_accept_queue_full_new_syns_are_dropped(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens(backlog=1)
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK)
    peer.sends(ACK)
    late = scene.another_peer()
    late.sends(SYN, mss=1000)
    host.is_silent()
    host.counted(ListenOverflows=1, ListenDrops=1)
    host.accepts()
    late.sends(SYN, seq=0, mss=1000)
    host.emits(SYN | ACK, to=late)


def test_with_the_accept_queue_full_the_final_ack_is_ignored_and_the_repeated_syn_ack_completes_later(
    stage: Stage,
) -> None:
    # as Linux
    scene = stage()
    host, peer = scene.host, scene.peer
    late = scene.another_peer()
    host.listens(backlog=1)
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK)
    late.sends(SYN, mss=1000)
    host.emits(SYN | ACK, to=late)
    peer.sends(ACK)
    late.sends(ACK)
    host.is_silent()
    host.has(half_open=1, accept_queue=1)
    host.counted(ListenOverflows=1, ListenDrops=1)
    host.accepts()
    scene.tick(SECOND)
    host.emits(SYN | ACK, seq=0, to=late)
    late.sends(ACK, seq=1, ack=1)
    host.accepts()
    host.is_in(ESTABLISHED)


def test_with_the_accept_queue_full_the_first_data_completes_it_later(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    late = scene.another_peer()
    host.listens(backlog=1)
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK)
    late.sends(SYN, mss=1000)
    host.emits(SYN | ACK, to=late)
    peer.sends(ACK)
    late.sends(ACK)
    host.is_silent()
    host.accepts()
    late.sends(DATA, 10, seq=1, ack=1)
    host.emits(ACK, ack=11, to=late)
    host.accepts()
    host.reads(10)


def test_with_the_syn_queue_full_and_cookies_off_new_syns_are_dropped_silently_and_counted(stage: Stage) -> None:
    scene = stage(plain(syn_queue_limit=2, syn_cookies=COOKIES_OFF))
    host, peer = scene.host, scene.peer
    host.listens()
    second, third = scene.another_peer(), scene.another_peer()
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK)
    second.sends(SYN, mss=1000)
    host.emits(SYN | ACK, to=second)
    third.sends(SYN, mss=1000)
    host.is_silent()
    host.counted(ListenDrops=1, ListenOverflows=0)
    host.has(half_open=2)
    peer.sends(ACK)
    third.sends(SYN, seq=0, mss=1000)
    host.emits(SYN | ACK, to=third)


def test_connections_are_accepted_in_order_of_completion(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    second = scene.another_peer()
    host.listens()
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK)
    second.sends(SYN, mss=1000)
    host.emits(SYN | ACK, to=second)
    second.sends(ACK)
    peer.sends(ACK)
    assert host.accepts().key == second.key
    assert host.accepts().key == peer.key
    host.has_nothing_to_accept()


def test_closing_a_listener_resets_the_unaccepted_and_the_half_open(stage: Stage) -> None:
    # RFC 9293 3.10.5: whose third segment was lost, or is on its way, takes himself for connected
    scene = stage()
    host, peer = scene.host, scene.peer
    half = scene.another_peer()
    listener = host.listens()
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK)
    peer.sends(DATA, 10)
    host.emits(ACK, ack=11)
    half.sends(SYN, mss=1000)
    host.emits(SYN | ACK, to=half)
    scene.stack.close_listener(listener, scene.now)
    host.emits(RST | ACK, seq=1, ack=11)
    host.emits(RST | ACK, seq=1, ack=1, to=half, win=0)
    host.counted(OutRsts=2, AttemptFails=1)
    half.sends(ACK, seq=1, ack=1)
    host.emits(RST, seq=1, to=half)
    host.has_forgotten_all()


def test_a_host_that_ends_resets_what_is_half_open_with_the_timestamp_that_was_agreed_on(stage: Stage) -> None:
    scene = stage(plain(timestamps=True))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, ts=(7, 0))
    tick = host.emits(SYN | ACK).ts_val
    scene.stack.abort_all(scene.now)
    host.emits(RST | ACK, seq=1, ack=1, ts=(tick, 7))
    host.has_forgotten_all()


def test_the_owner_of_a_listener_is_told_what_of_his_half_open_entries_became_nothing(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    lost: list[bytes] = []
    scene.stack.tell_of_lost(lost.append)
    host.listens()
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK)
    scene.stack.close_listener(host.listener, scene.now)
    host.emits(RST | ACK)
    assert lost == [peer.key]


def test_an_accepted_connection_outlives_its_listener(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    scene.stack.close_listener(host.listener, scene.now)
    peer.sends(DATA, 10)
    host.emits(ACK, ack=11)
    host.reads(10)


@pytest.mark.parametrize("polled", [True, False])
def test_a_child_reset_before_it_was_accepted_is_never_handed_out(stage: Stage, polled: bool) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    other = scene.another_peer()
    host.listens()
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK)
    other.sends(SYN, mss=1000)
    host.emits(SYN | ACK, to=other)
    peer.sends(ACK)
    other.sends(ACK)
    peer.sends(RST, seq=1)
    if polled:
        host.is_silent()
        host.has(accept_queue=1)
    assert host.accepts().key == other.key
    host.has_nothing_to_accept()


def test_a_child_that_got_data_and_fin_before_it_was_accepted_is_handed_out_with_them(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK)
    peer.sends(DATA | FIN, 10)
    host.emits(ACK, ack=12)
    host.accepts()
    host.reads(10)
