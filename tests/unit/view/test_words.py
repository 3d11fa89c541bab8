"""The words of drawings in another language: whatever numbers stand in them, and none is left out."""

from __future__ import annotations

import json

import pytest

from synfin.scenario import as_plain, run
from synfin.scenario.examples import EXAMPLES
from synfin.view import svg
from synfin.view.diagram import connections
from synfin.view.plots import connection_figure
from synfin.view.timeline import Timelines
from synfin.view.words import CHINESE, Catalogue, phrases_of


def test_a_translation_takes_the_numbers_in_its_own_order() -> None:
    known = phrases_of("SYN flood: 8000 SYNs in 80 s", "洪泛：80 秒内 8000 个 SYN")
    say = Catalogue(known)
    assert say("SYN flood: 8000 SYNs in 80 s") == "洪泛：80 秒内 8000 个 SYN"
    assert say("SYN flood: 7 SYNs in 1,200 s") == "洪泛：1,200 秒内 7 个 SYN"
    assert say.missing == set()


def test_a_number_of_the_translation_alone_stays_as_it_is() -> None:
    say = Catalogue(phrases_of("it takes two, for 5 ms and 7 s", "需要 2 个，7 秒和 5 ms"))
    assert say("it takes two, for 9 ms and 8 s") == "需要 2 个，8 秒和 9 ms"


@pytest.mark.parametrize(("english", "chinese"), [("20 of 20 in 3 s", "3 秒内 20 次中 20 次"), ("5 SYNs", "五个 SYN")])
def test_without_a_place_for_each_number_only_the_text_itself_is_known(english: str, chinese: str) -> None:
    assert phrases_of(english, chinese) == {english: chinese}


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("60 kB in 101 ms: 4.75 Mbit/s · 1 segment or bursts", "101 ms 内 60 kB: 4.75 Mbit/s · 1 个报文段或突发"),
        ("3 lost · 1 ACK", "丢失 3 个 · 1 个 ACK"),
        ("0 B in 7 µs", "7 µs 内 0 B"),
        ("", ""),
    ],
)
def test_of_a_line_with_parts_each_is_translated(english: str, chinese: str) -> None:
    assert Catalogue.of(CHINESE).listed(english) == chinese


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_word_of_an_examples_diagram_plots_and_fields_has_its_chinese(name: str) -> None:
    say = Catalogue.of(CHINESE)
    result = run(EXAMPLES[name])
    svg.drawing(connections(result.events), width=730, title="", say=say)
    timelines = Timelines()
    for event in result.events:
        timelines(event)
    for connection in timelines.connections:
        say.figure(connection_figure(connection))
    for one in json.loads(json.dumps(as_plain(result)))["segments"]:
        for field, value, *_ in one["fields"]:
            if field in ("tcp.options", "tcp.data_offset", "tcp.data"):
                for part in value.split("; "):
                    say(part)
    assert say.missing == set()
