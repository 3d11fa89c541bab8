"""What is out: in flight, lost, sacked; RTT samples by Karn's rule; delivery rate."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from synfin.tcp.scoreboard import IN_FLIGHT, LOST, SACKED, Scoreboard

LIMIT = 1000


def sums_hold(board: Scoreboard) -> None:
    """The kept sums are those of the records, which have no gaps between them."""
    flight = sum(record.end - record.start for record in board.records if record.state == IN_FLIGHT)
    lost = sum(record.end - record.start for record in board.records if record.state == LOST)
    sacked = sum(record.end - record.start for record in board.records if record.state == SACKED)
    assert (board.in_flight, board.lost, board.sacked) == (flight, lost, sacked)
    for before, after in zip(board.records, board.records[1:], strict=False):
        assert before.end == after.start


def test_an_ack_forgets_whole_records_and_cuts_the_one_it_ends_in() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    board.add(1001, 3001, 20)
    assert board.ack(2001, 50) == 2000
    assert [(record.start, record.end) for record in board.records] == [(2001, 3001)]
    assert board.in_flight == 1000 and board.delivered == 2000
    sums_hold(board)


def test_the_rtt_sample_is_of_the_newest_data_covered() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    board.add(1001, 2001, 20)
    board.ack(2001, 50)
    assert board.rtt_sent_at == 20


def test_karn_an_ack_that_covers_retransmitted_data_gives_no_sample() -> None:
    # RFC 6298 3
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    board.add(1001, 2001, 20)
    board.mark_lost_at(1, 1000)
    record = board.next_lost(1000)
    assert record is not None
    board.resent(record, 40)
    board.ack(2001, 60)
    assert board.rtt_sent_at == -1


def test_an_ack_of_nothing_new_gives_no_sample() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    assert board.ack(1, 20) == 0
    assert board.rtt_sent_at == -1


def test_losing_part_of_a_burst_splits_its_record_and_both_inherit_the_send_time() -> None:
    # DESIGN: one scoreboard record per burst
    board = Scoreboard(LIMIT)
    board.add(1, 10001, 10)
    assert board.mark_lost_at(3001, 1000) == 1000
    assert [(r.start, r.end, r.state == LOST) for r in board.records] == [
        (1, 3001, False),
        (3001, 4001, True),
        (4001, 10001, False),
    ]
    assert all(record.sent_at == 10 for record in board.records)
    sums_hold(board)


def test_what_is_lost_already_is_not_lost_twice() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    assert board.mark_lost_at(1, 1000) == 1000
    assert board.mark_lost_at(1, 1000) == 0
    assert board.mark_all_lost() == 0
    assert board.mark_lost_at(5000, 1000) == 0
    sums_hold(board)


def test_a_timeout_loses_all_and_sending_again_takes_it_in_pieces() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 2501, 10)
    board.mark_all_lost()
    assert (board.in_flight, board.lost) == (0, 2500)
    pieces = []
    while (record := board.next_lost(1000)) is not None:
        pieces.append((record.start, record.end))
        board.resent(record, 99)
        sums_hold(board)
    assert pieces == [(1, 1001), (1001, 2001), (2001, 2501)]
    assert all(record.retransmitted and record.sent_at == 99 for record in board.records)


def test_the_delivery_rate_is_what_arrived_since_the_data_was_sent_over_that_time() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 10001, 0)
    board.ack(10001, 10_000)
    assert board.rate == 1_000_000


def test_clear_leaves_nothing() -> None:
    board = Scoreboard(LIMIT)
    board.add(1, 1001, 10)
    board.clear()
    assert board.records == [] and board.in_flight == board.lost == board.sacked == 0


def ten_segments() -> Scoreboard:
    """Ten segments of 1000 bytes in one burst."""
    board = Scoreboard(LIMIT)
    board.add(1, 10001, 10)
    return board


def states(board: Scoreboard) -> list[tuple[int, int, int]]:
    return [(record.start, record.end, record.state) for record in board.records]


def test_a_sack_block_cuts_its_part_out_of_a_burst_and_neighbours_become_one() -> None:
    # RFC 2018; a run of any length costs one record
    board = ten_segments()
    assert board.sack(3001, 4001, 20) == 1000
    assert board.sack(5001, 6001, 20) == 1000
    assert states(board) == [
        (1, 3001, IN_FLIGHT), (3001, 4001, SACKED), (4001, 5001, IN_FLIGHT), (5001, 6001, SACKED),
        (6001, 10001, IN_FLIGHT),
    ]  # fmt: skip
    assert board.sack(3001, 7001, 20) == 2000
    assert states(board) == [(1, 3001, IN_FLIGHT), (3001, 7001, SACKED), (7001, 10001, IN_FLIGHT)]
    assert board.sack(3001, 7001, 20) == 0
    assert board.delivered == 4000
    sums_hold(board)


def test_what_is_sacked_counts_as_delivered_once() -> None:
    board = ten_segments()
    board.sack(3001, 10001, 20)
    assert board.ack(10001, 30) == 3000
    assert board.delivered == 10000
    assert board.rtt_sent_at == 10
    sums_hold(board)


def test_lost_is_what_has_more_than_two_segments_or_three_runs_sacked_above_it() -> None:
    # RFC 6675 4, IsLost()
    board = ten_segments()
    board.sack(1001, 3001, 20)
    assert board.mark_lost_by_sack(1000) == 0
    board.sack(1001, 3002, 20)
    assert board.mark_lost_by_sack(1000) == 1000
    assert states(board)[0] == (1, 1001, LOST)
    board = ten_segments()
    for start in (2001, 4001, 6001):
        assert board.mark_lost_by_sack(1000) == 0
        board.sack(start, start + 100, 20)
    assert board.mark_lost_by_sack(1000) == 2000
    assert board.mark_lost_by_sack(1000) == 0
    sums_hold(board)


def test_sack_blocks_judge_each_byte_once() -> None:
    # RFC 6675 4: what was sent again (up to HighRxt) is left to the retransmission timer
    board = ten_segments()
    board.sack(4001, 8001, 20)
    assert board.mark_lost_by_sack(1000) == 4000 - 1000 + 1000
    while (record := board.next_lost(1000)) is not None:
        board.resent(record, 30)
    assert board.mark_lost_by_sack(1000) == 0
    board.sack(9001, 10001, 40)
    assert board.mark_lost_by_sack(1000) == 0, "one segment and two runs lie above the last hole"
    board.add(10001, 14001, 41)
    board.sack(11001, 14001, 50)
    assert board.mark_lost_by_sack(1000) == 2000
    assert [part for part in states(board) if part[2] == LOST] == [(8001, 9001, LOST), (10001, 11001, LOST)]
    sums_hold(board)


def test_a_full_scoreboard_is_cut_no_finer() -> None:
    board = Scoreboard(3)
    board.add(1, 10001, 10)
    assert board.sack(2001, 3001, 20) == 1000
    assert board.sack(5001, 6001, 20) == -1
    assert board.sack(3001, 10001, 20) == 7000, "whole records may be noted"
    sums_hold(board)


def test_one_block_notes_thousands_of_records_at_once() -> None:
    board = Scoreboard(10_000)
    for start in range(0, 5000, 2):
        board.add(1 + start, 3 + start, start)
    for start in range(11, 4000, 4):
        board.sack(start, start + 2, 1)
    assert board.sack(8, 4500, 2) == 4492 - 2 * len(range(11, 4000, 4))
    assert states(board)[3:6] == [(7, 8, IN_FLIGHT), (8, 4500, SACKED), (4500, 4501, IN_FLIGHT)]
    sums_hold(board)


def test_holes_are_guessed_lost_from_the_first_on_and_none_is_looked_at_again() -> None:
    board = Scoreboard(LIMIT)
    for start in range(1, 1001, 2):
        board.add(start, start + 2, 1)
    board.sack(901, 1001, 2)
    for start in range(1, 901, 2):
        assert board.mark_next_lost(2) == 2
        record = board.next_lost(2)
        assert record is not None and record.start == start
        board.resent(record, 3)
    assert board.mark_next_lost(2) == 0 and board._untried == 901


def test_sacked_data_at_the_left_edge_was_dropped_by_the_peer() -> None:
    # RFC 2018 8
    board = ten_segments()
    board.sack(3001, 6001, 20)
    assert not board.renege()
    board.ack(3001, 30)
    assert board.renege()
    assert not board.renege()
    assert (board.in_flight, board.sacked) == (7000, 0)
    board.mark_all_lost()
    assert board.lost == 7000
    sums_hold(board)


def test_the_next_and_the_last_that_may_be_lost() -> None:
    # RFC 6675 4, NextSeg() rules 3 and 4
    board = ten_segments()
    assert board.mark_next_lost(1000) == 0, "nothing is sacked above it"
    board.sack(4001, 5001, 20)
    assert board.mark_next_lost(1000) == 1000
    assert board.mark_last_lost(1000, 10001) == 1000
    assert [part[:2] for part in states(board) if part[2] == LOST] == [(1, 1001), (9001, 10001)]
    while (record := board.next_lost(1000)) is not None:
        board.resent(record, 30)
    assert board.mark_last_lost(1000, 10001) == 0, "sent again already"
    board.add(10001, 11001, 40)
    assert board.mark_last_lost(1000, 10001) == 0, "sent after recovery had begun"
    assert board.mark_last_lost(1000, 10002) == 1000
    sums_hold(board)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["send", "sack", "ack", "lose", "guess", "timeout", "resend"]),
            st.integers(0, 60),
            st.integers(1, 20),
        ),
        max_size=60,
    )
)
def test_the_records_tell_of_each_byte_what_happened_to_it(steps: list[tuple[str, int, int]]) -> None:
    board = Scoreboard(LIMIT)
    model: dict[int, int] = {}  # state of each byte out
    retransmitted: set[int] = set()
    una = nxt = 1
    for now, (what, at, size) in enumerate(steps):
        start = una + at
        end = min(start + size, nxt)
        if what == "send":
            board.add(nxt, nxt + size, now)
            model.update(dict.fromkeys(range(nxt, nxt + size), IN_FLIGHT))
            nxt += size
        elif what == "sack" and start < end:
            new = [byte for byte in range(start, end) if model[byte] != SACKED]
            assert board.sack(start, end, now) == len(new)
            model.update(dict.fromkeys(new, SACKED))
        elif what == "ack" and start <= nxt:
            new = [byte for byte in range(una, start) if model[byte] != SACKED]
            assert board.ack(start, now) == len(new)
            for byte in range(una, start):
                del model[byte]
            una = start
        elif what == "lose":
            lost = board.mark_lost_by_sack(size)
            for byte in [byte for byte, state in model.items() if state == IN_FLIGHT and byte not in retransmitted]:
                above = [other for other in range(byte + 1, nxt) if model[other] == SACKED]
                runs = sum(other + 1 not in above for other in above)
                if len(above) > 2 * size or runs >= 3:
                    model[byte] = LOST
                    lost -= 1
            assert lost == 0
        elif what == "guess":
            holes = {byte for byte, state in model.items() if state == IN_FLIGHT and byte not in retransmitted}
            first = min((byte for byte in holes if byte < board.high_sacked), default=0)
            lost = board.mark_next_lost(size)
            assert (lost > 0) == (first > 0) and lost <= size
            assert set(range(first, first + lost)) <= holes
            model.update(dict.fromkeys(range(first, first + lost), LOST))
        elif what == "timeout":
            if board.renege():
                model.update({byte: IN_FLIGHT for byte, state in model.items() if state == SACKED})
            board.mark_all_lost()
            model.update({byte: LOST for byte, state in model.items() if state != SACKED})
        elif what == "resend" and (record := board.next_lost(size)) is not None:
            assert record.start == min(byte for byte, state in model.items() if state == LOST)
            retransmitted.update(range(record.start, record.end))
            model.update(dict.fromkeys(range(record.start, record.end), IN_FLIGHT))
            board.resent(record, now)
        sums_hold(board)
        told = {byte: record.state for record in board.records for byte in range(record.start, record.end)}
        assert told == model
        assert not any(a.state == b.state == SACKED for a, b in pairwise(board.records)), "a run costs one record"
