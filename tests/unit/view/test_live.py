"""The diagram on a terminal."""

from __future__ import annotations

import io
import re

import pytest

from synfin.view.diagram import draw
from synfin.view.live import Live
from tests.unit.view.script import Script, opened
from tests.unit.view.test_diagram import download, page


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Ascii(io.StringIO):
    encoding = "ascii"


class Utf8(io.StringIO):
    encoding = "UTF-8"


def screen(written: str) -> list[str]:
    """What a terminal shows after this, for the two sequences that are used; without colours."""
    lines: list[str] = [""]
    for part in re.split(r"(\x1b\[1A\x1b\[2K|\n)", re.sub(r"\x1b\[[\d;]*m", "", written)):
        if part == "\n":
            lines.append("")
        elif part.startswith("\x1b"):
            lines.pop()
            lines[-1] = ""
        else:
            lines[-1] += part
    return [line.rstrip() for line in lines[:-1]]


def shown(out: io.StringIO, script: Script, color: bool | None = None) -> str:
    live = Live(out, width=100, color=color)
    for event in script.events("server"):
        live(event)
    live.close()
    return out.getvalue()


def test_a_file_gets_plain_lines() -> None:
    assert shown(Utf8(), page()) == "\n".join(draw(page().events("server"))) + "\n"


def test_what_cannot_show_unicode_gets_ascii() -> None:
    assert shown(Ascii(), page()) == "\n".join(draw(page().events("server"), ascii_only=True)) + "\n"


def test_color_changes_nothing_but_the_color(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich", reason="colour needs rich")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    colored = shown(Utf8(), page(), color=True)
    assert "\x1b[" in colored
    assert screen(colored) == draw(page().events("server"))


def test_a_bulk_counts_up_in_place_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    out = Terminal()
    live = Live(out, width=100, color=False, ascii_only=False)
    events = download(400).events("server")
    for event in events:
        live(event)
    counts = [int(text.replace(",", "")) for text in re.findall(r"([\d,]+) segments", out.getvalue())]
    assert len(counts) > 3
    assert counts == sorted(counts)
    live.close()
    assert screen(out.getvalue()) == draw(events)


def test_flush_and_tick_draw_what_waits() -> None:
    for draw_now in (Live.flush, lambda live: live.tick(10_000_000)):
        out = Utf8()
        live = Live(out)
        script = opened(Script())
        script.send(40, "client", "PSH,ACK", 1, 1, 10)
        for event in script.events("client"):
            live(event)
        assert "len=10" not in out.getvalue()
        draw_now(live)
        assert "len=10" in out.getvalue()
