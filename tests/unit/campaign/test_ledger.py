"""The ledger: a verdict stands once, all of a chunk or nothing is kept, and a full disk is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from synfin.campaign.ledger import Key, Ledger, LedgerError, Row, settings_text
from synfin.campaign.signature import Signature
from synfin.campaign.verdicts import FAILED, PASSED

TEST = "tests/test_shop.py::test_order"
BROKEN = Signature("ValueError", "shop.py:12 in order", "no # left")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / ".synfin" / "ledger.sqlite")) as ledger:
        yield ledger


def rows(*seeds: int, verdict: str = PASSED, signature: Signature | None = None) -> list[Row]:
    return [Row(Key(TEST, seed), verdict, signature, 0.001, seed * 7) for seed in seeds]


def test_what_was_recorded_is_there_when_it_is_opened_again(ledger: Ledger, stack: ExitStack) -> None:
    number = ledger.begin("code1", [TEST], {"seeds": 3}, "/project")
    ledger.record(number, "code1", rows(1, 2, 3))
    ledger.close()
    again = stack.enter_context(closing(Ledger(ledger.path)))
    assert [again.has("code1", Key(TEST, seed)) for seed in range(5)] == [False, True, True, True, False]
    assert again.counts("code1", [TEST])[TEST][PASSED][0] == 3
    [told] = again.campaigns()
    assert (told.number, told.code, told.how, told.tests, told.plan) == (1, "code1", "running", [TEST], {"seeds": 3})
    assert (ledger.path.parent / ".gitignore").read_text() == "*\n"


def test_the_key_is_code_test_seed_and_settings(ledger: Ledger) -> None:
    number = ledger.begin("code1", [TEST], {}, "/")
    ledger.record(number, "code1", rows(1))
    assert not ledger.has("code2", Key(TEST, 1))
    assert not ledger.has("code1", Key("tests/test_shop.py::test_other", 1))
    assert not ledger.has("code1", Key(TEST, 1, settings_text({"shuffle": True})))
    assert settings_text({"b": 1, "a": 2}) == settings_text({"a": 2, "b": 1})


def test_a_verdict_stands_once_and_another_one_of_the_same_key_is_told(ledger: Ledger) -> None:
    number = ledger.begin("code1", [TEST], {}, "/")
    assert ledger.record(number, "code1", rows(1, 2)) == []
    assert ledger.record(number, "code1", rows(1, 2)) == []
    other = rows(2, verdict=FAILED, signature=BROKEN)
    assert ledger.record(number, "code1", other) == other
    assert ledger.counts("code1", [TEST])[TEST][PASSED][0] == 2
    assert ledger.ran(number) == 2


def test_failures_are_grouped_by_their_signature(ledger: Ledger) -> None:
    number = ledger.begin("code1", [TEST], {}, "/")
    ledger.record(number, "code1", rows(1, 2))
    ledger.record(number, "code1", rows(5, 9, 7, verdict=FAILED, signature=BROKEN))
    other = Signature("KeyError", "", "'x'")
    ledger.record(number, "code1", rows(6, verdict=FAILED, signature=other))
    ledger.note_shrunk("code1", Key(TEST, 7), BROKEN, {"words": ["lost"]})
    first, second = ledger.groups("code1", [TEST], seeds=2)
    assert (first.signature, first.count, [key.seed for key in first.seeds]) == (BROKEN, 3, [5, 7])
    assert first.shrunk == [(Key(TEST, 7), {"words": ["lost"]})]
    assert (second.signature, second.count) == (other, 1)
    assert ledger.groups("code2", [TEST]) == []


def test_two_journals_of_a_seed_are_compared(ledger: Ledger) -> None:
    keys = [Key(TEST, seed) for seed in range(3)]
    ledger.note_journals("code1", [(key, 100) for key in keys], second=False)
    assert ledger.unpaired("code1", [TEST]) == keys
    assert ledger.note_journals("code1", [(keys[0], 100), (keys[1], 101)], second=True) == [keys[1]]
    assert ledger.unpaired("code1", [TEST]) == keys[2:]


def test_a_full_disk_is_told_and_a_chunk_is_kept_whole_or_not_at_all(tmp_path: Path, stack: ExitStack) -> None:
    ledger = stack.enter_context(closing(Ledger(tmp_path / "ledger.sqlite")))
    number = ledger.begin("code1", [TEST], {}, "/")
    ledger._db.execute("PRAGMA max_page_count = 40")
    kept = 0

    def go_on() -> None:
        nonlocal kept
        while True:
            ledger.record(number, "code1", rows(*range(kept, kept + 100)))
            kept += 100

    with pytest.raises(LedgerError, match="the disk is full"):
        go_on()
    assert kept > 0
    again = stack.enter_context(closing(Ledger(ledger.path)))
    assert again.counts("code1", [TEST])[TEST][PASSED][0] == kept
    ledger._db.execute("PRAGMA max_page_count = 4000")  # somebody made room
    ledger.record(number, "code1", rows(*range(kept, kept + 100)))
    assert again.counts("code1", [TEST])[TEST][PASSED][0] == kept + 100


def test_an_interruption_within_a_chunk_keeps_nothing_of_it(ledger: Ledger) -> None:
    number = ledger.begin("code1", [TEST], {}, "/")

    def interrupted():  # type: ignore[no-untyped-def]
        yield from rows(1, 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.record(number, "code1", interrupted())
    assert ledger.counts("code1", [TEST]) == {TEST: {}}
    ledger.record(number, "code1", rows(1, 2))
    assert ledger.ran(number) == 2


def test_a_ledger_of_before_late_packages_were_known_is_used_on(ledger: Ledger, stack: ExitStack) -> None:
    number = ledger.begin("code1", [TEST], {}, "/")
    ledger.record(number, "code1", rows(1))
    ledger._db.execute("DROP TABLE late")
    ledger._db.execute("PRAGMA user_version = 1")
    ledger.close()
    again = stack.enter_context(closing(Ledger(ledger.path)))
    again.note_late("code1", {"shop": "1"})
    assert again.has("code1", Key(TEST, 1))
    stack.enter_context(closing(Ledger(ledger.path, only_read=True)))


def test_what_is_no_ledger_is_told(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no database, but long enough to be taken for one " * 50)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger(text)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as db:
        db.execute("PRAGMA user_version = 77")
    db.close()
    with pytest.raises(LedgerError, match="no ledger of this synfin"):
        Ledger(other)
    with pytest.raises(LedgerError, match="unable to open"):
        Ledger(tmp_path / "missing", only_read=True)
