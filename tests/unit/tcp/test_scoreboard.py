"""What is out: in flight, lost, sacked; RTT samples by Karn's rule; delivery rate."""

from __future__ import annotations

from synfin.tcp.scoreboard import IN_FLIGHT, LOST, Scoreboard


def sums_hold(board: Scoreboard) -> None:
    """The kept sums are those of the records, which have no gaps between them."""
    flight = sum(record.end - record.start for record in board.records if record.state == IN_FLIGHT)
    lost = sum(record.end - record.start for record in board.records if record.state == LOST)
    assert (board.in_flight, board.lost) == (flight, lost)
    for before, after in zip(board.records, board.records[1:], strict=False):
        assert before.end == after.start


def test_an_ack_forgets_whole_records_and_cuts_the_one_it_ends_in() -> None:
    board = Scoreboard()
    board.add(1, 1001, 10)
    board.add(1001, 3001, 20)
    assert board.ack(2001, 50) == 2000
    assert [(record.start, record.end) for record in board.records] == [(2001, 3001)]
    assert board.in_flight == 1000 and board.delivered == 2000
    sums_hold(board)


def test_the_rtt_sample_is_of_the_newest_data_covered() -> None:
    board = Scoreboard()
    board.add(1, 1001, 10)
    board.add(1001, 2001, 20)
    board.ack(2001, 50)
    assert board.rtt_sent_at == 20


def test_karn_an_ack_that_covers_retransmitted_data_gives_no_sample() -> None:
    # RFC 6298 3
    board = Scoreboard()
    board.add(1, 1001, 10)
    board.add(1001, 2001, 20)
    board.mark_lost_at(1, 1000)
    record = board.next_lost(1000)
    assert record is not None
    board.resent(record, 40)
    board.ack(2001, 60)
    assert board.rtt_sent_at == -1


def test_an_ack_of_nothing_new_gives_no_sample() -> None:
    board = Scoreboard()
    board.add(1, 1001, 10)
    assert board.ack(1, 20) == 0
    assert board.rtt_sent_at == -1


def test_losing_part_of_a_burst_splits_its_record_and_both_inherit_the_send_time() -> None:
    # DESIGN: one scoreboard record per burst
    board = Scoreboard()
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
    board = Scoreboard()
    board.add(1, 1001, 10)
    assert board.mark_lost_at(1, 1000) == 1000
    assert board.mark_lost_at(1, 1000) == 0
    assert board.mark_all_lost() == 0
    assert board.mark_lost_at(5000, 1000) == 0
    sums_hold(board)


def test_a_timeout_loses_all_and_sending_again_takes_it_in_pieces() -> None:
    board = Scoreboard()
    board.add(1, 2501, 10)
    board.mark_all_lost()
    assert (board.in_flight, board.lost) == (0, 2500)
    assert board.first_sent_at() == -1
    pieces = []
    while (record := board.next_lost(1000)) is not None:
        pieces.append((record.start, record.end))
        board.resent(record, 99)
        sums_hold(board)
    assert pieces == [(1, 1001), (1001, 2001), (2001, 2501)]
    assert board.first_sent_at() == 99
    assert all(record.retransmitted for record in board.records)


def test_the_delivery_rate_is_what_arrived_since_the_data_was_sent_over_that_time() -> None:
    board = Scoreboard()
    board.add(1, 10001, 0)
    board.ack(10001, 10_000)
    assert board.rate == 1_000_000


def test_clear_leaves_nothing() -> None:
    board = Scoreboard()
    board.add(1, 1001, 10)
    board.clear()
    assert board.records == [] and board.in_flight == board.lost == board.sacked == 0
