"""The diagrams of a run's connections, drawn when it is over, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from synfin.tcp.trace import Event
from synfin.view.diagram import Rows
from synfin.view.rows import Row
from synfin.view.text import Page, plain

CONNECTIONS: Final = 100  # that are drawn: the first
ROWS: Final = 400  # of each


class Drawing:
    """A trace that keeps what it takes to draw: plain data is folded, so that is little."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._found: dict[int, list[Row]] = {}
        self._rows = Rows(self._keep, names=names)
        self._left_out = 0  # rows

    def __call__(self, event: Event) -> None:
        self._rows(event)

    def _keep(self, number: int, row: Row) -> None:
        kept = self._found.setdefault(number, []) if number <= CONNECTIONS else None
        if kept is None or len(kept) >= ROWS:
            self._left_out += 1
        else:
            kept.append(row)

    def lines(self, width: int, ascii_only: bool) -> list[str]:
        """All of it. To be asked once, when nothing more comes."""
        self._rows.finish()
        lines: list[str] = []
        for number in sorted(self._found):
            page = Page(width, ascii_only)
            for row in self._found[number]:
                lines += [plain(line) for line in page.lines(row)]
        if self._left_out:
            lines.append(f"(and {self._left_out:,} rows more: --pcapng has them all)")
        return lines
