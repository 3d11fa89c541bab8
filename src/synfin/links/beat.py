"""What drives a stack asks of its loop at every packet.

The time, a turn, a timer, and whether anybody else is about to run. Each kind of loop has a class of its own; one that
is compiled passes no interpreter on the way.
"""

from __future__ import annotations

from typing import Any

from mypy_extensions import i64, mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Beat:
    """Of a driver that is not open: there is no time, and nobody runs."""

    real = False  # its time is the machine's, and passes while the loop turns

    def clock(self) -> i64:
        """Microseconds."""
        raise RuntimeError("the host is not open: use `async with Host(...)`")

    def soon(self, call: Any) -> Any:
        """Have it called at the next turn; its handle."""
        raise NotImplementedError

    def at(self, deadline: i64, call: Any) -> Any:
        """Have it called then; its handle."""
        raise NotImplementedError

    def is_alone(self, own: i64) -> bool:
        """Nothing is about to run but so many of the driver's own handles."""
        raise NotImplementedError
