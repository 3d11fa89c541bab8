from __future__ import annotations

from typing import Any

import pytest

from synfin.run.settings import parse_cut, parse_settings
from synfin.sim.link import LinkSettings


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("delay=80ms loss=2%", {"delay": "80ms", "loss": 0.02}),
        ("loss=0.02 reorder=yes", {"loss": 0.02, "reorder": True}),
        ("rate=5Mbit/s queue=64KB", {"bandwidth": "5Mbit/s", "queue": "64KB"}),
        ("rate=none delay=0", {"bandwidth": None, "delay": 0}),
        ("jitter=10ms distribution=pareto", {"jitter": "10ms", "distribution": "pareto"}),
        ("mtu=1400 icmp=no", {"mtu": 1400, "icmp": False}),
        ("burst-enter=1% burst_leave=30%", {"burst_enter": 0.01, "burst_leave": 0.3}),
    ],
)
def test_settings_are_written_as_people_write_them(words: str, expected: dict[str, Any]) -> None:
    settings = parse_settings(words.split())
    assert settings == expected
    LinkSettings().changed(**settings)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("speed=3", "no setting 'speed'"),
        ("loss", "written as loss=2%"),
        ("loss=200%", "from 0 to 1"),
        ("loss=two", "such as 2% or 0.02"),
        ("loss=nan", "from 0 to 1"),
        ("delay=fast", "delay 'fast' is not understood"),
        ("delay=5", "write it like '20ms'"),
        ("reorder=perhaps", "yes or no"),
        ("distribution=gauss", "uniform, normal, pareto"),
        ("mtu=12", "from 576"),
        ("mtu=-1", "number of bytes"),
        ("loss=1% loss=2%", "twice"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(words: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_settings(words.split())


def test_a_cut_has_a_begin_and_perhaps_an_end() -> None:
    assert parse_cut("5s..8s") == (5_000_000, 8_000_000)
    assert parse_cut("5s..") == (5_000_000, None)
    assert parse_cut("..500ms") == (0, 500_000)


@pytest.mark.parametrize("text", ["5s", "8s..5s", "5s..5s", "a..b", ""])
def test_a_cut_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cut"):
        parse_cut(text)
