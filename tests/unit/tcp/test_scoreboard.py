"""What is out: in flight, lost, sacked; in order of offset and of transmission; what each ACK delivers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.tcp.scoreboard import IN_FLIGHT, LOST, NOTHING, SACKED, Scoreboard, Sent

LIMIT = 1000


def sums_hold(board: Scoreboard) -> None:
    """The kept sums are those of the records, which have no gaps; those in flight also stand in order of sending."""
    flight = sum(record.end - record.start for record in board.records if record.state == IN_FLIGHT)
    lost = sum(record.end - record.start for record in board.records if record.state == LOST)
    sacked = sum(record.end - record.start for record in board.records if record.state == SACKED)
    assert (board.in_flight, board.lost, board.sacked) == (flight, lost, sacked)
    for before, after in pairwise(board.records):
        assert before.end == after.start
    sent = in_order_of_sending(board)
    assert [record.sent_at for record in sent] == sorted(record.sent_at for record in sent)
    assert {id(record) for record in sent} == {id(record) for record in board.records if record.state == IN_FLIGHT}


def in_order_of_sending(board: Scoreboard) -> list[Sent]:
    """The chain of what is in flight, walked both ways."""
    forward: list[Sent] = []
    record = board.oldest
    while record is not None:
        forward.append(record)
        record = record.newer
    backward: list[Sent] = []
    record = board.latest
    while record is not None:
        backward.append(record)
        record = record.older
    assert [id(record) for record in forward] == [id(record) for record in reversed(backward)]
    return forward


def acked(board: Scoreboard, una: int, now: int, min_rtt: int = 0, echoed: int = -1) -> int:
    """Bytes that an ACK of `una` newly delivers."""
    board.begin(now, min_rtt)
    board.ack(una, echoed)
    return int(board.newly)


def ten_segments() -> Scoreboard:
    """Ten segments of 1000 bytes in one burst."""
    board = Scoreboard(LIMIT)
    board.add(1, 10001, 10)
    return board


def states(board: Scoreboard) -> list[tuple[int, int, int]]:
    return [(record.start, record.end, record.state) for record in board.records]


def test_an_ack_forgets_whole_records_and_cuts_the_one_it_ends_in() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    board.add(1001, 3001, 20)
    assert acked(board, 2001, 50) == 2000
    assert [(record.start, record.end) for record in board.records] == [(2001, 3001)]
    assert board.in_flight == 1000
    sums_hold(board)


def test_the_rtt_sample_is_of_the_newest_data_covered() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    board.add(1001, 2001, 20)
    acked(board, 2001, 50)
    assert board.rtt_sent_at == 20


def test_karn_an_ack_that_covers_retransmitted_data_gives_no_sample() -> None:
    # RFC 6298 3
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    board.add(1001, 2001, 20)
    board.lose_at(1, 1000)
    record = board.next_lost(1000)
    assert record is not None
    board.resent(record, 40)
    acked(board, 2001, 60)
    assert board.rtt_sent_at == -1


def test_an_ack_of_nothing_new_gives_no_sample() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    assert acked(board, 1, 20) == 0
    assert board.rtt_sent_at == -1 and board.newest is None and board.original == NOTHING


def test_losing_part_of_a_burst_splits_its_record_and_both_inherit_the_send_time() -> None:
    # DESIGN: one scoreboard record per burst
    board = ten_segments()
    assert board.lose_at(3001, 1000) == 1000
    assert states(board) == [(1, 3001, IN_FLIGHT), (3001, 4001, LOST), (4001, 10001, IN_FLIGHT)]
    assert all(record.sent_at == 10 for record in board.records)
    sums_hold(board)


def test_what_is_lost_already_is_not_lost_twice() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    assert board.lose_at(1, 1000) == 1000
    assert board.lose_at(1, 1000) == 0
    board.lose_sent_until(99)
    assert len(board.newly_lost) == 1
    assert board.lose_at(5000, 1000) == 0
    sums_hold(board)


def test_what_went_in_one_segment_is_lost_in_one_piece_though_segments_are_smaller_now() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 9001, 10).segment = 3000
    assert board.lose_at(1, 1000) == 3000
    assert states(board) == [(1, 3001, LOST), (3001, 9001, IN_FLIGHT)]


@pytest.mark.parametrize(("first_again", "second_again", "lost"), [(50, 50, 0), (50, 60, 0), (50, 40, 1000)])
def test_what_went_again_together_with_what_has_arrived_is_not_lost_by_that(
    first_again: int, second_again: int, lost: int
) -> None:
    board = Scoreboard(LIMIT)
    for start, again in ((1, first_again), (1001, second_again)):
        record = board.add(start, start + 1000, 10)
        board.lose(record)
        board.resent(record, again)
    acked(board, 1001, 70)
    assert board.lose_at(1001, 1000) == lost


def test_a_timeout_loses_what_was_sent_long_ago_and_the_first_record_whenever_that_was() -> None:
    # RFC 8985 6.3
    board = Scoreboard(LIMIT)
    for at in (10, 20, 30):
        board.add(1 + 100 * at, 1001 + 100 * at, at)
    board.lose_sent_until(20)
    assert [record.state for record in board.records] == [LOST, LOST, IN_FLIGHT]
    board = Scoreboard(LIMIT)
    for number in range(3):
        board.add(1 + 1000 * number, 1001 + 1000 * number, 50)
    board.lose_sent_until(20)
    assert [record.state for record in board.records] == [LOST, IN_FLIGHT, IN_FLIGHT]
    sums_hold(board)


def test_sending_again_takes_what_is_lost_in_pieces() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 2501, 10)
    board.lose_sent_until(10)
    assert (board.in_flight, board.lost) == (0, 2500)
    pieces = []
    while (record := board.next_lost(1000)) is not None:
        pieces.append((record.start, record.end))
        board.resent(record, 99)
        sums_hold(board)
    assert pieces == [(1, 1001), (1001, 2001), (2001, 2501)]
    assert all(record.retransmitted for record in board.records)


def test_the_last_segment_is_cut_from_its_burst_and_goes_again_as_a_probe() -> None:
    # RFC 8985 7.3
    board = ten_segments()
    record = board.last(1000)
    assert (record.start, record.end) == (9001, 10001)
    board.resent(record, 50)
    assert board.in_flight == 10000
    assert in_order_of_sending(board)[-1] is record
    sums_hold(board)


def test_clear_leaves_nothing() -> None:
    board = ten_segments()
    board.lose_at(3001, 1000)
    board.clear()
    assert board.records == [] and board.in_flight == board.lost == board.sacked == 0
    assert board.oldest is board.latest is None and board.newly_lost == []


def test_a_sack_block_cuts_its_part_out_of_a_burst_and_neighbours_become_one() -> None:
    # RFC 2018; a run of any length costs one record
    board = ten_segments()
    board.begin(20, 0)
    assert board.sack(3001, 4001) == 1000
    assert board.sack(5001, 6001) == 1000
    assert states(board) == [
        (1, 3001, IN_FLIGHT), (3001, 4001, SACKED), (4001, 5001, IN_FLIGHT), (5001, 6001, SACKED),
        (6001, 10001, IN_FLIGHT),
    ]  # fmt: skip
    assert board.sack(3001, 7001) == 2000
    assert states(board) == [(1, 3001, IN_FLIGHT), (3001, 7001, SACKED), (7001, 10001, IN_FLIGHT)]
    assert board.sack(3001, 7001) == 0
    assert board.newly == 4000
    sums_hold(board)


def test_what_is_sacked_counts_as_delivered_once() -> None:
    board = ten_segments()
    board.begin(20, 0)
    board.sack(3001, 10001)
    assert board.newly == 7000
    assert acked(board, 10001, 30) == 3000
    assert board.rtt_sent_at == 10
    sums_hold(board)


def test_a_record_joined_to_its_neighbour_keeps_the_times_of_what_the_ack_delivered_last() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    board.add(1001, 2001, 20)
    board.add(2001, 3001, 30)
    board.begin(40, 0)
    board.sack(1001, 2001)
    board.begin(50, 0)
    board.sack(2001, 3001)
    assert board.newest is not None and board.newest.sent_at == 30
    assert board.rack is not None and (board.rack.sent_at, board.rack.end) == (30, 3001)
    assert states(board) == [(1, 1001, IN_FLIGHT), (1001, 3001, SACKED)]


def test_the_newest_of_what_an_ack_delivers_is_the_last_sent_of_equals_the_highest() -> None:
    # RFC 8985 6.2, RACK_sent_after(): the segments of one burst bear one time
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    board.add(1001, 2001, 10)
    board.add(2001, 3001, 5)
    acked(board, 3001, 20)
    assert board.newest is not None and (board.newest.start, board.newest.end) == (1001, 2001)


def test_a_retransmission_answered_sooner_than_the_path_can_is_not_what_arrived() -> None:
    # RFC 8985 6.2 step 2
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    board.lose_at(1, 1000)
    record = board.next_lost(1000)
    assert record is not None
    board.resent(record, 100)
    assert acked(board, 1001, 109, min_rtt=10) == 1000
    assert board.newest is not None and board.rack is None and board.again and board.original == NOTHING


@pytest.mark.parametrize(("echoed", "arrived"), [(99, False), (100, True), (-1, True)])
def test_a_retransmission_that_was_sent_after_what_the_ack_echoes_is_not_what_arrived(
    echoed: int, arrived: bool
) -> None:
    # RFC 8985 6.2 step 2
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    board.lose_at(1, 1000)
    record = board.next_lost(1000)
    assert record is not None
    board.resent(record, 100)
    assert acked(board, 1001, 200, min_rtt=10, echoed=echoed) == 1000
    assert (board.rack is record) is arrived and board.newest is record


def test_an_echo_says_nothing_of_what_a_block_reports() -> None:
    # RFC 7323 4.3: it is that of what stands in order
    board = Scoreboard(LIMIT)
    board.add(1, 2001, 10)
    board.lose_at(1001, 1000)
    record = board.next_lost(1000)
    assert record is not None
    board.resent(record, 100)
    board.begin(200, 10)
    board.sack(1001, 2001)
    assert board.rack is record


def test_what_arrives_below_what_arrived_before_was_reordered_unless_it_was_sent_again() -> None:
    # RFC 8985 6.2 step 3
    board = ten_segments()
    board.begin(20, 0)
    board.sack(5001, 6001)
    board.ack(1001, -1)
    assert not board.reordered, "one ACK tells of both"
    board.begin(21, 0)
    board.sack(3001, 4001)
    assert board.reordered and board.original == 3001
    board.lose_at(1001, 1000)
    record = board.next_lost(1000)
    assert record is not None
    board.resent(record, 30)
    board.begin(40, 0)
    board.sack(1001, 2001)
    assert not board.reordered and board.original == NOTHING


def test_a_full_scoreboard_is_cut_no_finer() -> None:
    board = Scoreboard(3)
    board.add(1, 10001, 10)
    board.begin(20, 0)
    assert board.sack(2001, 3001) == 1000
    assert board.sack(5001, 6001) == -1
    assert board.sack(3001, 10001) == 7000, "whole records may be noted"
    sums_hold(board)


def test_one_block_notes_thousands_of_records_at_once() -> None:
    board = Scoreboard(10_000)
    for start in range(0, 5000, 2):
        board.add(1 + start, 3 + start, start)
    board.begin(9999, 0)
    for start in range(11, 4000, 4):
        board.sack(start, start + 2)
    assert board.sack(8, 4500) == 4492 - 2 * len(range(11, 4000, 4))
    assert states(board)[3:6] == [(7, 8, IN_FLIGHT), (8, 4500, SACKED), (4500, 4501, IN_FLIGHT)]
    sums_hold(board)


def test_sacked_data_at_the_left_edge_was_dropped_by_the_peer() -> None:
    # RFC 2018 8
    board = ten_segments()
    board.begin(20, 0)
    board.sack(3001, 6001)
    assert not board.renege()
    acked(board, 3001, 30)
    assert board.renege()
    assert not board.renege()
    assert (board.in_flight, board.sacked, board.lost) == (4000, 0, 3000)
    sums_hold(board)


def test_what_was_not_lost_after_all_is_in_flight_again_in_its_old_order() -> None:
    board = Scoreboard(LIMIT)
    for number in range(4):
        board.add(1 + 1000 * number, 1001 + 1000 * number, 10 * number)
    board.lose_at(1001, 1000)
    board.lose_at(1, 1000)
    board.unmark_lost()
    assert [record.start for record in in_order_of_sending(board)] == [1, 1001, 2001, 3001]
    sums_hold(board)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["send", "sack", "ack", "lose", "timeout", "resend", "undo", "probe"]),
            st.integers(0, 60),
            st.integers(1, 20),
        ),
        max_size=60,
    )
)
def test_the_records_tell_of_each_byte_what_happened_to_it(steps: list[tuple[str, int, int]]) -> None:
    board = Scoreboard(LIMIT)
    model: dict[int, int] = {}  # state of each byte out
    una = nxt = 1
    for now, (what, at, size) in enumerate(steps):
        start = una + at
        end = min(start + size, nxt)
        board.begin(now, 0)
        if what == "send":
            board.add(nxt, nxt + size, now)
            model.update(dict.fromkeys(range(nxt, nxt + size), IN_FLIGHT))
            nxt += size
        elif what == "sack" and start < end:
            new = [byte for byte in range(start, end) if model[byte] != SACKED]
            assert board.sack(start, end) == len(new) == board.newly
            model.update(dict.fromkeys(new, SACKED))
        elif what == "ack" and start <= nxt:
            new = [byte for byte in range(una, start) if model[byte] != SACKED]
            board.ack(start, -1)
            assert board.newly == len(new)
            for byte in range(una, start):
                del model[byte]
            una = start
        elif what == "lose" and start < end:
            lost = board.lose_at(start, size)
            model.update(dict.fromkeys(range(start, start + lost), LOST))
        elif what == "timeout":
            if board.renege():
                model.update({byte: LOST for byte, state in model.items() if state == SACKED})
            board.lose_sent_until(now)
            model.update({byte: LOST for byte, state in model.items() if state != SACKED})
        elif what == "resend" and (record := board.next_lost(size)) is not None:
            assert record.start == min(byte for byte, state in model.items() if state == LOST)
            model.update(dict.fromkeys(range(record.start, record.end), IN_FLIGHT))
            board.resent(record, now)
        elif what == "undo":
            board.unmark_lost()
            model.update({byte: IN_FLIGHT for byte, state in model.items() if state == LOST})
        elif what == "probe" and model and model[nxt - 1] == IN_FLIGHT:
            record = board.last(size)
            assert record.end == nxt and record.end - record.start <= size
            board.resent(record, now)
        sums_hold(board)
        told = {byte: record.state for record in board.records for byte in range(record.start, record.end)}
        assert told == model
        assert not any(a.state == b.state == SACKED for a, b in pairwise(board.records)), "a run costs one record"
