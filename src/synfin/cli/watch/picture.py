"""What a feed has, as the page shows it: texts of a table, drawings by the project's view, and the diagram as a table.

It is told what a reader looks at and makes no more: a table of 20,000 connections has the 200 that he sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from synfin.cli.watch.feed import Chosen, Feed
from synfin.view import figure_svg, svg
from synfin.view.figure import Figure, Line, Panel, highest
from synfin.view.rows import Arrow, Change, Opening, Remark, Row, Silence
from synfin.view.table import HEAD, cells, rate_text
from synfin.view.text import rfc_text, seconds_text
from synfin.view.ticks import BYTES, COUNT, RATE, TIME
from synfin.view.words import CHINESE, Catalogue

SHOWN: Final = 200
WIDTHS: Final = (300, 1400)
COLUMNS: Final = (*HEAD[:5], "in", "out", *HEAD[5:11], HEAD[12])
_FACTS: Final = ("InSegs", "OutSegs", "RetransSegs", "OutRsts", "TCPTimeouts")
_ORDER: Final[Mapping[str, Callable[[Feed, Mapping[str, Any]], Any]]] = {
    "State": lambda _, row: row["state"],
    "Recv-Q": lambda _, row: row["recv_queue"],
    "Send-Q": lambda _, row: row["send_queue"],
    "Local": lambda _, row: row["local"],
    "Peer": lambda _, row: row["peer"],
    "in": lambda feed, row: feed.rates.get(row["key"], (0.0, 0.0))[0],
    "out": lambda feed, row: feed.rates.get(row["key"], (0.0, 0.0))[1],
    "Timer": lambda _, row: row["timer"] or 0,
    "cwnd": lambda _, row: row["cwnd"],
    "rtt": lambda _, row: row["srtt_us"],
    "rto": lambda _, row: row["rto_us"],
    "in flight": lambda _, row: row["in_flight"],
    "retries": lambda _, row: row["retries"],
}
_SECOND: Final = 5  # points of a followed connection that lie a second apart


@dataclass(frozen=True)
class Look:
    """What a reader looks at. width: of a drawing, in pixels."""

    order: str = ""
    down: bool = False
    find: str = ""
    width: int = 700
    language: str = "en"


def state(feed: Feed, look: Look) -> dict[str, Any]:
    """All that the page shows now."""
    found = [row for row in feed.rows.values() if look.find in f"{row['state']} {row['local']} {row['peer']}".lower()]
    order = _ORDER.get(look.order)
    if order is not None:
        found.sort(key=lambda row: order(feed, row), reverse=look.down)
    say = None if look.language == "en" else Catalogue.of(CHINESE)
    return {
        "version": feed.version,
        "trouble": feed.trouble,
        "name": feed.head.get("name", ""),
        "pid": feed.head.get("pid", 0),
        "facts": _facts(feed),
        "total": len(feed.rows),
        "found": len(found),
        "rows": [{"key": row["key"], "cells": _cells(feed, row)} for row in found[:SHOWN]],
        "figure": _drawn(host_figure(feed), look, say),
        "chosen": None if feed.chosen is None else _chosen(feed.chosen, look, say),
    }


def _facts(feed: Feed) -> dict[str, int]:
    if not feed.head:
        return {}
    census, counters = feed.head["census"], feed.head["counters"]
    tables = {name: census[name] for name in ("listeners", "half_open", "time_wait")}
    return {"connections": len(feed.rows), **tables, **{name: counters[name] for name in _FACTS}}


def _cells(feed: Feed, row: Mapping[str, Any]) -> list[str]:
    texts = cells(row)
    came, went = feed.rates.get(row["key"], (0.0, 0.0))
    return [*texts[:5], rate_text(round(came)), rate_text(round(went)), *texts[5:11], texts[12]]


def _chosen(chosen: Chosen, look: Look, say: Catalogue | None) -> dict[str, Any]:
    rows = chosen.rows()
    speak: Callable[[str], str] = say or str
    head = [chosen.opening] if chosen.opening is not None else []
    row = chosen.row
    return {
        "which": chosen.which,
        "key": chosen.key,
        "heard": chosen.heard,
        "open": chosen.is_open,
        "title": f"{row['local']} ↔ {row['peer']}" if row is not None else "",
        "state": row["state"] if row is not None else "",
        "cells": list(cells(row)) if row is not None else [],
        "left_out": chosen.left_out,
        "missed": chosen.missed,
        "diagram": svg.drawing([[*head, *rows]], width=look.width, say=speak) if chosen.opening is not None else "",
        "table": _as_table(chosen.opening, rows, speak),
        "figure": _drawn(chosen_figure(chosen), look, say),
    }


def _drawn(figure: Figure | None, look: Look, say: Catalogue | None) -> str:
    if figure is None:
        return ""
    return figure_svg.drawing(say.figure(figure) if say is not None else figure, width=look.width)


# ---- the diagram as a table ----


def _as_table(opening: Opening | None, rows: Sequence[Row], say: Callable[[str], str]) -> list[list[str]]:
    """Time, who or from whom to whom, what, and the state after it."""
    if opening is None:
        return []
    left, right = opening.left, opening.right
    names = (left.name or left.address, right.name or right.address)
    return [line for row in rows if (line := _line(row, names, say)) is not None]


def _line(row: Row, names: tuple[str, str], say: Callable[[str], str]) -> list[str] | None:
    if isinstance(row, Arrow):
        at = row.left_at if row.left_at is not None else row.right_at
        sender, receiver = names if row.rightward else names[::-1]
        what = " ".join(say(word.text) for word in row.label)
        states = " / ".join(state for state in (row.left_state, row.right_state) if state)
        return [_time(at), f"{sender} → {receiver}", what, states]
    if isinstance(row, Change):
        return [_time(row.at), names[0 if row.left else 1], _because(say(row.why), row.rfc), row.after]
    if isinstance(row, Remark):
        return [_time(row.at), names[0 if row.left else 1], _because(say(row.text), row.rfc), ""]
    if isinstance(row, Silence):
        return ["", "", f"{row.us / 1e6:.1f} s {say('later')}", ""]
    return None


def _because(text: str, section: str) -> str:
    return f"{text} · {rfc_text(section)}" if section else text


def _time(at: int | None) -> str:
    return "" if at is None else seconds_text(at)


# ---- over time ----


def host_figure(feed: Feed) -> Figure | None:
    """What all connections carried, and how many there were."""
    points = list(feed.points)
    if len(points) < 2:
        return None
    began = points[0][0]
    times = [float(at - began) for at, *_ in points]
    rates = [
        Line("in", "one", times, [came for _, came, _, _ in points], step=True),
        Line("out", "two", times, [went for _, _, went, _ in points], step=True, dashed=True),
    ]
    counts = [Line("connections", "three", times, [float(count) for *_, count in points], step=True)]
    panels = [
        Panel("throughput of all connections", RATE, rates, highest(rates) * 1.05),
        Panel("connections", COUNT, counts, highest(counts) * 1.05),
    ]
    return Figure("the host over time", panels, 0.0, times[-1])


def chosen_figure(chosen: Chosen) -> Figure | None:
    """One connection's rates, windows and round trip."""
    points = list(chosen.points)
    if len(points) < 2:
        return None
    began = points[0]["time_us"]
    times = [float(point["time_us"] - began) for point in points]
    rates = [
        Line("in", "one", times, _rates(points, "received"), step=True),
        Line("out", "two", times, _rates(points, "sent"), step=True, dashed=True),
    ]
    windows = [
        Line("in flight", "flight", times, _values(points, "in_flight"), step=True, filled=True),
        Line("cwnd", "cwnd", times, _values(points, "cwnd"), step=True),
        Line("peer's window", "edge", times, _values(points, "snd_wnd"), step=True, dashed=True),
    ]
    queues = [
        Line("Recv-Q", "one", times, _values(points, "recv_queue"), step=True),
        Line("Send-Q", "two", times, _values(points, "send_queue"), step=True, dashed=True),
    ]
    trips = [Line("smoothed", "srtt", times, _values(points, "srtt_us"), step=True)]
    # What the peer would take is far above most of what is sent: the rest is to be seen.
    top = min(highest(windows), 3 * highest(windows[:2]))
    panels = [
        Panel("throughput", RATE, rates, highest(rates) * 1.05),
        Panel("windows", BYTES, windows, top * 1.05),
        Panel("queues", BYTES, queues, highest(queues) * 1.05),
        Panel("round trip", TIME, trips, highest(trips) * 1.05),
    ]
    return Figure("the connection over time", panels, 0.0, times[-1])


def _values(points: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [float(point[name]) for point in points]


def _rates(points: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Bytes a second over the second before each point."""
    found = [0.0]
    for number in range(1, len(points)):
        old, new = points[max(0, number - _SECOND)], points[number]
        found.append((new[name] - old[name]) / max(new["time_us"] - old["time_us"], 1) * 1e6)
    return found
