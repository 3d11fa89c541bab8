"""What may happen to packets in memory is said with numbers that make sense."""

from __future__ import annotations

from typing import Any

import pytest

from synfin.links.faults import Faults
from synfin.links.memory import MemoryLink
from synfin.stack.stack import Stack


@pytest.mark.parametrize("name", ["delay_us", "jitter_us", "reorder_us"])
@pytest.mark.parametrize(
    ("value", "error"),
    [(-1, ValueError), ((1 << 48) + 1, ValueError), (1.5, TypeError), (float("nan"), TypeError), ("1ms", TypeError)],
)
def test_a_time_that_is_none_is_refused_by_name(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"Faults\.{name}"):
        Faults(**{name: value})


@pytest.mark.parametrize("name", ["loss", "duplicate", "reorder", "mark"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"Faults\.{name}"):
        Faults(**{name: value})


def test_each_packet_is_seen_before_it_is_asked_about() -> None:
    left, right = (Stack([address], entropy=lambda size: bytes(range(size))) for address in ("10.0.0.1", "10.0.0.2"))
    link = MemoryLink(left, right)
    order: list[str] = []

    def drop(_: Stack, __: bytes) -> bool:
        order.append("drop")
        return False

    link.tap, link.drop = lambda *_: order.append("tap"), drop
    listener = right.listen(80)
    connection = left.connect("10.0.0.2", 80, link.now)
    connection.write(bytes(20_000))
    assert link.run(lambda: listener.pending() > 0 and connection.sender.idle())
    assert len(order) > 20
    assert order == ["tap", "drop"] * (len(order) // 2)
