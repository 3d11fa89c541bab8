"""The stack's one timer queue: lazy, exact, without a deadline in the past and without litter."""

from __future__ import annotations

import random

from synfin.stack.timers import TimerQueue
from synfin.tcp.timer import Timed


def timed(deadline: int) -> Timed:
    """Something that waits."""
    made = Timed()
    made.deadline = deadline
    return made


def test_the_next_deadline_is_the_earliest() -> None:
    queue = TimerQueue()
    assert queue.next() == 0
    for deadline in (30, 10, 20):
        queue.note(timed(deadline))
    assert queue.next() == 10


def test_what_is_due_comes_out_once_and_in_order() -> None:
    queue = TimerQueue()
    first, second, third = timed(10), timed(10), timed(20)
    for each in (third, first, second):
        queue.note(each)
    assert queue.due(9) is None
    assert queue.due(10) is first
    assert queue.due(10) is second
    assert queue.due(10) is None
    assert queue.due(99) is third
    assert len(queue) == 0 and queue.next() == 0


def test_a_deadline_that_moves_later_is_filed_anew_when_the_old_one_comes() -> None:
    queue = TimerQueue()
    waiter = timed(10)
    queue.note(waiter)
    for later in range(11, 100):
        waiter.deadline = later
        queue.note(waiter)
    assert len(queue) == 1
    assert queue.due(10) is None
    assert queue.next() == 99
    assert queue.due(99) is waiter


def test_a_deadline_that_moves_earlier_is_met_in_time_and_only_once() -> None:
    queue = TimerQueue()
    waiter = timed(100)
    queue.note(waiter)
    waiter.deadline = 10
    queue.note(waiter)
    assert queue.next() == 10
    assert queue.due(10) is waiter
    waiter.deadline = 0
    assert queue.due(1000) is None and len(queue) == 0


def test_who_waits_for_nothing_leaves_no_deadline_behind() -> None:
    queue = TimerQueue()
    waiter = timed(10)
    queue.note(waiter)
    waiter.deadline = 0
    assert queue.next() == 0 and len(queue) == 0
    waiter.deadline = 5
    queue.note(waiter)
    assert queue.next() == 5


def test_stale_entries_never_outnumber_the_others_for_long() -> None:
    queue = TimerQueue()
    live = [timed(10**9 + n) for n in range(10)]
    for each in live:
        queue.note(each)
    for n in range(10_000):
        gone = timed(10**6 + n)
        queue.note(gone)
        gone.deadline = 0
    assert len(queue) < 200
    assert [queue.due(2 * 10**9) for _ in live] == live


def test_against_a_plain_list_nothing_is_missed_early_or_late() -> None:
    draw = random.Random(5)
    queue = TimerQueue()
    waiters = [Timed() for _ in range(30)]
    now = 0
    for _ in range(3000):
        each = draw.choice(waiters)
        each.deadline = draw.choice((0, now + draw.randint(1, 500)))
        queue.note(each)
        if draw.random() < 0.3:
            now += draw.randint(1, 60)
            expected = {id(w) for w in waiters if w.deadline and w.deadline <= now}
            seen = set()
            while (due := queue.due(now)) is not None:
                seen.add(id(due))
                due.deadline = 0
            assert seen == expected
        upcoming = queue.next()
        assert upcoming == 0 or upcoming > now
        pending = [w.deadline for w in waiters if w.deadline]
        assert (0 < upcoming <= min(pending)) if pending else upcoming == 0
