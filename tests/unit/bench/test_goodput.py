"""How the figures of many seeds become one."""

from __future__ import annotations

import pytest

from bench.goodput import compare, geometric, percentile, table


def test_the_mean_is_geometric_and_its_interval_is_student_s() -> None:
    mean, low, high = geometric([1.0, 4.0])
    assert mean == pytest.approx(2.0)
    # The logarithms stand ln 2 from their mean: standard error ln 2, times 12.71.
    assert high is not None
    assert high / mean == pytest.approx(2.0**12.71)
    assert mean / low == pytest.approx(high / mean)


def test_one_value_has_no_interval() -> None:
    mean, _, high = geometric([3.0])
    assert mean == pytest.approx(3.0)
    assert high is None


def test_a_percentile_is_one_of_the_values() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert percentile(values, 0.5) == 3.0
    assert percentile(values, 0.9) == 5.0
    assert percentile([7.0], 0.5) == 7.0


def test_a_ratio_is_that_of_the_same_seeds() -> None:
    row = compare([(1.0, 2.0), (40.0, 20.0)], short=False)
    assert row["ratio"] == pytest.approx(1.0)
    assert row["unit"] == "Mbit/s"


def test_a_table_has_a_line_for_each_entry_and_a_column_for_each_pair() -> None:
    bulk = {"name": "goodput_reno_loss_1", "mode": "compiled", **compare([(1.0, 2.0)], short=False)}
    short = {"name": "goodput_reno_short_5", "mode": "compiled", **compare([(1.5, 2.0)], short=True)}
    rows = [{**bulk, "pair": "synfin->kernel"}, {**bulk, "pair": "synfin->synfin"}, {**short, "pair": "synfin->kernel"}]
    assert table(rows).splitlines() == [
        "goodput               kernel->kernel        synfin->kernel                synfin->synfin",
        "goodput_reno_loss_1   2.00 Mbit/s           1.00 (×0.50)                  1.00 (×0.50)",
        "goodput_reno_short_5  2.00 s, 90 %: 2.00 s  1.50 s, 90 %: 1.50 s (×0.75)  -",
    ]
