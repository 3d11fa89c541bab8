"""What is known of other hosts: path sizes, which only shrink while they hold, and round trips. Aged, and bounded."""

from __future__ import annotations

from synfin.stack.destinations import ECN_AGE_US, ECN_FAILURES, LIMIT, ROUND_TRIP_AGE_US, WAIT_MOST_US, Destinations
from synfin.tcp.counters import Counters
from synfin.tcp.path_probe import AGE_US


def test_what_was_learned_holds_for_ten_minutes() -> None:
    # RFC 1191 6.3
    paths = Destinations(1500, Counters())
    assert paths.to(b"aaaa", 0) == 1500
    paths.learn(b"aaaa", 1400, 5)
    paths.learn(b"aaaa", 1450, 6)
    assert (paths.to(b"aaaa", 7), paths.to(b"bbbb", 7)) == (1400, 1500)
    assert paths.to(b"aaaa", 5 + AGE_US - 1) == 1400
    assert paths.to(b"aaaa", 5 + AGE_US) == 1500
    assert len(paths) == 0


def test_a_smaller_size_begins_its_ten_minutes_anew() -> None:
    paths = Destinations(1500, Counters())
    paths.learn(b"aaaa", 1400, 0)
    paths.learn(b"aaaa", 1300, AGE_US - 1)
    assert paths.to(b"aaaa", 2 * AGE_US - 2) == 1300


def test_the_host_that_taught_nothing_for_the_longest_time_makes_room() -> None:
    paths = Destinations(1500, Counters())
    for number in range(LIMIT + 1):
        paths.learn(number.to_bytes(4, "big"), 1400, number)
    assert len(paths) == LIMIT
    assert paths.to(bytes(4), LIMIT) == 1500
    assert paths.to(bytes((0, 0, 0, 1)), LIMIT) == 1400


def test_what_a_connection_found_replaces_what_was_known() -> None:
    # RFC 4821 5.2
    paths = Destinations(1500, Counters())
    paths.learn(b"abcd", 1300, 0)
    paths.found(b"abcd", 1372, 1402, 5)
    assert paths.known(b"abcd", 6) == (1372, 1402)
    assert paths.to(b"abcd", 6) == 1372
    assert paths.known(b"abcd", 5 + AGE_US) is None


def test_nothing_tiny_is_told_from_one_connection_to_another() -> None:
    paths = Destinations(1500, Counters())
    paths.found(b"abcd", 100, 130, 0)
    assert paths.known(b"abcd", 1) == (552, 552)
    paths.found(bytes(16), 600, 700, 0)
    assert paths.known(bytes(16), 1) == (1280, 1280)


# ---- the round trip ----


def destinations() -> Destinations:
    return Destinations(1500, Counters())


def test_the_first_timeout_is_what_rfc_6298_makes_of_the_round_trip_known() -> None:
    known = destinations()
    assert known.patience(b"aaaa", 0) == 0
    known.measured(b"aaaa", 300_000, 20_000, 5)
    assert known.patience(b"aaaa", 6) == 380_000
    assert known.patience(b"bbbb", 6) == 0


def test_a_longer_round_trip_is_believed_at_once_and_a_shorter_one_by_and_by() -> None:
    # tcp_update_metrics of Linux
    known = destinations()
    known.measured(b"aaaa", 100_000, 4_000, 0)
    known.measured(b"aaaa", 300_000, 4_000, 1)
    assert known.patience(b"aaaa", 2) == 300_000 + 4 * 100_000
    known = destinations()
    known.measured(b"aaaa", 300_000, 4_000, 0)
    known.measured(b"aaaa", 220_000, 4_000, 1)
    assert known.patience(b"aaaa", 2) == 290_000 + 4 * 40_000
    for now in range(2, 200):
        known.measured(b"aaaa", 220_000, 4_000, now)
    assert known.patience(b"aaaa", 200) < 245_000


def test_no_peer_makes_others_wait_longer_than_who_knows_nothing() -> None:
    known = destinations()
    known.measured(b"aaaa", 60_000_000, 10_000_000, 0)
    assert known.patience(b"aaaa", 0) == WAIT_MOST_US


def test_a_round_trip_holds_for_an_hour_and_the_path_beside_it_for_ten_minutes() -> None:
    known = destinations()
    known.measured(b"aaaa", 300_000, 10_000, 0)
    known.learn(b"aaaa", 1400, 0)
    assert known.to(b"aaaa", AGE_US) == 1500
    assert known.patience(b"aaaa", ROUND_TRIP_AGE_US - 1) == 340_000
    assert len(known) == 1
    assert known.patience(b"aaaa", ROUND_TRIP_AGE_US) == 0
    assert len(known) == 0
    known.measured(b"aaaa", 300_000, 10_000, 0)
    known.measured(b"aaaa", 100_000, 10_000, ROUND_TRIP_AGE_US)  # nothing is left of what is too old
    assert known.patience(b"aaaa", ROUND_TRIP_AGE_US) == 140_000


def test_who_ended_in_silence_makes_the_round_trip_unknown_and_leaves_the_path() -> None:
    known = destinations()
    known.learn(b"aaaa", 1400, 0)
    known.measured(b"aaaa", 300_000, 10_000, 0)
    known.unmeasured(b"aaaa")
    assert (known.patience(b"aaaa", 1), known.to(b"aaaa", 1)) == (0, 1400)
    known.measured(b"bbbb", 300_000, 10_000, 0)
    known.unmeasured(b"bbbb")
    known.unmeasured(b"cccc")
    assert len(known) == 1


def test_who_makes_room_is_counted_and_is_who_taught_nothing_for_the_longest_time() -> None:
    counters = Counters()
    known = Destinations(1500, counters)
    for number in range(LIMIT):
        known.measured(number.to_bytes(4, "big"), 100_000, 1_000, number)
    known.learn(bytes(4), 1400, LIMIT)  # the oldest teaches once more
    known.measured(b"\xff" * 4, 100_000, 1_000, LIMIT)
    assert len(known) == LIMIT and counters.DestinationsDropped == 1
    assert known.patience(bytes(4), LIMIT) > 0
    assert known.patience(bytes((0, 0, 0, 1)), LIMIT) == 0


# ---- whether a SYN may ask for ECN ----


def test_a_syn_asks_no_more_where_it_went_unanswered_several_times_in_a_row() -> None:
    # RFC 9768 3.1.4.1: not before it is clear that it is no chance
    hosts = destinations()
    for time in range(ECN_FAILURES):
        assert hosts.takes_ecn(b"abcd", time)
        hosts.ecn_unanswered(b"abcd", time)
    assert not hosts.takes_ecn(b"abcd", ECN_FAILURES)
    assert hosts.takes_ecn(b"efgh", ECN_FAILURES)


def test_one_answer_is_enough_to_forget_that_others_were_missing() -> None:
    hosts = destinations()
    for time in range(ECN_FAILURES - 1):
        hosts.ecn_unanswered(b"abcd", time)
    hosts.ecn_answered(b"abcd")
    assert len(hosts) == 0
    hosts.ecn_unanswered(b"abcd", 9)
    assert hosts.takes_ecn(b"abcd", 9)


def test_one_connection_an_hour_tries_whether_a_syn_that_asks_is_answered_now() -> None:
    hosts = destinations()
    for _ in range(ECN_FAILURES + 1):
        hosts.ecn_unanswered(b"abcd", 5)
    assert not hosts.takes_ecn(b"abcd", 5 + ECN_AGE_US - 1)
    assert hosts.takes_ecn(b"abcd", 5 + ECN_AGE_US)
    assert not hosts.takes_ecn(b"abcd", 5 + ECN_AGE_US)
    hosts.ecn_answered(b"abcd")
    assert hosts.takes_ecn(b"abcd", 5 + ECN_AGE_US)


def test_hosts_that_answer_no_syn_that_asks_are_bounded_as_all_others() -> None:
    counters = Counters()
    hosts = Destinations(1500, counters)
    for number in range(LIMIT + 1):
        hosts.ecn_unanswered(number.to_bytes(4, "big"), number)
    assert len(hosts) == LIMIT
    assert counters.DestinationsDropped == 1
