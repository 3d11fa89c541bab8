"""Widths of texts: a Chinese character takes two columns, in padding, wrapping and the whole diagram."""

from __future__ import annotations

import pytest

from synfin.view.columns import centred_in, columns, cut_to, right_in
from synfin.view.figure import Figure, Line, Panel
from synfin.view.figure_text import figure_text
from synfin.view.rows import WHOLE, Arrow, Change, End, Opening, Remark, Row, Words
from synfin.view.text import Page, plain
from synfin.view.ticks import COUNT


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("SYN", 3), ("三次握手", 8), ("序号 x", 6), ("→·│", 3), ("e\u0301", 1), ("，", 2)]
)
def test_wide_characters_take_two_columns(text: str, width: int) -> None:
    assert columns(text) == width


def test_padding_counts_columns() -> None:
    assert right_in("序号", 6) == "  序号"
    assert centred_in("序号", 8) == "  序号  "
    for text, room in (("ab", 5), ("abc", 6), ("a", 4), ("abc", 2)):
        assert centred_in(text, room) == text.center(room)


def test_what_is_cut_fits() -> None:
    assert cut_to("三次握手", 5) == "三次"
    assert cut_to("三次握手", 8) == "三次握手"
    assert cut_to("abc", 2) == "ab"


def test_the_lifelines_of_a_diagram_in_chinese_are_straight() -> None:
    rows: list[Row] = [
        Opening(1, End("客户", "10.0.0.1:1", True), End("服务器", "10.0.0.2:80", True), "CLOSED", "LISTEN", 2),
        Arrow(True, WHOLE, "syn", (Words("SYN"), Words("[又一次]", "note")), 0, 10),
        Change(False, 10, "LISTEN", "SYN-RCVD", "收到 SYN", "9293 3.10.7.2"),
        Remark(True, 20, "这是一句很长的话" * 8, "9293 3.5"),
    ]
    page = Page(80)
    lines = [plain(line) for row in rows[:1] for line in page.lines(row)][2:]
    lines += [plain(line) for row in rows[1:] for line in page.lines(row)]
    assert len(lines) > 4
    ends = {columns(line[: max(line.rfind("│"), line.rfind("►"), line.rfind("●"))].rstrip("►")) for line in lines}
    assert len({end for end in ends if end > 40} - {max(ends)}) <= 1
    assert max(columns(line) for line in lines) <= 80


def test_a_figure_in_chinese_is_no_wider_than_the_terminal() -> None:
    names = ["拥塞窗口" * 4, "往返时间" * 4, "慢启动门限" * 3]
    layers = [Line(name, "one", [0, 1], [0, 1]) for name in names]
    figure = Figure("标题" * 5, [Panel("面板", COUNT, layers, 1)], 0, 1, "说明 " * 40)
    assert max(columns(plain(line)) for line in figure_text(figure, width=72)[1:]) <= 72
