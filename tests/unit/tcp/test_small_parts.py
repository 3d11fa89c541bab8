"""The smallest parts: ACK policy, persist, keep-alive, timestamps, deadlines, errors, states, counters."""

from __future__ import annotations

import errno

import pytest

from synfin.tcp import errors, states
from synfin.tcp.ack_policy import QUICK, AckPolicy
from synfin.tcp.counters import COUNTER_NAMES, Counters
from synfin.tcp.keepalive import KeepAlive
from synfin.tcp.persist import Persist
from synfin.tcp.timer import earlier
from synfin.tcp.timestamps import OUTDATED_US, Timestamps, rtt_us, ts_clock

# ---- when in-order data is acknowledged ----


def test_an_ack_is_due_when_the_bytes_reach_twice_the_largest_segment_seen() -> None:
    acks = AckPolicy(40_000)
    acks.on_in_order(1000, 1000, False, 5)
    assert (acks.due, acks.deadline) == (False, 40_005)
    acks.on_in_order(999, 999, False, 6)
    assert (acks.due, acks.deadline) == (False, 40_005)
    acks.on_in_order(1, 1, False, 7)
    assert acks.due


def test_a_burst_counts_by_its_segment_size() -> None:
    acks = AckPolicy(40_000)
    acks.on_in_order(1999, 1000, False, 0)
    assert not acks.due
    acks.on_in_order(1, 1, False, 0)
    assert acks.due


def acknowledged(acks: AckPolicy, *segments: int) -> list[int]:
    """Places of the segments, none of them pushed, at which an ACK was due and sent."""
    at: list[int] = []
    for place, size in enumerate(segments):
        acks.on_in_order(size, size, False, 0)
        if acks.due:
            at.append(place)
            acks.on_ack_sent()
    return at


def test_segments_that_shrink_are_full_ones_from_the_second_of_one_size_on() -> None:
    # RFC 5681 4.2, after a path MTU has become smaller
    acks = AckPolicy(40_000)
    assert acknowledged(acks, 8000, 8000) == [1]
    assert acknowledged(acks, *[1000] * 8) == [1, 3, 5, 7]
    assert acknowledged(acks, 8000, 8000) == [1]


def test_segments_that_shrink_to_changing_sizes_wait_for_the_timer_once() -> None:
    acks = AckPolicy(40_000)
    assert acknowledged(acks, 8000, 8000) == [1]
    assert acknowledged(acks, 1000, 700, 990, 720) == []
    assert not acks.on_timer(39_999) and not acks.due
    assert acks.on_timer(40_000) and acks.due and acks.deadline == 0
    acks.on_ack_sent()
    assert acknowledged(acks, 990, 720, 1000, 710, 980, 720) == [2, 5]
    assert not acks.on_timer(1_000_000)


def test_after_a_gap_segments_are_acknowledged_one_by_one_for_a_while() -> None:
    acks = AckPolicy(40_000)
    assert acknowledged(acks, *[1000] * 4) == [1, 3]
    acks.on_gap()
    assert acknowledged(acks, *[1000] * (QUICK + 4)) == [*range(QUICK), QUICK + 1, QUICK + 3]
    acks.on_gap()
    assert acks.on_in_order(QUICK * 1000, 1000, False, 0), "a burst counts as many segments as it is"
    acks.on_ack_sent()
    assert acknowledged(acks, 1000, 1000) == [1]


def test_push_makes_it_due_and_an_ack_sent_starts_anew() -> None:
    acks = AckPolicy(40_000)
    acks.on_in_order(1, 1, True, 0)
    assert acks.due
    acks.on_ack_sent()
    assert not acks.due and acks.deadline == 0


# ---- persist ----


def test_the_first_probe_comes_after_an_rto_and_the_interval_doubles_to_its_maximum() -> None:
    # RFC 9293 3.8.6.1, SHLD-29 and SHLD-30
    persist = Persist(100, 200)
    assert persist.deadline == 300
    now, waits = 300, []
    for _ in range(4):
        persist.probe_sent(now, 1000)
        waits.append(persist.deadline - now)
        now = persist.deadline
    assert waits == [400, 800, 1000, 1000] and persist.unanswered == 4


# ---- keep-alive ----


def test_keep_alive_counts_probes_until_the_peer_is_heard() -> None:
    alive = KeepAlive(100, 10, 2, 0)
    assert alive.deadline == 100
    assert alive.due(100) and alive.deadline == 110
    assert alive.due(110)
    assert not alive.due(120)
    alive.heard(125)
    assert alive.deadline == 225 and alive.due(225)


# ---- timestamps ----


def test_paws_compares_modulo_2_to_the_32() -> None:
    # RFC 7323 5.2
    stamps = Timestamps(True, 0, 0xFFFFFFF0, 0)
    assert not stamps.is_old(5, 0)
    assert stamps.is_old(0xFFFFFFEF, 0)
    assert not stamps.is_old(0xFFFFFFF0, 0)


def test_after_24_days_ts_recent_means_nothing_and_the_next_value_is_taken() -> None:
    # RFC 7323 5.5
    stamps = Timestamps(True, 0, 1000, 0)
    assert stamps.is_old(999, OUTDATED_US - 1)
    assert not stamps.is_old(999, OUTDATED_US)
    stamps.update(999, 1, OUTDATED_US)
    assert (stamps.recent, stamps.recent_at) == (999, OUTDATED_US)


def test_an_echo_from_the_future_is_not_ours() -> None:
    stamps = Timestamps(True, 77, 0, 0)
    assert rtt_us(stamps.echo_tick(stamps.value(5_000), 12_000), 12_000) == 7_000
    assert rtt_us(stamps.echo_tick(stamps.value(5_000), 5_000), 5_000) == 1_000
    assert rtt_us(stamps.echo_tick(stamps.value(99_000), 12_000), 12_000) == -1


def test_the_timestamp_clock_wraps() -> None:
    assert ts_clock(1_000, 0xFFFFFFFF) == 0
    assert ts_clock(1_999, 0) == 1


# ---- the rest ----


def test_the_earlier_of_two_deadlines_is_never_the_absent_one() -> None:
    assert (earlier(0, 0), earlier(5, 0), earlier(0, 5), earlier(5, 7), earlier(7, 5)) == (0, 5, 5, 5, 5)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errors.RESET, ConnectionResetError),
        (errors.REFUSED, ConnectionRefusedError),
        (errors.ABORTED, ConnectionAbortedError),
        (errors.TIMED_OUT, TimeoutError),
        (errors.BROKEN_PIPE, BrokenPipeError),
        (errors.HOST_UNREACHABLE, OSError),
    ],
)
def test_an_error_is_the_oserror_that_asyncio_users_know(code: int, kind: type[OSError]) -> None:
    raised = errors.oserror(code, "connecting")
    assert isinstance(raised, kind) and raised.errno == code and "connecting" in str(raised)
    assert errno.errorcode[code]


def test_every_legal_transition_passes_and_every_other_is_refused() -> None:
    for before in range(11):
        for after in range(11):
            if after == states.CLOSED or (before, after) in states.TRANSITIONS:
                states.check(before, after)
            else:
                with pytest.raises(AssertionError, match="no transition from"):
                    states.check(before, after)


def test_every_state_is_reached_and_left_by_some_transition() -> None:
    assert {after for _, after in states.TRANSITIONS} == set(range(11))
    assert {before for before, _ in states.TRANSITIONS} == set(range(11))
    assert len(states.NAMES) == 11


def test_every_counter_begins_at_0() -> None:
    counted = Counters().as_dict()
    assert list(counted) == COUNTER_NAMES and not any(counted.values())


def test_of_a_batch_of_bursts_one_is_acknowledged_at_once_for_256_kib() -> None:
    acks = AckPolicy(40_000)
    acks.on_in_order(64 * 1024, 1000, True, 0)  # the first rounds are over
    acks.on_ack_sent()
    assert [acks.on_in_order(60_000, 2000, False, 0) for _ in range(5)] == [False, False, False, False, True]
    acks.on_ack_sent()
    assert [acks.on_in_order(2000, 2000, False, 0) for _ in range(17)] == [False] * 15 + [True] * 2
