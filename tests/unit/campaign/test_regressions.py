"""The file of regressions: beside the tests, sorted, one entry a line, and wrong ones are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from synfin.campaign.plain import parts_of, plain
from synfin.campaign.regressions import NAME, Regression, RegressionError, add, load
from synfin.sim import DROP, Delay
from synfin.sim.shrink import Parts

TEST, OTHER = "tests/test_shop.py::test_order[1]", "tests/deep/test_more.py::test_more"
PARTS = Parts(
    [(("a", "b", 0, "SYN,ACK", 0, 0, 0), DROP), (("b", "a", 1, "ACK", 1, 5, 2), Delay("15us", False))],
    [(("buy", 2, "sell #2", 4), "shop.py:3; shop.py:9")],
    [("crash", 1_000_000, 250_000, (("shop",),), 0.0), ("partition", 2, 3, (("a", "b"), ("c",)), 0.0)],
)


def test_what_chance_did_comes_back_from_json() -> None:
    assert parts_of(plain(PARTS)) == PARTS


def test_each_folder_of_tests_has_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "tests" / "deep").mkdir(parents=True)
    one, other = Regression(TEST, 7, {}, "a failure", plain(PARTS)), Regression(OTHER, 1, {"shuffle": True}, "another")
    changed = add(tmp_path, [one, other])
    assert changed == [tmp_path / "tests" / NAME, tmp_path / "tests" / "deep" / NAME]
    assert load(tmp_path, [TEST, OTHER]) == [other, one]
    assert load(tmp_path, [TEST]) == [one]
    assert add(tmp_path, [one]) == []


def test_a_failure_of_a_test_is_kept_once_and_entries_are_sorted_lines(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    add(tmp_path, [Regression(TEST, 9, {}, "b"), Regression(TEST, 7, {}, "a")])
    add(tmp_path, [Regression(TEST, 3, {}, "b"), Regression(TEST, 8, {}, "c")])
    assert (tmp_path / "tests" / NAME).read_text().splitlines() == [
        '{"regressions": [',
        f'{{"failure": "a", "seed": 7, "test": "{TEST}"}},',
        f'{{"failure": "b", "seed": 9, "test": "{TEST}"}},',
        f'{{"failure": "c", "seed": 8, "test": "{TEST}"}}',
        "]}",
    ]


@pytest.mark.parametrize("text", ["", "[]", '{"regressions": [{"seed": 1}]}', '{"regressions": [3]}'])
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / NAME).write_text(text)
    with pytest.raises(RegressionError, match="no file of regressions"):
        load(tmp_path, [TEST])
