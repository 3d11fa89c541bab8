"""A progress bar as one line of text."""

from __future__ import annotations

WIDTH = 40


def bar(done: int, whole: int, seconds: float) -> str:
    """`done` of `whole` bytes after `seconds`, with the rate and the time left."""
    filled = WIDTH * done // whole if whole else WIDTH
    rate = done / seconds if seconds > 0 else 0.0
    left = f"{(whole - done) / rate:.0f} s left" if rate else ""
    return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {done >> 20} of {whole >> 20} MB  {rate / 1e6:,.0f} MB/s  {left}"
