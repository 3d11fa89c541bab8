"""What became of each connection of a run: a line, or a JSON object, for each, in the order in which they were opened.

Of UDP and pings a line stands for all to one place: a program asks for many names.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from synfin.gateway import Flow

KEPT: Final = 10_000  # lines; of more, the last are only counted
_HEAD: Final = ("to", "opened by", "rtt", "sent", "received", "resent", "lasted", "how it ended")
_RIGHT: Final = (2, 3, 4, 5, 6)


class Report:
    """name_of: what people call an address. is_denied: the run itself refuses this place."""

    def __init__(self, name_of: Callable[[str], str], is_denied: Callable[[str, int], bool]) -> None:
        self._name_of = name_of
        self._is_denied = is_denied
        self._rows: list[dict[str, Any]] = []
        self._grouped: dict[tuple[str, str, int, str], dict[str, Any]] = {}
        self.began = 0.0  # what is shown as 0
        self.more = 0  # of which there is no line

    def add(self, flow: Flow) -> None:
        """A connection, a UDP conversation or a ping has ended, or was refused."""
        row = _row(flow, self._name_of, self.began)
        if row["outcome"] == "refused" and not flow.inward and self._is_denied(*flow.dst):
            row["outcome"] = "denied"
        if flow.protocol != "tcp":
            key = (flow.protocol, *flow.dst, row["outcome"])
            known = self._grouped.get(key)
            if known is not None:
                for name in ("count", "sent", "received"):
                    known[name] += row[name]
                return
            if len(self._rows) < KEPT:
                self._grouped[key] = row
        if len(self._rows) < KEPT:
            self._rows.append(row)
        else:
            self.more += 1

    def rows(self) -> list[dict[str, Any]]:
        """Plain data, times in seconds."""
        return sorted(self._rows, key=lambda row: float(row["began"]))

    def lines(self) -> list[str]:
        """A table for people; nothing if there was nothing."""
        rows = self.rows()
        if not rows:
            return []
        cells = [_HEAD, *(_cells(row) for row in rows)]
        lines = _aligned(cells)
        if self.more:
            lines.append(f"and {self.more:,} more")
        return lines


def _row(flow: Flow, name_of: Callable[[str], str], since: float) -> dict[str, Any]:
    place, local = (flow.src, flow.dst) if flow.inward else (flow.dst, flow.src)
    tcp = flow.tcp
    return {
        "protocol": flow.protocol,
        "name": name_of(place[0]),
        "address": place[0],
        "port": place[1],
        "local": local[1],
        "opened_by": "outside" if flow.inward else "inside",
        "began": round(flow.began - since, 6),
        "connect": round(flow.connected - flow.began, 6) if flow.connected is not None else None,
        "lasted": round((flow.ended or flow.began) - flow.began, 6),
        "rtt": tcp.srtt_us / 1_000_000 if tcp is not None and tcp.srtt_us else None,
        "sent": flow.sent,
        "received": flow.received,
        "resent": tcp.resent if tcp is not None else None,
        "outcome": flow.outcome,
        "closed_by": flow.closed_by,
        "error": _error(flow.error),
        "count": 1,
    }


def _error(error: BaseException | None) -> str | None:
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return errno.errorcode[error.errno]
    return None if error is None else str(error) or type(error).__name__


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    tcp = row["protocol"] == "tcp"
    return (
        _place(row),
        str(row["opened_by"]),
        "-" if row["rtt"] is None else _time(row["rtt"]),
        _size(row["sent"]),
        _size(row["received"]),
        "-" if row["resent"] is None else _size(row["resent"]),
        _time(row["lasted"]) if tcp else "-",
        _ending(row),
    )


def _place(row: dict[str, Any]) -> str:
    name = row["name"]
    if ":" in name:
        name = f"[{name}]"
    if row["protocol"] == "icmp":
        return f"{name} (ping)"
    if row["opened_by"] == "outside":
        return f"port {row['local']} from {name}"
    return f"{name}:{row['port']}" + ("" if row["protocol"] == "tcp" else " (udp)")


def _ending(row: dict[str, Any]) -> str:
    outcome, who = row["outcome"], row["closed_by"]
    if row["protocol"] != "tcp":
        times = "" if row["count"] == 1 else f", {row['count']} times"
        what = "" if outcome in ("closed", "idle", "ended") else str(outcome)
        return (what + times).removeprefix(", ") or "-"
    text = {"closed": "closed", "reset": "reset", "ended": "cut off, the program had ended"}.get(outcome, str(outcome))
    if who and outcome in ("closed", "reset"):
        text += f" by {who}"
    if outcome == "dropped":
        text = "no answer: dropped"
    return f"{text} ({row['error']})" if row["error"] else text


def _aligned(cells: Iterable[Sequence[str]]) -> list[str]:
    table = list(cells)
    widths = [max(len(line[column]) for line in table) for column in range(len(_HEAD))]
    return [
        "  ".join(
            text.rjust(width) if column in _RIGHT else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]


def _time(seconds: float) -> str:
    if seconds < 0.01:
        return f"{seconds * 1000:.2f} ms"
    return (
        f"{seconds * 1000:.0f} ms"
        if seconds < 1
        else f"{seconds:.1f} s"
        if seconds < 600
        else f"{seconds / 60:.0f} min"
    )


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)
