"""Failures of many seeds are one if they happen at one place and say the same but for numbers."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from synfin.campaign.program import DIED, HUNG, Lost
from synfin.campaign.signature import Signature, normalised, signature_of
from synfin.campaign.work import lost_signature

MODULE = """
import json

class Broken(Exception):
    pass

def raises(error):
    raise error

def in_a_library(text):
    return json.loads(text)
"""


@pytest.fixture
def module(tmp_path: Path) -> ModuleType:
    (tmp_path / "shop.py").write_text(MODULE)
    spec = importlib.util.spec_from_file_location("shop", tmp_path / "shop.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def caught(call, *args: object) -> BaseException:  # type: ignore[no-untyped-def]
    try:
        call(*args)
    except BaseException as error:
        return error
    raise AssertionError("it does not fail")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 of 17 items", "12 of 4 items"),
        ("<Task at 0x7f00aa>", "<Task at 0x7f11bc>"),
        ("took 0.25 s", "took 13 s"),
        ("id 4fe1c2aa90b1", "id 9b1c2aa90b14"),
        ("Task-17 waits", "Task-3 waits"),
        ("a\n   b", "a\n b  "),
    ],
)
def test_what_differs_from_seed_to_seed_does_not_count(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


def test_lines_of_the_program_count() -> None:
    assert normalised("waits at shop.py:12") != normalised("waits at shop.py:13")
    assert normalised("no stock") != normalised("no money")


def test_the_place_is_the_last_line_of_the_project(module: ModuleType, tmp_path: Path) -> None:
    found = signature_of(caught(module.in_a_library, "{"), tmp_path)
    assert found.exception == "json.decoder.JSONDecodeError"
    assert found.place == "shop.py:11 in in_a_library"
    assert str(found).startswith("json.decoder.JSONDecodeError: Expecting property name")


def test_of_a_group_the_first_failure_counts(module: ModuleType, tmp_path: Path) -> None:
    inner = caught(module.raises, module.Broken("number 7"))
    group = BaseExceptionGroup("several", [BaseExceptionGroup("inner", [inner]), ValueError()])
    assert signature_of(group, tmp_path) == Signature("shop.Broken", "shop.py:8 in raises", "number #")


def test_a_statement_about_all_times_has_its_own_name_for_a_place(module: ModuleType, tmp_path: Path) -> None:
    error = AssertionError("at 3.2 s it does not hold\nmore")
    error.statement = "always stock at shop.py:3"  # type: ignore[attr-defined]
    found = signature_of(caught(module.raises, error), tmp_path)
    assert found == Signature("AssertionError", "always stock at shop.py:3", "at # s it does not hold")


def test_of_a_child_that_hangs_the_place_is_what_faulthandler_says(tmp_path: Path) -> None:
    text = (
        "no answer for 100 s of real time\nCurrent thread 0x00007f (most recent call first):\n"
        '  File "/usr/lib/python3.11/json/decoder.py", line 353 in raw_decode\n'
        f'  File "{tmp_path}/shop.py", line 8 in spin\n'
    )
    found = lost_signature(Lost(HUNG, text), tmp_path)
    assert found == Signature("no answer", "shop.py:8 in spin", "no answer for # s of real time")
    died = lost_signature(Lost(DIED, "its process ended by signal 11"), tmp_path)
    assert died == Signature("process died", "", "its process ended by signal #")
