"""Sets of offsets: as a set of numbers has it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from synfin.view.intervals import Intervals

steps = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12), st.booleans()), max_size=30)


@given(steps)
def test_it_agrees_with_a_set_of_numbers(script: list[tuple[int, int, bool]]) -> None:
    intervals, numbers = Intervals(), set[int]()
    for start, size, drop in script:
        span = set(range(start, start + size))
        assert intervals.misses(start, start + size) == (not span <= numbers or not (span or start in numbers))
        if drop:
            intervals.drop_below(start)
            numbers = {number for number in numbers if number >= start}
        else:
            assert intervals.add(start, start + size) == len(span - numbers)
            numbers |= span
        assert intervals.size == len(numbers)
