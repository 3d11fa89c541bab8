"""When cwnd answers a mark: not twice, and not after all only because a loss was none."""

from __future__ import annotations

import pytest

from synfin.tcp.ecn import Marks
from synfin.wire.segment import Segment
from synfin.wire.tcp_header import ACK, CWR, ECE


def echoes(marks: Marks) -> None:
    """An ACK with ECE is in hand."""
    seg = Segment()
    seg.flags = ACK | ECE
    marks.on_segment(seg)


def says_cwr(marks: Marks) -> bool:
    """New text goes out, and says it."""
    seg = Segment()
    marks.fill(seg)
    return seg.flags & CWR != 0


@pytest.mark.parametrize("mark", [True, False])
def test_a_reduction_answers_what_was_sent_before_it(mark: bool) -> None:
    # RFC 3168 6.1.2
    marks = Marks(True)
    echoes(marks)
    assert marks.owes_answer(1)
    marks.on_reduced(1000, mark)
    assert not marks.owes_answer(2000)  # nobody has heard of it yet
    assert says_cwr(marks) and not says_cwr(marks)
    assert not marks.owes_answer(1000)
    assert marks.owes_answer(1001)


def test_a_loss_that_was_none_answers_no_mark_and_an_answered_mark_stays_answered() -> None:
    marks = Marks(True)
    echoes(marks)
    marks.on_reduced(1000, False)
    marks.on_undone()
    assert marks.owes_answer(500) and not says_cwr(marks)
    marks.on_reduced(1000, True)
    assert says_cwr(marks)
    marks.on_reduced(2000, False)
    assert not marks.owes_answer(1500)
    marks.on_undone()
    assert not marks.owes_answer(1000) and marks.owes_answer(1001)


def test_a_loss_among_what_was_sent_before_an_answered_mark_is_answered_with_it() -> None:
    # RFC 8511 4.2
    marks = Marks(True)
    marks.on_reduced(1000, True)
    assert marks.answers_loss(999) and not marks.answers_loss(1000)
    marks.on_reduced(3000, False)
    assert not marks.answers_loss(2000)
