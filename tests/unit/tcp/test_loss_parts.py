"""The parts that find losses, mend them and take them back, number by number of their RFCs."""

from __future__ import annotations

import pytest

from synfin.tcp.congestion.base import FAST, LOSS, NONE
from synfin.tcp.dupacks import DupAcks
from synfin.tcp.prr import Prr
from synfin.tcp.rack import PERSIST, Rack
from synfin.tcp.recovery import Recovery
from synfin.tcp.scoreboard import LOST, Scoreboard
from synfin.tcp.tail_probe import GRACE_US, MAX_ACK_DELAY_US, NO_RTT_US, TailProbe
from synfin.tcp.timer import TIMER_GRACE_US
from synfin.tcp.undo import Undo

MSS = 1000
RTT = 40_000


def sent(*times: int) -> Scoreboard:
    """One segment at each time."""
    board = Scoreboard(1000)
    for number, time in enumerate(times):
        board.add(1 + MSS * number, 1 + MSS * (number + 1), time)
    return board


def sacks(board: Scoreboard, rack: Rack, number: int, now: int) -> None:
    """Segment `number` has arrived."""
    board.begin(now, RTT)
    board.sack(1 + MSS * number, 1 + MSS * (number + 1))
    assert board.rack is not None
    rack.on_delivered(board.rack, board.reordered, now)


def window(rack: Rack, board: Scoreboard, recovering: bool = False, srtt: int = RTT) -> int:
    return int(rack.window(board, recovering, MSS, RTT, srtt))


# ---- RACK ----


def test_the_reordering_window_is_a_quarter_of_the_minimal_round_trip_at_first() -> None:
    # RFC 8985 6.2 step 4, RACK_update_reo_wnd()
    board, rack = sent(0, 0, 0, 0, 0), Rack()
    assert window(rack, board) == RTT // 4
    assert window(rack, board, recovering=True) == 0
    board.begin(RTT, RTT)
    board.sack(2001, 4001)
    assert window(rack, board) == RTT // 4
    board.sack(2001, 4002)
    assert window(rack, board) == 0


def test_once_reordering_was_seen_the_window_stays() -> None:
    board, rack = sent(0, 0, 0, 0, 0), Rack()
    sacks(board, rack, 3, RTT)
    assert not rack.reordering_seen
    sacks(board, rack, 1, RTT + 1)
    assert rack.reordering_seen
    assert window(rack, board, recovering=True) == RTT // 4


def test_each_round_with_a_dsack_widens_the_window_up_to_the_smoothed_round_trip() -> None:
    board, rack = sent(0), Rack()
    rack.reordering_seen = True
    rack.on_dsack(1, 5001)
    rack.on_dsack(1, 9001)  # the same round
    assert window(rack, board) == 2 * RTT // 4
    rack.on_dsack(5001, 9001)
    assert window(rack, board) == 3 * RTT // 4
    for number in range(9):
        rack.on_dsack(9001 + number, 9002 + number)
    assert window(rack, board) == RTT
    for _ in range(PERSIST):
        assert window(rack, board) == RTT
        rack.on_recovered()
    assert window(rack, board) == RTT // 4


def test_where_no_reordering_was_seen_a_dsack_tells_of_a_timer_and_the_window_stays() -> None:
    board, rack = sent(0), Rack()
    rack.on_dsack(1, 5001)
    assert window(rack, board) == RTT // 4


def test_what_was_sent_before_what_arrived_is_lost_when_its_window_is_over_and_not_before() -> None:
    # RFC 8985 6.2 step 5
    board, rack = sent(0, 100, 200), Rack()
    sacks(board, rack, 2, RTT + 200)
    rack.detect(board, 500, RTT + 200)
    assert board.lost == 0 and rack.deadline == RTT + 200 + 500 + TIMER_GRACE_US
    rack.detect(board, 500, RTT + 499)
    assert board.lost == 0
    rack.detect(board, 500, RTT + 500)
    assert [record.state == LOST for record in board.records] == [True, False, False]
    rack.detect(board, 500, rack.deadline)
    assert board.lost == 2 * MSS and rack.deadline == 0


def test_of_one_burst_only_what_stands_before_the_part_that_arrived_can_be_lost() -> None:
    board, rack = Scoreboard(1000), Rack()
    board.add(1, 10001, 0)
    board.begin(RTT, RTT)
    board.sack(4001, 5001)
    assert board.rack is not None
    rack.on_delivered(board.rack, False, RTT)
    rack.detect(board, 0, RTT)
    assert [(record.start, record.end) for record in board.records if record.state == LOST] == [(1, 4001)]
    assert rack.deadline == 0


def test_a_retransmission_is_lost_as_any_other_segment() -> None:
    # RFC 8985 9.1, example 2
    board, rack = sent(0, 0, 0), Rack()
    sacks(board, rack, 2, RTT)
    rack.detect(board, 0, RTT)
    for now in (RTT, RTT + 10):
        record = board.next_lost(MSS)
        assert record is not None
        board.resent(record, now)
    sacks(board, rack, 1, 2 * RTT + 10)
    rack.detect(board, 0, 2 * RTT + 10)
    assert [record.state == LOST for record in board.records] == [True, False]


# ---- the tail-loss probe ----


@pytest.mark.parametrize(
    ("srtt", "one", "rto_deadline", "expected"),
    [
        (RTT, False, 10_000_000, 2 * RTT + GRACE_US),
        (
            400,
            False,
            10_000_000,
            8800,
        ),  # on a path of 0.4 ms a peer waits a time slice for its processor
        (RTT, True, 10_000_000, 2 * RTT + MAX_ACK_DELAY_US),
        (0, False, 10_000_000, NO_RTT_US),
        (RTT, True, 200_000, 200_000),
    ],
)
def test_the_probe_comes_after_two_round_trips_and_never_after_the_timeout(
    srtt: int, one: bool, rto_deadline: int, expected: int
) -> None:
    # RFC 8985 7.2, TLP_calc_PTO()
    probe = TailProbe()
    probe.arm(0, srtt, one, rto_deadline)
    assert probe.deadline == expected


def test_one_probe_at_a_time_and_a_round_trip_measured_between_two() -> None:
    # RFC 8985 7.3
    probe = TailProbe()
    probe.on_timer()
    assert probe.due
    probe.arm(0, RTT, False, 0)  # the probe itself is new data
    probe.sent(5001, 5000, False)
    probe.arm(0, RTT, False, 0)
    assert not probe.due and probe.deadline == 0
    assert not probe.on_ack(5001, False)
    probe.arm(0, RTT, False, 0)
    assert probe.deadline == 0
    probe.on_rtt()
    probe.arm(0, RTT, False, 0)
    assert probe.deadline == 2 * RTT + GRACE_US


@pytest.mark.parametrize(
    ("again", "ack", "duplicate", "dsack", "mended", "over"),
    [
        (False, 5001, False, False, False, True),  # new data was delivered
        (True, 5001, False, True, False, True),  # case 1: it came twice, so nothing was lost
        (True, 5001, True, False, False, True),  # case 2: the same, of a peer without D-SACK
        (True, 5001, False, False, False, False),  # perhaps the ACK of the original: wait
        (True, 5002, False, False, True, True),  # news beyond, and no word of a duplicate: the probe mended a loss
        (True, 5000, False, False, False, False),
    ],
)
def test_what_the_ack_of_a_probe_tells(
    again: bool, ack: int, duplicate: bool, dsack: bool, mended: bool, over: bool
) -> None:
    # RFC 8985 7.4.2, TLP_process_ack()
    probe = TailProbe()
    probe.sent(5001, 5000, again)
    if dsack:
        probe.on_dsack(5001)
    assert probe.on_ack(ack, duplicate) == mended
    assert (probe.end < 0) == over


# ---- PRR ----


def test_above_ssthresh_what_goes_out_is_in_proportion_to_what_arrives() -> None:
    # RFC 9937: 20 segments out, one lost, ssthresh 10: one goes for two that arrive
    prr = Prr(20 * MSS)
    in_flight, out = 19 * MSS, 0
    for _ in range(19):
        in_flight -= MSS
        prr.on_ack(MSS, in_flight, 10 * MSS, MSS, False)
        while prr.allowance >= MSS:
            prr.on_sent(MSS)
            in_flight += MSS
            out += 1
    assert 9 <= out <= 10
    assert in_flight <= 10 * MSS


def test_the_first_ack_lets_one_segment_out_whatever_the_proportion_says() -> None:
    prr = Prr(20 * MSS)
    prr.on_ack(1, 19 * MSS, 10 * MSS, MSS, False)
    assert prr.allowance == MSS
    prr.on_sent(MSS)
    prr.on_ack(1, 19 * MSS, 10 * MSS, MSS, False)
    assert prr.allowance == 0


@pytest.mark.parametrize(("safe", "allowed"), [(False, 2 * MSS), (True, 3 * MSS)])
def test_below_ssthresh_packets_are_conserved_and_an_ack_that_shows_no_further_loss_adds_one(
    safe: bool, allowed: int
) -> None:
    # RFC 9937: the slow-start bound on a safe ACK only
    prr = Prr(20 * MSS)
    prr.on_ack(2 * MSS, 4 * MSS, 10 * MSS, MSS, safe)
    assert prr.allowance == allowed


def test_never_beyond_ssthresh_and_nothing_for_an_ack_that_delivers_nothing() -> None:
    prr = Prr(20 * MSS)
    prr.on_ack(8 * MSS, 9 * MSS, 10 * MSS, MSS, True)
    assert prr.allowance == MSS
    prr.on_sent(MSS)
    prr.on_ack(0, 0, 10 * MSS, MSS, True)
    assert prr.allowance == 0


# ---- duplicate ACKs ----


def test_the_third_duplicate_means_a_loss_and_each_says_that_a_segment_has_left() -> None:
    # RFC 5681 3.2, RFC 3042
    dups = DupAcks()
    assert [dups.on_duplicate(MSS, 10 * MSS) for _ in range(5)] == [False, False, True, False, False]
    assert dups.bytes == 5 * MSS
    dups.on_progress(2 * MSS)
    assert (dups.count, dups.bytes) == (0, 3 * MSS)
    for _ in range(20):
        dups.on_duplicate(MSS, 10 * MSS)
    assert dups.bytes == 10 * MSS, "no more than was out"


# ---- taking it back ----


def test_an_echo_from_before_the_first_retransmission_shows_that_it_was_for_nothing() -> None:
    # RFC 3522 3.2
    undo = Undo(1)
    undo.on_resent(MSS, 5_000)
    undo.on_resent(MSS, 9_000)
    assert undo.is_spurious(4)
    assert not undo.is_spurious(5)
    assert not undo.is_spurious(-1)


def test_progress_before_anything_was_sent_again_shows_the_same() -> None:
    assert Undo(1).is_spurious(-1)


def test_dsacks_for_all_that_was_sent_again_show_the_same_and_for_a_part_do_not() -> None:
    # RFC 2883, as Linux's undo_retrans
    undo = Undo(1001)
    assert not undo.all_came_twice()
    undo.on_resent(2 * MSS, 5_000)
    undo.on_dsack(1001, 2001)
    undo.on_dsack(1, 1001)  # from before this recovery
    assert not undo.all_came_twice()
    undo.on_dsack(2001, 3001)
    assert undo.all_came_twice() and undo.is_spurious(-1)


# ---- F-RTO ----


def after_timeout(*, in_fast: bool = False, again: bool = False) -> Recovery:
    recovery = Recovery()
    if in_fast:
        recovery.enter_fast(1, 10001, 10000)
    recovery.enter_loss(1, 10001, again)
    assert recovery.phase == LOSS and recovery.point == 10001 and recovery.prr is None
    return recovery


def test_a_timeout_outside_of_recovery_may_be_spurious_and_one_within_is_not_asked_about() -> None:
    # RFC 5682 2.1 step 1
    assert after_timeout().frto
    assert not after_timeout(in_fast=True).frto
    assert after_timeout(in_fast=True, again=True).frto


def test_progress_after_a_timeout_lets_new_data_out_first_and_news_of_a_hole_ends_the_question() -> None:
    # RFC 5682 3.1 steps 2b and 3a
    recovery = after_timeout()
    recovery.on_ack_after_timeout(True, 1001, 10001, False, True)
    assert recovery.frto and recovery.prefer_new
    recovery.on_ack_after_timeout(False, 1001, 12001, True, True)
    assert not recovery.frto and not recovery.prefer_new


def test_without_new_data_the_conventional_way_is_taken() -> None:
    # RFC 5682 2.1 step 2, last paragraph
    recovery = after_timeout()
    recovery.on_ack_after_timeout(True, 1001, 10001, False, False)
    assert not recovery.frto and not recovery.prefer_new


def test_a_recovery_that_is_over_keeps_what_may_take_it_back_and_one_taken_back_does_not() -> None:
    recovery = Recovery()
    recovery.enter_fast(1, 10001, 10000)
    assert recovery.phase == FAST and recovery.prr is not None
    recovery.leave(False)
    assert recovery.phase == NONE and recovery.prr is None and recovery.undo is not None
    recovery.enter_fast(1, 10001, 10000)
    recovery.leave(True)
    assert recovery.undo is None
