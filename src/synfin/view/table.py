"""Connections as a table of text, one a line: what `synfin ss` shows, and the lab."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

HEAD: Final = (
    "State",
    "Recv-Q",
    "Send-Q",
    "Local",
    "Peer",
    "Timer",
    "cwnd",
    "rtt",
    "rto",
    "in flight",
    "retries",
    "rate",
    "held up by",
)
_LEFT: Final = (0, 3, 4, 5, 12)


def connection_table(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """A head and a line for each row, as `synfin.aio.connection_rows.describe` gives them."""
    lines = [HEAD, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return [_line(line, widths) for line in lines]


def _line(line: Sequence[str], widths: Sequence[int]) -> str:
    texts = [
        text.ljust(width) if column in _LEFT else text.rjust(width)
        for column, (text, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(texts).rstrip()


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """One connection, a text for each column of HEAD."""
    timer = row["timer"]
    return (
        str(row["state"]),
        str(row["recv_queue"]),
        str(row["send_queue"]),
        str(row["local"]),
        str(row["peer"]),
        "-" if timer is None else f"{row['timer_name']} {seconds(timer)}",
        str(row["cwnd"]),
        _rtt(row["srtt_us"]),
        seconds(row["rto_us"]),
        str(row["in_flight"]),
        str(row["retries"]),
        rate_text(row["delivery_rate"]),
        _obstacle(row),
    )


_OBSTACLES: Final = (("peer_limited_us", "peer"), ("buffer_limited_us", "buffer"), ("congestion_limited_us", "path"))


def _obstacle(row: Mapping[str, Any]) -> str:
    """What held the sender up the longest, and for which part of the time that it had something to send."""
    most, who = max(((row[name], who) for name, who in _OBSTACLES), key=lambda found: found[0])
    return f"{who} {most * 100 // row['busy_us']}%" if most else "-"


def rate_text(bytes_a_second: int) -> str:
    """Bits a second, as a person reads it."""
    bits = bytes_a_second * 8
    if not bits:
        return "-"
    return f"{bits / 1e6:.3g} Mbit/s" if bits >= 1_000_000 else f"{bits / 1e3:.3g} kbit/s"


def _rtt(us: int) -> str:
    return f"{us / 1000:.3g} ms" if us > 0 else "-"


def seconds(us: int) -> str:
    """A time as a person reads it: 40 ms, 1.2 s, 118 min."""
    if us < 1_000_000:
        return f"{us / 1000:.0f} ms"
    return f"{us / 1_000_000:.1f} s" if us < 600_000_000 else f"{us / 60_000_000:.0f} min"
