"""The joint-state table of the close: each order of the four events leads through RFC 9293's figure 5."""

from __future__ import annotations

import pytest

from synfin.tcp.close import Closer
from synfin.tcp.states import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    TIME_WAIT,
    TRANSITIONS,
)

QUEUE, ACKED, PEER = "our FIN is queued", "our FIN is acknowledged", "the peer's FIN is reached"


def happens(closer: Closer, event: str) -> None:
    """One of the facts comes true."""
    if event == QUEUE:
        closer.queue_fin()
    elif event == ACKED:
        closer.on_fin_acked()
    else:
        closer.on_peer_fin()


@pytest.mark.parametrize(
    ("order", "path"),
    [
        ((QUEUE, ACKED, PEER), (FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT)),
        ((QUEUE, PEER, ACKED), (FIN_WAIT_1, CLOSING, TIME_WAIT)),
        ((PEER, QUEUE, ACKED), (CLOSE_WAIT, LAST_ACK, CLOSED)),
    ],
)
def test_each_order_of_the_facts_leads_through_its_states(order: tuple[str, ...], path: tuple[int, ...]) -> None:
    closer = Closer()
    assert closer.state() == ESTABLISHED
    before: int = ESTABLISHED
    for event, state in zip(order, path, strict=True):
        happens(closer, event)
        assert closer.state() == state
        assert (before, state) in TRANSITIONS
        before = state


def test_a_fact_told_twice_is_the_same_fact() -> None:
    closer = Closer()
    closer.on_peer_fin()
    closer.queue_fin()
    closer.on_peer_fin()
    closer.queue_fin()
    assert closer.state() == LAST_ACK


def test_the_reader_that_is_gone_changes_no_state() -> None:
    closer = Closer()
    closer.reader_gone = True
    assert closer.state() == ESTABLISHED
    closer.on_peer_fin()
    assert closer.state() == CLOSE_WAIT
