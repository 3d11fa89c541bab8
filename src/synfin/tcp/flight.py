"""What is out, and what finds the losses in it. Made at the first send, dropped when all is acknowledged.

With SACK losses are found by time (`rack`), without by counting (`dupacks`).
"""

from __future__ import annotations

from mypy_extensions import i64

from synfin.tcp.dupacks import DupAcks
from synfin.tcp.scoreboard import Scoreboard


class Flight:
    """limit: see Scoreboard. sack: agreed on."""

    def __init__(self, limit: i64, sack: bool) -> None:
        self.board: Scoreboard = Scoreboard(limit)
        self.dups: DupAcks | None = None if sack else DupAcks()
        self.patient_until: i64 = 0  # no number of timeouts is enough before that; 0, or past: it is

    def pipe(self) -> i64:
        """Bytes in the network, as far as ACKs have told (RFC 6675 4; without SACK a segment a duplicate ACK less)."""
        dups = self.dups
        if dups is None:
            return self.board.in_flight
        # What duplicates told of may have been taken for lost since: it is out of the network only once.
        pipe = self.board.in_flight - dups.bytes
        return pipe if pipe > 0 else 0
