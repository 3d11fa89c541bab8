"""A run's diagram for a page: each arrow can be found by the segment it is, and it fits a narrow page."""

import re
from dataclasses import replace
from xml.etree import ElementTree

from synfin.scenario import Fate, Result, run
from synfin.scenario.examples import EXAMPLES
from synfin.view.diagram import connections, draw
from synfin.view.rows import Arrow, Row
from synfin.view.svg import draw_svg, drawing

SVG = "{http://www.w3.org/2000/svg}"


def rows(result: Result) -> list[list[Row]]:
    return connections(result.events, fold=False, began=result.base_us, refs=lambda event: result.refs.get(event, ()))


def arrows(result: Result) -> list[tuple[str, ...]]:
    return [row.refs for found in rows(result) for row in found if isinstance(row, Arrow)]


def test_each_segment_has_its_arrow() -> None:
    for name in ("conversation", "syn-ack-lost", "fast-retransmit", "figure-8"):
        result = run(EXAMPLES[name])
        drawn = {ref for refs in arrows(result) for ref in refs}
        assert drawn == {one.id for one in result.segments}, name


def test_a_copy_is_an_arrow_of_the_segment_that_it_is_a_copy_of() -> None:
    duplicated = Fate(packet=("server", "client", 0, "SYN,ACK", 0, 0, 0), do="duplicate")
    result = run(replace(EXAMPLES["conversation"], fates=(duplicated,)))
    assert arrows(result)[:4].count(("s2",)) == 2


def test_an_arrow_is_a_group_that_can_be_focused_and_says_what_it_is() -> None:
    svg = ElementTree.fromstring(drawing(rows(run(EXAMPLES["figure-13"]))))
    groups = [group for group in svg.iter(f"{SVG}g") if group.get("class") == "segment"]
    assert sorted(group.get("data-segment", "") for group in groups) == [f"s{n}" for n in range(1, 8)]
    assert groups[0].get("aria-label", "").startswith("SYN seq=0 (")
    assert {(group.get("tabindex"), group.get("role")) for group in groups} == {("0", "button")}
    assert svg.get("role") == "group"
    labels = [group for group in svg.iter(f"{SVG}g") if group.get("class") == "label"]
    assert len(labels) == 7


def test_without_names_a_diagram_is_an_image() -> None:
    svg = draw_svg(run(EXAMPLES["figure-13"]).events)
    assert "<g" not in svg
    assert 'role="img"' in svg


def test_nothing_in_a_drawing_has_a_style_of_its_own() -> None:
    assert not re.search(r"<style|style=", drawing(rows(run(EXAMPLES["crash"]))))


def test_a_narrow_drawing_keeps_reasons_within_its_width() -> None:
    width = 344
    svg = ElementTree.fromstring(drawing(rows(run(EXAMPLES["syn-ack-lost"])), width=width))
    for text in svg.iter(f"{SVG}text"):
        if text.get("class") in ("dim", "note") and text.text:
            x, reach = float(text.get("x", "0")), len(text.text) * 6.7
            left = x - reach if text.get("text-anchor") == "end" else x
            right = x + reach if text.get("text-anchor") == "start" else x
            assert left >= 0, text.text
            assert right <= width, text.text


def test_a_narrow_drawing_keeps_options_between_its_lifelines() -> None:
    narrow = ElementTree.fromstring(drawing(rows(run(EXAMPLES["syn-ack-lost"])), width=336))
    lifelines = [float(line.get("x1", "0")) for line in narrow.iter(f"{SVG}line") if line.get("class") == "life"]
    room = max(lifelines) - min(lifelines)
    options = [span.text or "" for span in narrow.iter(f"{SVG}tspan") if span.get("class") == "dim"]
    assert "<mss 1460," in options[0]
    assert all(len(text) * 6.7 < room for text in options)


def test_times_count_from_the_beginning_of_the_run() -> None:
    result = run(EXAMPLES["figure-11"])
    [found] = rows(result)
    first = next(row for row in found if isinstance(row, Arrow))
    assert first.right_at == 10_000
    assert "0.010000" in "\n".join(draw(result.events, began=result.base_us))
