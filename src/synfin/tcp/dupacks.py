"""Losses found by counting, where SACK was not agreed on: duplicate ACKs. RFC 5681 3.2, RFC 6582, RFC 3042."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

DUP_THRESHOLD: Final = 3  # so much reordering is no loss


@mypyc_attr(acyclic=True)
class DupAcks:
    """Since SND.UNA last moved. bytes: what they say has left the network, one segment each."""

    def __init__(self) -> None:
        self.count: i64 = 0
        self.bytes: i64 = 0

    def on_duplicate(self, mss: i64, in_flight: i64) -> bool:
        """One more. True: the third, which means a loss."""
        self.count += 1
        if self.bytes + mss <= in_flight:
            self.bytes += mss
        return self.count == DUP_THRESHOLD

    def on_progress(self, acked: i64) -> None:
        """SND.UNA moved by `acked`: what duplicates had told of it is told no more."""
        self.count = 0
        self.bytes = self.bytes - acked if self.bytes > acked else 0

    def reset(self) -> None:
        """All is acknowledged, or nothing is in flight any more."""
        self.count = 0
        self.bytes = 0
