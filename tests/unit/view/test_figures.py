"""The pictures: round ticks, nothing cut, equal curves that both show, and what a transfer with a loss looks like."""

from __future__ import annotations

import io
import re
import sys
import types
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.view.figure import Bars, Figure, Layer, Line, Marks, Panel, Spans, highest
from synfin.view.figure_png import CannotDraw, figure_png
from synfin.view.figure_svg import figure_svg
from synfin.view.figure_text import COLORS, figure_text
from synfin.view.pictures import save, show
from synfin.view.plots import connection_figure
from synfin.view.stylesheet import AUTO, DARK, LIGHT
from synfin.view.text import plain
from synfin.view.ticks import BYTES, COUNT, RATE, SHARE, TIME, Unit, round_step, ticks
from synfin.view.timeline import Connection, Timelines
from tests.conftest import need_library
from tests.unit.view.transfer import MSS, lossy_transfer

SVG = "{http://www.w3.org/2000/svg}"
SECOND = 1_000_000


def transfer(*hosts: str) -> Connection:
    timelines = Timelines()
    for event in lossy_transfer().events(*hosts):
        timelines(event)
    return timelines.connections[0]


def curves(*series: Line, end: float = 10 * SECOND, high: float = 100.0, unit: Unit = COUNT) -> Figure:
    return Figure("A title", [Panel("a panel", unit, series, high)], 0, end, "and what it is")


def text_of(figure: Figure, width: int = 100, ascii_only: bool = False) -> list[str]:
    return [plain(line) for line in figure_text(figure, width=width, ascii_only=ascii_only)]


def elements(document: str, kind: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(document).iter(f"{SVG}{kind}"))


def words(document: str) -> list[str]:
    return ["".join(element.itertext()) for element in elements(document, "text")]


# ---- ticks ----


@given(st.floats(1e-3, 1e12), st.integers(2, 12))
def test_steps_are_round_and_no_more_than_asked_for(span: float, most: int) -> None:
    step = round_step(span, most)
    assert span / step <= most + 1e-6
    digits = f"{step:e}".partition("e")[0].rstrip("0").rstrip(".")
    assert digits in ("1", "2", "5")


@pytest.mark.parametrize("unit", [BYTES, RATE, TIME, COUNT, SHARE])
@given(low=st.floats(0, 1e9), span=st.floats(1, 1e10))
def test_ticks_lie_within_the_axis_evenly_and_the_last_names_the_unit(unit: Unit, low: float, span: float) -> None:
    found = ticks(low, low + span, unit, 6)
    values = [value for value, _ in found]
    assert all(low - span * 1e-6 <= value <= low + span * (1 + 1e-6) for value in values)
    gaps = [(b - a) / span for a, b in pairwise(values)]
    assert not gaps or max(gaps) - min(gaps) < 1e-6
    name = unit.scale(low + span)[1]
    assert not found or found[-1][1].endswith(name)


def test_ticks_of_the_flood_of_80_seconds_are_at_round_times() -> None:
    assert [label for _, label in ticks(0, 165 * SECOND, TIME, 10)] == [
        "0", "20", "40", "60", "80", "100", "120", "140", "160 s",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (BYTES, 999, "999 B"), (BYTES, 14480, "14.5 kB"), (BYTES, 4e6, "4 MB"), (RATE, 825_000, "6.6 Mbit/s"),
        (RATE, 100, "800 bit/s"), (TIME, 40_100, "40.1 ms"), (TIME, 12, "12 µs"),
        (SHARE, 0.5, "50 %"), (COUNT, 64, "64"),
    ],
)  # fmt: skip
def test_values_are_written_with_their_unit(unit: Unit, value: float, text: str) -> None:
    assert unit.text(value) == text


# ---- SVG ----


def test_the_svg_is_well_formed_and_self_contained() -> None:
    document = figure_svg(connection_figure(transfer()))
    root = ElementTree.fromstring(document)
    assert root.get("role") == "img"
    assert "client 10.0.0.1:49152 → server 10.0.0.2:80" in (root.get("aria-label") or "")
    assert not re.search(r"<script|<image|href|url\((?!#)|@import|@font-face", document)


def test_words_of_a_trace_cannot_become_markup() -> None:
    evil = '<script>"&'
    figure = Figure(evil, [Panel(evil, COUNT, [Line(evil, "one", [0, 1], [0, 1])], 1)], 0, 1, evil)
    document = figure_svg(figure)
    assert "<script" not in document
    assert evil in words(document)


def test_both_schemes_are_in_a_document_unless_one_is_asked_for() -> None:
    figure = connection_figure(transfer())
    automatic, dark, light = (figure_svg(figure, scheme=scheme) for scheme in (AUTO, DARK, LIGHT))
    assert "prefers-color-scheme:dark" in automatic
    assert "#0d1117" in automatic
    assert "#ffffff" in automatic
    assert "prefers-color-scheme" not in dark + light
    assert "#ffffff" not in dark
    assert "#0d1117" not in light


@pytest.mark.parametrize("end", [165 * SECOND, 9.999 * SECOND, 80_000, 7, 3600 * SECOND])
@pytest.mark.parametrize("width", [400, 960])
def test_no_word_leaves_the_picture(end: float, width: int) -> None:
    """By the width of a character that no usual font exceeds at this size."""
    figure = curves(Line("a name that is rather long", "one", [0, end], [0, 1e8]), end=end, high=1e8, unit=BYTES)
    document = figure_svg(figure, width=width)
    height = float(ElementTree.fromstring(document).get("height", "0"))
    for element in elements(document, "text"):
        size = 6.4 * len("".join(element.itertext())) * (1.2 if element.get("class") == "title" else 1)
        x = float(element.get("x", "0"))
        x -= {"middle": size / 2, "end": size}.get(element.get("text-anchor", ""), 0)
        assert x >= 0
        assert x + size <= width + 1
        assert 10 <= float(element.get("y", "0")) <= height - 2


def test_a_long_legend_takes_more_lines() -> None:
    series = [Line(f"a curve with a rather long name {number}", "one", [0, 1], [0, 1]) for number in range(8)]
    document = figure_svg(curves(*series, end=1))
    assert len({element.get("y") for element in elements(document, "text") if "curve" in (element.text or "")}) > 1


def test_equal_curves_both_show_in_the_svg() -> None:
    solid = Line("first", "one", [0, 5 * SECOND, 10 * SECOND], [0, 50, 20])
    dashed = Line("second", "two", solid.xs, solid.ys, dashed=True)
    document = figure_svg(curves(solid, dashed))
    below, above = [path for path in elements(document, "path") if len(path.get("d", "")) > 20]
    assert below.get("d") == above.get("d")
    assert below.get("class") == "line one"
    assert above.get("class") == "line dashed two"


def test_a_curve_of_a_million_points_makes_a_small_document() -> None:
    count = 1_000_000
    xs = [n * 10 for n in range(count)]
    figure = curves(Line("saw", "one", xs, [n % 97 for n in range(count)], step=True))
    assert len(figure_svg(figure)) < 200_000


def test_many_departures_in_one_pixel_are_one_bar() -> None:
    count = 100_000
    xs = [n * 100 for n in range(count)]
    bars = Bars("sent", "data", xs, [n * 1e-3 for n in range(count)], [(n + 1) * 1e-3 for n in range(count)])
    document = figure_svg(Figure("t", [Panel("p", COUNT, [bars], 100, tall=True)], 0, 10 * SECOND))
    path = max(elements(document, "path"), key=lambda path: len(path.get("d", "")))
    assert path.get("class") == "bar data"
    assert path.get("d", "").count("M") <= 2000


def test_a_single_small_segment_is_two_pixels_high() -> None:
    bars = Bars("sent", "data", [5 * SECOND], [10.0], [10.0001])
    document = figure_svg(Figure("t", [Panel("p", COUNT, [bars], 100)], 0, 10 * SECOND))
    found = re.search(r'class="bar data" d="M[\d.]+ ([\d.]+)V([\d.]+)"', document)
    assert found is not None
    assert float(found[1]) - float(found[2]) == pytest.approx(2, abs=0.11)


def test_what_was_lost_and_sent_again_tells_what_it_was() -> None:
    document = figure_svg(connection_figure(transfer()))
    titles = [element.text for element in elements(document, "title")]
    assert f"lost: {1 + MSS:,} to {1 + 2 * MSS:,}, at 0.051000 s" in titles
    assert f"sent again: {1 + MSS:,} to {1 + 2 * MSS:,}, at 0.075000 s" in titles


# ---- text ----


def test_no_line_is_wider_than_the_terminal() -> None:
    for width in (50, 72, 100, 120):
        for ascii_only in (False, True):
            lines = text_of(connection_figure(transfer()), width, ascii_only)
            assert max(map(len, lines)) <= width


def test_the_last_time_is_whole() -> None:
    assert text_of(curves(Line("a", "one", [0, 1], [0, 1])))[-1].split()[-2:] == ["10", "s"]


def test_ascii_only_means_it() -> None:
    lines = text_of(connection_figure(transfer()), ascii_only=True)
    assert "\n".join(lines).isascii()
    assert any("R" in line and "x" in line for line in lines)


def test_equal_curves_both_show_in_the_terminal() -> None:
    solid = Line("first", "one", [0, 10 * SECOND], [50, 50])
    dashed = Line("second", "two", solid.xs, solid.ys, dashed=True)
    styles = {style for line in figure_text(curves(solid, dashed)) for _, style in line}
    rows = [line for line in text_of(curves(solid, dashed)) if "╌" in line and "┤" in line]
    assert {"one", "two"} <= styles
    [row] = rows
    assert any("⠀" < sign <= "⣿" for sign in row)


def test_the_transfer_shows_its_loss_its_repetition_and_the_recovery() -> None:
    lines = text_of(connection_figure(transfer()))
    text = "\n".join(lines)
    assert lines[0] == "client 10.0.0.1:49152 → server 10.0.0.2:80"
    assert "1 of them sent again · 1 lost" in lines[1]
    for name in ("sequence", "windows", "rate", "round trip", "× lost", "R sent again", "┊ SACK", "f fast recovery"):
        assert name in text
    graph = lines[3:23]
    assert sum(line.count("×") for line in graph) == 1
    assert sum(line.count("R") for line in graph) == 1
    assert any("─f" in line or "f─" in line for line in lines)


def test_a_capture_alone_says_that_it_estimates() -> None:
    connection = transfer("client")
    connection._samples.clear()
    text = "\n".join(text_of(connection_figure(connection)))
    assert "in flight, as the packets tell" in text
    assert "from a segment to its ACK, as captured" in text
    assert "cwnd" not in text


def test_styles_have_colours_in_every_format() -> None:
    figure = connection_figure(transfer())
    roles = {style for line in figure_text(figure) for _, style in line if style}
    assert roles <= set(COLORS)
    figure_svg(figure)  # raises KeyError for a role without


# ---- which part ----


def test_a_part_of_the_time_begins_with_what_held_before() -> None:
    figure = connection_figure(transfer(), begin_us=80_000, end_us=100_000)
    assert (figure.start, figure.end) == (80_000, 100_000)
    windows = figure.panels[1]
    cwnd = next(layer for layer in windows.layers if isinstance(layer, Line) and layer.name == "cwnd")
    assert (cwnd.xs[0], cwnd.ys[0]) == (80_000, 5 * MSS)
    sequence = figure.panels[0]
    assert sequence.low == 1 + MSS  # what was acknowledged before does not take room


def test_in_flight_is_the_sample_and_what_went_out_since() -> None:
    windows = connection_figure(transfer()).panels[1]
    line = next(layer for layer in windows.layers if isinstance(layer, Line) and layer.name == "in flight")
    values = dict(zip(line.xs, line.ys, strict=True))
    assert [values[(50 + n) * 1000] for n in range(6)] == [(n + 1) * MSS for n in range(6)]
    assert [values[70_000], values[74_000], values[75_000], values[95_000]] == [5 * MSS, 2 * MSS, 3 * MSS, 0]


@pytest.mark.parametrize(("begin", "end"), [(5_000_000, 0), (130_001, 0), (-1, 0), (90_000, 80_000)])
def test_a_part_in_which_nothing_is_is_refused(begin: int, end: int) -> None:
    with pytest.raises(ValueError, match="nothing is"):
        connection_figure(transfer(), begin_us=begin, end_us=end)


def test_a_connection_of_one_packet_can_be_drawn() -> None:
    timelines = Timelines()
    timelines(lossy_transfer().events("client")[1])
    figure = connection_figure(timelines.connections[0])
    assert figure_svg(figure)
    assert text_of(figure)


def test_the_highest_value_of_all_layers_is_the_scale() -> None:
    line, bars = Line("", "one", [1], [5]), Bars("", "one", [1], [0], [9])
    layers: list[Layer] = [line, bars, Marks("", "one", [], []), Spans("", "fast", [(0, 99)])]
    assert highest(layers) == 9
    assert highest([]) == 1.0


# ---- files ----


def test_the_end_of_the_name_tells_the_format(tmp_path: Path) -> None:
    need_library("resvg_py")
    figure = connection_figure(transfer())
    save(figure, tmp_path / "a.SVG")
    assert (tmp_path / "a.SVG").read_text(encoding="utf-8").startswith("<svg")
    save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"ends in \.svg or \.png"):
        save(figure, tmp_path / "a.gif")


def test_a_png_is_as_large_as_asked_for() -> None:
    need_library("resvg_py")
    data = figure_png(connection_figure(transfer()), width=800, zoom=1.5)
    assert int.from_bytes(data[16:20], "big") == 1200


def test_without_a_font_there_is_no_picture_without_words(monkeypatch: pytest.MonkeyPatch) -> None:
    blind = types.ModuleType("resvg_py")
    blind.svg_to_bytes = lambda svg_string, zoom=1: b"the same, whatever the words"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "resvg_py", blind)
    with pytest.raises(CannotDraw, match="no font"):
        figure_png(connection_figure(transfer()))


def test_shown_in_a_file_it_has_no_colours() -> None:
    out = io.StringIO()
    show(connection_figure(transfer()), out)
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().startswith("client 10.0.0.1:49152 -> server")  # a StringIO has no encoding: ASCII
