"""What may happen to packets in memory is said with numbers that make sense."""

from __future__ import annotations

from typing import Any

import pytest

from synfin.links.faults import Faults


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
