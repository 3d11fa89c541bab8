"""The layout model that the terminal and the SVG share: a diagram is a list of rows, top to bottom.

Times are microseconds since the diagram began. Rule for the next editor: rows say what is to be seen, never where on a
page or in which colour; styles are names of meanings ("syn", "dim"), and each renderer has its own palette.
"""

from __future__ import annotations

from dataclasses import dataclass

WHOLE = "whole"  # left one end and reached the other, nothing drawn in between
DEPARTS = "departs"  # left; the arrival is drawn further down, under the same tag
ARRIVES = "arrives"  # reached an end; where it left is drawn further up (or never: tag 0)
LOST = "lost"  # left and never arrived
BULK = "bulk"  # many segments of plain data and their ACKs

STYLES = ("", "dim", "bold", "time", "state", "syn", "fin", "rst", "data", "ack", "note", "lost")


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of a label that is never broken; an optional one is left out where it would need a line of its own."""

    text: str
    style: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """One margin: a host, its address and port. `traced`: its states come from its own trace, not from inference."""

    name: str
    address: str
    traced: bool


@dataclass(frozen=True, slots=True)
class Opening:
    """The head of a connection's diagram. `clocks`: 1 if all times are one host's, 2 if each end has its own column."""

    number: int
    left: End
    right: End
    left_state: str
    right_state: str
    clocks: int


@dataclass(frozen=True, slots=True)
class Arrow:
    """A segment, a burst, or a bulk of them. The states are those shown beside the arrow's ends; "": none.

    refs: what its segments are called by whoever asked for the diagram; a bulk has none.
    """

    rightward: bool
    shape: str
    style: str
    label: tuple[Words, ...]
    left_at: int | None = None
    right_at: int | None = None
    left_state: str = ""
    right_state: str = ""
    tag: int = 0
    refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One end's state became `after`."""

    left: bool
    at: int
    before: str
    after: str
    why: str
    rfc: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something worth knowing happened at one end."""

    left: bool
    at: int
    text: str
    rfc: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing happened for this long."""

    us: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """Rows of another connection were in between: the ones that follow are this connection's again."""

    number: int
    left: End
    right: End


Row = Opening | Arrow | Change | Remark | Silence | Resumed
