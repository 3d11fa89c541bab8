"""The looks of the SVGs: every class of a drawing has its rule, and no rule reaches beyond the drawings."""

from __future__ import annotations

import re

from synfin.view.diagram import connections
from synfin.view.figure import Figure, Line, Panel
from synfin.view.figure_svg import drawing as figure_drawing
from synfin.view.figure_svg import figure_svg
from synfin.view.plots import connection_figure
from synfin.view.rows import STYLES
from synfin.view.stylesheet import COLORS, DIAGRAM, FIGURE, diagram_style, figure_style, page_stylesheet
from synfin.view.svg import drawing
from synfin.view.ticks import COUNT
from synfin.view.timeline import Timelines
from tests.unit.view.test_diagram import lossy
from tests.unit.view.transfer import lossy_transfer


def a_figure() -> Figure:
    timelines = Timelines()
    for event in lossy_transfer().events():
        timelines(event)
    return connection_figure(timelines.connections[0])


def classes(document: str) -> set[str]:
    return {name for value in re.findall(r'class="([^"]*)"', document) for name in value.split()}


def selectors(sheet: str) -> list[str]:
    return [one for many in re.findall(r"([^{}]+)\{[^{}]*\}", sheet) for one in many.strip().split(",")]


def test_every_class_of_a_drawing_has_a_rule_on_a_page() -> None:
    sheet = page_stylesheet()
    drawn = classes(drawing(connections(lossy().events()))) | classes(figure_drawing(a_figure())) | set(STYLES)
    bare = {"", "ack"}  # plain text and plain arrows
    assert {name for name in drawn - bare if f".{name}" not in sheet} == set()


def test_no_rule_reaches_beyond_the_drawings() -> None:
    for sheet in (diagram_style(), figure_style(("data", "cwnd"))):
        assert [one for one in selectors(sheet) if not one.startswith((f".{DIAGRAM}", f".{FIGURE}"))] == []
    outside = [one for one in selectors(page_stylesheet()) if not one.startswith((f".{DIAGRAM}", f".{FIGURE}"))]
    assert set(outside) == {
        ":root", "[data-theme=light]", "[data-theme=dark]", ":root:not([data-theme=light])", "[data-theme=auto]",
    }  # fmt: skip


def test_a_page_has_each_colour_twice_and_uses_only_what_it_has() -> None:
    sheet = page_stylesheet()
    for name, (light, dark) in COLORS.items():
        assert f"--synfin-{name}:{light}" in sheet
        assert f"--synfin-{name}:{dark}" in sheet
    assert set(re.findall(r"var\(--synfin-(\w+)\)", sheet)) <= set(COLORS)


def test_a_figure_for_a_page_has_no_style_and_nothing_by_name() -> None:
    """Two figures of one page must not share an id."""
    part = figure_drawing(a_figure())
    assert "style" not in part
    assert not re.search(r"\bid=|url\(", part)
    assert re.sub("<style>.*?</style>", "", figure_svg(a_figure()), flags=re.DOTALL) == part


def test_a_curve_beyond_its_panel_is_cut() -> None:
    figure = Figure("t", [Panel("p", COUNT, [Line("a", "one", [0, 1], [0, 1000])], 10)], 0, 1)
    document = figure_drawing(figure)
    inner = re.search(r'<svg x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" viewBox="([^"]+)">', document)
    assert inner is not None
    assert " ".join(inner.groups()[:4]) == inner[5]  # the same scale: it moves nothing
    assert document.count("<svg") == document.count("</svg>") == 2
