"""What is to be sent next, described for `output`: a burst, a retransmission or a probe."""

from __future__ import annotations

from mypy_extensions import i64

from synfin.wire.pieces import Piece


class Chunk:
    """What `next_chunk()` wants sent. One reused object; `pieces` is a new list each time."""

    def __init__(self) -> None:
        self.offset: i64 = 0
        self.length: i64 = 0  # payload bytes
        self.pieces: list[Piece] = []
        self.segment: i64 = 0  # payload bytes per segment, when there is more than one; else 0
        self.push: bool = False
        self.fin: bool = False
        self.retransmission: bool = False
