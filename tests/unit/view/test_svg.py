"""The SVG: well formed, self-contained, and with the same content as the terminal's diagram."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from synfin.view.diagram import connections
from synfin.view.rows import ARRIVES, WHOLE, Arrow, End, Opening, Row
from synfin.view.svg import draw_svg, drawing, render
from tests.unit.view.script import Script, closed, opened
from tests.unit.view.test_diagram import lossy, simultaneous_close

SVG = "{http://www.w3.org/2000/svg}"


def texts(document: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(document).iter(f"{SVG}text")]


def test_every_state_label_and_reason_is_in_the_document() -> None:
    shown = texts(draw_svg(closed(opened(Script()), 45, 1, 1).events()))
    for text in (
        "client",
        "10.0.0.2:80",
        "SYN seq=0 (3405691582) win=64240 <mss 1460, sackOK, ts, ws 7>",
        "SYN / SYN,ACK · RFC 9293 3.10.7.2",
        "FIN-WAIT-2",
        "LAST-ACK",
        "TIME-WAIT",
        "60.0 s later",
    ):
        assert text in shown


def test_an_arrow_slopes_from_where_it_left_to_where_it_arrived() -> None:
    root = ElementTree.fromstring(draw_svg(simultaneous_close().events()))
    fins = [line for line in root.iter(f"{SVG}line") if line.get("class") == "a fin"]
    assert len(fins) == 2
    spans = sorted(sorted((float(line.get("y1", "")), float(line.get("y2", "")))) for line in fins)
    assert spans[0][0] < spans[1][0] < spans[1][1] < spans[0][1]  # one leaves before the other and arrives after it
    assert {float(line.get("x1", "0")) < float(line.get("x2", "0")) for line in fins} == {True, False}


def test_a_lost_segment_ends_before_the_other_lifeline() -> None:
    root = ElementTree.fromstring(draw_svg(lossy().events()))
    lines = list(root.iter(f"{SVG}line"))
    lives = {float(line.get("x1", "0")) for line in lines if line.get("class") == "life"}
    lost = [float(line.get("x2", "0")) for line in lines if line.get("class") == "a lost"]
    assert len(lost) == 2
    assert all(min(lives) + 50 < x < max(lives) - 50 for x in lost)


def test_names_cannot_break_out_of_the_document() -> None:
    name = '<script>alert("&")</script>'
    document = draw_svg(opened(Script()).events("client"), names={"10.0.0.2": name}, title=name)
    assert "<script" not in document
    assert name in texts(document)


def test_the_document_needs_nothing_from_outside_and_is_the_same_each_time() -> None:
    events = lossy().events()
    document = draw_svg(events)
    assert document == draw_svg(events)
    assert document.count("http") == 1  # the namespace
    assert "url(" not in document


def test_several_connections_stand_below_each_other() -> None:
    one = opened(Script()).events()
    both = sorted(one + opened(Script(ports=(5000, 80))).events(), key=lambda event: event.at)
    heights = [int(ElementTree.fromstring(draw_svg(events)).get("height", "0")) for events in (one, both)]
    assert 1.8 * heights[0] < heights[1] < 2.2 * heights[0]


def test_rows_without_labels_and_times_are_drawn() -> None:
    end = End("a", "10.0.0.1:1", True)
    rows: list[Row] = [
        Opening(1, end, end, "", "", 2),
        Arrow(True, ARRIVES, "ack", (), None, 5),
        Arrow(False, WHOLE, "ack", ()),
    ]
    assert ElementTree.fromstring(render([rows])).tag == f"{SVG}svg"


def test_a_drawing_for_a_page_has_no_style_and_is_otherwise_the_document() -> None:
    rows = connections(lossy().events())
    alone, part = render(rows), drawing(rows)
    assert "<style>" in alone
    assert "style" not in part
    assert re.sub("<style>.*?</style>", "", alone, flags=re.DOTALL) == part


def test_a_drawing_speaks_the_language_of_its_page() -> None:
    chinese = {"SYN / SYN,ACK": "收到 SYN", "later": "之后", "TCP sequence diagram": "TCP 时序图"}
    rows = connections(closed(opened(Script()), 45, 1, 1).events())
    document = drawing(rows, say=lambda text: chinese.get(text, text))
    assert "收到 SYN · RFC 9293 3.10.7.2" in texts(document)
    assert "60.0 s 之后" in texts(document)
    assert 'aria-label="TCP 时序图"' in document
