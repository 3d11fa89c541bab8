"""NewReno's bookkeeping, and PRR's count of what may go out."""

from __future__ import annotations

from synfin.tcp.recovery import FAST, LOSS, NONE, Recovery

MSS = 1000


def in_fast() -> Recovery:
    """Ten segments out, three duplicate ACKs, ssthresh five segments."""
    recovery = Recovery()
    for _ in range(3):
        recovery.on_duplicate(1, MSS, 10 * MSS)
    recovery.enter_fast(10001, 10 * MSS)
    return recovery


def test_the_third_duplicate_and_no_other_starts_a_fast_retransmit() -> None:
    # RFC 5681 3.2
    recovery = Recovery()
    assert [recovery.on_duplicate(1, MSS, 10 * MSS) for _ in range(5)] == [False, False, True, False, False]


def test_progress_forgets_the_duplicates() -> None:
    recovery = Recovery()
    recovery.on_duplicate(1, MSS, 10 * MSS)
    recovery.on_duplicate(1, MSS, 10 * MSS)
    assert not recovery.on_progress(1001, 1000)
    assert not recovery.on_duplicate(1001, MSS, 9 * MSS)


def test_below_the_recovery_point_no_fast_retransmit_starts() -> None:
    # RFC 6582 3.2 step 1
    recovery = Recovery()
    recovery.enter_loss(10001)
    recovery.phase = NONE
    assert not any(recovery.on_duplicate(10001, MSS, MSS) for _ in range(5))
    recovery.on_progress(10002, 1)
    assert [recovery.on_duplicate(10002, MSS, MSS) for _ in range(3)][-1]


def test_a_partial_ack_says_so_and_the_full_one_ends_recovery() -> None:
    # RFC 6582 3.2 step 3
    recovery = in_fast()
    assert recovery.on_progress(3001, 3000)
    assert recovery.phase == FAST
    assert not recovery.on_progress(10001, 7000)
    assert recovery.phase == NONE and recovery.dup_bytes == 0


def test_after_a_timeout_progress_is_no_partial_ack() -> None:
    recovery = Recovery()
    recovery.enter_loss(10001)
    assert not recovery.on_progress(3001, 3000)
    assert recovery.phase == LOSS
    recovery.on_progress(10001, 7000)
    assert recovery.phase == NONE


def test_duplicates_account_for_no_more_than_is_in_flight() -> None:
    recovery = Recovery()
    for _ in range(10):
        recovery.on_duplicate(1, MSS, 2500)
    assert recovery.dup_bytes == 2 * MSS


def test_prr_lets_out_in_proportion_while_the_pipe_is_above_ssthresh() -> None:
    # RFC 6937 3: sndcnt = CEIL(prr_delivered * ssthresh / RecoverFS) - prr_out
    recovery = in_fast()
    pipe = 7 * MSS
    recovery.on_delivered(MSS, pipe, 5 * MSS, MSS)
    assert recovery.allowance() == 500
    recovery.on_delivered(MSS, pipe, 5 * MSS, MSS)
    assert recovery.allowance() == 1000
    recovery.on_sent(1000)
    assert recovery.allowance() == 0
    recovery.on_delivered(2 * MSS, pipe, 5 * MSS, MSS)
    assert recovery.allowance() == 1000


def test_prr_fills_up_to_ssthresh_by_no_more_than_slow_start_when_the_pipe_is_below_it() -> None:
    # RFC 6937 3, slow-start reduction bound
    recovery = in_fast()
    recovery.on_delivered(MSS, 2 * MSS, 5 * MSS, MSS)
    assert recovery.allowance() == 2 * MSS
    recovery.on_delivered(MSS, 4500, 5 * MSS, MSS)
    assert recovery.allowance() == 500
    recovery.on_delivered(MSS, 6 * MSS, 5 * MSS, MSS)
    assert recovery.allowance() == 1500


def test_the_fast_retransmit_itself_always_goes() -> None:
    recovery = in_fast()
    recovery.on_delivered(MSS, 9 * MSS, 5 * MSS, MSS)
    recovery.allow_one(MSS)
    assert recovery.allowance() == MSS
