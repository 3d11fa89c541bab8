"""How wide a text is on a terminal: a Chinese, Japanese or Korean character takes two columns (Unicode's UAX 11).

Padding by `str.ljust` counts characters, and so moves what stands behind such a text: use these.
"""

from __future__ import annotations

from unicodedata import combining, east_asian_width


def columns(text: str) -> int:
    """
    >>> columns("SYN"), columns("三次握手")
    (3, 8)
    """
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def right_in(text: str, room: int) -> str:
    """Blanks, and the text behind them, `room` columns in all."""
    return " " * (room - columns(text)) + text


def centred_in(text: str, room: int) -> str:
    """The text in the middle; an odd blank stands behind it, or before it in a room of odd width, as `str.center`."""
    spare = max(room - columns(text), 0)
    before = spare // 2 + (spare & room & 1)
    return " " * before + text + " " * (spare - before)


def cut_to(text: str, room: int) -> str:
    """As much from the beginning as fits."""
    while columns(text) > room:
        text = text[: -max(1, (columns(text) - room) // 2)]
    return text
